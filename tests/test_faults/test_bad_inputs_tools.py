"""Command lines of the other tools that are wrong: the line a user sees, and the exit status."""

import json
import pickle
import shutil

import numpy as np
import pytest
import torch

from .bad_input import Place, check_end
from .tiny_run import ROOT, truncate, write_images

FLOPS, TABLE = 'analysis_tools/get_flops.py', 'analysis_tools/complexity_table.py'
CHECK, COMPARE = 'analysis_tools/check_dataset.py', 'analysis_tools/compare.py'
MAPPING, CONVERT = 'dataset_converters/label_mapping.py', 'dataset_converters/{}.py'
SCENES, BENCHMARK = 'dataset_converters/make_synthetic.py', 'benchmark_synthetic.py'
LABELS = 'dataset_converters/labels.py'
REFERENCE = 'model_converters/reference_to_mtpsl.py'
PUBLISH = 'model_converters/publish.py'
STEPS, GAINS, CURVES, METHODS, DENOISING = (
    f'analysis_tools/plot_{name}.py' for name in ('steps', 'gains', 'curves', 'methods',
                                                  'denoising'))
BROWSE = 'analysis_tools/browse_dataset.py'
WEBAPP, EXPORT = 'webapp.py', 'deployment/export.py'
ELSEWHERE = {'train.py', 'analysis_tools/benchmark.py'}  # other tests have these


def case(name: str, command, *fragments: str, status: int = 1):
    return pytest.param(command, status, list(fragments), id=name)


def result(place: Place, content: object) -> str:
    return str(place.file('result.json', json.dumps(content)))


def generate(place: Place, *arguments: object) -> list:
    return [MAPPING, 'generate', '--ids', place.file('ids.txt', '1\n2\n3\n'), '--tasks', 'semseg',
            'normal', '--setting', 'onelabel', '--out', place.tmp / 'out.json', *arguments]


def code_as_array(place: Place) -> str:
    path = place.tmp / 'code.npy'
    np.save(path, np.array([place.code], object), allow_pickle=True)
    return str(path)


def code_as_checkpoint(place: Place) -> str:
    path = place.tmp / 'code.pth'
    torch.save(dict(model=place.code), path)
    return str(path)


def broken_label(place: Place) -> list:
    place.root = shutil.copytree(place.root, place.tmp / 'data')
    truncate(place.root / 'val/semseg/3.png')
    return [CHECK, place.config()]


