"""Dumped configs, their children and their overrides."""

import pytest
from test_engine.config_files import COLOURS, PASCAL, write

from mtpsl.engine import load_config


def test_overrides_of_a_dumped_config_reach_all_parts(tmp_path):
    load_config(PASCAL).dump(tmp_path / 'dumped.py')
    cfg = load_config(str(tmp_path / 'dumped.py'), {
        'data_preprocessor.size': (64, 64), 'tasks.semseg.loss_weight': 3.0})
    assert cfg.model.data_preprocessor == dict(COLOURS, size=(64, 64))
    for part in (cfg.model, cfg.train_dataloader.dataset, cfg.test_evaluator, cfg.visualizer):
        assert part.tasks.semseg.loss_weight == 3.0
    cfg = load_config(str(tmp_path / 'dumped.py'), {'model.tasks.semseg.loss_weight': 3.0})
    assert cfg.model.tasks.semseg == dict(type='Semseg', loss_weight=3.0)
    assert cfg.test_evaluator.tasks.semseg.loss_weight == 1.0
    # What a part says for itself stays, and its other entries are the shared ones.
    own = write(tmp_path, 'model = dict(data_preprocessor=dict(size_divisor=16))')
    load_config(own).dump(tmp_path / 'own.py')
    cfg = load_config(str(tmp_path / 'own.py'), {'data_preprocessor.size': (64, 64)})
    assert cfg.model.data_preprocessor == dict(COLOURS, size=(64, 64), size_divisor=16)
    deleted = write(tmp_path, 'model = dict(data_preprocessor=dict(_delete_=True, size_divisor=8))')
    load_config(deleted).dump(tmp_path / 'deleted.py')
    assert load_config(str(tmp_path / 'deleted.py')).model.data_preprocessor == dict(
        size_divisor=8)
    write_own = load_config(PASCAL, {'model.data_preprocessor.size': (96, 96)})
    write_own.dump(tmp_path / 'dumped.py')
    cfg = load_config(str(tmp_path / 'dumped.py'), {'data_preprocessor.size': (64, 64)})
    assert cfg.model.data_preprocessor == dict(COLOURS, size=(64, 64))


def test_a_child_of_a_dumped_config_reaches_all_parts(tmp_path):
    load_config(PASCAL, {'model.data_preprocessor.size': (96, 96)}).dump(tmp_path / 'dumped.py')
    child = tmp_path / 'child.py'
    child.write_text("""_base_ = './dumped.py'
data_preprocessor = dict(size=(64, 64))
tasks = dict(semseg=dict(loss_weight=3.0), normal=None)
val_evaluator = dict(tasks=dict(parsing=dict(type='Parsing', values=(0, 1))))
""")
    cfg = load_config(str(child))
    assert cfg.model.data_preprocessor['size'] == cfg.data_preprocessor['size'] == (64, 64)
    for part in (cfg.model, cfg.train_dataloader.dataset, cfg.test_evaluator, cfg.visualizer):
        assert part.tasks == cfg.tasks and part.tasks.semseg.loss_weight == 3.0
    assert 'normal' not in cfg.tasks and cfg.val_evaluator.tasks.parsing['values'] == (0, 1)
    assert load_config(str(tmp_path / 'dumped.py')).data_preprocessor['size'] == (96, 96)


@pytest.mark.parametrize(('part', 'old', 'new', 'told'), [
    ('tasks', 'dict(', "dict(depth=dict(type='Depth'), ",
     "tasks.depth.type is 'Depth' at the top and not given in all 7 parts"),
    ('tasks', 'loss_weight=50.0', 'loss_weight=0.5',
     r'tasks.boundary.loss_weight is 0.5 at the top and 50.0 in all 7 parts'),
    ('tasks', "normal=dict(loss_weight=10.0, type='Normal'),", '',
     r'tasks.normal.\w+ is not given at the top and .* in all 7 parts'),
    ('data_preprocessor', 'rgb=True', 'rgb=False', 'data_preprocessor.bgr_to_rgb is False at'),
    ('max_epochs', '24', '124', r'sets max_epochs to 124, .* train_cfg.max_epochs is 24, which'),
])
def test_a_dump_edited_at_the_top_alone_is_told(part, old, new, told, tmp_path, layout):
    """The parts have what is written out in them. A variable may be left from before overrides."""
    dumped, edited = tmp_path / 'dumped.py', tmp_path / 'edited.py'
    load_config('configs/synthetic/demo.py').dump(dumped)
    load_config(str(dumped))
    before, found, after = dumped.read_text().partition(f'\n{part} = ')
    edited.write_text(before + found + after.replace(old, new, 1))
    with (pytest.raises(ValueError, match=told) if part == 'tasks' else
          pytest.warns(UserWarning, match=told)):
        load_config(str(edited))


def test_options_of_the_model_s_own_preprocessor_act_on_a_dump(tmp_path, recwarn):
    load_config(PASCAL, {'model.data_preprocessor.size': (96, 96)}).dump(tmp_path / 'dumped.py')
    cfg = load_config(str(tmp_path / 'dumped.py'), {'model.data_preprocessor.size': (32, 32)})
    assert cfg.model.data_preprocessor['size'] == cfg.data_preprocessor['size'] == (32, 32)
    assert not [one for one in recwarn if 'data_preprocessor' in str(one.message)]
