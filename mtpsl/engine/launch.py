"""From a config to a runner, on one process or many, with or without a GPU."""

import os
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.runner import Runner, find_latest_checkpoint

from .quiet import quieten


def build_runner(cfg: Config) -> Runner:
    """Build the runner of a loaded config.

    Args:
        cfg: what :func:`mtpsl.engine.load_config` returned, with ``work_dir`` and ``launcher``
            set. On machines without a GPU processes talk by gloo, and each keeps its own batch
            statistics.

    Returns:
        mmengine's runner, ready to ``train()`` or ``test()``.
    """
    if cfg.get('resume') or cfg.get('load_from'):
        _skip_pretrained(cfg)
    if cfg.get('launcher', 'none') != 'none' and not torch.cuda.is_available():
        _prepare_cpu_processes(cfg)
    runner = Runner.from_cfg(cfg)
    quieten(runner.logger)
    return runner


def set_work_dir(cfg: Config, work_dir: str | None, config_path: str) -> None:
    """The command line's folder, else the config's, else ``work_dirs/<config name>``."""
    cfg.work_dir = work_dir or cfg.get('work_dir') or str(
        Path('work_dirs', Path(config_path).stem))


def _skip_pretrained(cfg: Config) -> None:
    """Weights that a checkpoint replaces need not be found, read or downloaded again."""
    resumable = cfg.get('load_from') or find_latest_checkpoint(cfg.work_dir)
    if resumable and cfg.model.get('backbone'):
        cfg.model.backbone.init_cfg = None


def _prepare_cpu_processes(cfg: Config) -> None:
    """mmengine's launchers ask for a GPU; without one, join a gloo group before it looks."""
    if cfg.launcher == 'slurm':
        # torchrun's names for what slurm tells each of its processes.
        for name, slurm in (('RANK', 'SLURM_PROCID'), ('WORLD_SIZE', 'SLURM_NTASKS'),
                            ('LOCAL_RANK', 'SLURM_LOCALID')):
            os.environ.setdefault(name, os.environ[slurm])
        os.environ.setdefault('MASTER_ADDR', '127.0.0.1')
        os.environ.setdefault('MASTER_PORT', '29500')
    if not torch.distributed.is_initialized():
        torch.distributed.init_process_group('gloo')
    cfg.pop('sync_bn', None)
    cfg.model_wrapper_cfg = dict(type='MMDistributedDataParallel', device_ids=None,
                                 broadcast_buffers=False)
    hooks = cfg.get('custom_hooks') or []
    if not any(hook['type'] == 'SyncBuffersHook' for hook in hooks):
        cfg.custom_hooks = [*hooks, dict(type='SyncBuffersHook')]