ANALYSIS = [
    case('compare nothing', lambda p: [COMPARE], 'no results given'),
    case('compare missing', lambda p: [COMPARE, p.tmp / 'no.json'],
         'there is no result file {tmp}/no.json'),
    case('compare empty', lambda p: [COMPARE, p.file('a.json', '')],
         '{tmp}/a.json is no JSON file: Expecting value: line 1 column 1'),
    case('compare pickled', lambda p: [COMPARE, p.file('a.json', pickle.dumps(p.code))],
         "{tmp}/a.json is no JSON file: 'utf-8' codec can't decode"),
    case('compare a list', lambda p: [COMPARE, result(p, [])], 'must hold an object, got list'),
    case('compare text', lambda p: [COMPARE, result(p, {'semseg/mIoU': 'high'})],
         "result.json: 'semseg/mIoU' must be a finite number, got 'high'"),
    case('compare with no such setting',
         lambda p: [COMPARE, result(p, {'semseg/mIoU': 1.0}), '--paper', 'pascal'],
         "has no setting 'pascal', choose one of ['cityscapes_onelabel', "),
    case('compare with no such baseline',
         lambda p: [COMPARE, result(p, {'semseg/mIoU': 1.0}), '--baseline', 'x'],
         "baseline: there is no result file x; nor is 'x' one of the methods ['result']"),
    case('compare as html', lambda p: [COMPARE, result(p, {'a/b': 1.0}), '--format', 'html'],
         "argument --format: invalid choice: 'html'", status=2),
    case('compare to a folder', lambda p: [COMPARE, result(p, {'a/b': 1.0}), '--out', p.tmp],
         '--out must be a file, got the folder {tmp}', status=2),
    case('a config to another kind of file', lambda p: [
        'misc/print_config.py', p.config(), '--out', 'a.yml'], '--out must end in .py', status=2),
    case('flops of no model', lambda p: [FLOPS, p.file('c.py', 'x = 1')],
         '{tmp}/c.py has no model'),
    case('flops of size 0', lambda p: [FLOPS, p.config(), '--shape', '0', '64'],
         '--shape must be at least 32 32, got 0 64', status=2),
    case('flops of a negative size', lambda p: [FLOPS, p.config(), '--shape', '-64', '64'],
         '--shape must be at least 32 32, got -64 64', status=2),
    case('flops of text', lambda p: [FLOPS, p.config(), '--shape', 'x', '64'],
         "argument --shape: invalid int value: 'x'", status=2),
    case('flops of depth 0', lambda p: [FLOPS, p.config(), '--depth', '0'],
         '--depth must be at least 1, got 0', status=2),
    case('flops to a folder', lambda p: [FLOPS, p.config(), '--json', p.tmp],
         '--json must be a file, got the folder {tmp}', status=2),
    case('table to a folder', lambda p: [TABLE, '--json', p.tmp],
         '--json must be a file, got the folder {tmp}', status=2),
    case('table to nowhere', lambda p: [TABLE, '--json', p.tmp / 'no/x.json'],
         '--json: there is no folder {tmp}/no', status=2),
    case('table of what', lambda p: [TABLE, 'x'], 'unrecognized arguments: x', status=2),
    case('check none', lambda p: [CHECK, p.config(), '--sample', '0'],
         "argument --sample: expected a number of at least 1, or 'all', got '0'", status=2),
    case('check no config', lambda p: [CHECK, p.tmp / 'no.py'],
         'the config file {tmp}/no.py does not exist'),
    case('check a broken label', broken_label, '{tmp}/config.py has problems: 1'),
]
FIGURES = [
    *(case(f'{tool[20:-3]} as a photo', lambda p, tool=tool: [tool, 'a', '--out', p.tmp / 'a.jpg'],
           'argument --out: must be a .pdf, .svg, .png file, got {tmp}/a.jpg', status=2)
      for tool in (STEPS, GAINS, CURVES, METHODS, DENOISING)),
    case('steps of a config alone', lambda p: [STEPS, p.config(), '--out', 'a.pdf'],
         "expected a work dir or CONFIG=METRICS, got '{tmp}/config.py', which is neither"),
    case('steps of a baseline', lambda p: [
        STEPS, f'{p.config()}={result(p, {"semseg/mIoU": 1.0})}', '--out', 'a.pdf'],
         '{tmp}/config.py has no denoising steps: its model is a MultiTaskModel'),
    case('gains of text', lambda p: [GAINS, p.file('a.json', 'x'), '--out', 'a.pdf'],
         '{tmp}/a.json is no JSON file'),
    case('gains of a baseline', lambda p: [GAINS, result(p, {'semseg/mIoU': 1.0}), '--out',
                                           'a.pdf'],
         '{tmp}/result.json has no figures of initial predictions'),
    case('curves of nothing', lambda p: [CURVES, p.tmp / 'no', '--out', 'a.pdf'],
         'there is no file {tmp}/no'),
    case('curves of text', lambda p: [CURVES, p.file('a.json', 'x\nx\n'), '--out', 'a.pdf'],
         "{tmp}/a.json, line 1 is no JSON: 'x'"),
    case('curves of an average of 0', lambda p: [CURVES, 'a', '--smooth', '0', '--out', 'a.pdf'],
         'argument --smooth: must be at least 1, got 0', status=2),
    case('methods without names', lambda p: [METHODS, p.config(), '--out', 'a.pdf'],
         "a method is NAME=CONFIG:CHECKPOINT or NAME=WORK_DIR, got '{tmp}/config.py'"),
    case('methods of no checkpoint', lambda p: [METHODS, f'a={p.config()}:no.pth', '--out',
                                                'a.pdf'], 'there is no checkpoint file no.pth'),
    case('methods of code', lambda p: [METHODS, f'a={p.config()}:{p.pickled("a.pth")}', '--out',
                                       'a.pdf'], '{tmp}/a.pth is not a checkpoint'),
    case('methods of nothing', lambda p: [METHODS, f'a={p.tmp}', '--out', 'a.pdf'],
         'there is no checkpoint in the work dir {tmp}'),
    case('methods an ell wide', lambda p: [METHODS, 'a', '--width', 'ell', '--out', 'a.pdf'],
         "argument --width: must be 1 to 100 inches, got 'ell'", status=2),
    case('denoising a file that is not there', lambda p: [
        DENOISING, p.config(), 'a.pth', '--files', p.tmp / 'no.jpg', '--out', 'a.pdf'],
         '--files: there is no file {tmp}/no.jpg', status=2),
    case('denoising by no checkpoint', lambda p: [DENOISING, p.config(), 'no.pth', '--out',
                                                  'a.pdf'], 'there is no checkpoint file no.pth'),
    case('browse none', lambda p: [BROWSE, p.config(), '--out-dir', p.tmp / 'o', '--num', '0'],
         'argument --num: must be at least 1, got 0', status=2),
    case('browse another image', lambda p: [BROWSE, p.config(), '--out-dir', p.tmp / 'o',
                                            '--images', '7', 'x'],
         'the dataset has no image 7, x; it has 0, 1, 2, 3, 4, ...'),
    case('browse into a file', lambda p: [BROWSE, p.config(), '--out-dir', p.file('o', '')],
         "File exists: '{tmp}/o'"),
    case('browse over a photo', lambda p: [BROWSE, p.config(), '--out-dir', p.file(
        'o/0001_0.png', 'mine').parent, '--images', '0'],
         '{tmp}/o/0001_0.png is there and is no figure of this package'),
    case('browse among the photos', lambda p: [BROWSE, p.config(), '--out-dir', p.root
                                               / 'train/images'],
         'holds images of the dataset, such as 0.'),
    case('curves over a photo', lambda p: [CURVES, 'a', '--out', p.file('a.png', 'mine')],
         'argument --out: {tmp}/a.png is there and is no figure of this package', status=2),
    case('browse an epoch before the first', lambda p: [BROWSE, p.config(), '--out-dir', 'o',
                                                        '--epoch', '0'],
         'argument --epoch: must be at least 1, got 0', status=2),
]
CONVERTERS = [
    case('mapping of nothing', lambda p: [MAPPING, 'import', p.tmp / 'a.npy', '--out', p.tmp / 'b'],
         "No such file or directory: '{tmp}/a.npy'"),
    case('mapping of code', lambda p: [MAPPING, 'import', code_as_array(p), '--out', p.tmp / 'b'],
         '{tmp}/code.npy: forbidden global pathlib'),
    case('mapping of code in a .pth',
         lambda p: [MAPPING, 'import', code_as_checkpoint(p), '--out', p.tmp / 'b'],
         '{tmp}/code.pth: forbidden global'),
    case('mapping of garbage', lambda p: [MAPPING, 'import', p.file('a.npy', 'x'), '--out', 'b'],
         '{tmp}/a.npy is not a published mapping'),
    case('mapping without ids', lambda p: generate(p, '--ids', p.tmp / 'no.txt'),
         'there is no id list {tmp}/no.txt'),
    case('mapping of a negative seed', lambda p: generate(p, '--seed', '-1'),
         'seed must be at least 0, got -1'),
    case('mapping of a worded seed', lambda p: generate(p, '--seed', 'x'),
         "argument --seed: invalid int value: 'x'", status=2),
    case('mapping of an unknown setting', lambda p: generate(p, '--setting', 'two'),
         "argument --setting: invalid choice: 'two'", status=2),
    case('mapping of a misspelt task', lambda p: generate(p, '--tasks', 'semsg'),
         "--tasks: 'semsg' is no name of a task; did you mean semseg?", status=2),
    case('mapping to a folder', lambda p: generate(p, '--out', p.tmp),
         '--out must be a file, {tmp} is a folder', status=2),
    case('mapping to a file that exists', lambda p: generate(p, '--out', p.file('b.json', '')),
         '{tmp}/b.json exists; give --force to overwrite it', status=2),
    case('mapping below a file', lambda p: generate(p, '--out', p.file('b', '') / 'x/c.json'),
         'Not a directory'),
    case('people of nowhere', lambda p: [MAPPING, 'with-people', p.tmp, '--out', p.tmp / 'b.txt'],
         "there is no id list {tmp}/ImageSets/Context/train.txt for the split 'train'"),
    *(case(f'{name} check', lambda p, name=name: [CONVERT.format(name), 'check', p.tmp / 'no'],
           '{tmp}/no has problems: 2') for name in ('nyud', 'cityscapes', 'pascal_context')),
    case('nyud of text', lambda p: [CONVERT.format('nyud'), 'convert', p.file('a.mat', 'x'),
                                    p.file('b.mat', 'x'), p.tmp / 'out'],
         '{tmp}/a.mat is not a MATLAB v7.3 file'),
    case('nyud of nothing', lambda p: [CONVERT.format('nyud'), 'convert', p.tmp / 'a.mat', 'b.mat',
                                       p.tmp / 'out'], 'there is no file {tmp}/a.mat'),
    case('nyud of size 0', lambda p: [CONVERT.format('nyud'), 'convert', 'a.mat', 'b.mat', 'out',
                                      '--size', '0', '64'],
         'argument --size: must be at least 1, got 0', status=2),
    case('cityscapes of nothing',
         lambda p: [CONVERT.format('cityscapes'), 'convert', p.tmp, p.tmp / 'out'],
         'there are no images {tmp}/leftImg8bit'),
    case('cityscapes by 0 workers', lambda p: [CONVERT.format('cityscapes'), 'convert', p.tmp,
                                               p.tmp / 'out', '--workers', '0'],
         'argument --workers: must be at least 1, got 0', status=2),
    case('labels of nothing', lambda p: [LABELS, '--from', 'coco', p.tmp / 'no.json', p.tmp / 'out',
                                         '--config', p.config(), '--task', 'saliency'],
         'there is no file or folder {tmp}/no.json'),
    case('labels of no task', lambda p: [LABELS, '--from', 'cvat', p.tmp, p.tmp / 'out', '--config',
                                         p.config(), '--task', 'sky'], "has no task 'sky'"),
    case('labels of another tool', lambda p: [LABELS, '--from', 'vott', p.tmp, p.tmp / 'out',
                                              '--config', p.config(), '--task', 'semseg'],
         "argument --from: invalid choice: 'vott'", status=2),
    case('labels of lines of no width', lambda p: [
        LABELS, '--from', 'cvat', 'a', 'b', '--config', 'c.py', '--task', 'd', '--line-width', '0'],
         'argument --line-width: must be at least 1, got 0', status=2),
    case('publishing nothing', lambda p: [PUBLISH, p.tmp / 'a.pth', p.tmp / 'a.safetensors'],
         'there is no checkpoint file {tmp}/a.pth'),
    case('publishing text', lambda p: [PUBLISH, p.file('a.pth', ''), p.tmp / 'a.safetensors'],
         'a.pth is not a checkpoint, or it is damaged'),
    case('reference of nothing', lambda p: [REFERENCE, p.tmp / 'a.pth', p.tmp / 'b.pth'],
         'SRC {tmp}/a.pth does not exist'),
    case('reference to itself', lambda p: [REFERENCE, p.file('a.pth', ''), p.tmp / 'a.pth'],
         'DST {tmp}/a.pth is SRC itself'),
    case('reference to text', lambda p: [REFERENCE, p.file('a.pth', ''), p.tmp / 'a.txt'],
         'DST must be a .pth file, got {tmp}/a.txt'),
    case('scenes below 0', lambda p: [SCENES, p.tmp / 's', '--train', '-1'],
         'argument --train: must be at least 0, got -1', status=2),
    case('scenes of another layout', lambda p: [SCENES, p.tmp / 's', '--layout', 'kitti'],
         "argument --layout: invalid choice: 'kitti'", status=2),
    case('scenes over other files', lambda p: [SCENES, p.file('s/x', '').parent, '--train', '1'],
         '{tmp}/s is not empty and has no synthetic.json', status=2),
    case('scenes over a file', lambda p: [SCENES, p.file('s', ''), '--train', '1'],
         '{tmp}/s is a file, not a folder', status=2),
    case('benchmark of no seed', lambda p: [BENCHMARK, '--seeds', '0'],
         'argument --seeds: must be at least 1, got 0', status=2),
    case('benchmark of size 65', lambda p: [BENCHMARK, '--size', '65'],
         '--size must be a multiple of 32 of at least 64, got 65', status=2),
    case('benchmark of magic', lambda p: [BENCHMARK, '--methods', 'magic'],
         "argument --methods: invalid choice: 'magic'", status=2),
    case('benchmark in a file', lambda p: [BENCHMARK, '--out', p.file('b', '')],
         "File exists: '{tmp}/b'"),
]


