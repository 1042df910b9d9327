"""DiffusionMTL (CVPR 2024): add noise to initial predictions and denoise them jointly."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from mtpsl.models.diffusion.noise import NoiseSource
from mtpsl.models.stages import Encoder, without_values
from mtpsl.models.to_device import labelled_index
from mtpsl.registry import MODELS
from mtpsl.structures import MultiTaskSample
from mtpsl.structures.outputs import (
    FINAL,
    INITIAL,
    NOISY,
    OUTPUTS,
    STEPS,
    UNCERTAINTY,
    step_field,
)
from mtpsl.system.checks import is_integer
from mtpsl.tasks import Task

from .base import MultiTaskModel
from .options import DEFAULT, PredictOptions


@MODELS.register_module()
class DiffusionMTL(MultiTaskModel):
    """An initial backbone model and MTDNet, trained together (paper, Sec. 3 and Pseudocode 1).

    ::

        loss():    extract_feat() -> decoders() -> training_noise() -> diffusion() -> task_losses()
        predict(): test_noise() -> initial() -> diffusion.trajectory() -> diffusion.project()
                   -> activate() -> attach()

    In training the labelled (sample, task) pairs of a batch are denoised together, at test time
    every task of every sample. At test time the image id seeds the noise, so an image always has
    the same prediction, in any batch or worker.

    Args:
        tasks: task name -> task or its config.
        backbone: see :class:`MultiTaskModel`.
        neck: see :class:`MultiTaskModel`.
        decoder: see :class:`MultiTaskModel`.
        diffusion: config of ``PredictionDiffusion`` or ``FeatureDiffusion``.
        initial_loss_weight: factor on the losses of the initial predictions.
        test_seed: changes the noise at test time.
        test_noise_on_cpu: draw it on the CPU, for metrics that do not depend on the device: CPUs
            and different GPUs draw different numbers from one seed.
        outputs: outputs of a test, of ``OUTPUTS``. 'pred' alone saves the time of maps that only
            evaluation ('initial') and pictures ('noisy', 'steps') need; 'steps' gives the fields
            ``step<s>``, the X_0 predicted at step s = S..2.
        num_samples: K. Above 1, ``pred`` is the mean of K predictions from different noise, and
            a tested sample gets the field ``uncertainty``: their standard deviation (with K - 1),
            over all channels of a task together, (1, H, W). Other outputs are those of the first
            prediction, which equals that of K = 1.
        data_preprocessor: config of the data preprocessor.
        init_cfg: see :class:`mmengine.model.BaseModule`.
        channels_last: see :class:`MultiTaskModel`.
    """

    def __init__(self, tasks: Mapping[str, dict | Task], backbone: dict, neck: dict,
                 decoder: dict, diffusion: dict, initial_loss_weight: float = 0.5,
                 test_seed: int = 0, outputs: Sequence[str] = OUTPUTS[:3], num_samples: int = 1,
                 data_preprocessor: dict | None = None, init_cfg: dict | None = None,
                 channels_last: bool = True, test_noise_on_cpu: bool = False) -> None:
        _check_outputs(outputs)
        super().__init__(tasks, backbone, neck, decoder, data_preprocessor, init_cfg,
                         channels_last)
        self.diffusion = MODELS.build(dict(tasks=self.tasks) | diffusion)
        self.diffusion.start_from(self.decoders.predict)
        self._set_memory_format()
        self.initial_loss_weight = initial_loss_weight
        self.outputs = tuple(outputs)
        self.noise = NoiseSource(self.diffusion.schedule.num_noise_maps,
                                 self.diffusion.map_channels, test_seed, test_noise_on_cpu)
        self._map_sizes: dict[tuple[int, int], tuple[int, int]] = {}
        self._check_num_samples(num_samples)
        self.num_samples = num_samples

    @property
    def num_steps(self) -> int:
        return self.diffusion.schedule.num_steps

    def check_options(self, options: PredictOptions) -> None:
        self.check_tasks(options.tasks)
        if options.num_samples is not None:
            self._check_num_samples(options.num_samples)
        if options.outputs is not None:
            _check_outputs(options.outputs)

    def _check_num_samples(self, num_samples: int) -> None:
        if not is_integer(num_samples):
            raise ValueError(f'num_samples must be an integer of at least 1, got {num_samples!r}')
        if num_samples > 1 and not self.noise.num_maps:
            raise ValueError('num_samples must be 1 where no noise is drawn (noise_scale=0), got '
                             f'{num_samples}')

    def loss(self, inputs: Tensor, data_samples: list[MultiTaskSample]) -> dict[str, Tensor]:
        """Return ``loss_<task>`` of the final, ``loss_<task>_initial`` of initial predictions."""
        every = self.labelled(data_samples)
        rows = {name: labelled for name, labelled in every.items() if labelled}
        condition = self.diffusion.condition
        # If the condition is not detached, all tasks get gradients from each label.
        active = None if condition and not condition.detach else self.active_tasks(every)
        features, initial = self.decoders(self.extract_feat(inputs), active)
        if not rows:
            return self.zero_loss(every, initial)
        index = labelled_index(rows, inputs.device)
        noise = self.training_noise(initial, rows)
        final, _ = self.diffusion(features, initial, index, noise)
        logits = {FINAL: final,
                  INITIAL: {name: initial[name][i] for name, i in index.items()}}
        losses = self.task_losses(logits, data_samples, rows, {INITIAL: self.initial_loss_weight})
        return losses | self.zero_loss(every, initial)

    def logits(self, inputs: Tensor, data_samples: list[MultiTaskSample] | None = None,
               options: PredictOptions = DEFAULT) -> dict[str, dict[str, Tensor]]:
        """Compute logits by output and task, those of ``options``, (B, C_t, h, w) each.

        The samples' ``img_id`` seeds the noise. Without samples all noise is zero (its mean), and
        there are no ``noisy`` logits. With a condition, the initial predictions of all tasks are
        computed, since all condition the denoising.
        """
        noise = None
        if data_samples is None:
            options = replace(options, outputs=[output for output in self._wanted(options)
                                                if output != NOISY])
        else:
            noise = self._noise_of(inputs, data_samples)
        return self.logits_from(inputs, noise, options)

    def logits_from(self, inputs: Tensor, noise: Mapping[str, Tensor] | None,
                    options: PredictOptions = DEFAULT) -> dict[str, dict[str, Tensor]]:
        """Compute :meth:`logits` from given noise, see :meth:`test_noise`.

        This is one graph for ``torch.compile``. ``noise`` is None where it is zero or not needed.
        """
        return self._outputs(*self.initial(inputs, options.tasks), noise, self._wanted(options))

    def final_logits(self, inputs: Tensor, noise: Tensor | None = None) -> dict[str, Tensor]:
        draws = None if noise is None else self.noise.split(noise)
        return self.logits_from(inputs, draws, PredictOptions(outputs=(FINAL,)))[FINAL]

    def prediction_maps(self, inputs: Tensor, data_samples: list[MultiTaskSample],
                        options: PredictOptions = DEFAULT) -> dict[str, dict[str, Tensor]]:
        """Predict, see :meth:`MultiTaskModel.prediction_maps`; K > 1 adds ``uncertainty``.

        Encoder, decoders and condition run once. ``uncertainty`` is (B, 1, H, W).
        """
        size = inputs.shape[-2:]
        samples = self.num_samples if options.num_samples is None else options.num_samples
        if samples == 1:
            return super().prediction_maps(inputs, data_samples, options)
        noise = self._noise_of(inputs, data_samples)
        initial, source, condition = self.initial(inputs, options.tasks)
        logits = self._outputs(initial, source, condition, noise, self._wanted(options))
        maps = {output: self.activate(by_task, size) for output, by_task in logits.items()}
        mean = maps[FINAL]
        squares = {name: torch.zeros_like(m) for name, m in mean.items()}
        for sample in range(1, samples):
            noise = self._noise_of(inputs, data_samples, sample)
            for name, m in self.activate(self.draw(source, condition, noise), size).items():
                difference = m - mean[name]  # Welford's update
                mean[name] = mean[name] + difference / (sample + 1)
                squares[name] += difference * (m - mean[name])
        maps[FINAL] = {name: self.tasks[name].from_mean(m) for name, m in mean.items()}
        maps[UNCERTAINTY] = {name: (square.sum(1, keepdim=True) / (samples - 1)).sqrt()
                             for name, square in squares.items()}
        return maps

    def draw(self, source: Mapping[str, Tensor], condition: Tensor | None,
             noise: Mapping[str, Tensor] | None) -> dict[str, Tensor]:
        """Compute the final logits of one set of noise maps, from what :meth:`initial` returns."""
        *_, x_0 = self.diffusion.trajectory(source, condition, noise)
        return self.diffusion.project(x_0)

    def map_size(self, inputs: Tensor) -> tuple[int, int]:
        """Return (h, w) of the maps for images (B, 3, H, W), computed once per (H, W)."""
        size = (inputs.shape[-2], inputs.shape[-1])
        if size not in self._map_sizes:
            try:
                features = without_values(Encoder(self.backbone, self.neck), size)
            except Exception:  # a backbone whose code reads values
                features = self.extract_feat(inputs)
            self._map_sizes[size] = (features.shape[-2], features.shape[-1])
        return self._map_sizes[size]

    def _noise_of(self, inputs: Tensor, data_samples: Sequence[MultiTaskSample],
                  *sample: int) -> dict[str, Tensor] | None:
        """Draw the noise of a batch before the model runs."""
        if not self.noise.num_maps:
            return None
        maps = inputs.new_empty(0, *self.map_size(inputs))
        ids = [one.img_id for one in data_samples]
        return self.test_noise(dict.fromkeys(self.tasks, maps), ids, *sample)

    def _wanted(self, options: PredictOptions) -> Sequence[str]:
        return self.outputs if options.outputs is None else options.outputs

    def initial(self, inputs: Tensor, tasks: Sequence[str] | None = None,
                ) -> tuple[dict[str, Tensor], dict[str, Tensor], Tensor | None]:
        """Compute the input of the diffusion.

        Returns:
            P_init by task, (B, C_t, h, w), of all tasks if there is a condition; X_init of
            ``tasks``, (B, map channels, h, w); and the condition's tokens of each pair,
            ((tasks B), L, C), or None.
        """
        chosen = [name for name in self.tasks if tasks is None or name in tasks]
        needed = chosen if self.diffusion.condition is None else None
        features, initial = self.decoders(self.extract_feat(inputs), tasks=needed)
        index = dict.fromkeys(chosen, torch.arange(len(inputs), device=inputs.device))
        return initial, *self.diffusion.prepare(features, initial, index)

    def _outputs(self, initial: Mapping[str, Tensor], source: Mapping[str, Tensor],
                 condition: Tensor | None, noise: Mapping[str, Tensor] | None,
                 shown: Sequence[str]) -> dict[str, dict[str, Tensor]]:
        """Compute the logits of the outputs in ``shown``, for one set of noise maps."""
        trajectory = self.diffusion.trajectory(source, condition, noise)
        noisy, maps = next(trajectory), {}
        for step, x_0 in zip(range(self.num_steps, 0, -1), trajectory):
            if step == 1 or STEPS in shown:
                maps[step_field(step)] = self.diffusion.project(x_0)
        if INITIAL in shown:
            maps[INITIAL] = {name: initial[name] for name in source}
        if NOISY in shown:
            maps[NOISY] = self.diffusion.as_logits(noisy, self.decoders.predict)
        return maps

    def training_noise(self, initial: Mapping[str, Tensor],
                       rows: Mapping[str, Sequence[int]]) -> dict[str, Tensor] | None:
        """Draw new noise for the labelled pairs, see :class:`NoiseSource`."""
        first = next(iter(initial.values()))
        return self.noise.for_training(rows, first.shape[-2:], first.device)

    def test_noise(self, initial: Mapping[str, Tensor], ids: Sequence[str],
                   sample: int = 0) -> dict[str, Tensor] | None:
        """Draw noise seeded by the images' ids, see :class:`NoiseSource`.

        Only the size and device of ``initial``, maps by task, are read.
        """
        first = next(iter(initial.values()))
        return self.noise.for_images(ids, first.shape[-2:], first.device, sample)


def _check_outputs(outputs: Sequence[str]) -> None:
    if isinstance(outputs, str) or FINAL not in outputs or not set(outputs) <= set(OUTPUTS):
        raise ValueError(f"outputs must be '{FINAL}' and others of {OUTPUTS}, got {outputs}")
