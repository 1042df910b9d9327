"""Noise that depends on seed, rank and iteration alone."""

import numpy as np
import torch
from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mtpsl.registry import HOOKS


@HOOKS.register_module()
class ReseedHook(Hook):
    """Seeds torch before each training iteration from (seed, rank, iteration).

    So the ranks draw different diffusion noise, and a run that is resumed draws what it would
    have drawn, though checkpoints hold no random state.
    """

    def before_train_iter(self, runner: Runner, batch_idx: int,
                          data_batch: dict | None = None) -> None:
        words = np.random.SeedSequence([runner.seed, get_rank(), runner.iter]).generate_state(2)
        torch.manual_seed(int(words[0]) << 32 | int(words[1]))
