"""Checkpoint hook that always leaves one complete checkpoint."""

import json
import os
import re
from pathlib import Path
from typing import Any

from mmengine.dist import all_gather_object, is_main_process
from mmengine.hooks import CheckpointHook
from mmengine.runner import Runner

from mtpsl.datasets.listing import examples
from mtpsl.engine.checkpoints.content import (
    CODE_KEY,
    DATA_KEY,
    FILES_KEY,
    RUN_KEY,
    TASKS_KEY,
    TEACHER_KEY,
    name_some,
    not_finite,
)
from mtpsl.engine.checkpoints.data_files import code_of, file_of, files_of
from mtpsl.engine.checkpoints.resume import differences, fingerprint, scoring
from mtpsl.engine.checkpoints.work_dir import POINTER, hold, keep, refuse_used
from mtpsl.engine.own_states import OwnStates
from mtpsl.engine.ranks import bare_model, content_of, tell_apart
from mtpsl.registry import HOOKS, TASKS
from mtpsl.system.files import NUMBERED, left_behind, write_text

from .non_finite_hook import NonFiniteError

BEST_OF = 'best_of'  # metric and validation data of the best score so far
BEST_FILES = 'best_of_files'  # sizes and checksums of some of its files; none of older versions
BEST_BY = 'best_of_settings'  # of the validation, which change its figures; none of older versions
OUTDATED = 'outdated_ckpt_ids'  # steps of the checkpoints that the newest one replaces
# Files of a run of which a kill may leave a temporary one.
WRITTEN = re.compile(r'(epoch_|iter_|best_).*\.pth|last_checkpoint|curves\.json')
BEST = re.compile(r'best_.+\.pth')


