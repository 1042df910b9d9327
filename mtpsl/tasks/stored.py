"""Map the numbers of a label file to classes or unknown."""

from collections.abc import Callable, Iterable, Sequence

import numpy as np

SHOWN = 8  # values in an error message
TABLE = 1 << 17  # largest range of numbers for a lookup table; other maps are sorted
FOREIGN = -2
# Options of tasks that define how label files are read, not what is predicted.
READING_OPTIONS = frozenset(('values', 'ignore', 'colour_coded', 'png_unit', 'npy_unit', 'farthest',
                             'zero_sum_unknown'))
# Those that apply if the task decodes the files, and not for a published dataset.
DECODED_BY_TASK = frozenset(('colour_coded', 'png_unit', 'npy_unit'))
# Sampled rows, least number of pixel pairs, and roughness ratio that indicates swapped bytes.
ROWS, PAIRS, ROUGHER = 64, 64, 16

Stored = int | Sequence[int]


class StoredValues:
    """Map stored numbers to class ids by the options ``values`` and ``ignore`` of a task.

    Args:
        owner: class name of the task, for error messages.
        classes: C, the number of classes.
        ignore_value: value of unknown pixels in a label map.
        values: stored number, or numbers, of each class; None for its id.
        ignore: stored numbers that mean unknown; None for none.
        unknown: numbers that mean unknown unless they are in ``values``.
        show: formats a number in an error message.

    Attributes:
        said: whether the config defines stored numbers.
    """

    def __init__(self, owner: str, classes: int, ignore_value: int,
                 values: Sequence[Stored] | None = None, ignore: Sequence[int] | None = None,
                 unknown: Sequence[int] = (-1, 255),
                 show: Callable[[int], object] = int) -> None:
        self.ignore_value, self.show = ignore_value, show
        self.said = values is not None or ignore is not None
        self.ignore = _numbers(f'{owner}: ignore', () if ignore is None else ignore)
        self.values = None if values is None else _per_class(owner, classes, values)
        taken = [number for numbers in self.values or () for number in numbers]
        twice = {number for number in taken if taken.count(number) > 1}
        twice |= {number for number in self.ignore if number in taken}
        if twice:
            raise ValueError(f'{owner}: values and ignore must name a number once, got '
                             f'{shorten(map(show, sorted(twice)))} more than once')
        self.unknown = [number for number in unknown if number not in taken]

    def __repr__(self) -> str:
        """Show the options instead of the address, since a config's fingerprint includes this."""
        return f'{type(self).__name__}(values={self.values}, ignore={self.ignore})'

    def translate(self, label: np.ndarray) -> np.ndarray:
        """Map (H, W) stored whole numbers to class ids, unknown ones to ``ignore_value``.

        Without ``values``, other numbers are kept for the task's check.

        Raises:
            ValueError: a number is in neither ``values`` nor ``ignore``.
        """
        if not self.said and label.dtype == np.uint8 or not label.size:
            return label
        low, high = int(label.min()), int(label.max())
        if high > np.iinfo(np.int64).max:
            raise ValueError(f'stored numbers must be at most {np.iinfo(np.int64).max}, got '
                             f'{label.dtype} up to {high}: if it was -1, save a signed type')
        if high - low < TABLE:
            stored = np.arange(low, high + 1)
            place = label if low == 0 and label.dtype.kind == 'u' else label.astype(np.int64) - low
        else:
            stored, place = np.unique(label, return_inverse=True)
            place = place.reshape(label.shape)
        meanings = self._meanings(stored)
        ids = meanings[place]
        if (meanings == FOREIGN).any() and (ids == FOREIGN).any():
            foreign = np.unique(label[ids == FOREIGN]).tolist()
            raise ValueError('there are values that no class has and that are not in ignore: '
                             f'{shorten(map(self.show, foreign))}')
        fits = ids.min() >= 0 and ids.max() <= self.ignore_value
        return ids.astype(np.uint8) if fits else ids

    def _meanings(self, stored: np.ndarray) -> np.ndarray:
        meanings = stored.astype(np.int64) if self.values is None else np.full(
            len(stored), FOREIGN, np.int64)
        meanings[np.isin(stored, self.unknown)] = self.ignore_value
        for number, numbers in enumerate(self.values or ()):
            meanings[np.isin(stored, numbers)] = number
        meanings[np.isin(stored, self.ignore)] = self.ignore_value
        return meanings


