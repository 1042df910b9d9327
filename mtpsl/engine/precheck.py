"""What stops a run, found before a runner is built and prints what it runs on."""

import logging
import os

from mmengine.config import Config
from mmengine.registry import init_default_scope

from mtpsl.registry import DATASETS

from .schema import require_sampler


def check_together(cfg: Config) -> None:
    """Raise ValueError where of what goes together in a config only some is there."""
    for split, third in (('train', 'optim_wrapper'), ('val', 'val_evaluator'),
                         ('test', 'test_evaluator')):
        group = [f'{split}_dataloader', f'{split}_cfg', third]
        missing = [name for name in group if cfg.get(name) is None]
        if 0 < len(missing) < len(group):
            raise ValueError(f'{", ".join(group)} go together, all or none of them: '
                             f'{", ".join(missing)} is missing')
        if not missing:
            require_sampler(group[0], cfg[group[0]])


def check_data(cfg: Config, *splits: str) -> None:
    """Build the data sets of these splits once, in silence; the runner builds them again and tells.

    Of several processes of a machine the first does it, and its end ends the others.

    Raises:
        What building them raises: folders, lists or label mappings that are missing or do not fit.
    """
    if int(os.environ.get('LOCAL_RANK') or os.environ.get('SLURM_LOCALID') or 0):
        return
    init_default_scope(cfg.get('default_scope') or 'mtpsl')
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        for split in splits:
            if cfg.get(f'{split}_dataloader'):
                DATASETS.build(cfg[f'{split}_dataloader'].dataset)
    finally:
        logging.disable(before)
