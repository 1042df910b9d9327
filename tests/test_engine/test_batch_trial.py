"""Users' code that makes batches, moves images away from their labels, or keeps a state."""

import copy
import threading
from contextlib import nullcontext
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from in_process import load_tool, running_here
from mmengine.dataset import ConcatDataset, RepeatDataset
from mmengine.runner.runner import _SlicedDataset
from mmengine.structures import PixelData
from test_faults.tiny_run import write_config, write_images

from mtpsl.datasets import FolderDataset, stack_alike
from mtpsl.engine.checks.batch_trial import Trial, _copied, own_batch_doubts
from mtpsl.models import MultiTaskDataPreprocessor
from mtpsl.registry import DATASETS, FUNCTIONS, MODELS
from mtpsl.structures import MultiTaskSample
from mtpsl.tasks import build_tasks

TASKS = build_tasks(dict(semseg=dict(type='Semseg'), depth=dict(type='Depth', png_unit=1e-3)))


class Own(MultiTaskDataPreprocessor):
    """Changes a batch by a function of its images and samples."""

    def __init__(self, change, **options):
        super().__init__(TASKS, **options)
        self.change = change

    def forward(self, data, training=False):
        made = super().forward(data, training)
        return made | dict(inputs=self.change(made['inputs'], made['data_samples']))


def mirrored(images, samples):
    return images.flip(-1)


def mirrored_by_chance(images, samples):
    return images.flip(-1) if np.random.random() < 0.5 else images


def shifted(images, samples):
    return images.roll(7, -2)


def mirrored_with_labels(images, samples):
    for sample in samples:
        for name, label in list(sample.gt.items()):
            setattr(sample.gt, name, label.flip(-1))
    return images.flip(-1)


def blended(images, samples):
    return 0.6 * images + 0.4 * images.flip(0)


def blended_and_noisy(images, samples):
    share = 0.5 if torch.rand(()) < 0.5 else torch.rand(())
    return share * images + (1 - share) * images.flip(0) + 0.1 * torch.randn_like(images)


def erased(images, samples):
    images = images.clone()
    images[..., 20:60, 30:90] = 0
    return images


def noisy(images, samples):
    return images + 0.3 * torch.randn_like(images)


def failing(images, samples):
    raise KeyError('view')


@pytest.fixture(scope='module')
def dataset(tmp_path_factory):
    """Four images whose pixels are never read."""
    root = tmp_path_factory.mktemp('data') / 'train'
    for folder in ('images', 'semseg', 'depth'):
        (root / folder).mkdir(parents=True)
        for number in range(4):
            (root / folder / f'{number}.png').touch()
    return FolderDataset(tasks=TASKS, data_root=root.parent, split='train', pipeline=[])


class Wrapper:
    """A user's, around a dataset."""

    def __init__(self, dataset, change):
        self.dataset, self.change = dataset, change

    def __len__(self):
        return len(self.dataset)

    def __getitem__(self, index):
        item = self.dataset[index]
        return item | dict(inputs=self.change(item['inputs'], [item['data_samples']]))


class OwnFolders(FolderDataset):
    """A user's dataset that changes what it has packed."""

    change = None

    def __getitem__(self, index):
        item = super().__getitem__(index)
        return item | dict(inputs=self.change[0](item['inputs'], [item['data_samples']]))


@pytest.mark.parametrize('size', [(64, 64), (256, 256)])
@pytest.mark.parametrize('change, moves', [
    (mirrored, True), (mirrored_by_chance, True), (shifted, True), (mirrored_with_labels, False),
    (blended, False), (blended_and_noisy, False), (erased, False), (noisy, False), (failing, False),
    (lambda images, samples: images, False)])
def test_images_that_move_without_labels(change, moves, size, dataset):
    fault = Trial(dataset, stack_alike, Own(change, size=size), TASKS).fault()
    assert bool(fault) == moves == ('misaligns image and labels (depth, semseg)' in fault)
    usual = MultiTaskDataPreprocessor(TASKS, size=size)

    def collate(packed):
        data = stack_alike(packed)
        return data | dict(inputs=change(data['inputs'], data['data_samples']))

    assert bool(Trial(dataset, collate, usual, TASKS).fault()) == moves
    own = copy.copy(dataset)
    own.__class__ = OwnFolders
    own.change = [change]
    for changed in (Wrapper(dataset, change), own, RepeatDataset(own, 2),
                    ConcatDataset([dataset, own])):
        if change not in (blended, blended_and_noisy):  # of one image's rows
            assert bool(Trial(changed, stack_alike, usual, TASKS).fault()) == moves, changed


@MODELS.register_module()
class TurningPreprocessor(MultiTaskDataPreprocessor):
    """A user's, which turns images by half."""

    def forward(self, data, training=False):
        made = super().forward(data, training)
        return made | dict(inputs=made['inputs'].rot90(2, (-2, -1)))


