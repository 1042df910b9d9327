"""DiffusionMTL (CVPR 2024): initial predictions, decayed and denoised with all tasks' help."""

import zlib
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from mtpsl.models.batch import row_index
from mtpsl.registry import MODELS
from mtpsl.structures import MultiTaskSample
from mtpsl.tasks import Task

from .base import MultiTaskModel

STAGES = ('pred', 'initial', 'noisy')


@MODELS.register_module()
class DiffusionMTL(MultiTaskModel):
    """An initial backbone model and MTDNet, trained together (paper, Sec. 3 and Pseudocode 1).

    In training the labelled (sample, task) pairs of the batch are denoised, all in one go; at
    test time every task of every sample is. Noise at test time comes from a generator seeded by
    the image, so an image always gets the same prediction, whatever the batch or the worker.

    Args:
        tasks: task name -> task or its config.
        backbone: see :class:`MultiTaskModel`.
        neck: see :class:`MultiTaskModel`.
        decoder: see :class:`MultiTaskModel`.
        diffusion: config of ``PredictionDiffusion`` or ``FeatureDiffusion``.
        initial_loss_weight: factor on the losses of the initial predictions.
        test_seed: changes the noise drawn at test time.
        outputs: what a tested sample gets, of ``STAGES``: 'pred' alone saves the time of the maps
            that only evaluation ('initial') and panels ('noisy') look at.
        data_preprocessor: config of the data preprocessor.
        init_cfg: see :class:`mmengine.model.BaseModule`.
        channels_last: see :class:`MultiTaskModel`.
    """

    def __init__(self, tasks: Mapping[str, dict | Task], backbone: dict, neck: dict,
                 decoder: dict, diffusion: dict, initial_loss_weight: float = 0.5,
                 test_seed: int = 0, outputs: Sequence[str] = STAGES,
                 data_preprocessor: dict | None = None, init_cfg: dict | None = None,
                 channels_last: bool = True) -> None:
        if 'pred' not in outputs or not set(outputs) <= set(STAGES):
            raise ValueError(f"outputs must be 'pred' and others of {STAGES}, got {outputs}")
        super().__init__(tasks, backbone, neck, decoder, data_preprocessor, init_cfg,
                         channels_last)
        self.diffusion = MODELS.build(dict(tasks=self.tasks) | diffusion)
        self._set_memory_format()
        self.initial_loss_weight = initial_loss_weight
        self.test_seed = test_seed
        self.outputs = tuple(outputs)

    def loss(self, inputs: Tensor, data_samples: list[MultiTaskSample]) -> dict[str, Tensor]:
        """``loss_<task>`` of the final and ``loss_<task>_initial`` of the initial predictions."""
        every = self.labelled(data_samples)
        rows = {name: labelled for name, labelled in every.items() if labelled}
        condition = self.diffusion.condition
        # Through a condition that is not detached, all tasks learn from each label.
        learning = None if condition and not condition.detach else self.learning(every)
        features, initial = self.decoders(self.extract_feat(inputs), learning)
        if not rows:
            return self.silent_losses(every, initial)
        index = row_index(rows, inputs.device)
        noise = self.training_noise(initial, rows)
        final, _ = self.diffusion(features, initial, index, noise)
        stages = {'': final, '_initial': {name: initial[name][i] for name, i in index.items()}}
        losses = self.task_losses(stages, data_samples, rows,
                                  {'_initial': self.initial_loss_weight})
        return losses | self.silent_losses(every, initial)

    def logits(self, inputs: Tensor,
               data_samples: list[MultiTaskSample] | None = None) -> dict[str, dict[str, Tensor]]:
        """Logits of all tasks by stage, those of ``outputs``, (B, C_t, h, w) each.

        The samples' ``img_id`` seeds the noise; without samples every draw is zero (its mean),
        and there are no ``noisy`` logits.
        """
        features, initial = self.decoders(self.extract_feat(inputs))
        index = dict.fromkeys(self.tasks, torch.arange(len(inputs), device=inputs.device))
        noise = None
        if data_samples is not None:
            noise = self.test_noise(initial, [sample.img_id for sample in data_samples])
        final, decayed = self.diffusion(features, initial, index, noise)
        maps = dict(pred=final)
        if 'initial' in self.outputs:
            maps['initial'] = initial
        if 'noisy' in self.outputs and data_samples is not None:
            maps['noisy'] = self.diffusion.as_logits(decayed, self.decoders.predict)
        return maps

    def training_noise(self, initial: Mapping[str, Tensor],
                       rows: Mapping[str, Sequence[int]]) -> dict[str, Tensor] | None:
        """Fresh draws by task, (N_t, D, map channels, h, w); None where no noise is added."""
        draws = self.diffusion.schedule.num_draws
        if not draws:
            return None
        return {name: torch.randn(len(rows[name]), draws, channels, *initial[name].shape[-2:],
                                  device=initial[name].device)
                for name, channels in self.diffusion.map_channels.items() if name in rows}

    def test_noise(self, initial: Mapping[str, Tensor],
                   ids: Sequence[str]) -> dict[str, Tensor] | None:
        """The draws of each image from a generator seeded by its id, (B, D, channels, h, w)."""
        draws = self.diffusion.schedule.num_draws
        if not draws:
            return None
        first = next(iter(initial.values()))
        channels = self.diffusion.map_channels
        shape = (draws, sum(channels.values()), *first.shape[-2:])
        generator = torch.Generator(first.device)
        noise = torch.stack([
            torch.randn(shape, device=first.device,
                        generator=generator.manual_seed(_seed(self.test_seed, image)))
            for image in ids])
        return dict(zip(channels, noise.split(list(channels.values()), dim=2)))


def _seed(base: int, image: str) -> int:
    """A seed for an image's noise that depends on its id alone."""
    return zlib.crc32(f'{base}/{image}'.encode())
