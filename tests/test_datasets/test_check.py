"""The check of a dataset says what a training run on it would."""

import json
from pathlib import Path

import numpy as np
import pytest

from mtpsl.datasets import NYUD, Cityscapes, PASCALContext
from mtpsl.datasets.checks.check_dataset import Report, check_dataset
from mtpsl.engine.checks.check_commands import format_report

from .conftest import TASKS as PASCAL_TASKS
from .test_array_datasets import TASKS, reader, write


def nyud(root: Path, **arguments: object) -> Report:
    return check_dataset(NYUD, TASKS[NYUD], str(root), **arguments)


def verdicts(report: Report) -> dict[tuple[str, str], str]:
    return {(line.split, line.what): line.verdict for line in report.findings}


def found(report: Report, split: str, what: str) -> str:
    line, = (line for line in report.findings if (line.split, line.what) == (split, what))
    return line.found


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Five training and two test images with the manifest of synthetic scenes."""
    manifest = dict(num_train=5, num_val=2, height=6, width=8, seed=0)
    (tmp_path / 'synthetic.json').write_text(json.dumps(manifest))
    return write(tmp_path, NYUD, dict(train=5, val=2))


def test_a_sound_layout(root: Path) -> None:
    report = nyud(root)
    assert report.sound and not report.problems
    assert found(report, 'train', 'images') == '5' and found(report, 'val', 'images') == '2'
    assert found(report, 'train', 'image size') == '6x8'
    # Depth: 0.01 (1 + r + c + number), row 1 unknown; 8 of 48 pixels are.
    assert found(report, 'train', 'depth') == '0.01 to 0.17, 83.3 % known'
    assert found(report, 'train', 'semseg') == '0 to 6, 83.3 % known'
    assert found(report, 'train', 'normal') == '-0.5 to 0.8, 83.3 % known'
    text = format_report(str(root), report)
    assert text.endswith('is as it should be') and 'BROKEN' not in text


def test_counts_and_sizes_are_held_against_the_published_ones(root: Path) -> None:
    (root / 'synthetic.json').unlink()
    report = nyud(root)
    assert not report.sound and not report.problems
    assert verdicts(report)['train', 'images'] == verdicts(report)['val', 'image size'] == 'differs'
    lines = {(line.split, line.what): line.expected for line in report.findings}
    assert lines['train', 'images'] == '795' and lines['val', 'images'] == '654'
    assert lines['train', 'image size'] == '288x384'
    assert found(report, 'train', 'image size') == '6x8 (image 0)'
    assert 'is not as expected in 4 of these lines' in format_report('x', report)
    assert Cityscapes.PUBLISHED['counts'] == dict(train=2975, val=500)
    assert PASCALContext.PUBLISHED['counts'] == dict(train=4998, val=5105)


def test_missing_files_in_the_words_of_training(root: Path) -> None:
    (root / 'train' / 'depth' / '3.npy').unlink()
    report = nyud(root)
    with pytest.raises(FileNotFoundError) as training:
        reader(NYUD, root)
    assert report.problems == [str(training.value)]
    assert verdicts(report)['train', 'files'] == 'BROKEN' and not report.sound
    assert verdicts(report)['val', 'files'] == 'ok'


def test_unreadable_files_in_the_words_of_training(root: Path) -> None:
    (root / 'val' / 'normal' / '1.npy').write_bytes(b'')
    np.save(root / 'train' / 'label' / '4.npy', np.full((6, 8), 13))
    report = nyud(root)
    words = []
    for split, number in (('train', 4), ('val', 1)):
        with pytest.raises(RuntimeError) as training:
            reader(NYUD, root, split)[number]
        words.append(str(training.value))
    assert report.problems == words
    assert found(report, 'train', 'opened') == '4 of 5 images'
    assert verdicts(report)['train', 'opened'] == verdicts(report)['val', 'opened'] == 'BROKEN'


def test_mappings_in_the_words_of_training(root: Path) -> None:
    folder = root / 'label_mappings'
    folder.mkdir()
    good = {str(number): ['depth'] * (number < 3) for number in range(5)}
    (folder / 'good.json').write_text(json.dumps(good))
    (folder / 'other.json').write_text(json.dumps({**good, '795': ['semseg']}))
    report = nyud(root)
    assert found(report, 'train', 'label_mappings/good.json') == 'semseg 0, depth 3, normal 0'
    assert verdicts(report)['train', 'label_mappings/other.json'] == 'BROKEN'
    with pytest.raises(ValueError) as training:
        reader(NYUD, root, label_mapping='label_mappings/other.json')
    assert report.problems == [str(training.value)] and '795' in report.problems[0]


@pytest.mark.parametrize('sample, opened', [(1, 1), (3, 3), (5, 5), (20, 5), (None, 5)])
def test_a_sample_is_opened(root: Path, sample: int | None, opened: int) -> None:
    assert found(nyud(root, sample=sample), 'train', 'opened') == f'{opened} of {opened} images'


def test_the_sample_is_spread_over_the_split(root: Path) -> None:
    for number in (1, 3):
        (root / 'train' / 'depth' / f'{number}.npy').write_bytes(b'')
    assert nyud(root, sample=3).sound  # 0, 2 and 4
    assert not nyud(root, sample=4).sound


def test_maps_that_say_nothing_are_pointed_out(root: Path) -> None:
    for number in range(5):
        np.save(root / 'train' / 'depth' / f'{number}.npy', np.zeros((6, 8, 1)))
    report = nyud(root)
    assert found(report, 'train', 'depth') == 'nothing known'
    assert verdicts(report)['train', 'depth'] == 'differs' and not report.sound


def test_an_empty_folder(tmp_path: Path) -> None:
    report = nyud(tmp_path)
    assert len(report.problems) == 2 and 'is data_root right?' in report.problems[0]
    assert format_report('x', report).endswith('x has problems: 2')


def test_scenes_of_no_number(root: Path) -> None:
    content = json.loads((root / 'synthetic.json').read_text())
    (root / 'synthetic.json').write_text(json.dumps(content | dict(num_val=0)))
    assert nyud(root).sound and 'val' not in {line.split for line in nyud(root).findings}
    (root / 'synthetic.json').write_text(json.dumps(content | dict(num_val=0, num_train=0)))
    assert not nyud(root).sound and 'holds no image' in format_report('x', nyud(root))


def test_pascal_context(pascal: Path) -> None:
    report = check_dataset(PASCALContext, PASCAL_TASKS, str(pascal))
    assert not report.problems and found(report, 'train', 'images') == '3'
    assert found(report, 'train', 'parsing').startswith('0 to 6, ')
    (pascal / 'pascal-context/trainval/2008_000002.mat').write_text('foreign')
    report = check_dataset(PASCALContext, PASCAL_TASKS, str(pascal))
    assert len(report.problems) == 2 and '2008_000002.mat' in report.problems[0]