@FUNCTIONS.register_module()
def turning_collate(packed):
    data = stack_alike(packed)
    return data | dict(inputs=data['inputs'].rot90(2, (-2, -1)))


@DATASETS.register_module()
class TurningFolders(FolderDataset):
    """A user's, which turns what it has packed."""

    def __getitem__(self, index):
        item = super().__getitem__(index)
        return item | dict(inputs=item['inputs'].rot90(2, (-2, -1)))


@pytest.mark.parametrize('option, named', [
    ('train_dataloader.dataset.type=TurningFolders', 'dataset tests.'),
    ('model.data_preprocessor.type=TurningPreprocessor', 'data_preprocessor tests.'),
    ('train_dataloader.collate_fn.type=mtpsl.turning_collate', 'collate_fn tests.')])
def test_such_a_training_does_not_start(option, named, tmp_path, capsys):
    config = write_config(tmp_path / 'config.py', write_images(tmp_path / 'data'))
    with running_here(), pytest.raises(SystemExit):
        load_tool('train.py').main([str(config), '--work-dir', str(tmp_path / 'run'),
                                    '--cfg-options', option])
    last = capsys.readouterr().err.splitlines()[-1]
    assert f'the {named}' in last and 'misaligns image and labels (' in last


class Drawing(Wrapper):
    """Brightens by a generator of its own, or by the global one."""

    def __init__(self, dataset, rng):
        super().__init__(dataset, None)
        self.rng = rng

    def __getitem__(self, index):
        item = self.dataset[index]
        return item | dict(inputs=item['inputs'] * (self.rng or np.random).uniform(0.5, 1))


class Keeping(Wrapper):
    """Keeps what it has given."""

    def __init__(self, dataset):
        super().__init__(dataset, None)
        self.kept = {}

    def __getitem__(self, index):
        return copy.deepcopy(self.kept.setdefault(int(index), self.dataset[index]))


def drawing_collate(rng):
    def collate(packed):
        data = stack_alike(packed)
        return data | dict(inputs=data['inputs'] * rng.uniform(0.5, 1))
    return collate


@pytest.mark.parametrize('wrap, collate, told', [
    (lambda data: Drawing(data, np.random.default_rng(0)), stack_alike, 'makes another batch of'),
    (lambda data: Drawing(data, None), stack_alike, ''),
    (Keeping, stack_alike, 'gives what it gave before'),
    (lambda data: RepeatDataset(data, 2), stack_alike, ''),
    (lambda data: data, drawing_collate(np.random.default_rng(0)), 'makes another batch of'),
    (lambda data: data, drawing_collate(np.random), ''),
    (lambda data: data, failing, '')])
def test_what_is_kept_from_batch_to_batch(wrap, collate, told, dataset):
    wrapped = wrap(dataset)
    found = Trial(wrapped, collate, MultiTaskDataPreprocessor(TASKS, size=(64, 64)), TASKS).kept()
    assert told in found and bool(found) == bool(told)
    assert not getattr(wrapped, 'kept', {})  # the trial has left nothing there
    assert wrapped is dataset or wrapped.dataset is dataset
    assert not dataset.pipeline.transforms


class Delegating(Wrapper):
    def __getattr__(self, name):
        return getattr(self.dataset, name)


class OfProperty(Wrapper):
    """Whose dataset cannot be set."""

    def __init__(self, dataset, change):
        self.inner, self.change = dataset, change

    dataset = property(lambda self: self.inner)


class Elsewhere(Wrapper):
    """Whose samples come from no pipeline that is known."""

    sets = np.arange(4)
    datasets = ('nyud', 'pascal')

    def __init__(self, dataset, change):
        self.base, self.change = dataset, change

    @property
    def dataset(self):
        return None

    def __getitem__(self, index):
        rng = np.random.default_rng(int(index))
        image = torch.from_numpy(cv2.GaussianBlur(rng.random((64, 64, 3), np.float32), (0, 0), 3))
        sample = MultiTaskSample(metainfo=dict(img_id='7'))
        sample.gt = PixelData(semseg=torch.from_numpy(cv2.GaussianBlur(
            rng.random((64, 64), np.float32), (0, 0), 3) > 0.5)[None].to(torch.uint8))
        return dict(inputs=(255 * image).permute(2, 0, 1).to(torch.uint8), data_samples=sample)

    def __len__(self):
        return 4


@pytest.mark.parametrize('kind, moves', [
    (Delegating, False), (OfProperty, True), (Elsewhere, False),
    (lambda data, change: _SlicedDataset(Wrapper(data, change), 2), True)])
