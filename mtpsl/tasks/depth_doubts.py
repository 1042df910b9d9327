"""Reasons why depth labels look wrong: marks of nothing measured, two units, another unit."""

from typing import TYPE_CHECKING

import numpy as np

from .seen import ENOUGH, MOST, MOSTLY, SOME, Doubt, Seen

if TYPE_CHECKING:
    from .depth import Depth

MILLIMETRE = 1e-3
FARTHEST = 1000.0  # metres
USUALLY_NEARER, USUALLY_FARTHER = 100.0, 0.05  # metres
# What 95 % of a z-buffer's values exceed; how many times as far from 1 these are as the last 5 %.
SQUEEZED, CROWDED = 0.8, 10
HOLES = 0.3  # share of pixels beside holes that are blends
BYTE = 255  # the largest number of 8 bits
SUN_STEPS, SUN_UNIT = 8, MILLIMETRE / 8  # SUN RGB-D rotates the bits of millimetres left by 3


def doubt_values(task: 'Depth', seen: Seen) -> Doubt | None:
    """Return a reason why depth or inverse depth looks wrong, whatever its unit, or None."""
    if seen.mark and task.ignore != () and not seen.published:
        mark, rest = seen.mark
        return Doubt(f'hold {mark:.7g}{task.unit} on many pixels and otherwise at most '
                     f'{rest:.4g}{task.unit}: if it marks what was not measured, write '
                     f'{task.ignoring(mark)} for the task, if it was measured, ignore=()',
                     certain=True)
    if seen.leap and task.ignore != () and not seen.published:
        low, high = (f'{np.median(one.some):.4g}{task.unit} in the middle ({one.source})'
                     for one in seen.leap)
        return Doubt(f'hold {low} or less, or else {high} or more, and nothing between: are '
                     'they in two units? One folder must have one; ignore=() of the task if all '
                     'are of one')
    if seen.clipped and task.ignore != () and not seen.published:
        largest, share = seen.clipped
        end = 'largest' if largest == seen.high else 'smallest'
        return Doubt(f'hold exactly {largest:.7g}{task.unit}, their {end} value, on {share:.0%} of '
                     'the pixels in nearly all images: were others clipped to it, or holes filled? '
                     f'Write {task.ignoring(largest)} for the task to leave them out, or ignore=() '
                     'if they were measured')
    if seen.filled and task.ignore != () and not seen.published:
        share, one = seen.filled
        return Doubt(f'hold one and the same number on {share:.0%} of the pixels in nearly all '
                     f'images, such as {one.source}: were holes filled with it? Save 0 there, '
                     'which is unknown; ignore=() of the task if they were measured')
    return None


def doubt_metres(task: 'Depth', seen: Seen) -> Doubt | None:
    """Return a reason why labels of depth seem not to be metres, or None."""
    if turned := _doubt_turned_bits(task, seen):
        return turned
    said = task.unit_said(seen)
    ends = [float(one.high.max()) for one in seen.labels if one.known]
    alone = not (seen.published or said) and task.farthest > 1 and task.ignore != ()
    if alone and len(ends) > 2 and set(ends) == {1.0} and not seen.alike:
        return Doubt('all go up to exactly 1, as maps that were divided by their own largest '
                     'value and are not in metres; if depth really ends at 1 m, set '
                     'farthest=1.0 of the task', certain=True)
    if alone and seen.images >= ENOUGH and _squeezed(seen.some):
        return Doubt(f'lie between {seen.low:.3g} and 1 and crowd below 1, as the values of a '
                     'z-buffer do: depth is near * far / (far - z * (far - near)) for those; '
                     'npy_unit=1.0 of the task if they are metres')
    if not seen.published and task.ignore != () and seen.slopes(-1):
        return Doubt('are smaller above than below in nearly all images, as inverse depth or '
                     'disparity is, while depth is small where it is near: for these the '
                     "task's type is InverseDepth; if the camera always looked up, ignore=() of "
                     'the task')
    near = seen.median < USUALLY_FARTHER and task.farthest >= FARTHEST
    if near and not seen.published:
        return Doubt(f'hold depths of which half are below {seen.median:.2g} m: if they are in '
                     'another unit, such as kilometres, set npy_unit or png_unit of the '
                     'task; if they are right, set farthest, such as 0.2')
    if not said and seen.median > USUALLY_NEARER:
        return Doubt(f'hold depths of which half are above {seen.median:.4g} m: if they are in '
                     'another unit, set npy_unit or png_unit of the task; if they are '
                     'metres, set npy_unit=1.0')
    return _doubt_one_end(task, seen)


