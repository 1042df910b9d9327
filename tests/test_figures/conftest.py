"""A handful of images, a small DiffusionMTL of random weights, and result files."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from test_faults.tiny_run import write_config, write_images

from mtpsl.engine import load_config
from mtpsl.registry import MODELS

# Nothing random at test time.
TESTING = "val_dataloader['dataset'].update(pipeline=[*pipeline[:2], pipeline[3]])"
DIFFUSION = """\
model = dict(type='DiffusionMTL', backbone=dict(stem_channels=8, base_channels=8),
             neck=dict(in_channels=(8, 16, 32, 64), out_channels=8),
             decoder=dict(channels=8, num_blocks=1),
             diffusion=dict(type='PredictionDiffusion', channels=8, num_blocks=1, num_heads=2,
                            schedule=dict(num_steps=3),
                            condition=dict(type='ProjectedCondition')))"""


@pytest.fixture(scope='session')
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images 0 to 5 of 24x32 pixels in both splits; image 1 has no saliency label."""
    root = write_images(tmp_path_factory.mktemp('figures') / 'data', size=(24, 32))
    for split in ('train', 'val'):
        (root / split / 'saliency/1.png').unlink()
    return root


@pytest.fixture(scope='session')
def config(root: Path) -> str:
    """A config of a DiffusionMTL of three steps."""
    return str(write_config(root.parent / 'diffusion.py', root, TESTING, DIFFUSION))


@pytest.fixture(scope='session')
def baseline(root: Path) -> str:
    """A config of the MTL baseline."""
    return str(write_config(root.parent / 'baseline.py', root, TESTING))


@pytest.fixture(scope='session')
def save_weights() -> Callable[[str, str], str]:
    """Saves random weights of a config's model."""
    def save(config: str, path: str) -> str:
        torch.manual_seed(0)
        torch.save(MODELS.build(load_config(config).model).state_dict(), path)
        return path
    return save


@pytest.fixture(scope='session')
def checkpoint(config: str, save_weights: Callable, root: Path) -> str:
    return save_weights(config, str(root.parent / 'diffusion.pth'))


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, object], str]:
    """Writes a JSON file below a folder of its own."""
    def write_json(name: str, content: object) -> str:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content))
        return str(path)
    return write_json
