"""What the checkpoints that a training starts from, or learns from, have to do with its data."""

import json
from collections.abc import Iterator, Mapping

from mmengine.config import Config
from mmengine.runner import Runner

from mtpsl.engine.checkpoints.content import (
    CODE_KEY,
    DATA_KEY,
    FILES_KEY,
    TEACHER_KEY,
    read_content,
)
from mtpsl.engine.checkpoints.data_files import code_of, other_file, other_files
from mtpsl.engine.checkpoints.fits import check_checkpoint
from mtpsl.engine.checkpoints.latest import unfinished
from mtpsl.engine.checkpoints.resume import check_teacher, differences
from mtpsl.engine.checkpoints.trained_images import learned_from, other_images
from mtpsl.engine.ranks import bare_model, content_of

from .schedules import length_of


def resume_doubts(runner: Runner) -> Iterator[str]:
    """Whether a resumed run has ended, or had another teacher or other images."""
    if not runner._resume or not runner._load_from:
        return
    meta = read_content(runner._load_from).get('meta') or {}
    length = length_of(runner)
    unit, end = ('epoch', length.epochs) if length.epochs else ('iter', length.steps)
    if meta.get(unit, 0) >= end:
        yield (f'{runner._load_from} has {unit} {meta[unit]}, the training ends at {end}: nothing '
               'is left to train')
    model = bare_model(runner)
    if TEACHER_KEY in meta and hasattr(model, 'teacher_checkpoint') and (
            other := other_file(json.loads(meta[TEACHER_KEY]), model.teacher_checkpoint())):
        yield (f'model.teacher: {other}, which {runner._load_from} has learned from: it goes on '
               'with another teacher, and is not the run that was not interrupted')
    dataset = runner.train_dataloader.dataset
    if told := FILES_KEY in meta and other_files(json.loads(meta[FILES_KEY]), dataset):
        yield (f'{runner._load_from}: {told}. If their content is another on purpose, no figure '
               'of this run is of one set of labels')
    if edited := other_code(meta, runner.cfg):
        yield (f'{runner._load_from} is of a run with other code in {", ".join(edited)}, which was '
               'changed since: the run goes on with what is there now')
    if DATA_KEY not in meta:
        return
    found = differences(json.loads(meta[DATA_KEY]), content_of(dataset))
    if found:
        yield (f'{runner._load_from} is of a run on other training data: {found}. It goes on with '
               'those that are there now, in other batches and perhaps in more or fewer steps an '
               'epoch')


def other_code(meta: Mapping, cfg: Config) -> list[str]:
    """Name the packages and modules that were changed since a training.

    Args:
        meta: that of its checkpoint.
        cfg: a config, with the modules that it imports.
    """
    now = code_of(cfg)
    return [name for name, before in json.loads(meta.get(CODE_KEY, '{}')).items()
            if now.get(name) != before]


def code_doubt(path: str, cfg: Config) -> str:
    """Say that a checkpoint predicts by other code than it was trained with; '' elsewhere.

    That of the engine does not count, nor that of modules which the config does not import.
    """
    now = code_of(cfg)
    changed = [name for name in other_code(read_content(path).get('meta') or {}, cfg)
               if name in now and name != 'mtpsl.engine']
    return (f'{path} was trained with other code in {", ".join(changed)} than is there now: what '
            'it predicts, and its figures, may be others than in the training') if changed else ''


def teacher_doubts(runner: Runner) -> Iterator[str]:
    """What the training of the model that is learned from has to do with this one.

    Raises:
        ValueError: it is not there, or is not like what the config has.
    """
    model = bare_model(runner)
    if not hasattr(model, 'teacher_checkpoint'):
        return
    path = model.teacher_checkpoint()
    try:
        check_checkpoint(path, model)
    except ValueError as error:
        raise ValueError(f'model.teacher: {error}') from error
    check_teacher(path, runner.cfg)
    if told := unfinished(path):
        yield f'model.teacher: {told}: is stage 1 done?'
    if told := other_images(path, runner.cfg, 'train'):
        yield f'model.teacher: {told}'


def first_weight_doubts(runner: Runner) -> Iterator[str]:
    """What images of now have to do with those of the training that a new one starts from."""
    init = runner.cfg.model.get('init_cfg') or {}
    path = runner._load_from or (isinstance(init, dict) and init.get('checkpoint')) or '://'
    if runner._resume or '://' in path:
        return
    yield other_images(path, runner.cfg, 'train')
    if runner.val_loop is not None:
        yield learned_from(path, runner.val_dataloader.dataset, 'validated')
