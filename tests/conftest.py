"""Fixtures that several test files share."""

import gc
import logging
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from shutil import disk_usage
from types import SimpleNamespace

# Before torch: with AVX-512, oneDNN's convolutions of 4 and 8 channels, as the tests' thin models
# have them, write beyond their memory in the backward pass (torch 2.13). See docs/faults.md.
os.environ.setdefault('ONEDNN_MAX_CPU_ISA', 'AVX2')

import numpy as np
import pytest
import torch
from forked import leave_layout
from mmengine.dataset import base_dataset
from mmengine.logging import MMLogger
from tiny import make_samples, tiny_model_config
from yapf.yapflib import yapf_api

import mtpsl.engine.patches  # noqa: F401  (or yapf would be put back)
from mtpsl.engine.quiet import quieten
from mtpsl.registry import MODELS
from mtpsl.structures import MultiTaskSample

quieten()
MMLogger.get_current_instance()  # now: a test's own output is closed after it
torch.set_num_threads(1)
leave_layout()
# Each dataset has Python look for garbage among all that the tests have loaded, for half a second.
base_dataset.gc = SimpleNamespace(collect=lambda: 0)
# Temporary folders, of the tests and of the programs they start, are in memory where it has room:
# thousands of small files, and a copy of each config and of its bases by mmengine.
MEMORY = '/dev/shm'
if 'TMPDIR' not in os.environ and os.access(MEMORY, os.W_OK) and disk_usage(MEMORY).free > 8 << 30:
    tempfile.tempdir = os.environ['TMPDIR'] = MEMORY


# Minutes of one core: begun last, one of them would leave the other cores idle at the end.
LONG = ('test_doc_commands', 'test_kills', 'test_benchmark_tool', 'test_train_test',
        'test_hitts_stages', 'test_shipped_weights', 'test_fake_cuda', 'test_packaging.py',
        'test_layouts', 'test_methods', 'test_docs_site', 'test_deployment', 'test_launched_runs')


# Files whose tests start programs, train or take seconds: `make test-fast` leaves them out.
SLOW = (*LONG, 'test_configs.py', 'test_packaging', 'test_scale/', 'test_tools/', 'test_golden',
        'test_faults/', 'test_doc_backbones', 'test_figures/test_tools',
        'test_webapp', 'test_before_training', 'test_gpu/', 'test_complexity', 'test_compile_hook',
        'test_make_synthetic', 'test_probe', 'test_task_order', 'test_resume_inside',
        'test_trained_images', 'test_save_best', 'test_parted_groups', 'test_label_mapping_tool',
        'test_published_mapping', 'test_synthetic/test_dataset', 'test_command', 'test_pipelines',
        'test_conversion/test_resume', 'test_edge_fit', 'test_batch_trial', 'test_hitts_distilled',
        'test_precheck')


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Of what is left out nothing is loaded."""
    slow = collection_path.suffix == '.py' and any(
        name in str(collection_path.relative_to(config.rootpath)) for name in SLOW)
    return True if slow and config.option.markexpr == 'not slow' else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The long files first; one process runs all of a file, whose tests share what is made once."""
    for item in items:
        if any(name in item.nodeid for name in SLOW):
            item.add_marker('slow')

    def place(item: pytest.Item) -> int:
        return next((k for k, name in enumerate(LONG) if name in item.nodeid), len(LONG))

    items.sort(key=place)


def pytest_collection_finish() -> None:
    """What is loaded by now stays: to look for garbage among it took a tenth of all time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


@pytest.fixture
def layout(monkeypatch: pytest.MonkeyPatch) -> None:
    """Texts of configs as a user sees them."""
    monkeypatch.setattr(yapf_api, 'FormatCode', yapf_api.FormatCode.instead_of)


@pytest.fixture(params=['PredictionDiffusion', 'FeatureDiffusion'])
def tiny_model(request: pytest.FixtureRequest) -> torch.nn.Module:
    """Prediction and Feature Diffusion, seeded."""
    torch.manual_seed(0)
    return MODELS.build(tiny_model_config(request.param))


@pytest.fixture
def batch() -> tuple[torch.Tensor, list[MultiTaskSample]]:
    """Three normalised images; none is labelled for all, one for nothing, none for boundary."""
    images = torch.from_numpy(
        np.random.default_rng(0).standard_normal((3, 3, 64, 64)).astype(np.float32))
    return images, make_samples([['semseg', 'normal'], [], ['parsing', 'saliency', 'semseg']])


@pytest.fixture
def warned() -> Iterator[list[str]]:
    """The warnings of the log."""
    records: list[str] = []
    handler, logger = logging.Handler(logging.WARNING), MMLogger.get_current_instance()
    handler.emit = lambda record: records.append(record.getMessage())
    logger.addHandler(handler)
    yield records
    logger.removeHandler(handler)
