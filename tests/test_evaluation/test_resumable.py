"""An evaluation that is interrupted goes on: no boundary map is matched twice."""

import itertools
import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.logging import MMLogger
from mmengine.structures import PixelData

from mtpsl.evaluation import MultiTaskMetric, evidence
from mtpsl.structures import MultiTaskSample
from mtpsl.tasks import Task, boundary, build_tasks

CONFIG = dict(boundary=dict(type='Boundary', max_dist=0.05),
              semseg=dict(type='Semseg', class_names=['background', 'cat', 'dog']))
IMAGES = 5  # two maps each


def make_samples() -> list[dict]:
    generator = torch.Generator().manual_seed(0)

    def prediction() -> PixelData:
        return PixelData(boundary=torch.rand(1, 20, 24, generator=generator),
                         semseg=torch.rand(3, 20, 24, generator=generator))
    return [MultiTaskSample(
        metainfo=dict(img_id=f'image{number}'), pred=prediction(), initial=prediction(),
        gt=PixelData(boundary=torch.randint(0, 2, (1, 20, 24), generator=generator).byte(),
                     semseg=torch.randint(0, 3, (1, 20, 24), generator=generator).byte())
    ).to_dict() for number in range(IMAGES)]


SAMPLES = make_samples()


def evaluate(folder: Path | None, config: dict = CONFIG, workers: int = 0) -> dict[str, float]:
    metric = MultiTaskMetric(config, workers=workers,
                             evidence_dir=None if folder is None else str(folder))
    for sample in SAMPLES:
        metric.process({}, [sample])
    return metric.evaluate(IMAGES)


@pytest.fixture
def matched(monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """The number of maps that were matched since the last question."""
    calls = []
    counts = boundary.boundary_counts
    monkeypatch.setattr(boundary, 'boundary_counts',
                        lambda *arguments: (calls.append(1), counts(*arguments))[1])

    def since() -> int:
        number = len(calls)
        calls.clear()
        return number
    return since


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture,
        monkeypatch: pytest.MonkeyPatch) -> pytest.LogCaptureFixture:
    """mmengine's logger hands nothing on to the root logger, which pytest listens to."""
    logger = MMLogger.get_current_instance()
    monkeypatch.setattr(logger, 'handlers', [*logger.handlers, caplog.handler])
    caplog.set_level(logging.INFO)
    return caplog


def interrupt(folder: Path, after: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """An evaluation that ends without warning once so many maps are matched."""
    numbers, counts = itertools.count(1), boundary.boundary_counts

    def failing(*arguments: object) -> np.ndarray:
        if next(numbers) > after:
            raise SystemExit
        return counts(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(boundary, 'boundary_counts', failing)
        with pytest.raises(SystemExit):
            evaluate(folder)


def test_the_maps_that_were_matched_are_not_matched_again(
        matched: Callable[[], int], monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
        log: pytest.LogCaptureFixture) -> None:
    whole = evaluate(None)
    assert matched() == 2 * IMAGES
    folder = tmp_path / 'evidence'
    interrupt(folder, 3, monkeypatch)
    assert matched() == len(list(folder.iterdir())) == 3
    assert evaluate(folder) == whole
    assert matched() == 2 * IMAGES - 3
    assert f'3 of {2 * IMAGES} boundary maps had been matched' in log.text
    assert not folder.exists()
    evaluate(folder)  # nothing is left over of the finished one
    assert matched() == 2 * IMAGES


def test_worker_processes_write_and_read_the_same_files(
        matched: Callable[[], int], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr('mtpsl.evaluation.multitask_metric.forget', lambda folder: None)
    whole = evaluate(tmp_path, workers=1)
    assert matched() == 0, 'matched in this process'
    assert len(list(tmp_path.iterdir())) == 2 * IMAGES
    assert evaluate(tmp_path) == whole
    assert matched() == 0


@pytest.mark.parametrize('damage', [b'', b'\x93NUMPY', b'garbage' * 500])
def test_a_damaged_file_is_made_anew(damage: bytes, matched: Callable[[], int],
                                     monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    interrupt(tmp_path, 3, monkeypatch)
    matched()
    next(tmp_path.iterdir()).write_bytes(damage)
    assert evaluate(tmp_path) == evaluate(None)
    assert matched() == 2 * IMAGES - 2 + 2 * IMAGES


def test_other_evidence_is_never_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """The digest follows everything that the evidence follows from, and nothing else."""
    rng = np.random.default_rng(0)
    prediction = rng.random((1, 8, 9), np.float32)
    label = rng.integers(0, 2, (1, 8, 9), np.uint8)

    def task(**arguments: float) -> Task:
        return build_tasks(dict(boundary=dict(type='Boundary', **arguments)))['boundary']

    same = task(max_dist=0.01)
    assert same.label_channels == 1  # cached in the task, no argument of it
    first = evidence.digest(task(max_dist=0.01), prediction, label)
    assert evidence.digest(same, prediction.copy(), label.copy()) == first
    changed, flipped = prediction.copy(), label.copy()
    changed[0, 3, 4] = np.nextafter(changed[0, 3, 4], 2, dtype=np.float32)
    flipped[0, 7, 8] ^= 1
    others = [evidence.digest(task(max_dist=0.011), prediction, label),
              evidence.digest(same, changed, label), evidence.digest(same, prediction, flipped),
              evidence.digest(same, prediction.reshape(1, 9, 8), label.reshape(1, 9, 8)),
              evidence.digest(same, prediction, label.view(bool))]
    monkeypatch.setattr(evidence, '_code_digest', lambda kind: b'another version')
    others.append(evidence.digest(same, prediction, label))
    assert len({first, *others}) == 7


def test_a_folder_that_cannot_be_written_to_costs_only_a_warning(
        tmp_path: Path, log: pytest.LogCaptureFixture) -> None:
    blocked = tmp_path / 'a file'
    blocked.write_text('')
    assert evaluate(blocked / 'evidence') == evaluate(None)
    assert f'evidence of {2 * IMAGES} of {2 * IMAGES} maps could not be kept' in log.text


def test_only_its_own_files_are_removed(tmp_path: Path) -> None:
    (tmp_path / 'mine.npy').write_text('')
    (tmp_path / '.123.0abc.evidence.npy').write_text('half')  # of a process killed while writing
    evaluate(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ['mine.npy']
