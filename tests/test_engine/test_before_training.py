"""What is known of a training once its runner is built."""

import json
import os
import re
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from in_process import load_tool, running_here
from mmengine.config import Config
from test_faults.tiny_run import TASKS, write_config, write_images

from mtpsl.datasets import FolderDataset
from mtpsl.engine import build_runner, load_config
from mtpsl.engine.checkpoints.data_files import code_of, file_of, files_of, other_file, other_files
from mtpsl.engine.checkpoints.latest import unfinished
from mtpsl.engine.checks.before_training import check_training
from mtpsl.engine.checks.custom_keys import custom_key_doubts
from mtpsl.engine.checks.hook_doubts import hook_doubts
from mtpsl.engine.checks.monitors import figures
from mtpsl.engine.checks.standing_weights import standing_weights
from mtpsl.evaluation import MultiTaskMetric
from mtpsl.tasks import build_tasks


@pytest.fixture(scope='module')
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_images(tmp_path_factory.mktemp('images'))


@pytest.mark.parametrize('step, end, told', [
    (6, 12, 'stands at 6 of 12 epochs of its learning rate schedule'), (12, 12, ''),
    (6, 10**9, '')])
def test_a_checkpoint_tells_whether_its_training_was_at_its_end(tmp_path, step, end, told):
    path = str(tmp_path / 'a.pth')
    schedules = [dict(last_step=5, end=5, by_epoch=True),
                 dict(last_step=step, end=end, by_epoch=True)]
    torch.save(dict(meta={}, state_dict={}, param_schedulers=schedules), path)
    assert unfinished(path) == (f'{path} {told}' if told else '')


def test_the_figures_of_every_task_are_known():
    tasks = dict(a=dict(type='Semseg', class_names=('x', 'y')), b=dict(type='Depth'),
                 c=dict(type='Normal'), d=dict(type='Boundary'), e=dict(type='Saliency'),
                 f=dict(type='Parsing'), g=dict(type='InverseDepth'))
    metric = MultiTaskMetric(tasks, workers=0, per_class=True)
    assert {f'{name}/{task.primary_metric}' for name, task in metric.tasks.items()} <= set(
        figures(metric))
    assert 'a/IoU.y' in figures(metric) and 'delta_m' not in figures(metric)


def test_a_resumed_run_on_other_images_or_code_is_told(tmp_path, monkeypatch):
    root, work, code = write_images(tmp_path / 'data'), tmp_path / 'run', tmp_path / 'mine'
    config = write_config(tmp_path / 'config.py', root, "custom_imports = dict(imports=['mine'])")
    code.mkdir()
    (code / '__init__.py').write_text('')
    (code / 'part.py').write_text('STRENGTH = 0.9')
    monkeypatch.syspath_prepend(tmp_path)

    def train(epochs: int) -> str:
        with running_here():
            load_tool('train.py').main([
                str(config), '--work-dir', str(work), '--resume', '--cfg-options',
                f'train_cfg.max_epochs={epochs}'])
        return max(work.glob('*/*.log')).read_text()

    train(1)
    (work / 'metrics.json').write_text('{}')
    assert 'other training data' not in train(2)
    aside, = work.glob('metrics*.json')  # another epoch_2.pth may have been tested
    assert aside.name != 'metrics.json'
    assert 'compared are other files' not in max(work.glob('*/*.log')).read_text()
    assert 'other code' not in max(work.glob('*/*.log')).read_text()
    ours = code_of({})
    assert {'mtpsl.models', 'mtpsl.tasks'} <= ours.keys()
    monkeypatch.setattr('mtpsl.engine.checkpoints.data_files._own_code',
                        lambda: ours | {'mtpsl.tasks': 0})  # edited in place, or a newer version
    (code / 'part.py').write_text('STRENGTH = 0.2')
    (work / 'metrics.json').write_text('{}')
    assert 'epoch_2.pth has epoch 2, the training ends at 1: nothing is left' in train(1)
    assert (work / 'metrics.json').exists()
    for path in [*root.glob('train/*/4.*'), *root.glob('train/*/5.*')]:
        path.unlink()
    (root / 'train/semseg/0.png').write_bytes((root / 'train/semseg/1.png').read_bytes())
    assert 'the validation is on other data' not in max(work.glob('*/*.log')).read_text()
    for path in root.glob('val/*/1.*'):
        path.unlink()
    log = train(3)
    assert 'the validation is on other data or has other settings than before: its figures' in log
    assert f'other files than the run had, such as {root}/train/semseg/0.png' in log
    assert 'epoch_2.pth is of a run on other training data: images 6 -> 4; ids' in log
    assert 'epoch_2.pth is of a run with other code in mtpsl.tasks, mine, which was' in log


