"""Variables of config files that a child sets anew."""

import re
import warnings
from pathlib import Path

import pytest

from mtpsl.engine import load_config
from mtpsl.engine.config.parsed import parse_config

ROOT = Path(__file__).parents[2]
BASES = {'nyud': '_base_/datasets/nyud.py', 'demo': 'synthetic/demo.py',
         'cityscapes': 'diffusionmtl/cityscapes_onelabel_r18.py'}
OWN = """
crop = (64, 64)
norm = dict(mean=[1, 2, 3])
chain = [dict(type='LoadImageFromFile'), dict(type='RandomCrop', size=crop)]
train_dataloader = dict(batch_size=2, sampler=dict(type='SeededSampler'), dataset=dict(
    type='FolderDataset', data_root='x', split='train', pipeline=chain))
val_evaluator = {'type': 'MultiTaskMetric', 'workers': max(crop) - 60}
data_preprocessor = dict(**norm)
"""


def write(folder: Path, text: str, base: object = '') -> str:
    if base:
        text = f'_base_ = {str(ROOT / "configs" / BASES.get(base, base))!r}\n{text}'
    number = len(list(folder.glob('*.py')))
    path = folder / f'config{number}.py'
    path.write_text(text)
    return str(path)


@pytest.mark.parametrize('base, line, keys', [
    ('nyud', "data_root = '/x'", ['train_dataloader.dataset.data_root',
                                  'val_dataloader.dataset.data_root',
                                  'test_dataloader.dataset.data_root']),
    ('demo', 'max_epochs = 3', ['param_scheduler.0.end', 'train_cfg.max_epochs',
                                'train_cfg.val_begin']),
    ('cityscapes', 'train_pipeline = []', ['train_dataloader.dataset.pipeline']),
    ('cityscapes', 'single_task: dict = dict(depth=1.0)', ['val_evaluator.single_task']),
    ('own', 'crop = (8, 8)', ['train_dataloader.dataset.pipeline.1.size',
                              'val_evaluator.workers']),
    ('own', 'norm = dict(std=[1, 2, 3])', ['data_preprocessor keep']),
    ('own', '_base_.chain[1].size = (8, 8)', ['pipeline keeps', 'pipeline=_base_.chain']),
    ('own', 'for step in _base_.chain[1:]: step.size = (8, 8)', ['dataset.pipeline keeps']),
    ('own', "_base_['chain'].pop()", ['train_dataloader.dataset.pipeline keeps']),
    ('nyud', "_base_.data_root = '/x'", ['train_dataloader.dataset.data_root', 'keep']),
    ('nyud', "_base_.test_pipeline += [dict(type='RandomFlip')]", ['test_dataloader.dataset.pip']),
])
def test_a_variable_that_the_base_has_used_is_an_error(base, line, keys, tmp_path):
    base = write(tmp_path, OWN) if base == 'own' else base
    path = write(tmp_path, line, base)
    grandchild = write(tmp_path, 'log_level = "INFO"', path)
    for file in (path, grandchild):
        with pytest.raises(KeyError) as error:
            load_config(file)
        text = error.value.args[0]
        name = re.findall(r'_base_\W+(\w+)', line) or [line.split(' ')[0].strip(':')]
        assert re.match(f'{re.escape(path)} (sets|changes) {name[0]}, which ', text), text
        assert all(key in text for key in keys), text


def test_a_dumped_config_s_variable_too(tmp_path):
    load_config(str(ROOT / 'configs' / BASES['cityscapes'])).dump(tmp_path / 'run.py')
    with pytest.raises(KeyError, match=r'train_dataloader\.dataset\.data_root.*keep'):
        load_config(write(tmp_path, "data_root = '/x'", tmp_path / 'run.py'))


