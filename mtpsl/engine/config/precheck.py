"""What stops a run, found before a runner is built and prints what it runs on."""

import os

from mmengine.config import Config
from mmengine.registry import init_default_scope

from mtpsl.engine.quiet import silence
from mtpsl.registry import DATASETS


def check_together(cfg: Config) -> None:
    """Raise ValueError where of what goes together some is missing, or a loader has no sampler."""
    for split, third in (('train', 'optim_wrapper'), ('val', 'val_evaluator'),
                         ('test', 'test_evaluator')):
        group = [f'{split}_dataloader', f'{split}_cfg', third]
        missing = [name for name in group if cfg.get(name) is None]
        if 0 < len(missing) < len(group):
            raise ValueError(f'{", ".join(group)} go together, all or none of them: '
                             f'{", ".join(missing)} is missing')
        loader = cfg.get(group[0])
        if loader and not (loader.get('sampler') or loader.get('batch_sampler')):
            raise ValueError(f'{group[0]} has no sampler')


def check_data(cfg: Config, *splits: str) -> None:
    """Build the datasets of these splits once, in silence; the runner builds them again and tells.

    Of several processes of a machine the first does it, and its end ends the others.

    Raises:
        What building them raises: folders, lists or label mappings that are missing or do not fit.
    """
    local = os.environ.get('LOCAL_RANK') or os.environ.get('SLURM_LOCALID') or ''
    if cfg.get('launcher', 'none') != 'none' and local != '0':
        return  # another does it; or what the launcher should have set is missing, which comes next
    init_default_scope(cfg.get('default_scope') or 'mtpsl')
    with silence():
        for split in splits:
            if cfg.get(f'{split}_dataloader'):
                DATASETS.build(cfg[f'{split}_dataloader'].dataset)