@pytest.mark.parametrize('change, told', [
    (lambda path: path.write_bytes(path.read_bytes() + b'0'), '1 of 18 images and labels'),
    (lambda path: path.write_bytes(path.read_bytes()[:-1] + b'x'), '(other content)'),
    (lambda path: os.utime(path, (1, 1)), '')])
def test_files_that_were_written_anew_are_told_of(change, told, tmp_path):
    root = write_images(tmp_path / 'data')

    def dataset(root: Path) -> FolderDataset:
        return FolderDataset(tasks=TASKS, data_root=str(root), split='train', pipeline=())

    before = json.loads(json.dumps(files_of(dataset(root))))
    shutil.copytree(root, tmp_path / 'copy')  # another machine's
    path = sorted((tmp_path / 'copy/train').glob('*/5.*'))[1]
    assert not other_files(before, dataset(tmp_path / 'copy'))
    fewer = {name: content[:1] for name, content in before.items()}  # as of another order
    assert not other_files(fewer, dataset(tmp_path / 'copy'))
    change(path)
    found = other_files(before, dataset(tmp_path / 'copy'))
    assert told in found and bool(told) == bool(found) == (str(path) in found)
    alone = other_file(file_of(str(root / path.relative_to(tmp_path / 'copy'))), str(path))
    assert bool(alone) == bool(told) and all(str(folder) in alone for folder in (root, path)
                                             if told)


STEPS_ONLY = "train_cfg = dict(_delete_=True, type='IterBasedTrainLoop', max_iters=4)\n"
SAVE_BEST = 'default_hooks.checkpoint.save_best='


@pytest.mark.parametrize('lines, options, words', [
    ('', ['tasks.semseg.loss_weight=0', 'tasks.saliency.loss_weight=0'],
     ['loss_weight is 0 for all tasks, semseg, saliency: nothing would be trained']),
    ('', [SAVE_BEST + 'semseg/mIuO', 'default_hooks.checkpoint.rule=greater',
          'train_cfg.val_begin=1'],
     ["save_best='semseg/mIuO' is no figure of the validation, which gives semseg/mIoU, ",
      'saliency/maxF']),
    ('', [SAVE_BEST + 'auto'],
     ['save_best=auto needs a validation', 'val_begin is 7, the training ends at 1']),
    ('', [SAVE_BEST + 'auto', 'train_cfg.val_begin=1'],
     ["save_best='auto' takes the figure that comes first", 'name one of semseg/mIoU, ']),
    ('', [SAVE_BEST + 'initial/semseg/mIoU', 'train_cfg.val_begin=1'], [
        "save_best='initial/semseg/mIoU' is no figure"]),
    ("param_scheduler = [dict(type='ReduceOnPlateauLR')]", ['train_cfg.val_begin=1'],
     ["param_scheduler.0.monitor='loss' is no figure of the validation"]),
    ("param_scheduler = [dict(type='ReduceOnPlateauLR', monitor='semseg/mIoU')]",
     ['train_cfg.val_begin=1'],
     ["param_scheduler.0.monitor='semseg/mIoU': rule='less' would take the worst for the best"]),
    ("param_scheduler = [dict(type='ReduceOnPlateauLR', monitor='semseg/mIoU', rule='greater')]",
     [], ['param_scheduler.0.monitor=semseg/mIoU needs a validation']),
    ("custom_hooks = [dict(type='EarlyStoppingHook', monitor='semseg/mIoU', rule='less')]",
     ['train_cfg.val_begin=1'], ["monitor of EarlyStoppingHook='semseg/mIoU': rule='less' would"]),
    ('', ['optim_wrapper.paramwise_cfg=dict(custom_keys=dict(bacbone=dict(lr_mult=0.1)))'],
     ['custom_keys.bacbone: no parameter of the model has that in its name; they begin with '
      'backbone, neck, decoders']),
    (STEPS_ONLY + "param_scheduler = [dict(type='PolyLR', end=4)]", [],
     ['param_scheduler.0 (PolyLR) goes by epochs and the training by iterations']),
    (STEPS_ONLY + "param_scheduler = [dict(type='PolyLR', end=4, by_epoch=False)]", [],
     ['default_hooks.checkpoint.by_epoch must be False in a training by iterations']),
    ('', ['default_hooks.param_scheduler=None'],
     ['there is a param_scheduler, and default_hooks.param_scheduler is None']),
    ('', ['train_dataloader.num_batch_per_epoch=50'],
     ['num_batch_per_epoch=50 takes 100 images, there are 6'])])
