"""What the pipelines and the data of a config say of each other, by every way in."""

from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from in_process import load_tool, running_here
from mmengine.registry import init_default_scope
from test_faults.tiny_run import write_config, write_images

from mtpsl.apis import MultiTaskInferencer
from mtpsl.datasets.checks.image_scale import (
    Scale,
    compare_scales,
    look_at_scales,
    mostly_padding,
    turned_crop,
)
from mtpsl.engine import load_config
from mtpsl.engine.checks.check_commands import run_config_check
from mtpsl.engine.checks.check_data import check_labels, training_data
from mtpsl.engine.config.precheck import (
    check_together,
    other_colours,
    other_reading,
    other_zoom,
    training_set_tested,
)
from mtpsl.engine.quiet import silence
from mtpsl.registry import DATASETS, TRANSFORMS


@TRANSFORMS.register_module()
class OwnZoom:
    """A user's RandomScale."""

    moves = 'image and labels'

    def __init__(self, low: float, high: float) -> None:
        self.low, self.high = low, high

    def __call__(self, results: dict) -> dict:
        factor = np.random.uniform(self.low, self.high)

        def zoomed(pixels: np.ndarray) -> np.ndarray:
            return cv2.resize(pixels, None, fx=factor, fy=factor, interpolation=cv2.INTER_NEAREST)
        return results | dict(img=zoomed(results['img']), gt={
            name: zoomed(label) for name, label in results['gt'].items()})


GREY = dict(type='mmseg.RGB2Gray', out_channels=3)
CLAHE = dict(type='mmseg.CLAHE')


@pytest.fixture(scope='module')
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = write_images(tmp_path_factory.mktemp('data') / 'data')
    return write_config(root.parent / 'config.py', root)


def add(steps: list[dict], *more: dict) -> list[dict]:
    return [*steps[:2], *more, *steps[2:]]


@pytest.mark.parametrize('train, test, told', [
    ([], [], ''), ([CLAHE], [CLAHE], ''), ([dict(type='PhotoMetricDistortion')], [], ''),
    ([GREY], [], 'changed by RGB2Gray in train_dataloader, and by no transform in test_dataloader'),
    ([], [CLAHE], 'changed by no transform in train_dataloader, and by CLAHE in test_dataloader'),
    ([GREY, CLAHE], [CLAHE, GREY], 'by RGB2Gray, CLAHE in train_dataloader, and by CLAHE, RGB')])
def test_fixed_colours_belong_into_both(train, test, told, config):
    cfg = load_config(str(config))
    for split, more in (('train', train), ('test', test)):
        dataset = cfg[f'{split}_dataloader'].dataset
        dataset.pipeline = add(dataset.pipeline, *more)
    found = other_colours(cfg, 'test')
    assert told in found and bool(found) == bool(told)
    # Some of the training images are as those of the test.
    plain = dict(cfg.test_dataloader.dataset)
    cfg.train_dataloader.dataset = dict(type='ConcatDataset', datasets=[
        cfg.train_dataloader.dataset, plain])
    assert not other_colours(cfg, 'test')
    cfg.train_dataloader = None
    assert not other_colours(cfg, 'test')


@pytest.mark.parametrize('train, test, told', [
    ([(0.5, 2.0)], [], False), ([(0.5, 0.5)], [], True), ([(0.5, 1.0)], [], False),
    ([(0.5, 0.5)], [(0.5, 0.5)], False), ([(1.5, 2.0), (0.5, 0.6)], [], False),
    ([], [(2.0, 2.0)], True)])
def test_a_zoom_of_all_training_images(train, test, told, config):
    cfg = load_config(str(config))
    for split, ranges in (('train', train), ('test', test)):
        dataset = cfg[f'{split}_dataloader'].dataset
        dataset.pipeline = add(dataset.pipeline, *(dict(type='RandomScale', scale_range=one)
                                                   for one in ranges))
    assert bool(other_zoom(cfg, 'test')) == told
    # A user's transform is measured.
    for split, ranges in (('train', train), ('test', test)):
        steps = cfg[f'{split}_dataloader'].dataset.pipeline
        for step, own in zip(steps[2:], ranges):
            step.pop('scale_range')
            step.update(type='OwnZoom', low=own[0], high=own[1])
    assert bool(other_zoom(cfg, 'test')) == told
    cfg.train_dataloader = None
    assert not other_zoom(cfg, 'test')


