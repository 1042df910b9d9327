"""Checkpoints: written whole, never run, and only resumed by the run that they are of."""

import json
import os
import pickle
import resource
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from mmengine.config import Config
from mmengine.fileio import get_file_backend
from mmengine.logging import MessageHub
from mmengine.runner.checkpoint import CheckpointLoader

from mtpsl.engine import AtomicLocalBackend, SafeCheckpointHook, load_config
from mtpsl.engine.checkpoints.checkpoint_file import checkpoint_file
from mtpsl.engine.checkpoints.content import check_whole, load_url, read_content
from mtpsl.engine.checkpoints.latest import latest_checkpoint
from mtpsl.engine.checkpoints.resume import RUN_KEY, check_same_config, fingerprint
from mtpsl.engine.hooks.resume_hook import _complete_history
from mtpsl.engine.launch import _check_same_config
from mtpsl.engine.visualization import CurveVisBackend, read_curves

CONFIG = Path(__file__).parents[2] / 'configs/synthetic/diffusionmtl_onelabel.py'


# ---------------------------------------------------------------- writing

@pytest.fixture
def small_files() -> Iterator[None]:
    """The system refuses files of more than 1000 bytes in this process."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_what_cannot_be_written_leaves_what_was_there(tmp_path, small_files):
    backend = get_file_backend(str(tmp_path))
    assert type(backend) is AtomicLocalBackend
    path = tmp_path / 'folder/epoch_1.pth'
    backend.put(b'1' * 1000, str(path))
    with pytest.raises(OSError, match=r'cannot write .*epoch_1.pth \(0.0 MiB\): File too large; '
                       r'[0-9.]+ MiB are free there; files written before are intact'):
        backend.put(b'2' * 1001, str(path))
    assert path.read_bytes() == b'1' * 1000
    assert [file.name for file in path.parent.iterdir()] == ['epoch_1.pth']


def test_text_is_written_alike(tmp_path):
    backend = AtomicLocalBackend()
    backend.put_text('größer', tmp_path / 'a.txt')
    backend.put_text('größer', tmp_path / 'b.txt', encoding='latin-1')
    assert (tmp_path / 'a.txt').read_bytes().decode() == 'größer'
    assert (tmp_path / 'b.txt').read_bytes() == 'größer'.encode('latin-1')


def test_a_better_checkpoint_is_whole_before_the_last_best_one_goes(tmp_path, monkeypatch):
    """With mmengine's order a kill while saving would cost both."""
    there = []

    class Hub:
        runtime_info: dict = {}

        def update_info(self, key: str, value: object) -> None:
            self.runtime_info[key] = value

        def get_info(self, key: str) -> object:
            return self.runtime_info[key]

    def save(folder: str, filename: str, *_: object, **__: object) -> None:
        there.append(sorted(path.name for path in tmp_path.glob('*.pth')))
        (tmp_path / filename).write_text(filename)

    runner = SimpleNamespace(
        message_hub=Hub(), work_dir=str(tmp_path), save_checkpoint=save, epoch=1, iter=4,
        logger=SimpleNamespace(info=lambda text: None), model=torch.nn.Linear(1, 1),
        val_loop=None, cfg={}, hooks=[], optim_wrapper=None,
        _resume=False, _load_from=None)
    hook = SafeCheckpointHook(interval=1, max_keep_ckpts=1, save_best='a/b', rule='greater')
    hook.before_train(runner)
    assert (tmp_path / 'last_checkpoint').read_text() == ''
    for epoch, score in ((1, 0.5), (2, 0.7), (3, 0.6), (3, 0.7)):
        runner.epoch = epoch - 1
        hook.after_train_epoch(runner)
        runner.epoch = epoch
        hook.after_val_epoch(runner, {'a/b': score})
    # Each new best one is followed by the last one again, which then knows of it.
    assert there[3] == ['best_a_b_epoch_1.pth', 'epoch_1.pth']  # when epoch 2 was saved
    assert there[4] == ['best_a_b_epoch_1.pth', 'epoch_2.pth']  # when it was the best
    assert sorted(path.name for path in tmp_path.glob('*.pth')) == [
        'best_a_b_epoch_2.pth', 'epoch_3.pth']
    assert (tmp_path / 'last_checkpoint').read_text() == str(tmp_path / 'epoch_3.pth')


# ---------------------------------------------------------------- which one

def write(path: Path, **content: object) -> Path:
    torch.save(dict(state_dict=dict(weight=torch.ones(1000))) | content, path)
    return path


