"""DiffusionMTL (CVPR 2024): initial predictions, noisy and denoised with all tasks' help."""

import zlib
from collections.abc import Container, Mapping, Sequence

import torch
from torch import Tensor

from mtpsl.models.to_device import labelled_index
from mtpsl.registry import MODELS
from mtpsl.structures import MultiTaskSample
from mtpsl.system.checks import is_integer
from mtpsl.system.choices import INTERMEDIATE_OUTPUTS
from mtpsl.tasks import Task

from .base import MultiTaskModel

STAGES = ('pred', *INTERMEDIATE_OUTPUTS)


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
            that only evaluation ('initial') and pictures look at ('noisy'; 'steps', which are
            the fields ``step<s>`` with X_0 as step s = S..2 predicts it).
        num_samples: K. Above 1, ``pred`` is the mean of the predictions of K draws of
            noise, and a tested sample gets the field ``spread``: their standard deviation (with
            K - 1), over all channels of a task together, (1, H, W). Other stages are of the first
            draw, which is the one of K = 1.
        data_preprocessor: config of the data preprocessor.
        init_cfg: see :class:`mmengine.model.BaseModule`.
        channels_last: see :class:`MultiTaskModel`.
    """

    def __init__(self, tasks: Mapping[str, dict | Task], backbone: dict, neck: dict,
                 decoder: dict, diffusion: dict, initial_loss_weight: float = 0.5,
                 test_seed: int = 0, outputs: Sequence[str] = STAGES[:3], num_samples: int = 1,
                 data_preprocessor: dict | None = None, init_cfg: dict | None = None,
                 channels_last: bool = True) -> None:
        _check_outputs(outputs)
        super().__init__(tasks, backbone, neck, decoder, data_preprocessor, init_cfg,
                         channels_last)
        self.diffusion = MODELS.build(dict(tasks=self.tasks) | diffusion)
        self.diffusion.start_from(self.decoders.predict)
        self._set_memory_format()
        self.initial_loss_weight = initial_loss_weight
        self.test_seed = test_seed
        self.outputs = tuple(outputs)
        self.check_num_samples(num_samples)
        self.num_samples = num_samples

    @property
    def intermediate_outputs(self) -> list[str]:
        steps = range(self.diffusion.schedule.num_steps, 1, -1)
        return ['initial', 'noisy', *(f'step{s}' for s in steps)]

    def check_num_samples(self, num_samples: int) -> None:
        """Raise ValueError where so many draws cannot be averaged."""
        if not is_integer(num_samples):
            raise ValueError(f'num_samples must be an integer of at least 1, got {num_samples!r}')
        if num_samples > 1 and not self.diffusion.schedule.num_noise_maps:
            raise ValueError(f'num_samples must be 1 where no noise is drawn (noise_scale=0), got '
                             f'{num_samples}')

    def loss(self, inputs: Tensor, data_samples: list[MultiTaskSample]) -> dict[str, Tensor]:
        """``loss_<task>`` of the final and ``loss_<task>_initial`` of the initial predictions."""
        every = self.labelled(data_samples)
        rows = {name: labelled for name, labelled in every.items() if labelled}
        condition = self.diffusion.condition
        # Through a condition that is not detached, all tasks learn from each label.
        active = None if condition and not condition.detach else self.active_tasks(every)
        features, initial = self.decoders(self.extract_feat(inputs), active)
        if not rows:
            return self.zero_loss(every, initial)
        index = labelled_index(rows, inputs.device)
        noise = self.training_noise(initial, rows)
        final, _ = self.diffusion(features, initial, index, noise)
        stages = {'': final, '_initial': {name: initial[name][i] for name, i in index.items()}}
        losses = self.task_losses(stages, data_samples, rows,
                                  {'_initial': self.initial_loss_weight})
        return losses | self.zero_loss(every, initial)

    def logits(self, inputs: Tensor, data_samples: list[MultiTaskSample] | None = None,
               tasks: Sequence[str] | None = None,
               outputs: Sequence[str] | None = None) -> dict[str, dict[str, Tensor]]:
        """Logits of the tasks by stage, those of ``outputs``, (B, C_t, h, w) each.

        The samples' ``img_id`` seeds the noise; without samples every draw is zero (its mean),
        and there are no ``noisy`` logits. With a condition, the initial predictions of all tasks
        are made whatever ``tasks`` are, since each is denoised with all tasks' help.
        """
        initial, source, condition = self.initial(inputs, tasks)
        noise = None
        if data_samples is not None:
            noise = self.test_noise(initial, [sample.img_id for sample in data_samples])
        shown = set(self.outputs if outputs is None else outputs)
        if data_samples is None:
            shown.discard('noisy')
        return self._stages(initial, source, condition, noise, shown)

    def predict(self, inputs: Tensor, data_samples: list[MultiTaskSample],
                tasks: Sequence[str] | None = None, num_samples: int | None = None,
                outputs: Sequence[str] | None = None) -> list[MultiTaskSample]:
        """As :meth:`MultiTaskModel.predict`; None of the last two is what the class was given.

        Args:
            inputs: (B, 3, H, W) normalised images.
            data_samples: theirs, which get the fields.
            tasks: names of the tasks to predict; None is all.
            num_samples: K, see the class.
            outputs: see the class.

        Raises:
            ValueError: a name that is no task or no output, or a K that cannot be.
        """
        if tasks is not None:
            self.check_tasks(tasks)
        if num_samples is not None:
            self.check_num_samples(num_samples)
        if outputs is not None:
            _check_outputs(outputs)
        return self.attach(self.prediction_maps(inputs, data_samples, tasks, num_samples, outputs),
                           data_samples)

    def prediction_maps(self, inputs: Tensor, data_samples: list[MultiTaskSample],
                    tasks: Sequence[str] | None = None, num_samples: int | None = None,
                    outputs: Sequence[str] | None = None) -> dict[str, dict[str, Tensor]]:
        """Of ``num_samples`` draws, see the class; encoder, decoders, condition run once.

        (B, C, H, W) by stage and task, ``spread`` (B, 1, H, W).
        """
        size = inputs.shape[-2:]
        draws = self.num_samples if num_samples is None else num_samples
        if draws == 1:
            return {stage: self.activate(logits, size) for stage, logits
                    in self.logits(inputs, data_samples, tasks, outputs).items()}
        ids = [sample.img_id for sample in data_samples]
        initial, source, condition = self.initial(inputs, tasks)
        stages = self._stages(initial, source, condition, self.test_noise(initial, ids),
                              self.outputs if outputs is None else outputs)
        maps = {stage: self.activate(logits, size) for stage, logits in stages.items()}
        mean = maps['pred']
        squares = {name: torch.zeros_like(m) for name, m in mean.items()}
        for draw in range(1, draws):
            *_, x_0 = self.diffusion.trajectory(source, condition,
                                                self.test_noise(initial, ids, draw))
            for name, m in self.activate(self.diffusion.project(x_0), size).items():
                difference = m - mean[name]  # Welford's update
                mean[name] = mean[name] + difference / (draw + 1)
                squares[name] += difference * (m - mean[name])
        maps['pred'] = {name: self.tasks[name].from_mean(m) for name, m in mean.items()}
        maps['spread'] = {name: (square.sum(1, keepdim=True) / (draws - 1)).sqrt()
                          for name, square in squares.items()}
        return maps

    def initial(self, inputs: Tensor, tasks: Sequence[str] | None = None,
                ) -> tuple[dict[str, Tensor], dict[str, Tensor], Tensor | None]:
        """What comes before the noise.

        Returns:
            P_init by task, (B, C_t, h, w), of more tasks than ``tasks`` if the condition needs
            them; X_init of ``tasks``, (B, map channels, h, w); and the condition's tokens for each
            pair, ((tasks B), L, C), None without a condition.
        """
        chosen = [name for name in self.tasks if tasks is None or name in tasks]
        needed = chosen if self.diffusion.condition is None else None
        features, initial = self.decoders(self.extract_feat(inputs), tasks=needed)
        index = dict.fromkeys(chosen, torch.arange(len(inputs), device=inputs.device))
        return initial, *self.diffusion.prepare(features, initial, index)

    def _stages(self, initial: Mapping[str, Tensor], source: Mapping[str, Tensor],
                condition: Tensor | None, noise: Mapping[str, Tensor] | None,
                shown: Container[str]) -> dict[str, dict[str, Tensor]]:
        """Logits by stage, those of ``shown``, for one draw of noise."""
        trajectory = self.diffusion.trajectory(source, condition, noise)
        noisy, maps = next(trajectory), {}
        for s, x_0 in zip(range(self.diffusion.schedule.num_steps, 0, -1), trajectory):
            if s == 1 or 'steps' in shown:
                maps['pred' if s == 1 else f'step{s}'] = self.diffusion.project(x_0)
        if 'initial' in shown:
            maps['initial'] = {name: initial[name] for name in source}
        if 'noisy' in shown:
            maps['noisy'] = self.diffusion.as_logits(noisy, self.decoders.predict)
        return maps

    def training_noise(self, initial: Mapping[str, Tensor],
                       rows: Mapping[str, Sequence[int]]) -> dict[str, Tensor] | None:
        """Fresh draws by task, (N_t, D, map channels, h, w); None where no noise is added."""
        draws = self.diffusion.schedule.num_noise_maps
        if not draws:
            return None
        return {name: torch.randn(len(rows[name]), draws, channels, *initial[name].shape[-2:],
                                  device=initial[name].device)
                for name, channels in self.diffusion.map_channels.items() if name in rows}

    def test_noise(self, initial: Mapping[str, Tensor], ids: Sequence[str],
                   sample: int = 0) -> dict[str, Tensor] | None:
        """The draws of each image from a generator seeded by its id, (B, D, channels, h, w).

        ``sample`` is which of the ``num_samples`` predictions they are for.
        """
        if not self.diffusion.schedule.num_noise_maps:
            return None
        first = next(iter(initial.values()))
        shape = self.noise_shape(*first.shape[-2:])
        generator = torch.Generator(first.device)
        base = f'{self.test_seed}.{sample}' if sample else f'{self.test_seed}'
        noise = torch.stack([
            torch.randn(shape, device=first.device,
                        generator=generator.manual_seed(_seed(base, image)))
            for image in ids])
        return self.split_noise(noise)

    def noise_shape(self, height: int, width: int) -> tuple[int, int, int, int]:
        """(D, channels of all maps together, h, w): the draws for one image with h x w maps."""
        return (self.diffusion.schedule.num_noise_maps, sum(self.diffusion.map_channels.values()),
                height, width)

    def split_noise(self, noise: Tensor) -> dict[str, Tensor]:
        """Draws of B images, (B, :meth:`noise_shape`), by task: (B, D, map channels, h, w).

        The tasks share the channels in the order of their names: a config as a run dumps it, with
        sorted keys, gets the same noise.
        """
        channels = dict(sorted(self.diffusion.map_channels.items()))
        return dict(zip(channels, noise.split(list(channels.values()), dim=2)))


def _check_outputs(outputs: Sequence[str]) -> None:
    if 'pred' not in outputs or not set(outputs) <= set(STAGES):
        raise ValueError(f"outputs must be 'pred' and others of {STAGES}, got {outputs}")


def _seed(base: str, image: str) -> int:
    """A seed for an image's noise that depends on its id alone."""
    return zlib.crc32(f'{base}/{image}'.encode())