@pytest.mark.parametrize('crop, size, told', [
    ((16, 16), (64, 64), '94% of what the model is trained on is padding'),
    ((32, 32), (64, 64), ''),
    ((64, 64), (96, 96), '89% of what'), (None, (48, 48), ''), ((8, 8), (32, 32), '94% of what')])
def test_inputs_that_are_mostly_padding(crop, size, told, config):
    cfg = load_config(str(config), {'data_preprocessor.size': size})
    dataset = cfg.train_dataloader.dataset
    if crop:
        dataset.pipeline = add(dataset.pipeline, dict(type='RandomCrop', size=crop))
    learned = look_at_scales(DATASETS.build(dataset))
    found = ''.join(mostly_padding(learned, cfg.model.data_preprocessor.size))
    assert told in found and bool(found) == bool(told)


@pytest.mark.parametrize('crop, sizes, told', [
    ((64, 48), [(48, 64)], True), ((64, 48), [(50, 70), (60, 100)], True),
    ((48, 64), [(48, 64)], False), ((64, 48), [(64, 48), (48, 64)], False),
    ((448, 416), [(425, 560)], False), ((64, 48), [(40, 40)], False),
    ((64, 48), [(30, 90)], False), ((64, 64), [(48, 96)], False),
    ((np.inf, np.inf), [(48, 64)], False)])
def test_a_crop_that_was_written_width_first(crop, sizes, told):
    scale = Scale(1, 1, 1, 1, crop, sizes, [])
    found = ''.join(turned_crop({'': [scale]}))
    assert told == bool(found) == ('size=(48, 64) of RandomCrop' in found)


def wider(factor: float):
    """A user's transform."""
    return lambda results: results | dict(img=cv2.resize(results['img'], None, fx=factor, fy=1))


def square(results: dict) -> dict:
    return results | dict(img=cv2.resize(results['img'], (128, 128)))


@pytest.mark.parametrize('learned, tested, told', [
    ([[wider(1.33)]], [[]], '1.3 times as wide in training and 1 times'),
    ([[]], [[wider(0.5)]], 'and 0.5 times'), ([[wider(1.33)], []], [[]], ''),
    ([[wider(1.33)]], [[wider(1.3)]], ''), ([], [[wider(2)]], ''), ([[square]], [[square]], ''),
    ([[square]], [[]], '0.75 times as wide in training and 1 times'),
    ([[]], [[wider(2), wider(0.5)]], '')])
@pytest.mark.parametrize('other', [(375, 500), (500, 375)])
def test_images_that_are_stretched_in_one_pipeline(learned, tested, told, other):
    groups = ({'': [Scale(1, 1, 1, 1, (np.inf, np.inf), [size], [], own) for own in one]}
              for one, size in ((learned, (375, 500)), (tested, other)))
    found = ' '.join(compare_scales(*groups))
    assert told in found and bool(found) == bool(told)


def test_training_tells_of_such_a_crop(tmp_path):
    root = write_images(tmp_path / 'data', size=(32, 48))
    init_default_scope('mtpsl')
    cfg, said = load_config(str(write_config(tmp_path / 'config.py', root))), []
    dataset = cfg.train_dataloader.dataset
    dataset.pipeline = add(dataset.pipeline, dict(type='RandomCrop', size=(48, 32)))
    runner = SimpleNamespace(
        cfg=cfg, val_loop=None, model=None, logger=SimpleNamespace(warning=said.append),
        train_dataloader=SimpleNamespace(dataset=DATASETS.build(dataset)))
    check_labels(runner)
    assert ['was it written (width, height)?' in text for text in said] == [True]


def test_every_way_in_tells(config, tmp_path, capsys, warned):
    grey = ['test_dataloader.dataset.pipeline.0.color_type=grayscale']
    with running_here():
        load_tool('train.py').main([str(config), '--work-dir', str(tmp_path)])
        load_tool('test.py').main([str(config), str(tmp_path / 'epoch_1.pth'), '--work-dir',
                                   str(tmp_path / 'test'), '--cfg-options', *grey])
    logs = [next(folder.glob('*/*.log')).read_text() for folder in (tmp_path, tmp_path / 'test')]
    assert ['colours of every image are' in log for log in logs] == [False, True]
    with pytest.raises(SystemExit):
        run_config_check('check_dataset.py', str(config), dict([grey[0].split('=')]), 2)
    assert '| test  | colours ' in capsys.readouterr().out
    MultiTaskInferencer(str(config), str(tmp_path / 'epoch_1.pth'), 'cpu',
                        cfg_options=dict([grey[0].split('=')]))
    assert any('colours of every image are' in text for text in warned)