def test_the_newest_whole_checkpoint_is_found(tmp_path):
    assert latest_checkpoint(str(tmp_path)) == (None, '')
    first, second = (write(tmp_path / f'epoch_{epoch}.pth') for epoch in (1, 2))
    tenth = write(tmp_path / 'epoch_10.pth')
    os.utime(tenth, (1, 1))  # of an earlier and longer run
    # A run that was killed in its first save; or the dates were lost in copying.
    assert latest_checkpoint(str(tmp_path)) == (
        str(second), f'{tmp_path}/last_checkpoint is not there, and epoch_2.pth is newer by its '
        'date than epoch_10.pth')
    iterations = write(tmp_path / 'iter_100.pth')  # of another unit
    os.utime(iterations, (2, 2))
    tenth.unlink()
    assert latest_checkpoint(str(tmp_path)) == (str(second), '')
    pointer = tmp_path / 'last_checkpoint'
    pointer.write_text(str(second))
    assert latest_checkpoint(str(tmp_path)) == (str(second), '')
    second.write_bytes(second.read_bytes()[:-100])
    path, damage = latest_checkpoint(str(tmp_path))
    assert path == str(first) and damage.startswith(f'{second} is not a checkpoint, or it is dam')
    first.write_bytes(b'')
    with pytest.raises(ValueError, match='no checkpoint to resume from: .*epoch_2.pth is not a ch'
                       r'.*epoch_1.pth is not a .*; remove them to start anew'):
        latest_checkpoint(str(tmp_path))


def test_a_run_that_has_not_saved_yet_has_none_of_an_earlier_run(tmp_path):
    """It left the file empty when it began."""
    write(tmp_path / 'epoch_7.pth')
    os.utime(tmp_path / 'epoch_7.pth', (1, 1))
    pointer = tmp_path / 'last_checkpoint'
    pointer.write_text('')
    assert latest_checkpoint(str(tmp_path)) == (None, '')
    first = write(tmp_path / 'epoch_1.pth')  # killed before it was named
    assert latest_checkpoint(str(tmp_path)) == (str(first), '')
    pointer.write_text(str(tmp_path / 'epoch_2.pth'))
    path, damage = latest_checkpoint(str(tmp_path))
    assert path == str(first) and damage.endswith('epoch_2.pth, which is gone')
    first.unlink()
    with pytest.raises(ValueError, match='last_checkpoint names .*epoch_2.pth, which is gone, and '
                       'there is no earlier one'):
        latest_checkpoint(str(tmp_path))


def test_a_folder_may_be_moved_or_copied(tmp_path):
    old, new = tmp_path / 'old', tmp_path / 'new'
    old.mkdir()
    for epoch in (1, 2):
        write(old / f'epoch_{epoch}.pth')
    (old / 'last_checkpoint').write_text(str(old / 'epoch_2.pth'))
    shutil.copytree(old, new)
    assert latest_checkpoint(str(new)) == (str(new / 'epoch_2.pth'), '')
    (new / 'epoch_2.pth').rename(tmp_path / 'kept.pth')
    said = (f'{new}/last_checkpoint names {old}/epoch_2.pth, which is of another run, and {new} '
            'has no copy of it')
    assert latest_checkpoint(str(new)) == (str(new / 'epoch_1.pth'), said)
    (new / 'epoch_1.pth').unlink()  # or a run that began from the other and was killed
    assert latest_checkpoint(str(new)) == (
        str(old / 'epoch_2.pth'), f'{new}/last_checkpoint names {old}/epoch_2.pth, of another run, '
        'and no checkpoint of its own is there')
    shutil.copy(old / 'epoch_1.pth', new)
    shutil.rmtree(old)
    assert latest_checkpoint(str(new)) == (
        str(new / 'epoch_1.pth'), f'{new / "last_checkpoint"} names {old / "epoch_2.pth"}, which '
        'is gone')


def test_one_flipped_bit_is_damage(tmp_path):
    path = write(tmp_path / 'epoch_1.pth')
    check_whole(str(path))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match='epoch_1.pth is damaged: its part .* is not what was'):
        check_whole(str(path))


def test_a_name_of_nothing_and_other_files_are_passed_over(tmp_path):
    write(tmp_path / 'best_semseg_epoch_9.pth')
    first = write(tmp_path / 'iter_900.pth')
    (tmp_path / 'last_checkpoint').write_text(str(tmp_path / 'iter_1000.pth'))
    assert latest_checkpoint(str(tmp_path))[0] == str(first)


# ---------------------------------------------------------------- of which run

def changed(**options: object) -> Config:
    return load_config(str(CONFIG), options)