def doubt_resampled(task: 'Depth', seen: Seen) -> Doubt | None:
    """Return a reason why depth seems to be computed from what was measured, or None."""
    if task.ignore == () or seen.published:
        return None
    if seen.blended and seen.blended > HOLES:
        return Doubt(f'fall towards 0 on {seen.blended:.0%} of the pixels beside unknown ones: '
                     'were they resized with interpolation, which blends with the 0 of holes? '
                     'Resize them with the nearest neighbour; ignore=() of the task if they are '
                     'right')
    if seen.normalised:
        name, value = seen.normalised
        return Doubt(f'have a {name} of {value:.4g}{task.unit} in most images: was each map '
                     f'divided by its own {name}? Such maps have no unit, and none can be learned '
                     'from them; ignore=() of the task if they were measured')
    return Doubt(told) if (told := seen.constant) else None


def unlike_units(unit: str, learned: Seen, tested: Seen) -> str:
    """Return how values of evaluation lie apart from those of training, or ''."""
    known = [sum(one.known > 0 for one in seen.labels) for seen in (learned, tested)]
    if min(known) < SOME or not (learned.apart(tested) or tested.apart(learned)):
        return ''
    ends = [end for seen in (learned, tested) for end in seen.most or ()]
    return ('hold {0:.3g} to {1:.3g}{unit} in training and {2:.3g} to {3:.3g}{unit} in '
            'evaluation (most of them): are they of one unit?'.format(*ends, unit=unit))


def _doubt_turned_bits(task: 'Depth', seen: Seen) -> Doubt | None:
    """Detect SUN RGB-D pictures: nearly all numbers are multiples of 8, but not of 16."""
    some = [one.some for one in seen.labels if one.known and not one.is_array]
    if task.png_unit not in (MILLIMETRE, SUN_UNIT) or not some:
        return None
    numbers = np.rint(np.concatenate(some) / task.png_unit).astype(int)
    known = numbers[numbers > 0]
    turned = known % SUN_STEPS == 0
    if turned.mean() < 0.9 or (known[turned] % (2 * SUN_STEPS) == 0).all():
        return None
    if task.png_unit == SUN_UNIT and turned.all():
        return None
    return Doubt(f'hold multiples of {SUN_STEPS} {"only" if turned.all() else "mostly"}, as '
                 'those of SUN RGB-D, which rotates the bits of millimetres: if all is nearer '
                 f'than 8.19 m, png_unit={SUN_UNIT:g} of the task reads them, else save '
                 '(v >> 3) | (v << 13) of each; true millimetres in such steps must be saved '
                 'as .npy in metres')


def _squeezed(values: np.ndarray) -> bool:
    """Return whether values up to 1 are spread as those of a z-buffer."""
    below = values[values < 1]
    if below.size < len(values) / 2 or values.max() > 1:
        return False
    low, high = np.percentile(below, MOST)
    return bool(low > SQUEEZED and 1 - low > CROWDED * (1 - high))


def _doubt_one_end(task: 'Depth', seen: Seen) -> Doubt | None:
    """Detect maps that nearly all end in one number, though few of their pixels hold it."""
    step = task.png_unit or task.smallest
    known = [one for one in seen.labels if one.known]
    ends = [float(one.high.max()) for one in known]
    most = max(ends, default=0.0)
    # A picture scaled to 255 may end one step before.
    held = sum(end >= most - 1.01 * step * (not one.is_array) for end, one in zip(ends, known))
    if seen.published or task.ignore == () or seen.alike or len(ends) < ENOUGH or (
            held < MOSTLY * len(ends)) or seen.still:
        return None
    in_bytes = round(most / step) == BYTE and not any(one.is_array for one in known)
    return Doubt(f'go up to {most:.7g} m in nearly all images'
                 f'{", 255 steps of png_unit" if in_bytes else ""}: was '
                 'each map scaled by its own largest value, clipped, or saved with 8 bits once, '
                 'where 256 becomes 0? Save them anew from the source, or write ignore=() for the '
                 'task if they were measured')
