"""Configs, data and checkpoints that are wrong: the line a user sees, and the exit status."""

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import safetensors.numpy
import torch

from mtpsl.engine import load_config
from mtpsl.registry import MODELS

from .bad_input import Place, check_end
from .tiny_run import BASE, truncate, write_config, write_images

DEMO = BASE.parent / 'synthetic/diffusionmtl_onelabel.py'


def case(name: str, command, *fragments: str, status: int = 1):
    return pytest.param(command, status, list(fragments), id=name)


def flops(option: str, config: Path = DEMO) -> list:
    """The quickest way to build a model."""
    return ['analysis_tools/get_flops.py', config, '--cfg-options', option]


CONFIGS = [
    case('missing', lambda p: p.train(config=p.tmp / 'no.py'),
         'the config file {tmp}/no.py does not exist'),
    case('folder', lambda p: p.train(config=p.tmp), 'the config file {tmp} is a folder'),
    case('suffix', lambda p: p.train(config=p.file('config.txt', 'x = 1')),
         'config.txt is no .py, .json, .yaml, .yml file'),
    case('empty', lambda p: p.train(config=p.file('config.py', '')),
         '{tmp}/config.py has no model, train_dataloader, train_cfg, optim_wrapper'),
    case('syntax', lambda p: p.train(config=p.config('x = (')),
         'the config file {tmp}/config.py cannot be read: SyntaxError: ', 'was never closed',
         'line 20'),
    case('fails', lambda p: p.train(config=p.config('x = 1 / 0')),
         'config.py cannot be read: ZeroDivisionError: division by zero'),
    case('bytes', lambda p: p.train(config=p.file('config.py', b'\x93\xff\x00')),
         'config.py cannot be read: UnicodeDecodeError'),
    case('json', lambda p: p.train(config=p.file('config.json', '{"model": ')),
         'config.json cannot be read: JSONDecodeError', 'line 1 column 11'),
    case('no base', lambda p: p.train(config=p.file('config.py', "_base_ = './base.py'")),
         'No such file or directory: ', '/base.py'),
    case('bases overlap', lambda p: p.train(config=p.file('x.py', f'_base_ = ["{p.config()}", '
                                                          f'"{BASE}/default_runtime.py"]')),
         'x.py cannot be read: KeyError: Duplicate key is not allowed among bases', 'visualizer'),
    case('change of type', lambda p: p.train(config=p.config(
        "model = dict(backbone=dict(init_cfg=dict(type='Pretrained')))")),
        'in child config cannot inherit from base', 'You may set `_delete_=True`'),
    case('import', lambda p: p.train(config=p.config(
        "custom_imports = dict(imports=['no_such'])")),
         "Failed to import custom modules from {{'imports': ['no_such']}}"),
    case('unknown model', lambda p: p.train('model.type=Nothing'), 'Nothing is not in the '
         'mtpsl::model registry'),
    case('unknown task type', lambda p: p.train('tasks.semseg.type=Semsg'),
         'Semsg is not in the mtpsl::task registry'),
    case('unknown dataset', lambda p: p.train('train_dataloader.dataset.type=NoData'),
         'NoData is not in the mtpsl::dataset registry'),
    case('unknown transform', lambda p: p.train('train_dataloader.dataset.pipeline.1.type=Load'),
         'Load is not in the mtpsl::transform registry'),
    case('unknown argument', lambda p: p.train('train_dataloader.dataset.data_rot=x'),
         "FolderDataset.__init__() got an unexpected keyword argument 'data_rot'"),
    case('unknown depth', lambda p: flops('model.backbone.depth=19'), 'invalid depth 19'),
    case('option without value', lambda p: p.train('model'),
         "--cfg-options takes KEY=VALUE pairs, got 'model'", status=2),
    case('option beyond a list', lambda p: p.train('train_dataloader.dataset.pipeline.9.prob=1'),
         'Index 9 exceeds the length of list'),
    case('no data loader', lambda p: p.train('train_dataloader=None'), 'has no train_dataloader'),
    case('epochs', lambda p: p.train('train_cfg.max_epochs=0'),
         'train_cfg.max_epochs must be an integer of at least 1, got 0'),
    case('validation interval', lambda p: p.train('train_cfg.val_interval=0'),
         'train_cfg.val_interval must be an integer of at least 1, got 0'),
    case('seed', lambda p: p.train('randomness.seed=abc'),
         "randomness.seed must be an integer of at least 0, got 'abc'"),
    case('batch size', lambda p: p.train('train_dataloader.batch_size=-2'),
         'train_dataloader.batch_size must be an integer of at least 1, got -2'),
    case('workers', lambda p: p.train('val_dataloader.num_workers=1.5'),
         'val_dataloader.num_workers must be an integer of at least 0, got 1.5'),
    case('no workers that persist', lambda p: p.train('train_dataloader.persistent_workers=True',
                                                      'train_cfg.max_epochs=0'),
         'train_cfg.max_epochs must be an integer of at least 1, got 0'),
    case('tasks as a list', lambda p: p.train('tasks=[semseg]'),
         "tasks must be a dict of name -> dict(type=...), got ['semseg']"),
    case('no task left', lambda p: p.train('tasks.semseg=None', 'tasks.saliency=None'),
         'tasks must name at least one task, got none'),
    case('a dict that is no model', lambda p: p.train('model=dict(a=1)'),
         "model: MultiTaskModel.__init__() got an unexpected keyword argument 'a'; it takes back"),
    case('a dict without end', lambda p: p.train('model=dict(a=1'),
         "--cfg-options model: 'dict(a=1' is no dict as Python writes it", status=2),
    case('brackets', lambda p: p.train('model.neck.in_channels=(1,2'),
         "--cfg-options model.neck.in_channels: the brackets of '(1,2' do not match", status=2),
    case('a dict for a list', lambda p: p.train('train_dataloader.dataset.pipeline=dict(x=1)'),
         'train_dataloader.dataset.pipeline is a list, [', 'got a dict: _delete_=True in it'),
    case('a name for a number', lambda p: p.train('param_scheduler.end=3'),
         'param_scheduler is a list of 1, whose', 'as in param_scheduler.0.end'),
    case('a part that is text', lambda p: p.train('train_dataloader=fast'),
         "train_dataloader must be a dict or None, got 'fast'"),
    case('no dataset', lambda p: p.train('train_dataloader.dataset=None'),
         'train_dataloader has no dataset'),
    case('no sampler', lambda p: p.train('train_dataloader.sampler=None'),
         'train_dataloader has no sampler'),
    case('no optimizer', lambda p: p.train('optim_wrapper=None'), 'has no optim_wrapper'),
    case('validation without metrics', lambda p: p.train('val_evaluator=None'),
         'val_dataloader, val_cfg, val_evaluator go together, all or none of them: val_eval'),
    case('accumulation', lambda p: p.train('optim_wrapper.accumulative_counts=0'),
         'optim_wrapper.accumulative_counts must be an integer of at least 1, got 0'),
    case('argument of a hook', lambda p: p.train('default_hooks.logger.intervals=3'),
         "default_hooks.logger: LoggerHook.__init__() got an unexpected keyword argument 'interv"),
    case('circular bases', lambda p: p.train(config=p.file('x.py', "_base_ = './x.py'")),
         '{tmp}/x.py cannot be read: its _base_ lead back to one of them'),
    case('learning rate', lambda p: p.train('optim_wrapper.optimizer.lr=fast'),
         "optim_wrapper.optimizer.lr must be a number of at least 0, got 'fast'"),
    case('log level', lambda p: p.train('log_level=LOUD'),
         "log_level must be DEBUG, INFO, WARNING or ERROR, got 'LOUD'"),
    case('loss weight', lambda p: p.train('tasks.semseg.loss_weight=abc'),
         "Semseg: loss_weight must be >= 0, got 'abc'"),
    case('class names', lambda p: p.train('tasks.semseg.class_names=abc'),
         'Semseg: class_names must be a sequence of names', "got 'abc'"),
    case('size', lambda p: flops('data_preprocessor.size=32'),
         'size must be (height, width), got 32'),
    case('neck and backbone', lambda p: flops('model.neck.in_channels=(8,16,32)'),
         'MultiScaleFusion: the stages of the backbone have ', 'in_channels is (8, 16, 32)'),
    case('decoder and neck', lambda p: flops('model.decoder.channels=20'),
         'TaskDecoders: the map of the neck has 32 channels, channels is 20'),
    case('steps', lambda p: flops('model.diffusion.schedule.num_steps=0'),
         'num_steps must be >= 1, got 0'),
    case('heads', lambda p: flops('model.diffusion.num_heads=3'),
         'channels must be a multiple of num_heads = 3, got 32'),
    case('betas', lambda p: flops('model.diffusion.schedule.beta_start=2'),
         'beta_start and beta_end must be in order in (0, 1), got 2 and 0.01'),
]
GREY = np.zeros((32, 32), np.uint8)
SEMSEG = 'FolderDataset train, image 1: cannot use the semseg label {root}/train/semseg/1.'
DATA = [
    case('no data root', lambda p: p.train('train_dataloader.dataset.data_root=/nowhere'),
         'there is no folder of images /nowhere/train/images'),
    case('unknown split', lambda p: p.train('train_dataloader.dataset.split=trian'),
         'there is no folder of images {root}/trian/images'),
    case('task without folder', lambda p: p.data(lambda r: shutil.rmtree(r / 'val/semseg')),
         'FolderDataset val has no label of the task semseg: there is no folder '
         '{root}/val/semseg'),
    case('no images', lambda p: p.data(lambda r: [
        path.unlink() for path in (r / 'train/images').iterdir()]),
        'the folder {root}/train/images holds no image'),
    case('on_error', lambda p: p.train('train_dataloader.dataset.on_error=ignore'),
         "on_error must be one of 'raise', 'skip', got 'ignore'"),
    case('images at most', lambda p: p.train('train_dataloader.dataset.max_images=0'),
         'max_images must be an integer of at least 1, or None, got 0'),
    case('batch of more images', lambda p: p.train('train_dataloader.batch_size=7',
                                                   'train_dataloader.drop_last=True'),
         'the 6 training images make no batch of 7 on 1 processes'),
    case('one image left over', lambda p: p.ids('0\n1\n2\n'),
         'a batch of one image, whose deepest map is one pixel', 'train_dataloader.drop_last=True'),
    case('no ids', lambda p: p.ids('\n\n'), 'the id list {tmp}/ids.txt is empty'),
    case('ids twice', lambda p: p.ids('0\n1\n0\n'), 'ids.txt names 0 more than once'),
    case('ids of no image', lambda p: p.ids('0\n99\n'), '1 ids of {tmp}/ids.txt have no image in '
         '{root}/train/images: 99'),
    case('mapping missing', lambda p: p.train('train_dataloader.dataset.label_mapping=no.json'),
         'label mapping {root}/no.json does not exist', 'relative to data_root'),
    case('mapping cut', lambda p: p.mapping('{"0": ["semseg"'),
         'label mapping {tmp}/mapping.json: Expecting', 'line 1 column 16'),
    case('mapping pickled', lambda p: p.mapping(p.pickled('x').read_bytes()),
         "mapping.json: 'utf-8' codec can't decode"),
    case('mapping a list', lambda p: p.mapping('[1]'),
         'mapping.json must be a JSON object of image id -> list of task names, got a list'),
    case('mapping of other ids', lambda p: p.mapping('{"a": ["semseg"]}'),
         'mapping.json: 1 image ids are not in the split (is it of another dataset?): a'),
    case('mapping of other tasks', lambda p: p.mapping('{"0": ["sky"]}'),
         "mapping.json: image 0 names the unknown task 'sky'; allowed: semseg, saliency"),
    case('image cut', lambda p: p.data(lambda r: truncate(r / 'train/images/1.jpg')),
         'FolderDataset train, image 1: cannot read the image {root}/train/images/1.jpg: it is '
         'cut off: the end of the JPEG file is missing'),
    case('image empty, read by a worker',
         lambda p: p.data(lambda r: (r / 'train/images/1.jpg').write_bytes(b''),
                          'train_dataloader.num_workers=1'),
         'train.py: error: FolderDataset train, image 1: cannot read the image '
         '{root}/train/images/1.jpg: the file is empty'),
    case('transform of the image alone', lambda p: p.train(
        'train_dataloader.dataset.pipeline.2.type=mmcv.RandomFlip',
        'train_dataloader.dataset.pipeline.2.prob=0.5'),
         'FolderDataset train: the transform mmcv.RandomFlip moves the image without the labels',
         "Write dict(type='mtpsl.RandomFlip', prob=...) in its place"),
    case('label cut', lambda p: p.label(np.arange(1024, dtype=np.uint8).reshape(32, 32) % 3,
                                        cut=True), SEMSEG + 'png: OSError: '),
    case('label of wrong values', lambda p: p.label(GREY + 7),
         SEMSEG + 'png: semseg labels must be 0..2 or 255 (unknown), got [7]'),
    case('label of wrong size', lambda p: p.label(GREY[:20]),
         SEMSEG + 'png: wrong size 20 x 32; the image is 32 x 32'),
    case('label of colours', lambda p: p.label(np.tile(np.uint8([9, 0, 0]), (32, 32, 1))),
         SEMSEG + 'png: a picture of semseg must hold class ids', 'shape (32, 32, 3)',
         'colour_coded=True'),
    case('masks of 0 and 255 as classes', lambda p: p.labels(lambda y: (y > 0) * 255, 'semseg'),
         'FolderDataset train: the 6 labels of the task semseg that were opened hold 0 and 255 '
         'only', 'write values=(0, 255) for the task'),
    case('no class but one in any task', lambda p: p.data(lambda r: [
        cv2.imwrite(str(path), GREY) for path in r.glob('train/s*/*.png')]),
         'semseg that were opened hold one class only, 0 (a)', 'saliency that were opened hold no '
         'pixel that is a yes'),
    case('no LoadLabels', lambda p: p.train(config=p.config('pipeline.pop(1)')),
         'FolderDataset train: labels of semseg, saliency do not leave the pipeline, which needs '
         'LoadLabels'),
    case('lossy label', lambda p: p.data(lambda r: shutil.copy(
        r / 'train/images/1.jpg', r / 'train/semseg/1.png')),
         SEMSEG + 'png: the content of the file is JPEG'),
    case('image of 12 bits', lambda p: p.data(lambda r: [
        (r / 'train/images/1.jpg').unlink(), cv2.imwrite(
            str(r / 'train/images/1.png'), np.full((32, 32, 3), 4000, np.uint16))]),
         'image 1: cannot read the image {root}/train/images/1.png: an image of 16 bits goes '
         'up to 4000 only', 'white=4095'),
    case('class weights', lambda p: p.train('tasks.semseg.class_weight=(1,2)'),
         'Semseg: class_weight must be a number for each of the 3 classes', 'got (1, 2)'),
    case('values twice', lambda p: p.train('tasks.saliency.values=(0,0)'),
         'Saliency: values and ignore must name a number once, got 0 more than once'),
    case('array of fractions', lambda p: p.label(GREY + 0.5, 'npy'),
         SEMSEG + 'npy: class ids must be whole numbers', 'got float64 from 0.5 to 0.5'),
    case('array cut', lambda p: p.label(GREY, 'npy', cut=True),
         SEMSEG + 'npy: Failed to read all data for array'),
    case('array of code', lambda p: p.label(np.array([p.code], object), 'npy'),
         SEMSEG + 'npy: Object arrays cannot be loaded when allow_pickle=False'),
]