def checkpoint_of(path: Path, cfg: Config, processes: int = 1) -> str:
    meta = dict(epoch=1, iter=4) | {RUN_KEY: json.dumps(fingerprint(cfg, processes))}
    return str(write(path, meta=meta, optimizer={}, message_hub={}, param_schedulers=[]))


def check(path: str, cfg: Config, processes: int = 1) -> list[str]:
    warnings: list[str] = []
    _check_same_config(path, SimpleNamespace(
        cfg=cfg, world_size=processes, hooks=[],
        logger=SimpleNamespace(warning=warnings.append)))
    return warnings


def test_what_does_not_decide_the_run_may_change(tmp_path):
    path = checkpoint_of(tmp_path / 'a.pth', changed())
    assert check(path, changed(**{
        'train_dataloader.num_workers': 7, 'train_dataloader.dataset.data_root': 'elsewhere',
        'default_hooks.logger.interval': 1, 'train_cfg.max_epochs': 8,
        'val_dataloader.batch_size': 3})) == []
    state = dict(meta=dict(epoch=1, iter=4), optimizer={}, message_hub={}, param_schedulers=[])
    assert check(str(write(tmp_path / 'b.pth', **state)), changed()) == []
    for part in state:
        words = ('was saved without the state of the learning rate'
                 if part == 'param_schedulers' else 'has weights, but not the state of a run')
        with pytest.raises(ValueError, match=f'c.pth {words}'):
            check(str(write(tmp_path / 'c.pth', **state | {part: None} if part == 'meta' else {
                key: value for key, value in state.items() if key != part})), changed())
    warning, = check(path, changed(), processes=4)
    assert 'of a run on 1 processes, this is one on 4' in warning


@pytest.mark.parametrize('key, value, shown', [
    ('model.diffusion.schedule.num_steps', 3, 'model.diffusion.schedule.num_steps 2 -> 3'),
    ('optim_wrapper.optimizer.lr', 1.0, 'optim_wrapper.optimizer.lr 0.001 -> 1.0'),
    ('param_scheduler.0.power', 2, 'param_scheduler.0.power 0.9 -> 2'),
    ('randomness.seed', 5, 'randomness.seed 0 -> 5'),
    ('tasks.semseg.loss_weight', 2.0, 'tasks.semseg.loss_weight None -> 2.0'),
    ('train_dataloader.batch_size', 9, 'train_dataloader.batch_size 4 -> 9'),
    ('train_dataloader.dataset.label_mapping', None,
     "train_dataloader.dataset.label_mapping 'label_mappings/onelabel.json' -> None")])
def test_a_checkpoint_of_another_config_is_refused(key, value, shown, tmp_path):
    before = changed()
    if key.startswith('tasks'):
        before.tasks.semseg.pop('loss_weight', None)
    path = checkpoint_of(tmp_path / 'epoch_3.pth', before)
    with pytest.raises(ValueError, match='epoch_3.pth is of a run of another config') as error:
        check(path, changed(**{key: value}))
    assert shown in str(error.value) and f'load_from={path}' in str(error.value)


def test_the_colours_of_pictures_may_change():
    tasks = dict(depth=dict(type='Depth', max_display=5.0))  # as earlier fingerprints have it
    check_same_config('x.pth', dict(model=dict(tasks=tasks)), fingerprint(
        Config(dict(model=dict(tasks=dict(depth=dict(type='Depth', max_display=80.0))))), 1)
        | dict(processes=None))


def test_many_differences_are_cut_short():
    with pytest.raises(ValueError, match='0 None -> 0; .*9 None -> 9; and 15 more. Resume'):
        check_same_config('x.pth', {}, {str(number): number for number in range(25)})


# ---------------------------------------------------------------- code

class Evil:
    def __reduce__(self) -> tuple:
        return os.mkdir, ('evil',)


def test_no_text_of_a_checkpoint_is_run(tmp_path, monkeypatch):
    """mmengine resumes with the config in meta['config'], as Python."""
    monkeypatch.chdir(tmp_path)
    path = write(tmp_path / 'a.pth', meta=dict(config='import os\nos.mkdir("evil")'))
    with pytest.raises(ValueError, match=r"a.pth has the entry meta\['config'\]"):
        read_content(str(path))
    for place in ('meta', 'optimizer', 'message_hub'):
        with pytest.raises(ValueError, match='b.pth is not a checkpoint, or it is damaged'):
            read_content(str(write(tmp_path / 'b.pth', **{place: dict(x=Evil())})))
    assert not Path('evil').exists()