def told_of_training(cfg):
    with silence():
        return training_set_tested(cfg, training_data(cfg),
                                   DATASETS.build(cfg.test_dataloader.dataset))


def test_a_test_on_the_training_set_is_told(config):
    cfg = load_config(str(config))
    assert told_of_training(cfg) == ''
    cfg.test_dataloader.dataset.split = 'train'
    assert 'train_dataloader (' in told_of_training(cfg) and "split 'train')" in (
        told_of_training(cfg))
    cfg.test_dataloader.dataset.data_root += '/'  # the same place, written otherwise
    assert '6 of the 6 test images are training images too' in told_of_training(cfg)
    cfg.train_dataloader.dataset.data_root = '/nowhere'  # a test needs no training data
    assert told_of_training(cfg) == ''
    cfg.train_dataloader = None
    assert told_of_training(cfg) == ''


def test_id_lists_that_overlap_are_told(config, tmp_path):
    cfg = load_config(str(config))
    for split, ids in (('train', '0\n1\n2\n'), ('test', '2\n3\n')):
        (tmp_path / split).write_text(ids)
        cfg[f'{split}_dataloader'].dataset |= dict(split='train', ids=str(tmp_path / split))
    assert '1 of the 2 test images are training images too' in told_of_training(cfg)


@pytest.mark.parametrize('train, test, told', [
    ((dict(orientation='stored'), {}), ({}, {}), True),
    ((dict(orientation='upright'), {}), ({}, {}), False),
    (({}, dict(stored=['semseg'])), ({}, {}), True),
    (({}, dict(stored=['semseg'])), ({}, dict(stored=('semseg',))), False),
    ((dict(orientation='stored'), dict(stored=['semseg'])), (dict(orientation='stored'), {}),
     False)])
@pytest.mark.parametrize('wrap', [None, 'JointDataset', 'ConcatDataset'])
def test_photos_that_are_turned_in_one_pipeline(train, test, told, wrap, config):
    cfg = load_config(str(config))
    for split, options in (('train', train), ('test', test)):
        part = cfg[f'{split}_dataloader'].dataset
        steps = [dict(step, **more) for step, more in zip(part.pipeline, (*options, {}, {}))]
        part = dict(part, pipeline=steps)
        far = dict(part, data_root='/other', pipeline=steps[2:])
        cfg[f'{split}_dataloader'].dataset = dict(type=wrap, datasets=(
            dict(a=part, b=far) if wrap == 'JointDataset' else [far, part])) if wrap else part
    found = other_reading(cfg, 'test')
    assert ("orientation='upright'" in found and 'lie turned' in found) == told == bool(found)


@pytest.mark.parametrize('step, told_of', [
    (GREY, other_colours), (dict(type='RandomScale', scale_range=(0.5, 0.5)), other_zoom)])
def test_one_of_the_joint_sets_is_changed_in_training_only(step, told_of, config):
    cfg = load_config(str(config))
    for split in ('train', 'test'):
        part = dict(cfg[f'{split}_dataloader'].dataset)
        changed = dict(part, pipeline=add(part['pipeline'], step))
        cfg[f'{split}_dataloader'].dataset = dict(type='JointDataset', datasets=dict(
            b=part, a=changed))
    assert not told_of(cfg, 'test')
    cfg.test_dataloader.dataset.datasets.a = part
    assert ' of a ' in told_of(cfg, 'test')
    cfg.test_dataloader.dataset = part  # of no set: as one of training is
    assert not told_of(cfg, 'test')


@pytest.mark.parametrize('train, test, told', [
    (dict(values=(1, 0)), {}, 'semseg in {} are read by values=(1, 0) in train_dataloader and by '
                              'values=None in test_dataloader'),
    ({}, dict(ignore=[2]), 'ignore=None in train_dataloader and by ignore=[2] in'),
    (dict(ignore=(2,)), dict(ignore=[2]), ''), (dict(loss_weight=2.0), {}, '')])