def test_wrappers_of_all_kinds_are_judged_or_left_alone(kind, moves, dataset):
    runner = SimpleNamespace(
        model=SimpleNamespace(tasks=TASKS, data_preprocessor=Own(lambda images, _: images)),
        train_dataloader=SimpleNamespace(dataset=kind(dataset, mirrored), collate_fn=stack_alike))
    with pytest.raises(ValueError, match='misaligns') if moves else nullcontext():
        list(own_batch_doubts(runner))


def masked(images, samples):
    kept = torch.rand(images.shape[-2] // 16 + 1, images.shape[-1] // 16 + 1) < 0.1
    return images * kept.repeat_interleave(16, 0).repeat_interleave(16, 1)[
        :images.shape[-2], :images.shape[-1]]


def with_weights(images, samples):
    for sample in samples:
        sample.gt.weight = torch.rand(1, *images.shape[-2:])
    return images


@pytest.mark.parametrize('change, moves', [
    (masked, False), (with_weights, False), (lambda images, _: images.bfloat16(), False),
    (lambda images, _: images.requires_grad_() * 2, False),
    (lambda images, _: images.to('meta'), False), (lambda images, _: dict(a=images), False),
    (lambda images, _: images.bfloat16().flip(-1), True)])
def test_images_of_other_kinds(change, moves, dataset):
    fault = Trial(dataset, stack_alike, Own(change, size=(128, 160)), TASKS).fault()
    assert bool(fault) == moves


def test_what_cannot_be_copied_is_left_alone(dataset):
    own = Own(mirrored)
    own.lock = threading.Lock()
    loader = SimpleNamespace(dataset=dataset, collate_fn=stack_alike)
    for model in (SimpleNamespace(tasks=TASKS, data_preprocessor=own), torch.nn.Identity()):
        assert not list(own_batch_doubts(SimpleNamespace(model=model, train_dataloader=loader)))


def test_images_in_memory_are_not_doubled(dataset):
    wrapped = Keeping(dataset)
    wrapped.images = {'a': [dict(image=np.zeros(3)), SimpleNamespace(label=torch.zeros(3))]}
    wrapped.whole, wrapped.me = np.zeros(2), wrapped
    copied = _copied(wrapped, len)
    assert copied.images is not wrapped.images and copied.kept is not wrapped.kept
    assert copied.images['a'][0]['image'] is wrapped.images['a'][0]['image']
    assert copied.images['a'][1].label is wrapped.images['a'][1].label
    assert copied.whole is wrapped.whole and copied.me is copied
    assert copied.dataset is not dataset and copied.dataset.pipeline is len
    assert getattr(copied.dataset, 'data_bytes', 0) is getattr(dataset, 'data_bytes', 0)


class Mosaic(Wrapper):
    """Quarters of four samples, each at its own place; labels are taken, or lie, in an order."""

    def __init__(self, dataset, order, unlabelled=(), moved=False):
        super().__init__(dataset, None)
        self.order, self.unlabelled, self.moved = order, unlabelled, moved

    def __getitem__(self, index):
        parts = [self.dataset[(int(index) + place) % len(self)] for place in range(4)]
        image = parts[0]['inputs'].clone()
        sample = copy.deepcopy(parts[0]['data_samples'])
        height, width = image.shape[-2] // 2, image.shape[-1] // 2
        quarters = [np.s_[:, row * height:(row + 1) * height, column * width:(column + 1) * width]
                    for row in (0, 1) for column in (0, 1)]
        for place, part in enumerate(parts):
            here, other = quarters[place], self.order[place]
            image[here] = part['inputs'][here]
            for name, label in sample.gt.items():
                taken = parts[other]['data_samples'].gt.get(name)
                if place not in self.unlabelled:
                    label[here] = taken[quarters[other] if self.moved else here]
        return dict(inputs=image, data_samples=sample)


@pytest.mark.parametrize('size', [(64, 64), (128, 160)])
@pytest.mark.parametrize('order, unlabelled, moved, told', [
    ((0, 1, 2, 3), (), False, False), ((0, 2, 1, 3), (), False, True),
    ((1, 2, 3, 0), (), False, True), ((0, 1, 2, 3), (1, 2, 3), False, True),
    ((0, 2, 1, 3), (), True, True), ((0, 1, 2, 3), (), True, False)])
def test_parts_of_other_images_have_their_labels(order, unlabelled, moved, told, size, dataset):
    usual = MultiTaskDataPreprocessor(TASKS, size=size)
    found = Trial(Mosaic(dataset, order, unlabelled, moved), stack_alike, usual, TASKS).strange()
    assert bool(found) == told == ('are of another image than their labels' in found)


@pytest.mark.parametrize('change', [
    mirrored_with_labels, blended, erased, noisy, masked, failing, mirrored,
    lambda images, samples: 255 - images.float()])
@pytest.mark.parametrize('size', [(64, 64), (256, 256)])
def test_changes_of_whole_images_are_not_strange(change, size, dataset):
    assert not Trial(dataset, stack_alike, Own(change, size=size), TASKS).strange()
