"""JTR: joint-task regularisation by an auto-encoder of all tasks (arXiv:2404.01976)."""

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.func import functional_call

from mtpsl.models.to_device import labelled_index, resize
from mtpsl.registry import MODELS
from mtpsl.structures.outputs import shared_loss
from mtpsl.tasks import Task
from mtpsl.tasks.auxiliary import per_sample

from .base import (
    VGG_CONVS,
    Regularizer,
    View,
    check_network,
    coarse_size,
    conv_norm,
    cosine_distance,
)


def _convs(widths: Sequence[int], statistics: str) -> nn.Sequential:
    """Chain 3x3 convolutions of these widths, each with normalisation and ReLU."""
    return nn.Sequential(*[
        layer for before, after in zip(widths, widths[1:])
        for layer in (*conv_norm(before, after, statistics), nn.ReLU(inplace=True))])


class JointEncoder(BaseModule):
    """SegNet's encoder: the convolutions of VGG-16, and max pooling that returns its indices.

    Args:
        in_channels: channels of the joint map.
        channels: channels of the five stages.
        statistics: of the normalisations, 'batch' or 'map'.
    """

    def __init__(self, in_channels: int, channels: Sequence[int], statistics: str) -> None:
        super().__init__()
        self.stages = nn.ModuleList(
            _convs([before] + [width] * convs, statistics)
            for before, width, convs in zip([in_channels, *channels], channels, VGG_CONVS))

    def forward(self, x: Tensor) -> tuple[Tensor, list[tuple[Tensor, torch.Size]]]:
        """Map (N, K, H, W) to (N, C, H / 32, W / 32), and pooling indices and sizes per stage."""
        pooled = []
        for stage in self.stages:
            x = stage(x)
            size = x.shape
            x, places = F.max_pool2d(x, 2, return_indices=True)
            pooled.append((places, size))
        return x, pooled


class JointDecoder(BaseModule):
    """The mirrored encoder: unpooling by the encoder's indices, and one output layer.

    Args:
        channels: channels of the encoder's five stages.
        out_channels: channels of the joint map.
        statistics: of the normalisations, 'batch' or 'map'.
    """

    def __init__(self, channels: Sequence[int], out_channels: int, statistics: str) -> None:
        super().__init__()
        self.stages = nn.ModuleList(
            _convs([width] + [after] * convs, statistics)
            for width, after, convs in zip(channels[::-1], [*channels[-2::-1], channels[0]],
                                           VGG_CONVS[::-1]))
        self.output = nn.Sequential(nn.Conv2d(channels[0], channels[0], 3, padding=1),
                                    nn.Conv2d(channels[0], out_channels, 1))

    def forward(self, x: Tensor, pooled: Sequence[tuple[Tensor, torch.Size]]) -> Tensor:
        """Map (N, C, H / 32, W / 32) to (N, K, H, W), not activated."""
        for stage, (places, size) in zip(self.stages, pooled[::-1]):
            # F.max_unpool2d has no deterministic implementation; the indices are distinct.
            flat = x.new_zeros(*x.shape[:2], size[-2] * size[-1])
            flat = flat.scatter(2, places.flatten(2), x.flatten(2))
            x = stage(flat.unflatten(2, tuple(size[-2:])))
        return self.output(x)