@pytest.mark.parametrize('joint', [False, True])
def test_labels_of_one_folder_that_are_read_in_two_ways(train, test, told, joint, config):
    cfg = load_config(str(config))
    for split, options in (('train', train), ('test', test)):
        part = cfg[f'{split}_dataloader'].dataset
        part.tasks = dict(semseg=dict(cfg.tasks.semseg, **options))
        if joint:
            cfg[f'{split}_dataloader'].dataset = dict(type='JointDataset', datasets=dict(a=part))
    told = told.format(f'of a in {part.data_root}' if joint else part.data_root).replace(
        'semseg in of', 'semseg of')
    found = other_reading(cfg, 'test')
    assert told in found and bool(found) == bool(told)
    (cfg.test_dataloader.dataset.datasets.a if joint else cfg.test_dataloader.dataset).data_root = (
        '/other')  # whose files may be of another kind
    assert not other_reading(cfg, 'test')


def test_a_unit_that_a_published_reader_does_not_ask_for():
    cfg = load_config('diffusionmtl/nyud_onelabel_r18')
    check_together(cfg)
    cfg.train_dataloader.dataset.tasks.depth.npy_unit = 0.001
    with pytest.raises(ValueError, match=r'train_dataloader\.dataset\.tasks\.depth\.npy_unit .* no '
                                         'effect: NYUD reads'):
        check_together(cfg)
    # Said at the top for the folder beside it.
    folder = dict(type='FolderDataset', data_root='x', tasks=dict(cfg.tasks))
    cfg.tasks.depth.npy_unit = 0.001
    cfg.train_dataloader.dataset = dict(type='JointDataset', tasks=cfg.tasks, datasets=dict(
        a=cfg.train_dataloader.dataset, b=folder))
    check_together(cfg)


def test_labels_of_a_test_are_held_against_those_of_training(tmp_path):
    root = write_images(tmp_path / 'data', 8)
    for path in root.glob('*/saliency/*'):
        mask = cv2.imread(str(path), 0)
        mask[4 * int(path.stem[0]):] = 0
        cv2.imwrite(str(path), mask if 'train' in path.parts else 255 - mask)
    init_default_scope('mtpsl')
    cfg, said = load_config(str(write_config(tmp_path / 'config.py', root))), []
    loader = SimpleNamespace(dataset=DATASETS.build(cfg.test_dataloader.dataset))
    runner = SimpleNamespace(cfg=cfg, test_dataloader=loader,
                             logger=SimpleNamespace(warning=said.append))
    check_labels(runner, training=False)
    assert ['saliency are a yes' in text and 'inverted' in text for text in said] == [True]
    for path in root.glob('train/saliency/*'):
        path.write_bytes(b'damaged')  # which a test does not need
    said.clear()
    check_labels(runner, training=False)
    assert not said


@pytest.mark.parametrize('size, zoom, told', [
    (16, (1.0, 1.0), '16 x 16 pixels in evaluation and as 32 x 32 in training'),
    (18, (1.0, 1.0), ''), (16, (0.5, 1.0), ''), ((30, 24), (1.0, 1.0), ''),
    ((20, 40), (1.0, 1.0), 'are 2.00 times as long as wide in evaluation and 1.00 times in tr')])
def test_images_of_one_split_that_were_shrunk(size, zoom, told, tmp_path, capsys):
    root = write_images(tmp_path / 'data', 2)
    for path in root.glob('val/*/*'):
        pixels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        cv2.imwrite(str(path), cv2.resize(
            pixels, size if isinstance(size, tuple) else (size, size),
            interpolation=cv2.INTER_NEAREST))
    config = write_config(tmp_path / 'config.py', root, 'train_dataloader["dataset"]["pipeline"] = '
                          f'[*pipeline[:2], dict(type="RandomScale", scale_range={zoom}), '
                          '*pipeline[2:]]')
    init_default_scope('mtpsl')
    cfg, said = load_config(str(config)), []
    loaders = {f'{split}_dataloader': SimpleNamespace(dataset=DATASETS.build(
        cfg[f'{split}_dataloader'].dataset)) for split in ('train', 'val', 'test')}
    runner = SimpleNamespace(cfg=cfg, val_loop=1, model=None,
                             logger=SimpleNamespace(warning=said.append), **loaders)
    for training in (True, False):
        said.clear()
        check_labels(runner, training)
        assert ('was only one of them shrunk' in ''.join(said)) == ('16 x 16' in told)
        assert told in ''.join(said)
    with suppress(SystemExit):
        run_config_check('check_dataset.py', str(config), {}, 2)
    assert ('| val   | image size | another ' in capsys.readouterr().out) == bool(told)
