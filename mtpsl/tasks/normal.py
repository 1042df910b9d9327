"""Surface normal estimation."""

import math

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mtpsl.registry import TASKS

from .auxiliary import AGREEMENT, CONFIDENCE
from .base import Task, masked_mean
from .normal_doubts import filled_vector, mixed_axes, odd_axes, other_axes
from .seen import Doubt, Seen

BINS_PER_DEGREE = 4
WITHIN = (11.25, 22.5, 30.0)
LONGEST = 1.01  # largest length of a label's unit vector, with rounding
SHORT = 0.9  # a map with shorter vectors only has no unit vectors; interpolation shortens some
OFF_UNIT = 0.15  # deviation from length 1 that interpolation explains for a few vectors
MANY, SIDE = 50, 200  # deviating vectors; rows and columns of a map, about, that are checked
# Share of vectors that point away from the viewer (z below this), rare on visible surfaces.
BACKWARDS, AWAY = 0.05, -0.1
GREY = 3 / 255  # components up to this count as middle grey, with one step of rounding


@TASKS.register_module()
class Normal(Task):
    """Surface normals: L1 loss on unit vectors; primary metric mean angular error (degrees).

    Label and prediction: unit vectors in camera space; a zero vector is unknown.

    Args:
        loss_weight: see :class:`Task`; PASCAL's published weight is 10.
        zero_sum_unknown: also treat valid normals with x + y + z = 0 as unknown, as the published
            readers of NYUD do; only for parity with their numbers.
    """

    channels = 3
    ignore_value = 0.0
    primary_metric = 'mErr'
    higher_is_better = False
    reader_interpolation = 'bicubic'
    zoom_interpolation = 'bilinear'

    def __init__(self, loss_weight: float = 10.0, zero_sum_unknown: bool = False) -> None:
        super().__init__(loss_weight)
        self.zero_sum_unknown = zero_sum_unknown

    def check(self, label: np.ndarray) -> None:
        if not np.isfinite(label).all():
            raise ValueError(f'{self.name} labels must be finite vectors, got NaN or infinity: '
                             'save (0, 0, 0) where they are unknown')
        if np.abs(label).max(initial=0) > LONGEST:
            raise ValueError(f'{self.name} labels must be unit vectors (zero = unknown), got '
                             f'components from {label.min():g} to {label.max():g}')

    def from_png(self, pixels: np.ndarray) -> np.ndarray:
        """Convert RGB values v to n = 2 v / 255 - 1 of unit length (v / 65535 for 16 bits).

        Black, white and middle grey (126 to 129 of 8 bits in all channels) are unknown. Grey is no
        direction: a unit vector has a component of at least 0.57.
        """
        if pixels.dtype not in (np.uint8, np.uint16) or pixels.shape[2:] != (3,):
            raise ValueError('a picture of normals must be 8-bit RGB, got '
                             f'{pixels.dtype} of shape {pixels.shape}')
        white = np.iinfo(pixels.dtype).max
        vectors = 2 * pixels.astype(np.float32) / white - 1
        low, high = (bound(bound(pixels[..., 0], pixels[..., 1]), pixels[..., 2])
                     for bound in (np.minimum, np.maximum))
        ends = [np.abs(2 * end.astype(np.float32) / white - 1) for end in (low, high)]
        known = (high > 0) & (low < white) & (np.maximum(*ends) > GREY + 1e-6)
        return unit_vectors(_mostly_unit(vectors * known[..., None],
                                         'is this a photo, or another encoding?'))

    def from_array(self, values: np.ndarray) -> np.ndarray:
        """Return vectors (H, W, 3) of unit length, renormalised; zero is unknown."""
        length = check_unit_vectors(values)
        if not ((length > 0) & (length < 2 - LONGEST)).any():
            return values
        return unit_vectors(_mostly_unit(values.astype(np.float32),
                                         'divide them by their length, zero is unknown'))

    def doubt(self, seen: Seen) -> Doubt | None:
        doubt = super().doubt(seen)
        if doubt or seen.published:
            return doubt
        if told := mixed_axes(seen):
            return Doubt(told)
        away = np.array([(one.some[:, 2] < AWAY).mean() for one in seen.labels if one.known])
        if away.mean() <= BACKWARDS:
            told = odd_axes(seen) or seen.constant or filled_vector(seen)
            return Doubt(told) if told else None
        most = (away > 0.5).sum()
        where = f'most of them in {most} of the labels, ' if most else ''
        behind = np.concatenate([one.some[one.some[:, 2] < AWAY] for one in seen.labels])
        if np.ptp(behind, axis=0).max() < GREY:
            return Doubt(f'hold vectors of which {away.mean():.0%} are one and the same, '
                         f'({", ".join(f"{value:.2g}" for value in behind[0])}), which points away '
                         'from the viewer: if they stand for unknown pixels, save (0, 0, 0) there')
        return Doubt(f'hold vectors of which {away.mean():.0%} point away from the viewer (z < 0), '
                     f'{where}while what is seen faces the viewer: the axes are x right, y up, z '
                     'towards the viewer. Of a camera that looks along +z, y down, save '
                     "(x, -y, -z); of world coordinates multiply by the camera's rotation; of "
                     'pictures in BGR order, as cv2.imwrite takes colours, save the channels '
                     'reversed')

    def two_conventions(self, one: Seen, other: Seen, names: tuple[str, str]) -> str:
        return other_axes(one, other, names)

    def from_palette(self, indices: np.ndarray, palette: np.ndarray) -> np.ndarray:
        """Decode the colours of the palette."""
        return self.from_png(palette[indices])

    def resize(self, label: np.ndarray, size: tuple[int, int],
               interpolation: str = 'nearest') -> np.ndarray:
        nearest = super().resize(label, size)
        if interpolation == 'nearest':
            return nearest
        # The negative lobes of the kernel would write reversed normals on nearby unknown pixels.
        known = nearest.any(2, keepdims=True)
        return unit_vectors(super().resize(label, size, interpolation)) * known

    def flip(self, label: np.ndarray) -> np.ndarray:
        flipped = cv2.flip(label, 1)  # three times faster than a negative stride
        flipped[..., 0] *= -1
        return flipped

    def transpose(self, label: np.ndarray) -> np.ndarray:
        # Right becomes down; y points up.
        return label.swapaxes(0, 1)[..., [1, 0, 2]] * np.array([-1, -1, 1], label.dtype)

    def mark_ignored(self, label: np.ndarray) -> np.ndarray:
        if not self.zero_sum_unknown:
            return label
        return label * (label.sum(2, keepdims=True) != 0)

    def valid(self, label: Tensor) -> Tensor:
        return (label != 0).any(1, keepdim=True)

    def loss(self, logits: Tensor, label: Tensor) -> Tensor:
        difference = (self.activate(logits) - label).abs().sum(1, keepdim=True)
        return masked_mean(difference, self.valid(label))

    def activate(self, logits: Tensor) -> Tensor:
        # F.normalize computes a norm over strided channels, which is slow on a CPU.
        return logits * logits.square().sum(1, keepdim=True).clamp(min=1e-24).rsqrt()

    def mirror(self, prediction: Tensor) -> Tensor:
        return prediction.flip(-1) * prediction.new_tensor([-1, 1, 1])[:, None, None]

    def from_mean(self, mean: Tensor) -> Tensor:
        return self.activate(mean)

    def pseudo_label(self, teacher: Tensor, student: Tensor, confidence: float = CONFIDENCE,
                     agreement: float = AGREEMENT) -> Tensor:
        """Return the teacher's vector where 1 - cos(teacher, student) is below ``agreement``."""
        agree = 1 - (teacher * student).sum(1, keepdim=True) < agreement
        return torch.where(agree, teacher, self.ignore_value)

    def aux_map(self, logits: Tensor, known: Tensor | None = None, hard: bool = True) -> Tensor:
        """Return (n + 1) / 2 for unit vectors n; unknown pixels are n = 0, so 0.5."""
        return (super().aux_map(logits, known) + 1) / 2

    def aux_from_label(self, label: Tensor) -> Tensor:
        return (label + 1) / 2

    def reconstruction_loss(self, output: Tensor, target: Tensor, known: Tensor) -> Tensor:
        """Return 1 - cos of the angle between output and target vectors."""
        cosine = F.cosine_similarity(output, 2 * target - 1, dim=1)
        return masked_mean(1 - cosine[:, None], known)

    def stats(self, prediction: Tensor, label: Tensor) -> Tensor:
        """Return (N, 3 + 3 + 720): count, sum, sum of squares, counts within 11.25, 22.5 and 30
        degrees, and a histogram of the angles in bins of 0.25 degree for the median.
        """
        valid = self.valid(label)
        p, g = prediction.double(), label.double()
        g = g / _length(g).clamp(min=1e-12)
        # Angle of unit vectors as 2 atan2(|p - g|, |p + g|), accurate near 0 and 180 too.
        angle = 2 * torch.atan2(_length(p - g), _length(p + g)).rad2deg()
        angle = torch.where(valid, angle, 0).flatten(1)
        valid = valid.flatten(1)
        bins = 180 * BINS_PER_DEGREE
        cell = torch.where(valid, (angle * BINS_PER_DEGREE).long().clamp(0, bins - 1), bins)
        histogram = angle.new_zeros(len(angle), bins + 1)
        histogram.scatter_add_(1, cell, torch.ones_like(angle))
        within = [((angle < limit) & valid).sum(1) for limit in WITHIN]
        sums = torch.stack([valid.sum(1), angle.sum(1), angle.square().sum(1), *within], 1)
        return torch.cat([sums.double(), histogram[:, :-1]], 1)

    def score(self, stats: Tensor) -> dict[str, float]:
        total = stats.sum(0)
        count = total[0]
        scores: dict[str, Tensor | float] = {
            self.primary_metric: total[1] / count, 'rmse': (total[2] / count).sqrt(),
                  'median': _histogram_median(total[6:])}
        scores |= {f'within{limit:g}': 100 * n / count for limit, n in zip(WITHIN, total[3:6])}
        return {name: float(value) for name, value in scores.items()}

    def colorize(self, label: np.ndarray) -> np.ndarray:
        """Render x (right) as red, y as green, z as blue, from -1 to 1; unknown is black."""
        picture = ((label.transpose(1, 2, 0) + 1) * 127.5).round().clip(0, 255).astype(np.uint8)
        picture[~label.any(0)] = 0
        return picture

    def legend(self, label: np.ndarray) -> dict[str, tuple[int, int, int]]:
        axes = self.colorize(np.eye(3)[:, None])[0].tolist()
        legend = {name: tuple(colour) for name, colour in zip(('+x', '+y', '+z'), axes)}
        return legend | ({} if label.any(0).all() else {'unknown': (0, 0, 0)})


