"""XTC: cross-task consistency in a learnt joint space per pair of tasks (arXiv:2111.14893)."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor, nn

from mtpsl.models.to_device import labelled_index, resize, to_device
from mtpsl.registry import MODELS
from mtpsl.structures.outputs import shared_loss
from mtpsl.tasks import Task

from .base import (
    VGG_CONVS,
    Regularizer,
    View,
    check_network,
    coarse_size,
    conv_norm,
    cosine_distance,
)


class PairFiLM(BaseModule):
    """y = gamma x + beta with gamma and beta per channel and ordered pair of tasks.

    Args:
        channels: C.
        num_pairs: T (T - 1).
    """

    def __init__(self, channels: int, num_pairs: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(num_pairs, channels))
        self.beta = nn.Parameter(torch.zeros(num_pairs, channels))

    def forward(self, x: Tensor, pair: Tensor) -> Tensor:
        """Map (M, C, h, w), the maps of the (M,) pairs, to the same shape."""
        return torch.addcmul(self.beta[pair][..., None, None], self.gamma[pair][..., None, None], x)


class MappingNetwork(BaseModule):
    """m: one network that maps the maps of any task to the joint space of any pair.

    One input layer per task (3x3 convolution, normalisation, ReLU), then the 13 convolutions of
    VGG-16, shared, each with normalisation, the pair's FiLM and ReLU. The output has 1/32 of the
    resolution.

    Args:
        tasks: task name -> task, which defines the channels of its map.
        channels: channels of the five stages.
        statistics: of the normalisations, 'batch' or 'map'.
    """

    def __init__(self, tasks: Mapping[str, Task], channels: Sequence[int],
                 statistics: str) -> None:
        super().__init__()
        self.enter = nn.ModuleDict({
            name: nn.Sequential(*conv_norm(task.aux_channels, channels[0], statistics),
                                nn.ReLU(inplace=True))
            for name, task in tasks.items()})
        self.convs, self.film = nn.ModuleList(), nn.ModuleList()
        self.pool_after = []
        previous = channels[0]
        for width, convs in zip(channels, VGG_CONVS):
            for _ in range(convs):
                self.convs.append(conv_norm(previous, width, statistics))
                self.film.append(PairFiLM(width, len(tasks) * (len(tasks) - 1)))
                previous = width
            self.pool_after.append(len(self.convs) - 1)

    def forward(self, maps: Mapping[str, Tensor], index: Tensor, pair: Tensor) -> Tensor:
        """Map M maps, each for a pair.

        Args:
            maps: task name -> (N_t, K_t, H, W).
            index: (M,) positions in the concatenated maps of all tasks.
            pair: (M,) codes of the pairs.

        Returns:
            (M, C, H / 32, W / 32).
        """
        x = torch.cat([self.enter[name](x) for name, x in maps.items()])
        for number, (conv, film) in enumerate(zip(self.convs, self.film)):
            x = conv(x)
            if number == 0:  # before the first FiLM, a map is the same for all its pairs
                x = x[index]
            x = F.relu(film(x, pair))
            if number in self.pool_after:
                x = F.max_pool2d(x, 2)
        return x


class Pairs(NamedTuple):
    """The M (sample, source task, target task) triples of a batch, on the CPU.

    Attributes:
        source: positions of the source maps among those of all tasks.
        target: positions of the target maps.
        sample: rows of the batch.
        code: codes of the pairs of tasks.
    """

    source: list[int]
    target: list[int]
    sample: list[int]
    code: list[int]


@MODELS.register_module()
class CrossTaskConsistency(Regularizer):
    """Map the prediction of an unlabelled task and the label of another close together, on view 1.

    For every sample i, unlabelled source s and labelled target t, with D the cosine distance, m the
    mapping network for the pair (s, t), and F the detached feature of the backbone's last stage:

        L = weight / B sum_i sum_{s,t} D(m(s), m(t)) + feature_weight (D(m(s), F) + D(m(t), F))

    All pairs of a batch pass m together. A batch without pairs runs those of one sample with weight
    zero: in distributed training every process must call the same layers. Tasks define the input
    of m by ``aux_map`` and ``aux_from_label``.

    Args:
        tasks: task name -> task, at least two.
        weight: c; published 2 for NYUD, 1 for Cityscapes.
        feature_weight: weight of the distances to F.
        channels: channels of the mapping network's stages; the last equals the backbone's last.
        map_stride: resolution of the input over that of the maps; published 1. Labels are converted
            to maps and then averaged, predictions resized and then converted; F is averaged to the
            resolution of m's output if that is lower.
        statistics: scope of the normalisation statistics in training: 'batch', all maps of a
            forward pass; 'map', each map alone, as in the published code, which maps them one by
            one.
    """

    num_views = 2
    of_unlabelled = True

    def __init__(self, tasks: Mapping[str, Task], weight: float = 1.0, feature_weight: float = 0.5,
                 channels: Sequence[int] = (64, 128, 256, 512, 512), map_stride: int = 1,
                 statistics: str = 'batch') -> None:
        super().__init__(tasks)
        if len(tasks) < 2:
            raise ValueError(f'CrossTaskConsistency needs at least two tasks, got {list(tasks)}')
        if not (weight >= 0 and feature_weight >= 0):
            raise ValueError('CrossTaskConsistency: weight and feature_weight must be >= 0, got '
                             f'{weight} and {feature_weight}')
        check_network(type(self).__name__, channels, map_stride, statistics)
        self.weight = weight
        self.feature_weight = feature_weight
        self.channels = tuple(channels)
        self.map_stride = map_stride
        self.mapping = MappingNetwork(self.tasks, self.channels, statistics)

    def forward(self, views: Sequence[View],
                rows: Mapping[str, Sequence[int]]) -> dict[str, Tensor]:
        """Return ``loss_xtc`` of view 1, see :class:`Regularizer`."""
        view = views[1]
        samples, device = len(view.samples), view.feature.device
        labelled = [{name for name in self.tasks if row in rows[name]} for row in range(samples)]
        pairs, weight = find_pairs(list(self.tasks), labelled), self.weight / samples
        if not pairs.sample:  # predictions of the first sample, at weight zero
            labelled = [{next(iter(self.tasks))}, *[set()] * (samples - 1)]
            pairs, weight = find_pairs(list(self.tasks), labelled), 0.0
            rows = dict.fromkeys(self.tasks, ())
        maps = self._maps(view, sorted(set(pairs.sample)), rows)
        source, target, sample, code = to_device(pairs._asdict(), torch.long, device).values()
        mapped = self.mapping(maps, torch.cat([source, target]), code.repeat(2))
        a, b = mapped.chunk(2)
        feature = self._feature(view.feature, mapped)[sample]
        distance = cosine_distance(a, b) + self.feature_weight * (
            cosine_distance(a, feature) + cosine_distance(b, feature))
        return {shared_loss('xtc'): weight * distance.sum()}

    def channel_owners(self, order: Sequence[str]) -> dict[str, tuple[int, list]]:
        """Return the pairs of the FiLM tables' rows, see :mod:`mtpsl.models.task_order`."""
        pairs = [(source, target) for source in order for target in order if target != source]
        return {f'mapping.film.{number}.{table}': (0, pairs)
                for number in range(len(self.mapping.film)) for table in ('gamma', 'beta')}

    def _maps(self, view: View, used: Sequence[int],
              rows: Mapping[str, Sequence[int]]) -> dict[str, Tensor]:
        """Return the maps of the used rows by task, (N, K_t, H / stride, W / stride).

        Predictions of rows not labelled for the task come first, then labels.
        """
        size = coarse_size(view.size, self.map_stride)
        without = {name: [row for row in used if row not in rows[name]] for name in self.tasks}
        maps = {}
        for name, index in labelled_index(without, view.feature.device).items():
            task = self.tasks[name]
            code = task.aux_map(resize(view.logits[name][index].float(), size))
            labelled = [row for row in used if row in rows[name]]
            if labelled:
                label = task.aux_from_label(view.labels(name, labelled))
                code = torch.cat([code, F.adaptive_avg_pool2d(label, size)])
            maps[name] = code
        return maps

    def _feature(self, feature: Tensor, mapped: Tensor) -> Tensor:
        if feature.shape[1] != mapped.shape[1]:
            raise ValueError(
                f'CrossTaskConsistency: the mapping network ends in {mapped.shape[1]} channels, '
                f"but the backbone's last stage has {feature.shape[1]}; set channels[-1] of the "
                'regularizer to that')
        height, width = mapped.shape[-2:]
        return F.adaptive_avg_pool2d(feature.detach(), (height, width))


def find_pairs(tasks: Sequence[str], labelled: Sequence[set[str]]) -> Pairs:
    """Find all pairs of an unlabelled and a labelled task of each sample.

    The maps of a task are those of rows with a pair, unlabelled ones first; tasks are concatenated.
    The code of (s, t) numbers the ordered pairs row by row, without the diagonal.

    Args:
        tasks: names of the T tasks.
        labelled: for each sample, the tasks that it is labelled for.
    """
    rows = [row for row, names in enumerate(labelled) if 0 < len(names) < len(tasks)]
    position: dict[tuple[str, int], int] = {}
    for name in tasks:
        for row in sorted(rows, key=lambda row: name in labelled[row]):
            position[name, row] = len(position)
    found = [(position[source, row], position[target, row], row,
              s * (len(tasks) - 1) + (t if t < s else t - 1))
             for row in rows
             for s, source in enumerate(tasks) if source not in labelled[row]
             for t, target in enumerate(tasks) if target in labelled[row]]
    return Pairs(*([list(column) for column in zip(*found)] or [[], [], [], []]))
