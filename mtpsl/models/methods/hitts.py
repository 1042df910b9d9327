"""HiTTs: hierarchical task tokens, without a teacher (stage 1) and with one (stage 2)."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mtpsl.models.hitts import HeadOutput, TeacherMaps
from mtpsl.models.hitts.bins import UNKNOWN
from mtpsl.models.hitts.teacher import load_teacher, teacher_checkpoint
from mtpsl.models.to_device import labelled_index, resize
from mtpsl.registry import MODELS
from mtpsl.structures import MultiTaskSample
from mtpsl.structures.outputs import FINAL, shared_loss
from mtpsl.tasks import Task
from mtpsl.tasks.base import masked_mean, per_sample

from .base import MultiTaskModel


@MODELS.register_module()
class HiTTs(MultiTaskModel):
    """Stage 1 of HiTTs (arXiv:2411.18823): exchange task tokens at each stage of the encoder.

    Tasks with bins (:class:`~mtpsl.models.TokenDecoders`) have a cross-entropy loss of the nearest
    bin in addition to their own loss.

    Args:
        tasks: task name -> task or its config.
        backbone: see :class:`MultiTaskModel`; its stages are the input of the decoders.
        decoder: config of :class:`~mtpsl.models.TokenDecoders`.
        bin_loss_weight: factor on the bins' cross-entropy, in addition to the task's weight.
        label_balance: weight labelled pairs by T / (B \\|L_i\\|), as all methods here; False:
            T / B, as published.
        data_preprocessor: config of the data preprocessor.
        init_cfg: see :class:`mmengine.model.BaseModule`.
        channels_last: see :class:`MultiTaskModel`.

    Raises:
        ValueError: in ``loss``, a batch of one image on one process, for which BatchNorm in the
            global branch of the ASPP has no statistics.
    """

    def __init__(self, tasks: Mapping[str, dict | Task], backbone: dict, decoder: dict,
                 bin_loss_weight: float = 0.1, label_balance: bool = True,
                 data_preprocessor: dict | None = None, init_cfg: dict | None = None,
                 channels_last: bool = True) -> None:
        super().__init__(tasks, backbone, None, decoder, data_preprocessor, init_cfg,
                         channels_last)
        self.bin_loss_weight = bin_loss_weight
        self.label_balance = label_balance

    def loss(self, inputs: Tensor, data_samples: list[MultiTaskSample]) -> dict[str, Tensor]:
        """Return ``loss_<task>`` of the labelled pairs, and ``loss_bins`` of those with bins."""
        self._check_batch(inputs)
        rows = self.labelled(data_samples)
        outputs, logits = self.decoders(self.extract_feat(inputs), self.active_tasks(rows))
        return self._labelled_losses(outputs, logits, data_samples, rows) | self.zero_loss(
            rows, logits)

    def _check_batch(self, inputs: Tensor) -> None:
        if len(inputs) == 1 and any(isinstance(module, nn.BatchNorm2d) and module.training
                                    for module in self.decoders.modules()):
            raise ValueError(f'{type(self).__name__} needs training batches of at least 2 images, '
                             'since it normalises global averages over the batch, got 1: raise '
                             'train_dataloader.batch_size, and set drop_last')

    def _labelled_losses(self, outputs: Mapping[str, HeadOutput], logits: Mapping[str, Tensor],
                         data_samples: Sequence[MultiTaskSample],
                         rows: Mapping[str, Sequence[int]]) -> dict[str, Tensor]:
        device = next(iter(logits.values())).device
        index = {name: i for name, i in labelled_index(rows, device).items() if len(i)}
        losses = self.task_losses({FINAL: {name: logits[name][i] for name, i in index.items()}},
                                  data_samples, rows)
        bins = [name for name in index if name in self.decoders.bins]
        if bins:
            balance = self._balance({name: rows[name] for name in rows if rows[name]},
                                    len(data_samples), logits)
            losses[shared_loss('bins')] = torch.stack([
                self.tasks[name].loss_weight * (balance[name] * self._bin_loss(
                    name, outputs[name].scores[index[name]], data_samples, rows[name])).sum()
                for name in bins]).sum() * self.bin_loss_weight
        return losses

    def _bin_loss(self, name: str, scores: Tensor, data_samples: Sequence[MultiTaskSample],
                  rows: Sequence[int]) -> Tensor:
        """Return the cross-entropy of the nearest bin of each sample, (N_t,)."""
        label = torch.stack([getattr(data_samples[row].gt, name) for row in rows])
        valid = self.tasks[name].valid(label)
        target = self.decoders.bins[name].target(label, valid)
        full = resize(scores.float(), label.shape[-2:])
        pixel = F.cross_entropy(full, target, ignore_index=UNKNOWN, reduction='none')
        return masked_mean(pixel, valid)

    def _balance(self, rows: Mapping[str, Sequence[int]], samples: int,
                 logits: Mapping[str, Tensor]) -> dict[str, Tensor]:
        if self.label_balance:
            return super()._balance(rows, samples, logits)
        device = next(iter(logits.values())).device
        return {name: torch.full((len(labelled),), len(self.tasks) / samples, device=device)
                for name, labelled in rows.items()}


@MODELS.register_module()
class DistilledHiTTs(HiTTs):
    """Stage 2 of HiTTs: train a new student with a frozen teacher, the model of stage 1.

    With T tasks, B samples, f the heads' features, e the relevance of the teacher's token (see
    :meth:`~mtpsl.models.hitts.decoder.HeadOutput.relevance`), the losses of :class:`HiTTs` plus::

        L_feature = feature_weight T / B sum_i sum_t mean (f - f')^2 [e' where t not in L_i]
        L_pseudo = T / B sum_i sum_{t not in L_i} w_t weight_t P_t

    P_t is the task's :class:`~mtpsl.models.hitts.pseudo.PseudoLoss`. The teacher sees the same
    images in evaluation mode. It is not a submodule: checkpoints and optimiser do not hold it. It
    is loaded when training starts or resumes; testing and prediction do not need it.

    Args:
        tasks: task name -> task or its config.
        backbone: see :class:`HiTTs`.
        decoder: see :class:`HiTTs`.
        teacher: checkpoint of the same model without a teacher, or the work dir of its training,
            whose last checkpoint is used.
        pseudo: task name -> config of its pseudo-labels, or None. Must name all tasks.
        feature_weight: factor on the loss of the features.
        bin_loss_weight: see :class:`HiTTs`.
        label_balance: see :class:`HiTTs`; only for the labelled losses.
        data_preprocessor: config of the data preprocessor.
        init_cfg: see :class:`mmengine.model.BaseModule`.
        channels_last: see :class:`MultiTaskModel`.

    Raises:
        ValueError: pseudo-labels of unknown tasks or unsuitable for their task; when training
            starts, a teacher of another model.
        FileNotFoundError: when training starts, the teacher is missing.
    """

    def __init__(self, tasks: Mapping[str, dict | Task], backbone: dict, decoder: dict,
                 teacher: str, pseudo: Mapping[str, dict | None], feature_weight: float = 1.0,
                 bin_loss_weight: float = 0.1, label_balance: bool = True,
                 data_preprocessor: dict | None = None, init_cfg: dict | None = None,
                 channels_last: bool = True) -> None:
        super().__init__(tasks, backbone, decoder, bin_loss_weight, label_balance,
                         data_preprocessor, init_cfg, channels_last)
        self.teacher = teacher
        self.feature_weight = feature_weight
        self.pseudo = self._build_pseudo(pseudo)
        self._teacher_parts: dict[str, Any] = dict(
            tasks=self.shown, backbone=dict(backbone), decoder=dict(decoder),
            channels_last=channels_last)
        self._loaded: list[HiTTs] = []  # a list, so that it is no submodule

    def _build_pseudo(self, pseudo: Mapping[str, dict | None]) -> dict[str, Any]:
        wrong = sorted(set(pseudo) ^ set(self.tasks))
        if wrong:
            raise ValueError(f'{type(self).__name__}: pseudo must name all tasks, '
                             f'{", ".join(self.tasks)}, and no others (None for no pseudo-labels); '
                             f'it differs in {", ".join(wrong)}')
        built = {}
        for name, task in self.tasks.items():
            config = pseudo[name]
            if config is not None:
                built[name] = MODELS.build(config)
                built[name].check(task, name in self.decoders.bins)
        return built

    def teacher_checkpoint(self) -> str:
        """Return the checkpoint file of the teacher.

        Raises:
            FileNotFoundError: it does not exist.
        """
        return teacher_checkpoint(self.teacher)

    def init_weights(self) -> None:
        """Initialise the student, after checking that the teacher exists."""
        self.load_teacher()
        super().init_weights()

    def load_teacher(self) -> HiTTs:
        """Return the teacher, loaded on the first call.

        Raises:
            FileNotFoundError: the checkpoint does not exist.
            ValueError: it is of another model.
        """
        if not self._loaded:
            self._loaded.append(load_teacher(self.teacher, HiTTs, self._teacher_parts))
        return self._loaded[0]

    def loss(self, inputs: Tensor, data_samples: list[MultiTaskSample]) -> dict[str, Tensor]:
        """Return the losses of :class:`HiTTs`, ``loss_feature`` and ``loss_pseudo``."""
        self._check_batch(inputs)
        teacher = self.load_teacher()
        if next(teacher.parameters()).device != inputs.device:
            teacher.to(inputs.device)
        rows = self.labelled(data_samples)
        outputs, logits = self.decoders(self.extract_feat(inputs))
        with torch.no_grad():
            taught = teacher.decoders(teacher.extract_feat(inputs))
        losses = self._labelled_losses(outputs, logits, data_samples, rows)
        losses[shared_loss('feature')] = self._feature_loss(outputs, taught[0], rows, len(inputs))
        losses |= self._pseudo_loss(logits, taught, rows, inputs)
        return losses | self.zero_loss(rows, logits)

    def _feature_loss(self, outputs: Mapping[str, HeadOutput], taught: Mapping[str, HeadOutput],
                      rows: Mapping[str, Sequence[int]], samples: int) -> Tensor:
        total = []
        for name, index in labelled_index(rows, next(iter(outputs.values())).scores.device).items():
            square = (outputs[name].feature.float() - taught[name].feature.float()).square()
            share = taught[name].relevance().index_fill(0, index, 1.0)
            total.append((square * share).mean((1, 2, 3)).sum())
        return self.feature_weight * len(self.tasks) / samples * torch.stack(total).sum()

    def _pseudo_loss(self, logits: Mapping[str, Tensor],
                     taught: tuple[Mapping[str, HeadOutput], Mapping[str, Tensor]],
                     rows: Mapping[str, Sequence[int]], inputs: Tensor) -> dict[str, Tensor]:
        samples, size = len(inputs), inputs.shape[-2:]
        rest = {name: found for name in self.pseudo
                if (found := sorted(set(range(samples)) - set(rows[name])))}
        total = []
        for name, index in labelled_index(rest, inputs.device).items():
            task, pseudo = self.tasks[name], self.pseudo[name]
            maps = TeacherMaps(taught[1][name][index], taught[0][name].scores[index], size)
            loss = per_sample(pseudo.loss(task, resize(logits[name][index].float(), size), maps),
                              len(rest[name]), f'{type(pseudo).__name__} of the task {name}')
            total.append(task.loss_weight * pseudo.weight * loss.sum())
        if not total:
            return {}
        return {shared_loss('pseudo'): len(self.tasks) / samples * torch.stack(total).sum()}
