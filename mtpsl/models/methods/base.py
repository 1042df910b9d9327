"""The multi-task model, base class of all methods.

Shapes: B samples of 3 x H x W; N_t of them labelled for task t; C_t channels of its logits, c_t
of its label; maps at stride 8 are h x w.
"""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from mtpsl.models.attach import attach
from mtpsl.models.diffusion.noise import NoiseSource
from mtpsl.models.stages import build_neck, check_normalisation
from mtpsl.models.task_order import OrderedTasks, in_order
from mtpsl.models.test_time_augmentation import MultiTaskTTA
from mtpsl.models.to_device import labelled_index, resize, to_device
from mtpsl.models.transfer import Transfer
from mtpsl.registry import MODELS
from mtpsl.structures import MultiTaskSample, labelled_rows
from mtpsl.structures.outputs import FINAL, ZERO_LOSS, intermediate_fields, task_loss
from mtpsl.system.checks import is_integer
from mtpsl.tasks import Task, build_tasks
from mtpsl.tasks.base import per_sample

from .losses import LossCheck
from .options import DEFAULT, PredictOptions


@MODELS.register_module()
class MultiTaskModel(OrderedTasks):
    """Shared encoder, one decoder per task: the MTL baseline (one task: single-task model).

    ::

        loss():    extract_feat() -> decoders() -> task_losses(), zero_loss()
        predict(): logits() -> activate() -> attach()

    Convention: the modules of a task are in a ``ModuleDict`` under the task's name, its single
    parameters in a ``ParameterDict``. Nothing depends on the order of ``tasks``, see
    :mod:`mtpsl.models.task_order`.

    Args:
        tasks: task name -> task or its config.
        backbone: config of an encoder that returns its stages, finest first (as in mmseg).
        neck: config of the module that fuses the stages to one map; what it leaves out about the
            stages is determined from the backbone. None if the decoders take the stages.
        decoder: config of the decoders of task features and initial predictions.
        data_preprocessor: config of the data preprocessor.
        init_cfg: see :class:`mmengine.model.BaseModule`, and :meth:`init_weights`.
        channels_last: store convolution weights, and thus maps, as (N, H, W, C) in memory: equal
            values, faster.

    Attributes:
        tasks: task name -> task, in the model's order.
        shown: the same in the order of the argument, for tables and pictures.
        tta: test-time augmentation, or None; see :meth:`augment_tests`.
        noise: source of noise; has no maps if the model uses none.
        num_samples: number of draws of noise that a prediction averages; 1 without noise.
        amp: whether :meth:`predict` computes in bfloat16; its maps are float32.
    """

    init_cfg: Any
    num_samples = 1

    def __init__(self, tasks: Mapping[str, dict | Task], backbone: dict, neck: dict | None,
                 decoder: dict, data_preprocessor: dict | None = None,
                 init_cfg: dict | None = None, channels_last: bool = True) -> None:
        built = build_tasks(tasks)
        preprocessor = dict(type='MultiTaskDataPreprocessor', tasks=built)
        super().__init__(MODELS.build(preprocessor | (data_preprocessor or {})), init_cfg)
        self.shown, self.tasks = built, in_order(built)
        self.backbone = MODELS.build(backbone)
        check_normalisation(self.backbone, self.data_preprocessor.mean, self.data_preprocessor.std)
        self.neck = (build_neck(neck, self.backbone, self.data_preprocessor.least_size)
                     if neck else nn.Identity())
        self.decoders = MODELS.build(dict(tasks=self.tasks) | decoder)
        self.channels_last = channels_last
        self.tta: MultiTaskTTA | None = None
        self.noise = NoiseSource(0, {})
        self.amp = False
        self._check_losses = LossCheck(self.tasks)
        self._set_memory_format()

    def init_weights(self) -> None:
        """Initialise in contiguous format, so that weights do not depend on ``channels_last``.

        With ``init_cfg=dict(type='Pretrained', checkpoint=...)`` matching weights are loaded, see
        :class:`mtpsl.models.transfer.Transfer`.
        """
        given, transfer = self.init_cfg, None
        if isinstance(given, dict) and given.get('type') == 'Pretrained':
            self.init_cfg, transfer = None, Transfer(given['checkpoint'], self, list(self.tasks))
            if transfer.covers(self.backbone, 'backbone'):
                self.backbone.init_cfg = None  # its weights are replaced, so do not load them
        self.to(memory_format=torch.contiguous_format)
        super().init_weights()
        if transfer:
            transfer.apply(self)
        self.init_cfg = given
        self._set_memory_format()

    def _set_memory_format(self) -> None:
        """Apply to all current submodules; a subclass that adds some calls it again."""
        if self.channels_last:
            self.to(memory_format=torch.channels_last)

    def forward(self, inputs: Tensor, data_samples: list[MultiTaskSample] | None = None,
                mode: str = 'tensor') -> dict | list:
        """Run one of mmengine's three modes.

        Args:
            inputs: (B, 3, H, W) normalised images.
            data_samples: their samples.
            mode: 'loss' returns the losses by name, 'predict' the samples with predictions,
                'tensor' the final logits of all tasks by name, (B, C_t, h, w).
        """
        if mode == 'loss':
            return self.loss(inputs, data_samples or [])
        if mode == 'predict':
            return self.predict(inputs, data_samples or [])
        if mode == 'tensor':
            return self.logits(inputs, data_samples)[FINAL]
        raise ValueError(f"mode must be 'loss', 'predict' or 'tensor', got {mode!r}")

    def extract_feat(self, inputs: Tensor) -> Any:
        """Map (B, 3, H, W) to F_backbone (B, C, h, w); to the stages if there is no neck."""
        return self.neck(self.backbone(inputs))

    # ---------------------------------------------------------------- overridden by methods

    @property
    def num_steps(self) -> int:
        """Return the number of denoising steps; 0 for a model that does not denoise."""
        return 0

    @property
    def intermediate_outputs(self) -> list[str]:
        """Return the outputs besides ``pred``, in the order of their computation."""
        return intermediate_fields(self.num_steps)

    def check_options(self, options: PredictOptions) -> None:
        """Raise ValueError if the model does not support the options."""
        self.check_tasks(options.tasks)
        one = options.num_samples is None or (
            is_integer(options.num_samples) and options.num_samples == 1)
        if not one or set(options.outputs or ()) - {FINAL}:
            raise ValueError(
                f'{type(self).__name__} draws no noise and has no denoising steps: num_samples '
                f"must be 1 and outputs ('{FINAL}',), got {options.num_samples!r} and "
                f'{options.outputs!r}')

    def logits(self, inputs: Tensor, data_samples: list[MultiTaskSample] | None = None,
               options: PredictOptions = DEFAULT) -> dict[str, dict[str, Tensor]]:
        """Compute logits by output and task: ``{'pred': {task: (B, C_t, h, w)}, ...}``.

        Work that only tasks outside ``options.tasks`` need is skipped.
        """
        return {FINAL: self.decoders(self.extract_feat(inputs), tasks=options.tasks)[1]}

    def final_logits(self, inputs: Tensor, noise: Tensor | None = None) -> dict[str, Tensor]:
        """Compute final logits of all tasks, (B, C_t, h, w), from given noise, for export.

        Args:
            inputs: (B, 3, H, W) normalised images.
            noise: (B, D, K, h, w) with (D, K, h, w) from ``noise.shape``; None is zero noise.
        """
        return self.logits(inputs)[FINAL]

    def loss(self, inputs: Tensor, data_samples: list[MultiTaskSample]) -> dict[str, Tensor]:
        """Return the losses of the labelled (sample, task) pairs, ``loss_<task>``."""
        rows = self.labelled(data_samples)
        predictions = self.decoders(self.extract_feat(inputs), self.active_tasks(rows))[1]
        chosen = {name: predictions[name][i]
                  for name, i in labelled_index(rows, inputs.device).items()}
        losses = self.task_losses({FINAL: chosen}, data_samples, rows)
        return losses | self.zero_loss(rows, predictions)

    # ---------------------------------------------------------------- training

    def labelled(self, data_samples: Sequence[MultiTaskSample]) -> dict[str, list[int]]:
        """Return the indices of the labelled samples of each task; an empty list if none."""
        return {name: labelled_rows(data_samples, name) for name in self.tasks}

    def active_tasks(self, rows: Mapping[str, Sequence[int]]) -> list[str]:
        """Return the tasks whose decoders must take part in the backward pass.

        These are the tasks with labelled rows; with SyncBN, whose backward pass is a collective
        operation, all tasks, since another rank may have labels of them.
        """
        everything = any(isinstance(m, nn.SyncBatchNorm) for m in self.modules())
        return [name for name, labelled in rows.items() if labelled or everything]

    def task_losses(self, logits: Mapping[str, Mapping[str, Tensor]],
                    data_samples: Sequence[MultiTaskSample], rows: Mapping[str, Sequence[int]],
                    factors: Mapping[str, float] | None = None) -> dict[str, Tensor]:
        """Return task losses, weighted and balanced over the labels of each sample.

        ``L = 1/B sum_i T/|L_i| sum_{t in L_i} w_t sum_k f_k l_t(logits_k, label)``, with L_i the
        tasks that sample i is labelled for. A sample has the same weight for any number of
        labels; one without labels adds nothing.

        Args:
            logits: output k (a key of ``LOSS_SUFFIXES``) -> task -> (N_t, C_t, h, w), labelled
                rows only.
            data_samples: the B samples of the batch.
            rows: task name -> labelled rows.
            factors: output k -> factor f_k; 1 by default.

        Returns:
            ``loss_<task><suffix>`` -> scalar, for the tasks with labelled rows.

        Raises:
            ValueError: a task's loss is not one number per sample.
        """
        rows = {name: labelled for name, labelled in rows.items() if labelled}
        if not rows:
            return {}
        balance = self._balance(rows, len(data_samples), next(iter(logits.values())))
        losses = {}
        for name, labelled in rows.items():
            task = self.tasks[name]
            label = torch.stack([getattr(data_samples[row].gt, name) for row in labelled])
            for output, maps in logits.items():
                full = resize(maps[name].float(), label.shape[-2:])
                weight = task.loss_weight * (factors or {}).get(output, 1.0)
                loss = per_sample(task.loss(full, label), len(label), f'loss of the task {name}')
                losses[task_loss(name, output)] = weight * (balance[name] * loss).sum()
        return losses

    def _balance(self, rows: Mapping[str, Sequence[int]], samples: int,
                 logits: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return T / |L_i| / B of each labelled pair, (N_t,) by task."""
        count = [sum(row in labelled for labelled in rows.values()) for row in range(samples)]
        shares = {name: [len(self.tasks) / count[row] / samples for row in labelled]
                  for name, labelled in rows.items()}
        return to_device(shares, torch.float32, next(iter(logits.values())).device)

    def zero_loss(self, rows: Mapping[str, Sequence[int]],
                      predictions: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return ``loss_zero``, which gives zero gradients to unlabelled tasks of a batch.

        Every parameter must get a gradient on every rank, so that distributed training needs no
        ``find_unused_parameters``: those of tasks without labelled samples, and all parameters if
        no sample is labelled. The optimiser wrappers of this project skip parameters that have no
        other gradient on any rank. ``predictions`` are those of the decoders. It is not logged.
        """
        silent = [name for name, labelled in rows.items() if not labelled]
        if not silent:
            return {}
        everything = len(silent) == len(rows)
        own = [p for path, p in self.named_parameters() if p.requires_grad and (
            everything or self._owner.get(path, ('', ''))[1] in silent)]
        # With SyncBN, unlabelled tasks take part in the backward pass too, see ``active_tasks``.
        own += [predictions[name] for name in silent if name in self.active_tasks(rows)]
        return {ZERO_LOSS: 0 * sum(p.sum() for p in own)}

    def parse_losses(self, losses: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Return mmengine's sum of the losses, and the losses to log, without ``loss_zero``.

        Raises:
            ValueError: in the first steps one is the sum of the others.
        """
        self._check_losses(losses)
        total, logged = super().parse_losses(losses)
        return total, OrderedDict((key, value) for key, value in logged.items() if key != ZERO_LOSS)

    # ---------------------------------------------------------------- inference

    def predict(self, inputs: Tensor, data_samples: list[MultiTaskSample],
                options: PredictOptions = DEFAULT) -> list[MultiTaskSample]:
        """Predict in each image's size, with the padding removed.

        Args:
            inputs: (B, 3, H, W) normalised images.
            data_samples: their samples; one field per output is added.
            options: tasks, outputs and number of samples.

        Raises:
            ValueError: see :meth:`check_options`; or predictions that are not finite.
        """
        self.check_options(options)
        with torch.autocast(inputs.device.type, torch.bfloat16) if self.amp else nullcontext():
            if self.tta is None:
                maps = self.prediction_maps(inputs, data_samples, options)
            else:
                maps = self.tta(self.prediction_maps, inputs, data_samples, options, self.tasks,
                                self.data_preprocessor.size_divisor)
        return attach(maps, data_samples)

    def augment_tests(self, tta: Mapping[str, Any] | None = None) -> None:
        """Average all later predictions over views of the image.

        Args:
            tta: config of the augmentation; missing keys have the defaults of
                :class:`~mtpsl.models.MultiTaskTTA`.

        Raises:
            ValueError: a task does not define how its predictions are mirrored.
        """
        augmentation = MODELS.build(dict(type=MultiTaskTTA) | dict(tta or {}))
        augmentation.check_tasks(self.tasks)
        self.tta = augmentation

    def prediction_maps(self, inputs: Tensor, data_samples: list[MultiTaskSample],
                        options: PredictOptions = DEFAULT) -> dict[str, dict[str, Tensor]]:
        """Predict at the inputs' size, (B, C, H, W) by output and task."""
        logits = self.logits(inputs, data_samples, options)
        return {output: self.activate(maps, inputs.shape[-2:]) for output, maps in logits.items()}

    def activate(self, logits: Mapping[str, Tensor], size: Sequence[int]) -> dict[str, Tensor]:
        """Convert logits by task to predictions by task, (B, C, H, W) with ``size`` = (H, W)."""
        return {name: self.tasks[name].activate(resize(maps.float(), size))
                for name, maps in logits.items()}

    def check_tasks(self, tasks: Sequence[str] | None) -> None:
        """Raise ValueError unless ``tasks`` is a list of task names or None."""
        if tasks is None:
            return
        names = [tasks] if isinstance(tasks, str) else list(tasks)
        unknown = [name for name in names if name not in self.tasks]
        if unknown or isinstance(tasks, str) or not names:
            raise ValueError(f'tasks must be a list of some of {list(self.tasks)}, got {tasks!r}')
