"""What the benchmark measures of data and metrics."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from in_process import load_tool
from plain import data as plain_data
from plain import metrics as plain_metrics

from mtpsl.analysis.profiling import Measurement, data, metrics
from mtpsl.datasets.transforms import LoadLabels
from mtpsl.engine import load_config
from mtpsl.tasks import build_tasks

from .conftest import CONFIG, data_options


@pytest.fixture
def measured_here(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """Measure in this process, one call each; the names of the procedures by the tool's module."""
    def recorder(names: list[str]) -> Callable:
        def measure(procedures: dict, repeats: int, warm_up: int,
                    items: int = 1) -> list[Measurement]:
            names.extend(procedures)
            return [Measurement(name, (0.5,), items, 0, setup()())
                    for name, setup in procedures.items()]
        return measure

    seen: dict[str, list[str]] = dict(data=[], metrics=[])
    monkeypatch.setattr(data, 'measure', recorder(seen['data']))
    monkeypatch.setattr(metrics, 'measure', recorder(seen['metrics']))
    return seen


def test_the_tool_measures_data_and_metrics(
        scenes: Path, measured_here: dict, tmp_path: Path,
        capsys: pytest.CaptureFixture[str]) -> None:
    benchmark = load_tool('analysis_tools/benchmark.py')
    folder = ['--cfg-options', *data_options(scenes, 'train', 'test')]
    benchmark.main(['data', CONFIG, '--samples', '3', '--against', 'tests/plain/data.py',
                    '--json', str(tmp_path / 'data.json'), *folder])
    assert measured_here['data'] == ['labels of the setting', 'no label', 'all labels', 'plain']
    said = json.loads((tmp_path / 'data.json').read_text())['measurements']
    assert all(side['items'] == 3 and side[data.CPU_TIME] > 0 for side in said)
    assert '8 workers on a core each' in capsys.readouterr().out

    benchmark.main(['metrics', CONFIG, '--size', '40', '48', '--maps', '1', '--images', '5105',
                    '--against', 'tests/plain/metrics.py', '--json', str(tmp_path / 'm.json'),
                    *folder])
    classes = ['ours', 'ours, classes given', 'plain, classes given', 'plain']
    assert measured_here['metrics'] == [
        *classes, *classes, 'ours', 'plain', 'ours', 'smooth predictions', 'noisy predictions']
    assert 'a map on one core; 5105 images on' in capsys.readouterr().out
    assert {path.name for path in tmp_path.glob('m_*.json')} == {
        f'm_{task}.json' for task in ('semseg', 'parsing', 'saliency', 'normal', 'boundary')}
    with pytest.raises(SystemExit):
        benchmark.main(['metrics', CONFIG, '--tasks', 'sky'])
    assert '--tasks must be among semseg, parsing' in capsys.readouterr().err


def test_arithmetic_of_eight_workers() -> None:
    """10 ms an image: 8 workers make 800 a second, six of them every 7.5 ms."""
    measured = Measurement('ours', (1.0,), 50, 0, {data.CPU_TIME: 10.0})
    text = data.shortest_step(measured, 6)
    assert '800 images/s' in text and '7.5 ms' in text


def test_what_is_timed_reads_the_labels_that_it_says(scenes: Path,
                                                     monkeypatch: pytest.MonkeyPatch) -> None:
    config = load_config(CONFIG, {'train_dataloader.dataset.data_root': str(scenes)})
    read = []
    transform = LoadLabels.transform
    monkeypatch.setattr(LoadLabels, 'transform', lambda self, results: (
        read.append(len(results['labels'])), transform(self, results))[1])
    for which, number in (('labels of the setting', 1), ('no label', 0), ('all labels', 5)):
        read.clear()
        data.prepare(config.train_dataloader.dataset.to_dict(), 4, which)()
        assert read == [number] * 4, which


def test_the_plain_loader_reads_the_labels_that_ours_reads(scenes: Path) -> None:
    config = load_config(CONFIG, {'test_dataloader.dataset.data_root': str(scenes)})
    dataset = data.build(config.test_dataloader.dataset.to_dict())
    for sample in (dataset[index]['data_samples'] for index in range(4)):
        plain = plain_data.read_labels(str(scenes), sample.img_id)
        for name, label in sample.gt.items():
            expected = torch.from_numpy(np.atleast_3d(plain[name]).transpose(2, 0, 1))
            if name == 'parsing' and not expected.any():
                expected = torch.full_like(expected, 255)  # nobody there: ignored whole
            assert torch.equal(label.float(), expected), name
    drawn = plain_data.training_sample(str(scenes), sample.img_id, ['normal'])
    assert {name: tuple(values.shape) for name, values in drawn.items()} == dict(
        image=(3, 512, 512), normal=(3, 512, 512))


@pytest.mark.parametrize('name', ['semseg', 'saliency'])
def test_the_plain_metric_gives_our_figure(name: str) -> None:
    """Where it is the same: absent classes aside; each threshold's F by the counts."""
    task = build_tasks(dict(semseg=dict(type='Semseg'), saliency=dict(type='Saliency')))[name]
    prediction, label = metrics.random_maps(task, (64, 60))
    sums = {key: np.array(values) for key, values in plain_metrics.statistics(
        task, prediction, label).items()}
    score = task.score(task.stats(prediction, label))[task.primary_metric]
    if name == 'semseg':
        assert score == pytest.approx(
            100 * np.mean(sums['tp'] / (sums['tp'] + sums['fp'] + sums['fn'])))
    else:
        precision, recall = sums['tp'] / sums['predicted'], sums['tp'] / sums['true']
        assert score == pytest.approx(
            100 * np.nanmax(1.3 * precision * recall / (0.3 * precision + recall)))