def test_what_would_do_nothing_is_an_error(lines, options, words, images, tmp_path, capsys):
    config = write_config(tmp_path / 'config.py', images, lines)
    with running_here(), pytest.raises(SystemExit):
        load_tool('train.py').main([str(config), '--work-dir', str(tmp_path / 'run'),
                                    '--cfg-options', 'log_level=INFO', *options])
    line = capsys.readouterr().err.splitlines()[-1]
    assert all(word in line for word in words), line


def test_what_hooks_that_are_left_out_would_do_is_told(images, tmp_path):
    config = write_config(tmp_path / 'config.py', images)
    with running_here():
        load_tool('train.py').main([
            str(config), '--work-dir', str(tmp_path / 'run'), '--cfg-options',
            'default_hooks.sampler_seed=None', 'default_hooks.checkpoint=None',
            'default_hooks.skipped=None', 'default_hooks.panels=None',
            'model.backbone.frozen_stages=2', 'model.backbone.norm_eval=True',
            'val_dataloader.dataset.split=train',
            'tasks.saliency.loss_weight=0', 'optim_wrapper.optimizer.lr=0',
            'custom_hooks=[dict(type="EMAHook")]',
            'train_dataloader.dataset.pipeline.0.color_type=grayscale',
            'train_dataloader.sampler.shuffle=False'])
    log = next((tmp_path / 'run').glob('*/*.log')).read_text()
    for words in ('each epoch has the order of the first', 'no checkpoint will be saved: default_',
                  'frozen_stages=2 keeps stages of random weights',
                  'norm_eval=True keeps the statistics of BatchNorm of random weights',
                  'lr is 0: the weights stay',
                  'EMAHook with momentum=0.0002 averages over about 5000 steps',
                  'the images come in one order in all epochs',
                  'tasks.saliency.loss_weight is 0: the task is not learned, but predicted',
                  'validation images are training images too, such as ',
                  "changed by color_type='grayscale' in train_dataloader, and by no transform in "):
        assert words in log


@pytest.mark.parametrize(('line', 'told'), [
    ('default_hooks = dict(reseed=None)', {'reseed'}), ('', set()),
    ('default_hooks = dict(panels=None, timer=None)', set()),
    ("default_hooks = dict(skipped=None)\ntrain_dataloader['dataset']['on_error'] = 'skip'",
     {'skipped'}),
    ("default_hooks = dict(_delete_=True, checkpoint=dict(type='CheckpointHook', interval=1))",
     {'reseed', 'non_finite', 'resume', 'runtime_info', 'checkpoint', 'gradients', 'workers'})])
def test_a_hook_of_the_base_that_is_lost_is_named_with_what_it_does(line, told, images, tmp_path):
    cfg = load_config(str(write_config(tmp_path / 'config.py', images, line)))
    cfg.work_dir, cfg.launcher = str(tmp_path / 'run'), 'none'
    with running_here():
        text = ''.join(one for one in hook_doubts(build_runner(cfg)) if 'lacks hooks' in one)
    assert {words[0] for words in re.findall(r'(\w+) \((\w+Hook)\): ', text)} == told
    assert ('not bit for bit' in text) == ('reseed' in told)