@pytest.fixture(scope='module')
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Data, and in ``good.pth`` a checkpoint of the config's model."""
    tmp = tmp_path_factory.mktemp('good')
    root = write_images(tmp / 'data')
    model = MODELS.build(load_config(str(write_config(tmp / 'config.py', root))).model)
    torch.save(dict(state_dict=model.state_dict(), meta={}), tmp / 'good.pth')
    return tmp


def saved(place: Place, content: object) -> Path:
    path = place.tmp / 'x.pth'
    torch.save(content, path)
    return path


def changed(place: Place, drop: str) -> Path:
    """The good checkpoint without the weights whose names hold ``drop``."""
    state = torch.load(place.root.parent / 'good.pth')['state_dict']
    return saved(place, dict(state_dict={k: v for k, v in state.items() if drop not in k}))


def cut(place: Place) -> Path:
    path = Path(shutil.copy(place.root.parent / 'good.pth', place.tmp / 'x.pth'))
    truncate(path)
    return path


def good_one(place: Place) -> Path:
    return place.root.parent / 'good.pth'


DAMAGED = '{tmp}/x.pth is not a checkpoint, or it is damaged'
CHECKPOINTS = [
    case('missing', lambda p: p.test(p.tmp / 'no.pth'), 'there is no checkpoint file {tmp}/no.pth',
         status=2),
    case('folder', lambda p: p.test(p.tmp), 'there is no checkpoint file {tmp}', status=2),
    case('work dir', lambda p: p.test(Path(p.file('w/last_checkpoint', b'/x/epoch_3.pth')).parent),
         'it is a folder, whose newest checkpoint is {tmp}/w/epoch_3.pth', status=2),
    case('note', lambda p: p.test(p.file('w/last_checkpoint', b'epoch_3.pth')),
         'is a note of the newest checkpoint, {tmp}/w/epoch_3.pth: name that'),
    case('safetensors by another name', lambda p: p.test(p.file(
        'x.pth', safetensors.numpy.save({'a': np.zeros(1)}))), 'with .safetensors'),
    case('empty', lambda p: p.test(p.file('x.pth', b'')), DAMAGED),
    case('text', lambda p: p.test(p.file('x.pth', b'hello')), DAMAGED),
    case('random', lambda p: p.test(p.file('x.pth', np.random.default_rng(0).bytes(5000))),
         DAMAGED),
    case('cut', lambda p: p.test(cut(p)), DAMAGED),
    case('cut, to resume', lambda p: [*p.train(), '--resume', cut(p)], DAMAGED),
    case('code, as a pickle', lambda p: p.test(p.pickled('x.pth')), DAMAGED),
    case('code, saved by torch', lambda p: p.test(saved(p, p.code)), DAMAGED),
    case('keys that are no names', lambda p: p.test(saved(p, {'state_dict': {1: torch.zeros(1)}})),
         '{tmp}/x.pth is not a checkpoint: weights have names, it has the key 1'),
    case('meta that is no dict', lambda p: p.test(saved(p, dict(state_dict={}, meta=5))),
         '{tmp}/x.pth is not a checkpoint: its meta is no dict, but int'),
    case('of other tasks', lambda p: p.test(changed(p, 'saliency')),
         "{tmp}/x.pth is of another model than the config's; weights ",
         'missing: decoders.decode.saliency'),
    case('of another width', lambda p: p.test(good_one(p), '--cfg-options',
                                              'model.decoder.num_blocks=0'),
         "good.pth is of another model than the config's", 'not of the model: '),
    case('pretrained missing', lambda p: p.train(config=p.config(
        "model['backbone']['init_cfg'] = dict(_delete_=True, type='Pretrained', "
        f"checkpoint='{p.tmp}/no.pth')")), 'there is no checkpoint file {tmp}/no.pth'),
    case('pretrained of another backbone', lambda p: p.train(config=p.config(
        "model['backbone']['init_cfg'] = dict(_delete_=True, type='Pretrained', "
        f"checkpoint='{saved(p, dict(a=torch.zeros(1)))}')")),
        "{tmp}/x.pth is of another model than the config's", 'missing: conv1.weight'),
    case('out', lambda p: p.test(good_one(p), '--out', p.tmp / 'x.txt'),
         '--out must be a .json file, got {tmp}/x.txt', status=2),
    case('out below a file', lambda p: p.test(good_one(p), '--out', p.file('a', '') / 'x.json'),
         'File exists', '{tmp}/a'),
    case('number of panels', lambda p: p.test(good_one(p), '--show-num', '0'),
         '--show-num must be at least 1, got 0', status=2),
    case('launcher', lambda p: p.test(good_one(p), '--launcher', 'mpi'),
         "argument --launcher: invalid choice: 'mpi'", status=2),
]


@pytest.mark.parametrize('command, status, fragments', CONFIGS)
def test_configs(command, status, fragments, good, tmp_path, monkeypatch, capsys):
    place = Place(tmp_path, good / 'data')
    check_end(command(place), status, fragments, place, monkeypatch, capsys)


@pytest.mark.parametrize('command, status, fragments', DATA)
def test_data(command, status, fragments, good, tmp_path, monkeypatch, capsys):
    place = Place(tmp_path, good / 'data')
    check_end(command(place), status, fragments, place, monkeypatch, capsys)


@pytest.mark.parametrize('command, status, fragments', CHECKPOINTS)
def test_checkpoints(command, status, fragments, good, tmp_path, monkeypatch, capsys):
    place = Place(tmp_path, good / 'data')
    check_end(command(place), status, fragments, place, monkeypatch, capsys)
