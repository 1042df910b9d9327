"""Files that break after the dataset was built: an error that names them, or a counted skip."""

import logging
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from in_process import load_tool, running_here
from mmengine.hooks import CheckpointHook
from mmengine.logging import MessageHub
from torch.utils.data import DataLoader

from mtpsl.datasets import (
    FolderDataset,
    PASCALContext,
    SeededIndex,
    SeededSampler,
    UnreadableFileError,
)
from mtpsl.datasets.sampler import seeded
from mtpsl.engine import SkippedSamplesHook
from mtpsl.structures import MultiTaskSample

from .tiny_run import TASKS, truncate, write_config, write_images

PIPELINE = [dict(type='mtpsl.LoadImageFromFile'), dict(type='mtpsl.LoadLabels'),
            dict(type='mtpsl.RandomFlip'), dict(type='mmseg.PhotoMetricDistortion')]
PACK = dict(type='mtpsl.PackMultiTaskInputs')
VIEWS = dict(type='mtpsl.MultiView', views=[[], [dict(type='mtpsl.RandomFlip', prob=1.0)]])


@pytest.fixture
def root(tmp_path):
    return write_images(tmp_path / 'data')


def build(root, on_error: str = 'skip', last: object = PACK, **arguments: object) -> FolderDataset:
    return FolderDataset(tasks=TASKS, data_root=str(root), split='train', on_error=on_error,
                         pipeline=[*PIPELINE, last], **arguments)


def batches(dataset: FolderDataset, workers: int) -> list[dict]:
    sampler = SeededSampler(dataset, seed=3)
    return list(DataLoader(dataset, 3, sampler=sampler, num_workers=workers, collate_fn=list))


def same(one: dict, two: dict) -> bool:
    maps, others = ({name: sample['data_samples'].gt.get(name) for name in TASKS}
                    for sample in (one, two))
    return torch.equal(one['inputs'], two['inputs']) and all(
        torch.equal(maps[name], others[name]) for name in TASKS)


@pytest.mark.parametrize('file', ['images/2.jpg', 'semseg/2.png', 'saliency/2.png'])
@pytest.mark.parametrize('fault', ['cut', 'gone', 'empty'])
def test_by_default_the_file_image_and_data_set_are_named(root, file, fault):
    dataset = build(root, 'raise')
    path = root / 'train' / file
    dict(cut=truncate, gone=lambda p: p.unlink(), empty=lambda p: p.write_bytes(b''))[fault](path)
    for index in (2, SeededIndex(0, 0, 2)):
        with pytest.raises(RuntimeError) as error:
            dataset[index]
        assert str(error.value).startswith('FolderDataset train, image 2: cannot ')
        assert str(path) in str(error.value) and '\n' not in str(error.value)
        assert isinstance(error.value.__cause__, UnreadableFileError)


def test_the_next_readable_image_takes_the_place_with_the_draw_s_randomness(root):
    whole = build(root)
    expected = {}
    for index, replacement in ((1, 3), (5, 0)):
        with seeded(SeededIndex(7, 4, index)):
            expected[index] = whole[replacement]
    untouched = whole[SeededIndex(7, 4, 4)]
    dataset = build(root)
    (root / 'train/images/1.jpg').unlink()
    truncate(root / 'train/semseg/2.png')
    truncate(root / 'train/images/5.jpg')  # the last: the first follows
    for index, replacement in ((1, '3'), (5, '0')):
        sample = dataset[SeededIndex(7, 4, index)]
        assert sample['data_samples'].img_id == replacement
        assert same(sample, expected[index]) and same(sample, dataset[SeededIndex(7, 4, index)])
    skipped = dataset[SeededIndex(7, 4, 1)]['data_samples'].skipped
    assert [str(root / 'train/images/1.jpg') in skipped[0],
            str(root / 'train/semseg/2.png') in skipped[1]] == [True, True] and len(skipped) == 2
    assert same(dataset[SeededIndex(7, 4, 4)], untouched)
    assert 'skipped' not in dataset[SeededIndex(7, 4, 4)]['data_samples']


def test_the_replacement_is_the_same_whatever_the_worker(root):
    dataset = build(root)
    truncate(root / 'train/images/1.jpg')
    here, there = (batches(dataset, workers) for workers in (0, 2))
    pairs = [pair for one, two in zip(here, there) for pair in zip(one, two)]
    assert len(pairs) == 6 and all(same(*pair) for pair in pairs)
    assert sum('skipped' in one['data_samples'] for one, _ in pairs) == 1


def test_outside_of_training_a_broken_file_is_an_error(root):
    dataset = build(root)
    truncate(root / 'train/images/1.jpg')
    with pytest.raises(RuntimeError, match='image 1: cannot read the image'):
        dataset[1]


def test_when_nothing_can_be_read_it_ends(root, monkeypatch):
    dataset = build(root)
    for path in (root / 'train/images').iterdir():
        path.unlink()
    with pytest.raises(RuntimeError, match='^6 images in a row cannot be read: .*image 4: .*; '
                       r'\.\.\.; .*image 3: '):
        dataset[SeededIndex(0, 0, 4)]
    monkeypatch.setattr('mtpsl.datasets.partial_label.SKIPPED_AT_MOST', 2)
    with pytest.raises(RuntimeError, match='^2 images in a row .*image 4: .*image 5: '):
        dataset[SeededIndex(0, 0, 4)]


def test_errors_of_transforms_are_not_skipped(root):
    def faulty(results: dict) -> dict:
        raise ValueError('a mistake')
    with pytest.raises(RuntimeError, match='^FolderDataset train, image 0: a mistake'):
        build(root, last=faulty)[SeededIndex(0, 0, 0)]