@HOOKS.register_module()
class SafeCheckpointHook(CheckpointHook):
    """mmengine's hook, which here removes an old checkpoint only once the new one is on disk.

    mmengine removes first, so that a kill while saving loses the best checkpoint, and the only
    one with ``max_keep_ckpts=1``. mmengine removes any path that a checkpoint names; this hook
    removes files of the run's own folder only. A checkpoint also holds the fingerprint of its run,
    see :func:`mtpsl.engine.checkpoints.resume.check_same_config`. Weights that are not finite are
    neither saved nor validated nor tested. mmengine guesses the direction of ``save_best`` from a
    part of the name; here the tasks give that of their primary metrics.
    Arguments: see :class:`mmengine.hooks.CheckpointHook`.

    Raises:
        NonFiniteError: in training or testing, weights are not finite.
        ValueError: before training, the folder belongs to another run, see
            :mod:`mtpsl.engine.checkpoints.work_dir`.
    """

    file_backend: Any
    best_ckpt_path: Any
    best_ckpt_path_dict: Any
    _data: dict[str, str] | None = None  # what is known of the training data
    _states: OwnStates | None = None  # of the user's code
    _apart = False  # whether weights of ranks differ, which is told once
    _begun_with: dict[str, str] = {}  # the file of a model that is learned from; the user's code

    def _init_rule(self, rules: list[str | None], key_indicators: list[str]) -> None:
        """Set the rule of each metric; called by mmengine's constructor.

        Raises:
            ValueError: a metric of unknown direction without a rule, or a rule that would keep the
                worst of a metric of known direction.
        """
        if len(rules) == 1:
            rules = rules * len(key_indicators)
        for rule, key in zip(rules, key_indicators):
            known = known_direction(key)
            if None not in (rule, known) and rule != known:
                raise ValueError(f'default_hooks.checkpoint: rule={rule!r} would keep the worst by '
                                 f'save_best={key!r}, of which the {known} is better')
        super()._init_rule([rule if rule is not None or key == 'auto' else _direction(key)
                            for rule, key in zip(rules, key_indicators)], key_indicators)

    def before_train(self, runner: Runner) -> None:
        """Lock the folder; remove files that a kill while saving left behind."""
        info = runner.message_hub.runtime_info
        for key in ('keep_ckpt_ids', OUTDATED):  # they become parts of paths to remove
            if key in info:
                info[key] = [step for step in info[key] if type(step) is int]
        if is_main_process():  # the log's folder exists already
            hold(runner.work_dir)
            if not runner._resume:
                refuse_used(runner.work_dir)
        super().before_train(runner)
        model = bare_model(runner)
        # Now, since the files may be replaced later.
        self._begun_with = {CODE_KEY: json.dumps(code_of(runner.cfg))}
        if hasattr(model, 'teacher_checkpoint'):
            self._begun_with[TEACHER_KEY] = json.dumps(file_of(model.teacher_checkpoint()))
        self._states = OwnStates(runner)
        self._own_best(runner)
        if is_main_process():
            if self.out_dir != runner.work_dir:
                hold(self.out_dir)
                if not runner._resume:
                    refuse_used(self.out_dir)
            for folder in {self.out_dir, runner.work_dir}:
                for path in Path(folder).glob('.*'):
                    found = left_behind(path.name)
                    if found and WRITTEN.fullmatch(found[1]):
                        path.unlink()
            self._remove(info.get(OUTDATED, []))
            # Checkpoints of later steps or of an earlier run are not this run's.
            origin = runner._load_from if runner._resume else None
            if origin and (later := self._later(runner)):
                runner.logger.warning(f'{self.out_dir} holds checkpoints of later steps than '
                                      f'{origin}: {examples(later)}. They will be replaced as '
                                      'the run gets there')
            write_text(Path(runner.work_dir, POINTER),
                       os.path.abspath(origin) if origin else '')

    def _later(self, runner: Runner) -> list[str]:
        """Names of the checkpoints of the folder that are of later steps than the run is at."""
        numbered = [(path.name, *NUMBERED.fullmatch(path.name).groups())  # type: ignore[union-attr]
                    for path in Path(self.out_dir).glob('*.pth') if NUMBERED.fullmatch(path.name)]
        return [name for _, name in sorted(
            (int(number), name) for name, unit, number in numbered
            if int(number) > (runner.epoch if unit == 'epoch' else runner.iter))]

    def _own_best(self, runner: Runner) -> None:
        """Update the paths of the best checkpoints, since the folder may have been copied.

        Forget those chosen by another metric or on other validation data, whose scores do not
        compare.
        """
        if runner.val_loop is not None:
            self._forget_other_best(runner)

        def here(path: object) -> str | None:
            name = Path(str(path)).name
            return str(Path(self.out_dir, name)) if BEST.fullmatch(name) and Path(
                self.out_dir, name).is_file() else None

        info = runner.message_hub.runtime_info
        for key in [key for key in info if key.startswith('best_ckpt')]:
            if info[key] and not here(info[key]) and self.save_best:
                runner.logger.warning(
                    f'the best checkpoint so far, {Path(str(info[key])).name}, is not in '
                    f'{self.out_dir}, and only a better one will be saved here: copy it, if it is '
                    'to be at hand')
            info[key] = here(info[key])
        if getattr(self, 'best_ckpt_path', None) is not None:
            self.best_ckpt_path = here(self.best_ckpt_path)
        if hasattr(self, 'best_ckpt_path_dict'):
            self.best_ckpt_path_dict = {
                key: None if path is None else here(path)
                for key, path in self.best_ckpt_path_dict.items()}

    def _forget_other_best(self, runner: Runner) -> None:
        info, dataset = runner.message_hub.runtime_info, runner.val_dataloader.dataset
        content = content_of(dataset)
        now = {BEST_OF: json.dumps([self.key_indicators if self.save_best else [], content],
                                   sort_keys=True),
               BEST_FILES: json.dumps(files_of(dataset), sort_keys=True),
               BEST_BY: json.dumps(scoring(runner.cfg), sort_keys=True)}
        before = {key: info.get(key, value) for key, value in now.items()}
        for key, value in now.items():
            runner.message_hub.update_info(key, value)
        best = [key for key in info if key.startswith(('best_score', 'best_ckpt'))]
        if not best:  # nor has the figure changed by which one would be chosen
            before[BEST_OF] = json.dumps([json.loads(now[BEST_OF])[0],
                                          json.loads(before[BEST_OF])[1]], sort_keys=True)
        if before == now:
            return
        found = differences(*(json.loads(one[BEST_BY]) for one in (before, now)))
        found = f' ({found})' if found else ''
        if not best:
            runner.logger.warning('the validation is on other data or has other settings than '
                                  f'before{found}: its figures go on from others')
            return
        runner.logger.warning('the best checkpoint so far was chosen by another figure, on other '
                              f'validation data or with other settings{found}: it stays, and the '
                              'next is chosen anew')
        for key in best:
            info.pop(key)
        self.best_ckpt_path = None
        if hasattr(self, 'best_ckpt_path_dict'):
            self.best_ckpt_path_dict = dict.fromkeys(self.best_ckpt_path_dict)

    def before_val_epoch(self, runner: Runner) -> None:
        """Check that the weights are finite."""
        _check_weights(runner)

    before_test_epoch = before_val_epoch

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Add the config's fingerprint, the order of the tasks and the data to the checkpoint."""
        checkpoint['meta'][RUN_KEY] = json.dumps(fingerprint(runner.cfg, runner.world_size))
        if self._data is None:
            dataset = runner.train_dataloader.dataset
            self._data = {DATA_KEY: json.dumps(content_of(dataset)),
                          FILES_KEY: json.dumps(files_of(dataset))}
        checkpoint['meta'] |= self._data | self._begun_with
        tasks = getattr(bare_model(runner), 'tasks', None)
        if tasks is not None:
            checkpoint['meta'][TASKS_KEY] = list(tasks)

    def _save_checkpoint_with_step(self, runner: Runner, step: int, meta: dict) -> None:
        if is_main_process():
            keep(runner.work_dir)
        _check_weights(runner)
        self._apart = self._apart or tell_apart(runner)
        if self._states and (told := self._states.told(runner.message_hub)):
            runner.logger.warning(told)
        outdated = []
        if self.max_keep_ckpts > 0 and step not in self.keep_ckpt_ids:
            if len(self.keep_ckpt_ids) == self.max_keep_ckpts:
                outdated.append(self.keep_ckpt_ids.popleft())
            self.keep_ckpt_ids.append(step)
            runner.message_hub.update_info('keep_ckpt_ids', list(self.keep_ckpt_ids))
            runner.message_hub.update_info(OUTDATED, outdated)
        name = self.filename_tmpl.format(step)
        self.last_ckpt = self.file_backend.join_path(self.out_dir, name)
        runner.message_hub.update_info('last_ckpt', self.last_ckpt)
        runner.save_checkpoint(
            self.out_dir, name, self.file_client_args, save_optimizer=self.save_optimizer,
            save_param_scheduler=self.save_param_scheduler, meta=meta, by_epoch=self.by_epoch,
            backend_args=self.backend_args, **self.args)
        if is_main_process():
            write_text(Path(runner.work_dir, POINTER), self.last_ckpt)
            self._remove(outdated)

    def _remove(self, steps: list[int]) -> None:
        for step in steps:
            path = self.file_backend.join_path(self.out_dir, self.filename_tmpl.format(step))
            if self.file_backend.isfile(path):
                self.file_backend.remove(path)

    def _save_best_checkpoint(self, runner: Runner, metrics: dict) -> None:
        """Call mmengine's method, but remove files only at its end."""
        if not self.save_best:
            return
        backend = self.file_backend
        later = self.file_backend = _RemovesLater(backend)
        try:
            super()._save_best_checkpoint(runner, metrics)
        finally:
            self.file_backend = backend
        kept = {getattr(self, 'best_ckpt_path', None),
                *getattr(self, 'best_ckpt_path_dict', {}).values()}
        for path in later.removed:
            if path not in kept:
                backend.remove(path)

    def after_train(self, runner: Runner) -> None:
        """Tell of a best checkpoint that was deleted meanwhile; publish, see mmengine."""
        best: dict[str, Any] = getattr(self, 'best_ckpt_path_dict', {})
        gone = [path for path in dict.fromkeys((getattr(self, 'best_ckpt_path', None),
                                                *best.values()))
                if path and is_main_process() and not self.file_backend.isfile(path)]
        for path in gone:
            runner.logger.warning(f'the best checkpoint, {path}, is gone: it was deleted during '
                                  'the training, and no later one had its score')
        if getattr(self, 'best_ckpt_path', None) in gone:
            self.best_ckpt_path = None
        if best:  # mmengine publishes each
            self.best_ckpt_path_dict = {key: path for key, path in best.items()
                                        if path and path not in gone}
        super().after_train(runner)


