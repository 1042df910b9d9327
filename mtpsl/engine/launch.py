"""Builds the runner of a config, for one or many processes, with or without a GPU."""

import json
import logging
import os
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.hooks import EMAHook
from mmengine.runner import Runner

from mtpsl.engine.checkpoints.content import (
    RUN_KEY,
    check_finite,
    check_whole,
    read_content,
)
from mtpsl.engine.checkpoints.fits import OTHER_MODEL, check_checkpoint, check_pretrained
from mtpsl.engine.checkpoints.latest import latest_checkpoint
from mtpsl.engine.checkpoints.resume import (
    check_same_config,
    fingerprint,
    other_reading,
    other_settings,
)
from mtpsl.engine.checkpoints.work_dir import checkpoints_in
from mtpsl.engine.hooks.loading_hook import LoadingHook
from mtpsl.engine.hooks.scored_labels_hook import ScoredLabelsHook
from mtpsl.engine.visualization.curve_backend import add_curves, place_curves
from mtpsl.system.files import user_path

from .config.load import check_unchanged
from .dumped_config import KeepingRunner
from .quiet import quieten
from .ranks import bare_model, compare_settings


def build_runner(cfg: Config) -> Runner:
    """Build the runner of a loaded config.

    Args:
        cfg: what :func:`mtpsl.engine.load_config` returned, with ``work_dir`` and ``launcher``
            set. Without a GPU processes communicate by gloo, and each keeps its own batch
            statistics.

    Returns:
        mmengine's runner, ready to ``train()`` or ``test()``.

    Raises:
        FileNotFoundError: a checkpoint or a file of pretrained weights does not exist.
        ValueError: the config was changed after it was loaded, where that has no effect; a
            checkpoint is of another model, has weights that are not finite, or is to be
            resumed with another config; all are damaged; or processes have different settings.
    """
    check_unchanged(cfg)
    check_init_cfg(cfg)
    if not cfg.get('work_dir'):
        raise ValueError("cfg.work_dir must name the folder of the run, such as 'work_dirs/mine'")
    if (cfg.get('randomness') or {}).get('deterministic'):
        # cuBLAS reads it when CUDA starts; without it some products may differ from run to run.
        os.environ.setdefault('CUBLAS_WORKSPACE_CONFIG', ':4096:8')
    checkpoint, damage = _find_checkpoint(cfg)
    given = (cfg.model.get('init_cfg') or {}) if checkpoint else {}
    if checkpoint:  # replaced by the checkpoint: do not load them
        cfg.model.init_cfg = None
        if cfg.model.get('backbone'):
            cfg.model.backbone.init_cfg = None
    if cfg.get('launcher', 'none') != 'none' and not torch.cuda.is_available():
        _prepare_cpu_processes(cfg)
    cfg.setdefault('default_scope', 'mtpsl')  # mmengine's would find no type of ours
    add_curves(cfg)
    if cfg.get('default_hooks'):  # a dump has them so; equal priorities act in the order they have
        cfg.default_hooks = dict(sorted(cfg.default_hooks.items()))
    runner = KeepingRunner.from_cfg(cfg)
    place_curves(runner)
    quieten(runner.logger)
    compare_settings(runner)
    runner.register_hook(LoadingHook())
    runner.register_hook(ScoredLabelsHook())
    model = bare_model(runner)
    if damage:
        runner.logger.warning(f'{damage}: going on from {checkpoint}')
    if isinstance(given, dict) and given.get('checkpoint'):
        resumed = bool(cfg.get('resume'))
        runner.logger.log(
            logging.INFO if resumed else logging.WARNING,
            f'model.init_cfg.checkpoint={given["checkpoint"]} is not read: '
            f'{"the run goes on from " if resumed else "load_from="}{checkpoint}, which has all '
            'weights')
    if checkpoint:
        _check_weights(checkpoint, model, bool(cfg.get('resume')))
        if cfg.get('resume'):
            _check_same_config(checkpoint, runner)
            return runner
        for told in (other_settings(checkpoint, cfg), other_reading(checkpoint, cfg)):
            if told:
                runner.logger.warning(told)
        return runner
    path = _check_pretrained(cfg, model)
    if told := path and other_settings(path, cfg, partly=True):
        runner.logger.warning(told)
    if cfg.get('resume'):
        runner.logger.warning(f'nothing to resume in {cfg.work_dir}: training starts anew')
        runner._resume = False
    return runner


