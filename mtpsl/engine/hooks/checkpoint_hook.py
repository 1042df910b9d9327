"""Checkpoints of which one is whole at any moment."""

import json
import os
import re
from pathlib import Path
from typing import Any

from mmengine.dist import is_main_process
from mmengine.hooks import CheckpointHook
from mmengine.runner import Runner

from mtpsl.engine.resume import RUN_KEY, deciding
from mtpsl.registry import HOOKS
from mtpsl.storage.files import write_text

OUTDATED = 'outdated_ckpt_ids'  # steps whose checkpoints the newest one replaces
# What ``atomically`` leaves where it is killed.
LEFT_BEHIND = re.compile(r'\.\d+\.((epoch_|iter_|best_).*\.pth|last_checkpoint|curves\.json)')
POINTER = 'last_checkpoint'  # names the newest; empty in a run that has not saved yet


@HOOKS.register_module()
class SafeCheckpointHook(CheckpointHook):
    """mmengine's hook that removes an old checkpoint only once the new one is on the disk.

    mmengine removes first, so that a kill while saving costs the best checkpoint, and the only
    one where ``max_keep_ckpts=1``. A checkpoint also tells of which run it is, see
    :func:`mtpsl.engine.resume.check_same_run`. Arguments: see
    :class:`mmengine.hooks.CheckpointHook`.
    """

    file_backend: Any

    def before_train(self, runner: Runner) -> None:
        """Remove also what a kill while saving left: half a file, or the one it replaces."""
        super().before_train(runner)
        if is_main_process():
            for folder in {self.out_dir, runner.work_dir}:
                for path in Path(folder).glob('.*'):
                    if LEFT_BEHIND.fullmatch(path.name):
                        path.unlink()
            self._remove(runner.message_hub.runtime_info.get(OUTDATED, []))
            # Whatever is there of later steps or of an earlier run is not this run's.
            origin = runner._load_from if runner._resume else None
            write_text(Path(runner.work_dir, POINTER),
                       os.path.abspath(origin) if origin else '')

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Add what decides the run to the checkpoint."""
        checkpoint['meta'][RUN_KEY] = json.dumps(deciding(runner.cfg, runner.world_size))

    def _save_checkpoint_with_step(self, runner: Runner, step: int, meta: dict) -> None:
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
        """mmengine's, but what it removes is removed at the end."""
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


class _RemovesLater:
    """A file backend that only notes what it should remove."""

    def __init__(self, backend: Any) -> None:
        self._backend = backend
        self.removed: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backend, name)

    def remove(self, path: str) -> None:
        self.removed.append(path)
