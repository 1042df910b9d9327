"""Seeds training noise by seed, rank and iteration."""

import numpy as np
import torch
from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mtpsl.registry import HOOKS


@HOOKS.register_module()
class ReseedHook(Hook):
    """Seeds torch before each training iteration from (seed, rank, iteration).

    So ranks draw different diffusion noise, and a resumed run draws the same noise as one that
    was not interrupted, although checkpoints hold no random state.
    """

    def before_train_iter(self, runner: Runner, batch_idx: int,
                          data_batch: dict | None = None) -> None:
        words = np.random.SeedSequence([runner.seed, get_rank(), runner.iter]).generate_state(2)
        torch.manual_seed(int(words[0]) << 32 | int(words[1]))