def test_other_values_are_refused(root):
    for kind, on_error in ((FolderDataset, 'ignore'), (PASCALContext, None)):
        with pytest.raises(ValueError, match=f"on_error must be one of 'raise', 'skip', got "
                           f'{on_error!r}'):
            kind(tasks=TASKS, data_root=str(root), split='train', on_error=on_error)


# ------------------------------------------------------------------- the hook


class Log(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(f'{record.levelname} {record.getMessage()}')


def fake_runner(name: str, on_error: str = 'skip', hooks: tuple = ()) -> SimpleNamespace:
    logger = logging.Logger(name)
    log = Log()
    logger.addHandler(log)
    return SimpleNamespace(
        iter=0, logger=logger, log=log.lines, hooks=list(hooks), message_hub=MessageHub(name),
        train_dataloader=SimpleNamespace(dataset=SimpleNamespace(on_error=on_error)))


def batch(*skipped: tuple[str, ...], **metainfo: object) -> dict:
    return dict(data_samples=[MultiTaskSample(metainfo=dict(metainfo, skipped=s) if s else metainfo)
                              for s in skipped])


def step(hook: SkippedSamplesHook, runner: SimpleNamespace, data: dict) -> None:
    hook.after_train_iter(runner, runner.iter, data)
    runner.iter += 1


def test_a_file_is_warned_of_once_and_each_skip_counted():
    runner, hook = fake_runner('once'), SkippedSamplesHook()
    hook.before_train(runner)
    step(hook, runner, batch(('a',), (), ('a',)))
    step(hook, runner, batch((), ('a', 'b')))
    step(hook, runner, batch(()))
    assert runner.log == ['WARNING skipped, the next image in its place: a',
                          'WARNING skipped, the next image in its place: b']
    hook.after_train_epoch(runner)
    assert runner.message_hub.get_info('skipped_samples') == 4
    assert runner.log[2:] == ['INFO skipped_samples: 4 so far, of 2 unreadable images met since '
                              'the start or resume']


def test_views_of_a_sample_count_once(root):
    dataset = build(root, last=VIEWS)
    truncate(root / 'train/images/1.jpg')
    packed = dataset[SeededIndex(0, 0, 1)]['data_samples']
    assert [sample.img_id for sample in packed] == ['2', '2'] and len(packed[1].skipped) == 1
    runner, hook = fake_runner('views'), SkippedSamplesHook()
    hook.before_train(runner)
    step(hook, runner, dict(data_samples=[[packed[0]], [packed[1]]]))
    assert runner.message_hub.get_info('skipped_samples') == 1


def test_ranks_are_added_up_at_the_interval_and_for_each_checkpoint(monkeypatch):
    module = 'mtpsl.engine.hooks.skipped_samples_hook'
    calls = []

    def gather(mine: list[str]) -> list[list[str]]:
        calls.append(runner.iter)
        return [mine, ['elsewhere', 'a']]

    monkeypatch.setattr(f'{module}.get_world_size', lambda: 2)
    monkeypatch.setattr(f'{module}.all_gather_object', gather)
    saving = CheckpointHook(interval=3, by_epoch=False)
    runner, hook = fake_runner('ranks', hooks=(saving,)), SkippedSamplesHook(interval=4)
    hook.before_train(runner)
    for _ in range(4):
        step(hook, runner, batch(('a',)))
    assert calls == [2, 3]
    assert runner.message_hub.get_info('skipped_samples') == 4 + 2 * 2
    assert [line.rpartition(' ')[2] for line in runner.log] == ['a', 'elsewhere']


def test_without_skipping_the_ranks_exchange_nothing(monkeypatch):
    monkeypatch.setattr('mtpsl.engine.hooks.skipped_samples_hook.all_gather_object',
                        lambda mine: pytest.fail('an exchange for nothing'))
    runner, hook = fake_runner('raise', 'raise'), SkippedSamplesHook(interval=1)
    hook.before_train(runner)
    step(hook, runner, batch(()))
    hook.after_train_epoch(runner)


def test_a_training_counts_on_after_it_is_resumed(root, tmp_path, capsys):
    truncate(root / 'train/images/1.jpg')
    truncate(root / 'train/semseg/4.png')
    config = write_config(tmp_path / 'config.py', root)
    main = load_tool('train.py').main
    skip = 'train_dataloader.dataset.on_error=skip'
    for epochs, extra in ((1, []), (2, ['--resume'])):
        with running_here():
            main([str(config), '--work-dir', str(tmp_path / 'work'), *extra, '--cfg-options', skip,
                  'train_dataloader.num_workers=1', f'train_cfg.max_epochs={epochs}'])
        out, _ = capsys.readouterr()
        assert f'skipped_samples: {2 * epochs} so far, of 2 unreadable images' in out
        assert out.count('skipped, the next image in its place: FolderDataset train, image 1: '
                         f'cannot read the image {root}/train/images/1.jpg') == 1
    checkpoint = torch.load(tmp_path / 'work/epoch_2.pth', weights_only=False)
    assert checkpoint['message_hub']['runtime_info']['skipped_samples'] == 4


def test_numpy_state_is_put_back(root):
    dataset = build(root)
    truncate(root / 'train/images/1.jpg')
    np.random.seed(5)
    expected = np.random.rand()
    np.random.seed(5)
    dataset[SeededIndex(0, 0, 1)]
    assert np.random.rand() == expected