@pytest.mark.parametrize('options, told', [
    (dict(checkpoint=dict(save_optimizer=False)), 'checkpoint.save_optimizer is False: --resume'),
    (dict(checkpoint=dict(save_param_scheduler=False)), 'save_param_scheduler is False: --resume'),
    (dict(checkpoint=dict(save_last=False, interval=2)), 'save_last is False, and interval=2 does'),
    (dict(logger=None), 'default_hooks.logger is None: no loss and no figure will be in the log')])
def test_what_a_hook_s_options_lose_is_told(options, told, images, tmp_path):
    cfg = load_config(str(write_config(tmp_path / 'config.py', images)), {
        'work_dir': str(tmp_path), 'train_cfg.max_epochs': 3, 'default_hooks': options})
    with running_here():
        assert any(told in one for one in hook_doubts(build_runner(cfg)))


def test_classes_that_a_mirror_image_exchanges_are_told(monkeypatch):
    said: list[str] = []
    names = ('background', 'left arm', 'right arm')
    tasks = build_tasks(dict(sides=dict(type='Semseg', class_names=names),
                             depth=dict(type='Depth')))
    monkeypatch.setattr('mtpsl.engine.checks.before_training.DOUBTS', ())
    check_training(SimpleNamespace(model=SimpleNamespace(tasks=tasks),
                                   logger=SimpleNamespace(info=said.append)))
    told, = said
    assert 'a mirror image exchanges classes of sides: left arm and right arm' in told


def test_checkpoints_of_one_name_are_refused(images, tmp_path):
    cfg = load_config(str(write_config(tmp_path / 'config.py', images, (
        "default_hooks = dict(checkpoint=dict(filename_tmpl='last.pth'))"))))
    cfg.work_dir, cfg.launcher = str(tmp_path / 'run'), 'none'
    with running_here():
        runner = build_runner(cfg)
        with pytest.raises(ValueError, match=r'filename_tmpl must hold {} .* got .last.pth'):
            list(hook_doubts(runner))
        cfg.default_hooks.checkpoint.filename_tmpl = 'step_{}.pth'
        list(hook_doubts(build_runner(cfg)))
        cfg.default_hooks.checkpoint.filename_tmpl = 'step_{}.pt'
        with pytest.raises(ValueError, match=r'must end with .pth, got .step_{}.pt.: --resume'):
            list(hook_doubts(build_runner(cfg)))


@pytest.mark.parametrize(('key', 'told'), [
    ('norm', 'norm is also in the name of the task normal, and so acts on 2 weights such as heads'),
    ('normal', ''), ('heads', ''), ('weight', '')])
def test_keys_that_are_in_names_of_tasks_by_chance_are_told(key, told):
    net = torch.nn.Module()
    net.heads, net.tasks = torch.nn.ModuleDict(dict(
        normal=torch.nn.Linear(1, 1), depth=torch.nn.Linear(1, 1))), dict(normal=0, depth=0)
    wrapper = dict(paramwise_cfg=dict(custom_keys={key: dict(decay_mult=0.0)}))
    found = list(custom_key_doubts(SimpleNamespace(
        model=net, cfg=Config(dict(optim_wrapper=wrapper)))))
    assert told in ''.join(found) and len(found) == bool(told)


@pytest.mark.parametrize(('given', 'told'), [
    (dict(lr_mult=0.1), True), (dict(lr_mult=0.1, decay_mult=0.0), False)])
def test_options_that_give_way_to_keys_are_told(given, told):
    net = torch.nn.Module()
    net.backbone = torch.nn.BatchNorm2d(1)
    groups = dict(norm_decay_mult=0.0, custom_keys=dict(backbone=given))
    found = list(custom_key_doubts(SimpleNamespace(
        model=net, cfg=Config(dict(optim_wrapper=dict(paramwise_cfg=groups))))))
    assert len(found) == told and all('norm_decay_mult has no effect on weights with backbone in'
                                      in line for line in found)


BACKBONE = dict(init_cfg=dict(type='Pretrained'))