@MODELS.register_module()
class JointTaskRegularization(Regularizer):
    """Encode all tasks' maps jointly; predictions, alone and with labels, get similar codes.

    The "noisy" joint map Yhat holds the predictions of all tasks; the "reliable" Y has labels where
    they exist. Predictions of labelled tasks are detached; pixels count where all labels of the
    sample are known. On view 1 the encoder is frozen and the distance trains the model. On view 2
    the maps are detached, and distance and reconstructions train encoder and decoder:

        L = 1/B sum_i distance_weight (D_1 + reconstruction_weight D_2)
                      + reconstruction_weight L_reconstruction,

    D = 1 - mean cosine of the codes. Tasks define their maps by ``aux_map`` and ``aux_from_label``,
    and their comparison by ``reconstruction_loss``.

    Args:
        tasks: task name -> task.
        distance_weight: published 4.
        reconstruction_weight: published 2; it also weights D_2, as in the published code.
        channels: channels of the five stages of encoder and decoder.
        map_stride: resolution of the input over that of the maps; published 1. Labels are converted
            to maps and then averaged, predictions resized and then converted.
        statistics: scope of the normalisation statistics in training: 'batch', all maps of a
            forward pass; 'map', each map alone, as in the published code, which encodes maps one
            by one.
    """

    num_views = 3

    def __init__(self, tasks: Mapping[str, Task], distance_weight: float = 4.0,
                 reconstruction_weight: float = 2.0,
                 channels: Sequence[int] = (64, 128, 256, 512, 512), map_stride: int = 1,
                 statistics: str = 'batch') -> None:
        super().__init__(tasks)
        if not (distance_weight >= 0 and reconstruction_weight >= 0):
            raise ValueError('JointTaskRegularization: distance_weight and reconstruction_weight '
                             f'must be >= 0, got {distance_weight} and {reconstruction_weight}')
        check_network(type(self).__name__, channels, map_stride, statistics)
        self.distance_weight = distance_weight
        self.reconstruction_weight = reconstruction_weight
        self.map_stride = map_stride
        self.map_channels = {name: task.aux_channels for name, task in self.tasks.items()}
        joint = sum(self.map_channels.values())
        self.encoder = JointEncoder(joint, channels, statistics)
        self.decoder = JointDecoder(channels, joint, statistics)

    def forward(self, views: Sequence[View],
                rows: Mapping[str, Sequence[int]]) -> dict[str, Tensor]:
        """Return ``loss_jtr_model`` of view 1, and, for the auto-encoder, ``loss_jtr_distance``
        and ``loss_jtr_reconstruction`` of view 2, see :class:`Regularizer`.
        """
        known = self._known(views[1], rows)
        logits = self._logits(views[1], rows)
        noisy = self._encode(logits, known)
        reliable = self._with_labels(self._encode(logits, known), views[1], rows)
        codes = self._frozen_encoder(torch.cat([_joint(reliable), _joint(noisy)]))
        model = cosine_distance(*codes.chunk(2)).mean()

        with torch.no_grad():
            known = self._known(views[2], rows)
            logits = self._logits(views[2], rows)
            reliable = self._with_labels(self._encode(logits, known), views[2], rows)
            noisy = self._encode(logits, known, hard=False)
            target = self._encode(logits, known)  # new samples for the reconstructions
            wanted = self._with_labels(target, views[2], rows)
        codes, pooled = self.encoder(torch.cat([_joint(reliable), _joint(noisy)]))
        distance = cosine_distance(*codes.chunk(2)).mean()
        outputs = self.decoder(codes, pooled).float().split(list(self.map_channels.values()), 1)
        reconstruction = sum(
            (per_sample(task.reconstruction_loss(
                output, torch.cat([wanted[name], target[name]]), known.repeat(2, 1, 1, 1)),
                len(output), f'reconstruction_loss of the task {name}').sum()
             for (name, task), output in zip(self.tasks.items(), outputs)),
            start=distance.new_zeros(())) / len(known)
        losses = dict(model=self.distance_weight * model,
                      distance=self.distance_weight * self.reconstruction_weight * distance,
                      reconstruction=self.reconstruction_weight * reconstruction)
        return {shared_loss(f'jtr_{part}'): loss for part, loss in losses.items()}

    def channel_owners(self, order: Sequence[str]) -> dict[str, tuple[int, list]]:
        """Return the owners of the joint map's channels, see :mod:`mtpsl.models.task_order`."""
        owned = [(name, number) for name in order for number in range(self.map_channels[name])]
        return {'encoder.stages.0.0.0.weight': (1, owned), 'decoder.output.1.weight': (0, owned),
                'decoder.output.1.bias': (0, owned)}

    def _known(self, view: View, rows: Mapping[str, Sequence[int]]) -> Tensor:
        """Return where all labels of a sample are known, (B, 1, H / stride, W / stride) bool."""
        known = torch.ones(len(view.samples), 1, *view.size, device=view.feature.device)
        for name, index in labelled_index(rows, known.device).items():
            if rows[name]:
                valid = self.tasks[name].valid(view.labels(name, rows[name]))
                known = known.index_copy(0, index, known[index] * valid)
        return F.adaptive_avg_pool2d(known, coarse_size(view.size, self.map_stride)) == 1

    def _logits(self, view: View, rows: Mapping[str, Sequence[int]]) -> dict[str, Tensor]:
        """Return logits (B, C_t, H', W') at the maps' resolution, detached for labelled pairs."""
        size = coarse_size(view.size, self.map_stride)
        logits = {}
        for name, index in labelled_index(rows, view.feature.device).items():
            maps = view.logits[name]
            maps = maps.index_copy(0, index, maps[index].detach())
            logits[name] = resize(maps.float(), size)
        return logits

    def _encode(self, logits: Mapping[str, Tensor], known: Tensor,
                hard: bool = True) -> dict[str, Tensor]:
        """Return Yhat by task, (B, K_t, H', W'); with ``hard`` classes are sampled on each call."""
        return {name: task.aux_map(logits[name], known, hard) for name, task in self.tasks.items()}

    def _with_labels(self, maps: Mapping[str, Tensor], view: View,
                     rows: Mapping[str, Sequence[int]]) -> dict[str, Tensor]:
        """Convert Yhat to Y: replace predictions by labels where they exist."""
        replaced = dict(maps)
        for name, index in labelled_index(rows, view.feature.device).items():
            if rows[name]:
                label = self.tasks[name].aux_from_label(view.labels(name, rows[name]))
                height, width = maps[name].shape[-2:]
                replaced[name] = maps[name].index_copy(
                    0, index, F.adaptive_avg_pool2d(label, (height, width)))
        return replaced

    def _frozen_encoder(self, maps: Tensor) -> Tensor:
        """Encode with frozen weights and statistics: gradients reach the maps only."""
        frozen = {name: value.detach() for name, value in self.encoder.named_parameters()}
        frozen |= {name: value.clone() for name, value in self.encoder.named_buffers()}
        return functional_call(self.encoder, frozen, (maps,))[0]


def _joint(maps: Mapping[str, Tensor]) -> Tensor:
    return torch.cat(list(maps.values()), 1)