def _check_weights(runner: Runner) -> None:
    """Raise NonFiniteError on all ranks if weights of one rank are not finite."""
    model = bare_model(runner)
    names = next(filter(None, all_gather_object(not_finite(model.state_dict()))), None)
    if names:
        raise NonFiniteError(
            f'after {runner.iter} iterations the weights are not finite, {name_some(names)}; they '
            'are neither saved nor scored, and checkpoints written before are intact. Losses and '
            'gradients were finite, so an update made them so: lower the learning rate or the '
            'weight decay, or raise eps of the optimizer')


class _RemovesLater:
    """A file backend that only records what to remove."""

    def __init__(self, backend: Any) -> None:
        self._backend = backend
        self.removed: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backend, name)

    def remove(self, path: str) -> None:
        self.removed.append(path)

    def rmtree(self, path: str) -> None:
        """Do nothing: no checkpoint here is a folder."""


def known_direction(key: str) -> str | None:
    """Return 'greater' or 'less', whichever is better, of a primary metric; None of others."""
    metric = key.rpartition('/')[2]
    if metric == 'delta_m':
        return 'greater'
    better = _primary_metrics().get(metric) if '/' in key else None
    return None if better is None else 'greater' if better else 'less'


def _primary_metrics() -> dict[str, bool]:
    TASKS.import_from_location()
    return {task.primary_metric: task.higher_is_better for task in TASKS.module_dict.values()}


def _direction(key: str) -> str | None:
    """Return 'greater' or 'less' of a metric; None to leave the choice to mmengine."""
    known = known_direction(key)
    if known is None and '/' in key:
        raise ValueError(f'save_best={key!r}: whether more of {key.rpartition("/")[2]!r} is better '
                         f"is known of {', '.join(sorted(_primary_metrics()))} only; say "
                         "rule='greater' or rule='less' of default_hooks.checkpoint")
    return known