@pytest.mark.parametrize('base, lines', [
    ('nyud', "data_root = 'data/NYUD'"),
    ('nyud', "data_root = '/x'\ntrain_dataloader = dict(dataset=dict(data_root=data_root))\n"
     'val_dataloader = train_dataloader\ntest_dataloader = train_dataloader'),
    ('demo', "max_epochs = 3\nparam_scheduler = [dict(type='PolyLR', end=max_epochs)]\n"
     'train_cfg = dict(max_epochs=max_epochs, val_begin=max_epochs + 1)'),
    ('demo', '_mine = 3\nwidth = 4\nmodel = dict(initial_loss_weight=width)'),
    ('cityscapes', 'train_dataloader = dict(dataset=dict(pipeline=_base_.train_pipeline[1:]))'),
    ('nyud', 'scale_crop_pipeline = []'),
    ('nyud', '_base_.train_dataloader.batch_size = 2\n'
     '_base_.train_dataloader.dataset.pipeline.pop()'),
    ('cityscapes', '_base_.train_pipeline.pop(1)\n'
     'train_dataloader = dict(dataset=dict(pipeline=_base_.train_pipeline))'),
    ('nyud', "_base_.pop('data_root')")])
def test_what_has_an_effect_or_none_to_have_is_fine(base, lines, tmp_path, monkeypatch):
    monkeypatch.delenv('MTPSL_DATA', raising=False)
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        load_config(write(tmp_path, lines, base))


def test_a_variable_that_is_used_in_some_places_only_is_a_warning(tmp_path):
    path = write(tmp_path, "data_root = '/x'\n"
                 'train_dataloader = dict(dataset=dict(data_root=data_root))', 'nyud')
    with pytest.warns(UserWarning, match=r'val_dataloader.dataset.data_root, test_.* keep the val'):
        cfg = load_config(path)
    assert cfg.train_dataloader.dataset.data_root == '/x'


def test_what_nothing_reads_is_told(tmp_path):
    with pytest.warns(UserWarning, match="'batch_size' of .*config0.py is read by nothing"):
        load_config(write(tmp_path, 'batch_size = 4', 'demo'))
    with pytest.raises(KeyError, match="'max_epoch' of .* did you mean 'max_epochs'"):
        load_config(write(tmp_path, 'max_epoch = 4', 'demo'))


TASK_BASE = """
tasks = dict(depth=dict(type='Depth', png_unit=0.001, max_display=10.0, loss_weight=1.0))
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='Adam', lr=0.1, weight_decay=0.5))
"""


@pytest.mark.parametrize(('lines', 'options', 'told'), [
    ("tasks = dict(depth=dict(type='InverseDepth'))", {},
     'tasks.depth a InverseDepth, and it keeps options of the Depth of the base: png_unit=0.001'),
    ("tasks = {'depth': {'type': 'InverseDepth', 'max_display': 1.0}}", {},
     'base: png_unit=0.001;'),
    ("tasks = dict(depth=dict(type='InverseDepth', png_unit=0.5))", {}, 'base: max_display=10.0;'),
    ('', {'tasks.depth.type': 'InverseDepth'}, 'base: png_unit=0.001, max_display=10.0;'),
    ('', {'tasks.depth': dict(type='InverseDepth', max_display=1.0)}, 'base: png_unit=0.001;'),
    ("optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.1))", {}, 'base: weight_decay=0.5;'),
    ("_base_.tasks.depth.type = 'InverseDepth'", {}, 'base: png_unit=0.001, max_display=10.0;'),
    ("_base_.tasks.depth.update(type='InverseDepth', png_unit=0.5)", {}, 'base: max_display=10.0;'),
    ("_base_.tasks['depth']['type'] = 'InverseDepth'\n_base_.tasks.depth.png_unit = None\n"
     "_base_['tasks'].depth['max_display'] = 10.0", {}, ''),
    ("optim_wrapper = dict(type='AmpOptimWrapper')", {}, ''),
    ("tasks = dict(depth=dict(type='Depth'))", {}, ''),
    ("tasks = dict(depth=dict(_delete_=True, type='InverseDepth'))", {}, ''),
    ("tasks = dict(depth=dict(type='InverseDepth', png_unit=None, max_display=1.0))", {}, ''),
    ('', {'tasks.depth.type': 'InverseDepth', 'tasks.depth.png_unit': None,
          'tasks.depth.max_display': 1.0}, ''),
])
def test_options_that_stay_with_another_type_are_told(lines, options, told, tmp_path):
    """Those of units are refused; also where the child that is loaded is one of the child's."""
    child = write(tmp_path, lines, write(tmp_path, TASK_BASE))
    for path in (child, write(tmp_path, '', child)):
        with warnings.catch_warnings(record=True) as found:
            warnings.simplefilter('always')
            if 'png_unit' in told:
                with pytest.raises(ValueError, match=re.escape(told)):
                    load_config(path, options)
            else:
                load_config(path, options)
        said = [text for one in found if 'keeps options' in (text := str(one.message))]
        assert len(said) == bool(told and 'png_unit' not in told) and told in (said or [told])[0]


