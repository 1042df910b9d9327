"""Depth estimation."""

from collections.abc import Collection, Sequence

import cv2
import numpy as np
import torch
from torch import Tensor

from mtpsl.registry import TASKS

from .base import UNKNOWN_COLOUR, Label, Task, masked_mean
from .depth_doubts import (
    FARTHEST,
    MILLIMETRE,
    SUN_UNIT,
    doubt_metres,
    doubt_resampled,
    doubt_values,
    unlike_units,
)
from .seen import SPOT, Doubt, Seen
from .stored import bytes_swapped, one_channel

# Values that sensors write without a measurement: the largest number of a file, times the usual
# units: millimetres, centimetres, 1/256 m (KITTI), 1/5000 m (TUM).
LARGEST_NUMBER = 65535
UNITS = (1e-3, 1e-2, 1 / 256, 1 / 5000)


@TASKS.register_module()
class Depth(Task):
    """Metric depth: L1 loss; primary metric mean absolute error (metres).

    Label and prediction: metres; 0 is unknown.

    Args:
        loss_weight: see :class:`Task`.
        max_display: depth in metres at the far end of the colour map.
        png_unit: metres per step of an integer picture, > 0, such as 0.001 for millimetres. None
            refuses pictures: integers do not define their unit.
        aux_normal: mean and standard deviation in metres: the input of an auxiliary network is the
            normal distribution function of depth (JTR). None: depth divided by the map's maximum
            (XTC).
        npy_unit: metres per 1 in a ``.npy`` label, > 0, such as 0.001 for millimetres; None for
            metres in floats.
        ignore: depths in metres, after applying the units, that mean unknown in addition to 0. A
            maximum that is the largest number of its type, or of 16 bits in a usual unit, such as
            65.535, is an error unless it is listed here, and so is one depth far above all others
            in many labels; ``()`` accepts them as depths. ``'nan'`` and ``'inf'`` are NaN and
            infinity of either sign.
        farthest: largest allowed depth in a label, in metres.
    """

    unit = ' m'
    metric = True
    smallest = MILLIMETRE
    channels = 1
    ignore_value = 0.0
    primary_metric = 'absErr'
    higher_is_better = False
    beside_figures = ('loss_weight', 'max_display', 'aux_normal', 'farthest', 'divide_when_zoomed')

    def __init__(self, loss_weight: float = 1.0, max_display: float = 10.0,
                 png_unit: float | None = None,
                 aux_normal: tuple[float, float] | None = None,
                 npy_unit: float | None = None, ignore: Sequence[float | str] | None = None,
                 farthest: float = FARTHEST) -> None:
        super().__init__(loss_weight)
        if aux_normal is not None and not (len(aux_normal) == 2 and aux_normal[1] > 0):
            raise ValueError(f'{type(self).__name__}: aux_normal must be (mean, deviation > 0) or '
                             f'None, got {aux_normal}')
        self.aux_normal = aux_normal
        for name, value in (('max_display', max_display), ('png_unit', png_unit),
                            ('npy_unit', npy_unit), ('farthest', farthest)):
            if value is None and name != 'max_display':
                continue
            if value is None or isinstance(value, str) or not value > 0:
                raise ValueError(f'{type(self).__name__}: {name} must be a number above 0, such as '
                                 f'{MILLIMETRE:g}, got {value!r}')
        self.max_display = max_display
        self.png_unit = png_unit
        self.npy_unit = npy_unit
        self.farthest = farthest
        self.ignore = None if ignore is None else _measures(type(self).__name__, ignore)

    def check_suffixes(self, suffixes: Collection[str]) -> None:
        """Raise ValueError for pictures without ``png_unit``: integers do not define a unit."""
        if self.metric and self.png_unit is None and '.png' in suffixes:
            raise ValueError(
                f'pictures (.png) of {self.name} hold whole numbers; png_unit of the task must be '
                'the metres per step: png_unit=0.001 for millimetres, 0.01 for centimetres, '
                f'{1 / 5000:g} for 1/5000 m (TUM), {1 / 256:g} for 1/256 m (KITTI), {SUN_UNIT:g} '
                'for SUN RGB-D')

    def check(self, label: np.ndarray) -> None:
        if not np.isfinite(label).all():
            raise ValueError(f'{self.name} labels must be finite and >= 0 (0 = unknown), got NaN '
                             "or infinity; ignore=('nan', 'inf') of the task makes these unknown")
        if (label < 0).any():
            lowest = float(label.min())
            below = label[label < 0]
            marks = below.size >= SPOT and (below == lowest).all()
            raise ValueError(f'{self.name} labels must be finite and >= 0 (0 = unknown), got '
                             f'{lowest:.7g} to {label.max():.7g}'
                             + f'; {self.ignoring(lowest)} of the task makes {lowest:.7g} unknown'
                             * bool(marks))
        if self.metric:
            self._check_metres(float(label.max(initial=0)))

    def _check_metres(self, largest: float) -> None:
        if any(np.isclose(largest, LARGEST_NUMBER * unit, 1e-6) for unit in UNITS):
            self._refuse_largest(largest, 16)
        if largest > self.farthest:
            raise ValueError(f'{self.name} labels must be in metres, at most {self.farthest:g}, '
                             f'got up to {largest:.7g}: are they millimetres? Then set '
                             'npy_unit=0.001 (for pictures png_unit) of the task; '
                             f'ignore=({largest:.7g},) makes this value unknown, farthest allows '
                             'more')

    def _refuse_largest(self, largest: float, bits: int) -> None:
        """Raise ValueError for a depth that is the largest number of a type, unless allowed."""
        if self.ignore != () and not np.isclose(largest, self.ignore or (), 1e-6).any():
            raise ValueError(f'{self.name} labels go up to {largest:.7g} m, the largest {bits}-bit '
                             'number, which sensors write where they measured nothing: '
                             f'{self.ignoring(largest)} of the task makes it unknown, ignore=() '
                             'a depth')

    def ignoring(self, measure: float) -> str:
        """Return the option that makes this value unknown too."""
        named = [f'{value:.7g}' if np.isfinite(value) else f"'{value}'"
                 for value in (*(self.ignore or ()), measure)]
        return f'ignore=({named[0]},)' if len(named) == 1 else f'ignore=({", ".join(named)})'

    def _measure(self, stored: np.ndarray, unit: float) -> np.ndarray:
        """Scale stored numbers by the unit; refuse likely "no measurement" marks."""
        largest = float(stored.max(initial=0))
        kind = np.iinfo if stored.dtype.kind in 'iu' else np.finfo
        most = float(kind(stored.dtype).max)
        limit = min(most * unit, self.farthest if self.metric else np.inf)
        steps = [value for value in self.ignore or () if limit < value < np.inf and unit != 1
                 and (stored == value).any()]
        if steps:
            raise ValueError(f'{self.name} labels are at most {limit:.7g}, but ignore of the task '
                             f'names {steps[0]:.7g}, which is a number in the file: write ignore=('
                             f'{steps[0] * unit:.7g},), in the unit of the task')
        if self.metric and largest in (most, LARGEST_NUMBER):
            self._refuse_largest(largest * unit, 16 if largest == LARGEST_NUMBER else
                                 8 * stored.dtype.itemsize)
        return stored.astype(np.float32) * np.float32(unit)

    def doubt(self, seen: Seen) -> Doubt | None:
        return (doubt_values(self, seen) or self._doubt_unit(seen) or super().doubt(seen)
                or doubt_resampled(self, seen))

    def unlike(self, learned: Seen, tested: Seen) -> str:
        return unlike_units(self.unit, learned, tested)

    def hidden(self, seen: Seen) -> str:
        if not seen.median > self.max_display:
            return ''
        return (f'have a median of {seen.median:.4g}{self.unit}, which is beyond max_display='
                f'{self.max_display:g} of the task: pictures show it and all beyond in one colour')

    def _doubt_unit(self, seen: Seen) -> Doubt | None:
        return doubt_metres(self, seen)

    def unit_said(self, seen: Seen) -> bool:
        """Return whether the options define the unit of all files in ``seen``."""
        return self.npy_unit is not None or self.png_unit is not None and not any(
            one.is_array for one in seen.labels)

    def translate(self, label: np.ndarray) -> np.ndarray:
        for value in self.ignore or ():
            same = (np.isinf(label) if np.isinf(value) else
                    np.isclose(label, value, 1e-6, 0, equal_nan=True))
            label = np.where(same, self.ignore_value, label)
        return label

    def from_png(self, pixels: np.ndarray) -> np.ndarray:
        """Scale integers (H, W) by ``png_unit``; 0 is unknown."""
        self.check_suffixes(('.png',))
        pixels = one_channel(pixels)
        if pixels.ndim != 2 or pixels.dtype.kind not in 'iu':
            raise ValueError(f'a picture of {self.name} must be integers of one channel, got '
                             f'{pixels.dtype} of shape {pixels.shape}')
        fine = self.png_unit is None or self.metric and self.png_unit <= MILLIMETRE
        if pixels.dtype.itemsize == 1 and fine:
            raise ValueError(f'a picture of {self.name} of 8 bits is too coarse; save 16 bits, or '
                             'set png_unit to the size of one step')
        if bytes_swapped(pixels):
            raise ValueError(f'a picture of {self.name} is smooth only with the bytes of its '
                             'numbers swapped: it was written in the other byte order; apply '
                             'byteswap() to it, or save truly rough depth as .npy')
        unit = self.smallest if self.png_unit is None else self.png_unit
        return self._measure(pixels, unit)

    def from_palette(self, indices: np.ndarray, palette: np.ndarray) -> np.ndarray:
        """Decode the greys of the palette; refuse colour maps, which cannot be inverted."""
        return self.from_png(palette[indices])

    def from_array(self, values: np.ndarray) -> np.ndarray:
        """Return floats in metres, or any numbers scaled by ``npy_unit``."""
        if self.npy_unit is None or values.dtype.kind not in 'iuf':
            return super().from_array(values)
        return self._measure(values, self.npy_unit)

    def rescale(self, label: Label, scale: float | Tensor) -> Label:
        """Divide depth by ``scale``: zooming in brings the scene nearer."""
        return label / scale

    def valid(self, label: Tensor) -> Tensor:
        return label > 0

    def loss(self, logits: Tensor, label: Tensor) -> Tensor:
        return masked_mean((logits - label).abs(), self.valid(label))

    def activate(self, logits: Tensor) -> Tensor:
        return logits

    def decode(self, prediction: Tensor) -> Tensor:
        """Clamp to at least ``smallest``: a prediction is never 0, unknown."""
        return prediction.clamp(min=self.smallest)

    def aux_map(self, logits: Tensor, known: Tensor | None = None, hard: bool = True) -> Tensor:
        """Return depth over its maximum, or its CDF under ``aux_normal``; depth 0 if unknown."""
        return self._to_unit(super().aux_map(logits, known))

    def aux_from_label(self, label: Tensor) -> Tensor:
        return self._to_unit(super().aux_from_label(label))

    def _to_unit(self, depth: Tensor) -> Tensor:
        if self.aux_normal is not None:
            mean, deviation = self.aux_normal
            return torch.special.ndtr((depth - mean) / deviation)
        depth = depth.clamp(min=0)  # early in training predictions can be negative
        return depth / depth.amax((1, 2, 3), keepdim=True).clamp(min=self.smallest)

    def stats(self, prediction: Tensor, label: Tensor) -> Tensor:
        """Return (N, 6): count, sums of |d|, d^2, |d|/g, d^2/g, (log p - log g)^2, d = p - g.

        Predictions p are clamped to ``smallest`` in the logarithm; g is the label.
        """
        valid = self.valid(label)
        g = torch.where(valid, label, 1).double()
        p = prediction.double()
        d = p - g
        log_ratio = p.clamp(min=self.smallest).log() - g.log()
        terms = [torch.ones_like(d), d.abs(), d.square(), d.abs() / g, d.square() / g,
                 log_ratio.square()]
        return torch.stack([torch.where(valid, term, 0).flatten(1).sum(1) for term in terms], 1)

    def score(self, stats: Tensor) -> dict[str, float]:
        total = stats.sum(0)
        mean = total / total[0]
        scores = {self.primary_metric: mean[1], 'rmse': mean[2].sqrt(), 'absRel': mean[3],
                  'sqRel': mean[4], 'logRmse': mean[5].sqrt()}
        return {name: value.item() for name, value in scores.items()}

    def colorize(self, label: np.ndarray) -> np.ndarray:
        """Render near as bright, ``max_display`` and beyond as dark; unknown is blue grey."""
        nearness = self._nearness((label[0] / self.max_display).clip(0, 1))
        picture = cv2.applyColorMap((nearness * 255).astype(np.uint8), cv2.COLORMAP_MAGMA)
        picture = picture[..., ::-1].copy()
        picture[label[0] <= 0] = UNKNOWN_COLOUR
        return picture

    def legend(self, label: np.ndarray) -> dict[str, tuple[int, int, int]]:
        values = np.array([0.1, 0.5, 1]) * self.max_display
        colours = self.colorize(values[None, None])[0].tolist()
        legend = {f'{value:g}{self.unit}': tuple(colour)
                  for value, colour in zip(values, colours)}
        return legend | ({'unknown': UNKNOWN_COLOUR} if (label <= 0).any() else {})

    def _nearness(self, share: np.ndarray) -> np.ndarray:
        """Convert shares of ``max_display`` to 0 (far) to 1 (near)."""
        return 1 - share


def _measures(owner: str, values: Sequence[float | str]) -> tuple[float, ...]:
    numbers = not isinstance(values, str) and isinstance(values, Sequence) and all(
        isinstance(value, (int, float)) and not isinstance(value, bool) or value in ('nan', 'inf')
        for value in values)
    if not numbers:
        raise ValueError(f'{owner}: ignore must be a sequence of numbers such as (65.535,), got '
                         f'{values!r}')
    return tuple(map(float, values))