@pytest.mark.parametrize('groups, model, start, told', [
    (dict(custom_keys={'backbone.layer4': dict(lr_mult=0.0)}), {}, None, ['parts of the backbone']),
    (dict(backbone=dict(lr=0)), {}, None, ['parts of the backbone']),
    (dict(custom_keys=dict(backbone=dict(lr_mult=0.0))), dict(backbone=BACKBONE), None, []),
    (dict(custom_keys=dict(neck=dict(lr_mult=0.0))), dict(backbone=BACKBONE), None,
     ['parts of the neck']),
    (dict(custom_keys={'neck': dict(lr_mult=0.0), 'neck.layer4': dict(lr_mult=0.1)}), {}, None, []),
    (dict(custom_keys=dict(neck=dict(lr_mult=0.0))), {}, 'a.pth', []),
    (dict(custom_keys=dict(layer4=dict(lr_mult=0.0))), {}, 'a.pth', ['all weights a']),
    (None, {}, None, [])])
def test_weights_that_stand_still_are_told_where_they_are_random(groups, model, start, told):
    """mmengine takes the longest key that a name holds."""
    net = torch.nn.Module()
    net.backbone, net.neck = (torch.nn.ModuleDict(dict(layer4=torch.nn.Linear(1, 1)))
                              for _ in range(2))
    found = list(standing_weights(SimpleNamespace(
        model=net, hooks=[], _load_from=start, cfg=Config(dict(
            model=model, optim_wrapper=dict(paramwise_cfg=groups))))))
    assert len(found) == len(told)
    assert all(words in line for words, line in zip(told, found))


@pytest.mark.parametrize('part, tasks, words', [
    ('val_evaluator', "semseg=dict(type='Semseg',class_names=('c','b','a'))",
     'val_evaluator.tasks.semseg.class_names is '),
    ('train_dataloader.dataset', "semseg=dict(type='Semseg',class_names=('a','b','c'))",
     'train_dataloader.dataset has no task saliency, which the model has and would not learn'),
    ('model', "saliency=dict(type='Saliency')",
     'val_evaluator has the task semseg, which the model does not predict'),
    ('model', "semseg=dict(type='Semseg',class_names=('a','b')),saliency=dict(type='Saliency')",
     'train_dataloader.dataset.tasks.semseg.class_names is ')])
def test_parts_with_tasks_of_their_own_must_go_together(part, tasks, words, images, tmp_path,
                                                        capsys):
    config = write_config(tmp_path / 'config.py', images)
    with running_here(), pytest.raises(SystemExit):
        load_tool('train.py').main([str(config), '--work-dir', str(tmp_path / 'run'),
                                    '--cfg-options', f'{part}.tasks=dict({tasks})'])
    assert words in capsys.readouterr().err.splitlines()[-1]


def test_resume_with_nothing_there_starts_from_load_from(images, tmp_path):
    config = str(write_config(tmp_path / 'config.py', images))

    def train(folder: str, *arguments: str) -> str:
        with running_here():
            load_tool('train.py').main([config, '--work-dir', str(tmp_path / folder), *arguments])
        return max((tmp_path / folder).glob('*/*.log')).read_text()

    train('first')
    options = ['--resume', '--cfg-options', f'load_from={tmp_path}/first/epoch_1.pth']
    assert f'Load checkpoint from {tmp_path}/first/epoch_1.pth' in train('run', *options)
    log = train('run', *options, 'train_cfg.max_epochs=8')
    assert f'Load checkpoint from {tmp_path}/run/epoch_1.pth' in log and 'resumed epoch: 1' in log
    assert 'goes with it. --resume keeps the schedule' in log


def test_weights_to_start_from_are_told_of(images, tmp_path):
    config = str(write_config(tmp_path / 'config.py', images))
    weights = tmp_path / 'first/epoch_1.pth'
    init = ['model.init_cfg.type=Pretrained', f'model.init_cfg.checkpoint={weights}']

    def train(folder: str, *options: str) -> str:
        with running_here():
            load_tool('train.py').main([config, '--work-dir', str(tmp_path / folder),
                                        '--cfg-options', 'log_level=INFO', *options])
        return max((tmp_path / folder).glob('*/*.log')).read_text()

    train('first')
    assert 'was trained with other settings' not in train('same', *init)
    log = train('other', *init, 'tasks.semseg.class_names=(c,b,a)')
    assert f'{weights} was trained with other settings' in log and "class_names.0 'a' -> 'c'" in log
    log = train('both', f'load_from={weights}', *init)
    assert f'model.init_cfg.checkpoint={weights} is not read' in log


