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
    was not interrupted, although checkpoints hold no random state. Warns once where other code
    seeds torch within a step, after which the noise of all steps may be one and the same.
    """

    _told = False

    def before_train_iter(self, runner: Runner, batch_idx: int,
                          data_batch: dict | None = None) -> None:
        words = np.random.SeedSequence([runner.seed, get_rank(), runner.iter]).generate_state(2)
        self._seed = int(words[0]) << 32 | int(words[1])
        torch.manual_seed(self._seed)

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: dict | None = None,
                         outputs: dict | None = None) -> None:
        if torch.initial_seed() % 2**64 != self._seed and not self._told:
            self._told = True
            runner.logger.warning(
                f'torch was seeded with {torch.initial_seed()} in a training step, by a hook or '
                'the model: the noise is then not that of (seed, rank, iteration), and may be the '
                'same in each step')