def _find_checkpoint(cfg: Config) -> tuple[str | None, str]:
    """Find the checkpoint to load or resume (None if there is none), and damage of newer ones."""
    checkpoint, damage = cfg.get('load_from'), ''
    if checkpoint:
        check_whole(checkpoint)
        check_finite(checkpoint)
    elif cfg.get('resume'):
        checkpoint, damage = latest_checkpoint(cfg.work_dir)
        earlier = checkpoints_in(cfg.work_dir)
        if not checkpoint and earlier:
            raise ValueError(
                f'{cfg.work_dir} holds checkpoints of an earlier run, such as {earlier[0]}, and '
                f'none of the one that began last: --resume {Path(cfg.work_dir, earlier[0])} goes '
                'on with that, and another --work-dir starts anew')
        cfg.load_from = checkpoint  # mmengine resumes from it
    return checkpoint, damage


def _check_weights(checkpoint: str, model: torch.nn.Module, resume: bool) -> None:
    """Refuse weights of another model; say how to train from those that fit."""
    try:
        check_checkpoint(checkpoint, model)
    except ValueError as error:
        if resume or OTHER_MODEL not in str(error):
            raise
        raise ValueError(
            f'{error}. A training starts from those that fit with --cfg-options '
            f'model.init_cfg.type=Pretrained model.init_cfg.checkpoint={checkpoint} '
            '(docs/fine_tuning.md)') from error


def _check_same_config(checkpoint: str, runner: Runner) -> None:
    """Refuse to resume with another config; warn of another number of processes."""
    content = read_content(checkpoint)
    meta = content.get('meta') or {}
    if not {'optimizer', 'message_hub'} <= set(content) or not {'epoch', 'iter'} <= set(meta):
        raise ValueError(f'{checkpoint} has weights, but not the state of a run to go on with; '
                         f'start a new one from them: --cfg-options load_from={checkpoint} without '
                         '--resume')
    if runner.cfg.get('param_scheduler') and 'param_schedulers' not in content:
        raise ValueError(f'{checkpoint} was saved without the state of the learning rate schedule '
                         '(save_param_scheduler=False of the checkpoint hook): a resumed run would '
                         f'go on with another one; start a new one with load_from={checkpoint}')
    averaged = any(isinstance(hook, EMAHook) for hook in runner.hooks)
    if 'ema_state_dict' in content and not averaged:
        raise ValueError(f'{checkpoint} is of a run with EMAHook, and has averaged weights where '
                         'others have their own: resume with the hook in custom_hooks')
    if RUN_KEY not in meta:
        return
    before, now = json.loads(meta[RUN_KEY]), fingerprint(runner.cfg, runner.world_size)
    processes = before.pop('processes'), now.pop('processes')
    if processes[0] != processes[1]:
        runner.logger.warning(
            f'{checkpoint} is of a run on {processes[0]} processes, this is one on '
            f'{processes[1]}: it goes on with other batches')
    check_same_config(checkpoint, before, now)


def set_work_dir(cfg: Config, work_dir: str | None) -> None:
    """Set the command line's folder, the config's, or ``work_dirs/<its folder>/<its name>``.

    The folder is part of it since configs of different methods have the same names.
    """
    path = Path(cfg.filename).resolve()
    cfg.work_dir = user_path(work_dir or cfg.get('work_dir') or Path(
        'work_dirs', path.parent.name, path.stem))
    if Path(cfg.work_dir).exists() and not Path(cfg.work_dir).is_dir():
        raise ValueError(f'the work dir must be a folder, got the file {cfg.work_dir}')


def _check_pretrained(cfg: Config, model: torch.nn.Module) -> str:
    """Check files of pretrained weights; return that of the whole model, '' if there is none."""
    inits = _pretrained_parts(cfg)
    files = {name: init['checkpoint'] for name, init in inits.items()
             if '://' not in init['checkpoint']}
    whole = files.pop('', '')
    if whole:
        check_whole(whole)
        check_finite(whole)
    for name, path in files.items():
        if not getattr(model.get_submodule(name), 'reads_files', False):
            # mmengine would only log that nothing fits
            check_pretrained(path, model.get_submodule(name), inits[name].get('prefix'), name)
    return whole