def test_the_best_checkpoint_of_another_figure_does_not_count(images, tmp_path):
    config, work = write_config(tmp_path / 'config.py', images), tmp_path / 'run'

    def train(figure: str, epochs: int, *arguments: str) -> list[str]:
        with running_here():
            load_tool('train.py').main([
                str(config), '--work-dir', str(work), *arguments, '--cfg-options',
                f'train_cfg.max_epochs={epochs}', 'train_cfg.val_begin=1',
                'train_cfg.val_interval=1', f'default_hooks.checkpoint.save_best={figure}'])
        return sorted(path.name.partition('_epoch')[0] for path in work.glob('best_*.pth'))

    assert train('saliency/maxF', 1) == ['best_saliency_maxF']
    assert train('semseg/mIoU', 2, '--resume') == ['best_saliency_maxF', 'best_semseg_mIoU']
    assert 'was chosen by another figure' in max(work.glob('*/*.log')).read_text()


def test_a_best_score_of_labels_that_were_corrected_since_does_not_count(tmp_path):
    root, work = write_images(tmp_path / 'images'), tmp_path / 'run'
    config = write_config(tmp_path / 'config.py', root)

    def train(epochs: int) -> str:
        with running_here():
            load_tool('train.py').main([
                str(config), '--work-dir', str(work), '--resume', '--cfg-options',
                f'train_cfg.max_epochs={epochs}', 'train_cfg.val_begin=1',
                'train_cfg.val_interval=1', 'default_hooks.checkpoint.save_best=semseg/mIoU'])
        return max(work.glob('*/*.log')).read_text()

    train(1)
    state = torch.load(work / 'epoch_1.pth', weights_only=False)
    state['message_hub']['runtime_info']['best_score'] = 1e6  # nothing compares to it
    torch.save(state, work / 'epoch_1.pth')
    told = 'on other validation data'
    assert told not in train(2) and not list(work.glob('best_*_epoch_2.pth'))
    shutil.copy(root / 'val/semseg/4.png', root / 'val/semseg/3.png')
    assert told in train(3) and list(work.glob('best_*_epoch_[23].pth'))


def test_weights_alone_are_tested_with_the_hook_of_averages(images, tmp_path):
    config = write_config(tmp_path / 'config.py', images)
    figures = []
    for name in ('whole', 'weights'):
        path, work = tmp_path / f'{name}.pth', tmp_path / name
        with running_here():
            if name == 'whole':
                load_tool('train.py').main([str(config), '--work-dir', str(tmp_path / 'run')])
                shutil.copy(tmp_path / 'run/epoch_1.pth', path)
            else:
                torch.save(torch.load(tmp_path / 'whole.pth', weights_only=False)['state_dict'],
                           path)
            load_tool('test.py').main([str(config), str(path), '--work-dir', str(work),
                                       '--cfg-options', "custom_hooks=[dict(type='EMAHook')]"])
        figures.append(json.loads((work / 'metrics.json').read_text())['semseg/mIoU'])
    assert figures[0] == figures[1]


@pytest.mark.parametrize('first, second, words', [
    (["custom_hooks=[dict(type='EMAHook')]"], [], 'is of a run with EMAHook'),
    ([], ['auto_scale_lr.enable=True'], 'auto_scale_lr')])
def test_a_run_is_not_resumed_as_another(first, second, words, images, tmp_path, capsys):
    lines = 'auto_scale_lr = dict(enable=False, base_batch_size=4)'
    config, work = write_config(tmp_path / 'config.py', images, lines), tmp_path / 'run'

    def train(options: list[str], epochs: int, *arguments: str) -> None:
        with running_here():
            load_tool('train.py').main([
                str(config), '--work-dir', str(work), *arguments, '--cfg-options',
                f'train_cfg.max_epochs={epochs}', *options])

    train(first, 1)
    with pytest.raises(SystemExit):
        train(second, 2, '--resume')
    assert words in capsys.readouterr().err.splitlines()[-1]