def check_unit_vectors(values: np.ndarray) -> np.ndarray:
    """Return the vector lengths (H, W) of a map (H, W, 3); raise ValueError for other lengths.

    The longest must be about 1; single vectors may be shorter, as interpolation makes them.
    """
    if values.shape[2:] != (3,):
        first = values.ndim == 3 and values.shape[0] == 3
        raise ValueError(f'a map must be (H, W, 3), got {values.shape}'
                         f'{": move its first axis to the end" if first else ""}')
    length = np.linalg.norm(values, axis=-1)
    longest = length.max(initial=0)
    if longest > LONGEST:
        raise ValueError(f'normals must be unit vectors (zero = unknown), got length {longest:.3g}:'
                         ' are they stored as colours?')
    if 0 < longest < SHORT:
        raise ValueError(f'normals must be unit vectors (zero = unknown), got lengths up to '
                         f'{longest:.3g}: divide them by their length')
    return length


def _mostly_unit(vectors: np.ndarray, advice: str) -> np.ndarray:
    """Return vectors (H, W, 3) if at least two thirds of the known ones have unit length."""
    step = max(1, min(vectors.shape[:2]) // SIDE)
    length = np.linalg.norm(vectors[::step, ::step], axis=2)
    length = length[length > 0]
    off = int((np.abs(length - 1) > OFF_UNIT).sum())
    if off > max(MANY, len(length) / 3):
        raise ValueError(f'normals must be unit vectors, got {off} of {len(length)} of other '
                         f'lengths, half of all below {np.median(length):.2g}: {advice}')
    return vectors


def _length(vectors: Tensor) -> Tensor:
    """Return lengths (N, 1, H, W) of vectors (N, 3, H, W), ten times faster than ``norm``."""
    return vectors.square().sum(1, keepdim=True).sqrt()


def unit_vectors(label: np.ndarray) -> np.ndarray:
    """Scale (H, W, 3) to unit length; vectors shorter than 1e-6 become zero (unknown)."""
    length = np.linalg.norm(label, axis=2, keepdims=True)
    return np.where(length > 1e-6, label / np.maximum(length, 1e-6), 0).astype(label.dtype)


def _histogram_median(histogram: Tensor) -> float:
    """Return the (lower) median angle in degrees, linear within its bin: accurate to 0.25."""
    half = histogram.sum() / 2
    if half == 0:
        return math.nan
    cumulative = histogram.cumsum(0)
    cell = int((cumulative < half).sum())
    before = cumulative[cell] - histogram[cell]
    return float((cell + (half - before) / histogram[cell]) / BINS_PER_DEGREE)