def _pretrained_parts(cfg: Config) -> dict[str, dict]:
    """``init_cfg`` of type Pretrained of the model ('') and of its parts, by name."""
    parts = {'': cfg.model} | {name: part for name, part in cfg.model.items()
                               if isinstance(part, dict)}
    found = {name: part.get('init_cfg') for name, part in parts.items()}
    return {name: init for name, init in found.items()
            if isinstance(init, dict) and init.get('type') == 'Pretrained'}


def check_init_cfg(cfg: Config) -> None:
    """Raise ValueError where pretrained weights are given by what nothing reads."""
    for name, init in _pretrained_parts(cfg).items():
        known = {'type', 'checkpoint', 'map_location'} | ({'prefix'} if name else set())
        place = f'model{"." * bool(name)}{name}.init_cfg'
        wrong = [key for key in init if key not in known]
        if wrong:
            raise ValueError(f'{place}: of type Pretrained there is no {", ".join(wrong)}, but '
                             f'{", ".join(sorted(known - {"type"}))}')
        if not init.get('checkpoint') or not isinstance(init['checkpoint'], str):
            raise ValueError(f'{place}.checkpoint must be a file or an address, got '
                             f'{init.get("checkpoint")!r}')


def check_launcher(cfg: Config) -> None:
    """Raise RuntimeError if several processes were started without ``--launcher``, or none was.

    Without a GPU a launcher must have set the process's rank; on a GPU mmengine looks itself.
    """
    if cfg.get('launcher', 'none') == 'none' and 'RANK' in os.environ and (
            os.environ.get('WORLD_SIZE', '1') != '1'):
        raise RuntimeError(
            f'this is one of {os.environ["WORLD_SIZE"]} processes (WORLD_SIZE and RANK are set, as '
            'torchrun does), and without --launcher pytorch each would do the whole by itself: '
            'add it (tools/dist_train.sh, dist_test.sh do), or unset WORLD_SIZE')
    if cfg.get('launcher', 'none') == 'none' or torch.cuda.is_available():
        return
    if cfg.launcher == 'slurm':
        _translate_slurm()
    if 'RANK' not in os.environ:
        raise RuntimeError(f'--launcher {cfg.launcher}: RANK is not set; start the command by '
                           'torchrun (tools/dist_train.sh)')


def _prepare_cpu_processes(cfg: Config) -> None:
    """Join a gloo group: mmengine's own launchers need a GPU."""
    check_launcher(cfg)
    if not torch.distributed.is_initialized():
        torch.distributed.init_process_group('gloo')
    cfg.pop('sync_bn', None)
    cfg.model_wrapper_cfg = dict(type='MMDistributedDataParallel', broadcast_buffers=False) | (
        cfg.get('model_wrapper_cfg') or {}) | dict(device_ids=None)
    hooks = cfg.get('custom_hooks') or []
    if not any(hook.get('type') == 'SyncBuffersHook' for hook in hooks):
        cfg.custom_hooks = [*hooks, dict(type='SyncBuffersHook')]


def _translate_slurm() -> None:
    """Set torchrun's environment variables from those of slurm."""
    names = dict(RANK='SLURM_PROCID', WORLD_SIZE='SLURM_NTASKS', LOCAL_RANK='SLURM_LOCALID')
    missing = [slurm for name, slurm in names.items()
               if name not in os.environ and slurm not in os.environ]
    if missing:
        raise RuntimeError(f'--launcher slurm: {", ".join(missing)} not set; start the command '
                           'by srun (tools/slurm_train.sh)')
    if int(os.environ.get('SLURM_NNODES', 1)) > 1 and 'MASTER_ADDR' not in os.environ:
        raise RuntimeError('--launcher slurm on several nodes without GPUs: set MASTER_ADDR to the '
                           'first node')
    for name, slurm in names.items():
        os.environ.setdefault(name, os.environ.get(slurm, ''))
    os.environ.setdefault('MASTER_ADDR', '127.0.0.1')
    os.environ.setdefault('MASTER_PORT', '29500')