PREDICTORS = [
    case('page of no model', lambda p: [WEBAPP, 'diffusionmtl/pascal_randm_r18'],
         'the config file diffusionmtl/pascal_randm_r18 does not exist',
         'near: diffusionmtl/pascal_random_r18'),
    case('page of no weights', lambda p: [WEBAPP, p.config(), '--weights', p.tmp / 'no.pth'],
         'there is no checkpoint file {tmp}/no.pth'),
    case('page of code', lambda p: [WEBAPP, p.config(), '--weights', p.pickled('code.pth')],
         '{tmp}/code.pth is not a checkpoint'),
    case('page of uploads of nothing', lambda p: [WEBAPP, p.config(), '--max-upload', '0'],
         'argument --max-upload: must be at least 1, got 0', status=2),
    case('page shrunk to nothing', lambda p: [WEBAPP, p.config(), '--max-side', '0'],
         'argument --max-side: must be at least 1, got 0', status=2),
    case('page at port 0', lambda p: [WEBAPP, p.config(), '--port', '0'],
         'argument --port: must be at least 1, got 0', status=2),
    case('export of code', lambda p: [EXPORT, p.config(), p.pickled('code.pth'), '--out',
                                      p.tmp / 'm.onnx'], '{tmp}/code.pth is not a checkpoint'),
    case('export over a file', lambda p: [EXPORT, p.config(), p.file('a.pth', ''), '--out',
                                          p.file('m.onnx', 'mine')],
         '--out: {tmp}/m.onnx exists; give --force', status=2),
    case('export beside notes', lambda p: [EXPORT, p.config(), p.file('m.onnx.json', 'mine'),
                                           '--out', p.tmp / 'm.onnx'],
         '--out: {tmp}/m.onnx.json exists; give --force', status=2),
    case('export for no device', lambda p: [
        EXPORT, p.config(), 'x.pth', '--out', p.tmp / 'a.pt2', '--device', 'gpu'],
        "device must be such as 'cpu' or 'cuda:1', got 'gpu'"),
    case('export to nothing', lambda p: [EXPORT, p.config(), 'x.pth'],
         'the following arguments are required: --out', status=2),
    case('report as text', lambda p: [*p.test(p.file('a.pth', '')), '--html', 'report.txt'],
         '--html must be a .html file, got report.txt', status=2),
]


@pytest.fixture(scope='module')
def root(tmp_path_factory: pytest.TempPathFactory):
    return write_images(tmp_path_factory.mktemp('good') / 'data')


@pytest.mark.parametrize('command, status, fragments',
                         [*ANALYSIS, *FIGURES, *CONVERTERS, *PREDICTORS])
def test_tools(command, status, fragments, root, tmp_path, monkeypatch, capsys):
    place = Place(tmp_path, root)
    check_end(command(place), status, fragments, place, monkeypatch, capsys)


def test_every_tool_has_a_case(root, tmp_path):
    broken = {param.values[0](Place(tmp_path / str(number), root))[0]
              for number, param in enumerate([*ANALYSIS, *FIGURES, *CONVERTERS, *PREDICTORS])}
    tools = {str(path.relative_to(ROOT / 'tools')) for path in (ROOT / 'tools').rglob('*.py')}
    assert tools - broken == ELSEWHERE