def test_no_weights_that_mmengine_loads_are_run(tmp_path, monkeypatch):
    """Its own loader takes a second try without the safeguard."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / 'evil.pth'
    torch.save(dict(weight=Evil()), path)
    monkeypatch.setattr(torch.hub, 'get_dir', lambda: str(tmp_path / 'cache'))
    with pytest.raises(ValueError, match='evil.pth is not a checkpoint.*posix.mkdir'):
        CheckpointLoader.load_checkpoint(str(path))
    with pytest.raises(pickle.UnpicklingError):
        load_url(path.as_uri())
    with pytest.raises(ValueError, match='mmcls://x: weights are read from files, http:// and'):
        CheckpointLoader.load_checkpoint('mmcls://x')
    assert not Path('evil').exists()
    torch.save(dict(weight=torch.ones(2)), path.with_name('good.pth'))
    for content in (load_url(path.with_name('good.pth').as_uri()),
                    CheckpointLoader.load_checkpoint(str(path.with_name('good.pth')))):
        assert content['state_dict']['weight'].tolist() == [1, 1]


@pytest.mark.parametrize('content, cause', [
    (b'hello text', 'or it is damaged: torch did not write it'), (b'', 'torch did not write it'),
    (bytes(range(7, 256)), 'torch did not write it'),
    ([1, 2], 'where weights by name should be it has a list'),
    (dict(state_dict=3), 'where weights by name should be it has a int'),
    (dict(x=Evil()), 'it holds posix.mkdir, which is neither tensor nor number')])
def test_what_is_no_checkpoint_is_said_without_advice_to_run_it(content, cause, tmp_path):
    path = tmp_path / 'a.pth'
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        torch.save(content, path)
    with pytest.raises(ValueError, match=f'a.pth is not a checkpoint.*{cause}') as error:
        read_content(str(path))
    assert 'weights_only' not in str(error.value)


# ---------------------------------------------------------------- curves

def test_a_validation_enters_the_history_once():
    hub = MessageHub('once')
    validations = [dict(step=1, after=4, mIoU=1.0, time=3.0, AP=None),
                   dict(step=2, after=8, mIoU=2.0, odsF=5.0, time=3.0, AP=None)]
    hub.update_scalar('val/mIoU', 1.0)
    hub.update_scalar('val/AP', float('nan'))  # as mmengine does
    for _ in range(2):
        _complete_history(hub, validations)
        assert {key: str(list(map(float, buffer.data[0]))) for key, buffer in (
            hub.log_scalars.items())} == {
                'val/mIoU': '[1.0, 2.0]', 'val/odsF': '[5.0]', 'val/AP': '[nan, nan]'}


def test_curves_are_rewound_to_a_checkpoint(tmp_path):
    backend = CurveVisBackend(str(tmp_path / '20260101_000000/vis_data'))
    for step in (1, 2):
        backend.add_scalars(dict(loss=torch.tensor(0.5), iter=step, epoch=1), step)
    backend.iteration = 2
    backend.add_scalars(dict(mIoU=3.0, odsF=float('nan')), 1, file_path='x.json')
    backend.add_scalars(dict(loss=0.1, iter=3, epoch=2), 3)
    backend.iteration = 3
    backend.add_scalar('mIoU', 4.0, 1)  # a loop over iterations whose epochs do not count
    path = tmp_path / 'curves.json'
    assert [record['step'] for record in read_curves(path)] == [1, 2, 1, 3, 1]
    with path.open('a') as file:
        file.write('{"step": 4, "lo')  # killed while writing
    kept = backend.rewind(iteration=2)
    assert kept == read_curves(path) == [
        dict(step=1, loss=0.5, iter=1, epoch=1), dict(step=2, loss=0.5, iter=2, epoch=1),
        dict(step=1, mIoU=3.0, odsF=None, after=2)]
    assert backend.rewind(0) == read_curves(path) == []
    path.write_text('what\n{"step": 1}\n')
    with pytest.raises(ValueError, match="curves.json, line 1 is no JSON: 'what'; mend or remove"):
        read_curves(path)


def test_a_work_dir_that_has_not_saved_names_no_checkpoint(tmp_path):
    (tmp_path / 'last_checkpoint').touch()
    with pytest.raises(FileNotFoundError) as error:
        checkpoint_file(tmp_path)
    with pytest.raises(FileNotFoundError, match='nothing is loaded from another machine here'):
        checkpoint_file('https://example.org/a.pth')
    assert str(error.value) == f'there is no checkpoint file {tmp_path}'