def whole_numbers(values: np.ndarray) -> np.ndarray:
    """Convert numbers of any type to integers.

    Raises:
        ValueError: a number is fractional, NaN or infinite.
    """
    if values.dtype.kind == 'b':
        return values.astype(np.uint8)
    if values.dtype.kind in 'iu':
        return values
    whole = values.astype(np.int64) if np.isfinite(values).all() else None
    if whole is None or (whole != values).any():
        raise ValueError('class ids must be whole numbers >= 0, or -1 where unknown, got '
                         f'{values.dtype} from {values.min()} to {values.max()}')
    return whole


def one_channel(pixels: np.ndarray) -> np.ndarray:
    """Reduce equal channels (H, W, 3) to (H, W); return other pictures unchanged."""
    if pixels.ndim == 3 and (pixels == pixels[..., :1]).all():
        return pixels[..., 0]
    return pixels


def bytes_swapped(numbers: np.ndarray) -> bool:
    """Return whether a map of 16 bits, (H, W) or (H, W, C), has the wrong byte order.

    Then neighbours differ much more than with the bytes swapped.
    """
    if numbers.dtype.kind != 'u' or numbers.dtype.itemsize != 2:
        return False
    rows = numbers[::max(len(numbers) // ROWS, 1)].astype(np.uint16)
    left, right = rows[:, :-1], rows[:, 1:]
    differ = (left != right) & (left > 0) & (right > 0)
    # Exclude 8 bits stored in the upper half of 16.
    if np.count_nonzero(differ) < PAIRS or len(np.unique(rows & 255)) < 3:
        return False
    given, turned = (np.median(np.abs(one[differ].astype(int) - other[differ]))
                     for one, other in ((left, right), (left.byteswap(), right.byteswap())))
    return bool(given > ROUGHER * turned)


def used_indices(indices: np.ndarray) -> np.ndarray:
    """Return the distinct values of a map of bytes, sorted."""
    return np.flatnonzero(np.bincount(indices.ravel()))


def invalid_values(label: np.ndarray, known: int, ignore_value: int) -> list[int]:
    """Return the values of an integer map that are neither 0..known-1 nor ``ignore_value``."""
    if label.dtype == np.uint8:
        counts = np.bincount(label.ravel(), minlength=ignore_value + 1)
        counts[:known] = counts[ignore_value] = 0
        return np.flatnonzero(counts).tolist()
    return np.unique(label[((label < 0) | (label >= known)) & (label != ignore_value)]).tolist()


def shorten(values: Iterable[object]) -> str:
    """Join the first few values by commas."""
    shown = list(map(str, values))
    return ', '.join(shown[:SHOWN]) + ', ...' * (len(shown) > SHOWN)


def _per_class(owner: str, classes: int, values: Sequence[Stored]) -> list[list[int]]:
    if isinstance(values, str) or not isinstance(values, Sequence) or len(values) != classes:
        raise ValueError(f'{owner}: values must be a sequence with the stored number of each of '
                         f'the {classes} classes, or the numbers, got {values!r}')
    return [_numbers(f'{owner}: values', entry if isinstance(entry, Sequence) else (entry,))
            for entry in values]


def _numbers(what: str, values: Sequence[int]) -> list[int]:
    whole = not isinstance(values, str) and isinstance(values, Sequence) and all(
        isinstance(value, int) and not isinstance(value, bool) for value in values)
    if not whole:
        raise ValueError(f'{what} must be a sequence of whole numbers such as (255,), got '
                         f'{values!r}')
    return list(values)