def test_an_option_that_a_child_s_child_says_is_no_doubt(tmp_path):
    child = write(tmp_path, "tasks = dict(depth=dict(type='InverseDepth', max_display=1.0))",
                  write(tmp_path, TASK_BASE))
    last = write(tmp_path, 'tasks = dict(depth=dict(png_unit=0.5))', child)
    assert load_config(last).tasks.depth.png_unit == 0.5


def test_an_option_that_is_a_variable_names_the_keys(tmp_path):
    with pytest.raises(KeyError, match='param_scheduler.0.end, train_cfg.max_epochs.*: set them'):
        load_config(str(ROOT / 'configs/synthetic/demo.py'), {'max_epochs': 3})


def test_changed_validation_that_testing_does_not_follow_is_told(tmp_path):
    line = "val_dataloader = dict(dataset=dict(data_root='/x'))"
    with pytest.warns(UserWarning, match=r'val_dataloader.dataset, and test_dataloader.dataset ke'):
        load_config(write(tmp_path, line, 'nyud'))
    with pytest.warns(UserWarning, match='test_dataloader.dataset keeps'):
        load_config(write(tmp_path, "_base_.val_dataloader.dataset.data_root = '/x'", 'nyud'))
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        load_config(write(tmp_path, f'{line}\ntest_dataloader = val_dataloader', 'nyud'))
        load_config(write(tmp_path, 'val_dataloader = dict(batch_size=1)', 'nyud'))


@pytest.mark.parametrize('name, lines', [
    ('x.yaml', '_base_: config0.py\ncrop: [8, 8]'),
    ('x.json', '{"_base_": "config0.py", "crop": 8}'),
    ('x.py', 'from mmengine.config import read_base\nwith read_base():\n'
             '    from .config0 import *\ncrop = (8, 8)')])
def test_other_ways_to_inherit(name, lines, tmp_path):
    write(tmp_path, OWN)
    path = tmp_path / name
    path.write_text(lines)
    with pytest.raises(KeyError, match=r'sets crop, which .*config0\.py has used already: tra'):
        load_config(str(path))
    path.write_text(lines.replace('crop', 'work_dir').replace('(8, 8)', "'x'").replace(
        '[8, 8]', 'x').replace('8', '"x"'))
    assert load_config(str(path)).work_dir == 'x'


def test_a_lazy_child_may_use_what_it_sets(tmp_path):
    write(tmp_path, OWN)
    path = tmp_path / 'x.py'
    path.write_text('from mmengine.config import read_base\nwith read_base():\n'
                    '    from .config0 import *\ncrop = (8, 8)\n'
                    'train_dataloader.dataset.pipeline[1].update(size=crop)')
    with pytest.warns(UserWarning, match='workers keep.* crop is used in other places'):
        load_config(str(path))


def test_what_a_file_reads_is_found_by_name_and_anew_when_it_is_written_anew(tmp_path):
    path = tmp_path / 'a.py'
    path.write_text("_base_ = ['b.py']\nside, key = 1, 'x'\n"
                    "work = dict(a=[side, 2], **_base_.rest)\n"
                    "text = {'b': '{{_base_.side_long}}', key: 1}\n")
    file = parse_config(str(path))
    assert [(place, *map(sorted, uses)) for places in file.places.values()
            for place, uses in places] == [
        ('work.a.0', ['side'], []), ('work.a.1', [], []), ('work', ['_base_'], ['rest']),
        ('text', ['key'], []), ('text.b', [], ['side_long']), ('text', [], [])]
    assert not file.changes_in_place and not file.bases
    path.write_text("_base_ = ['b.py']\n_base_.work.a = 1\n")
    (tmp_path / 'b.py').write_text('work = dict(a=0)\n')
    file = parse_config(str(path))
    assert file.changes_in_place and [base.path for base in file.bases] == [str(tmp_path / 'b.py')]
