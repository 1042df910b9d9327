"""Reasons why class maps look wrong: mixed codings, unused classes, ids from 1, one class only."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from .seen import ENOUGH, Doubt, Seen, rare

if TYPE_CHECKING:
    from .categorical import CategoricalTask

# Names of a class 0 of all that no other class covers; and the share of unknown pixels to doubt.
UNDRAWN, MUCH = ('background', 'bg', 'back', 'none', 'nothing', 'other', 'others', 'rest'), 0.05
COVERED = 0.25  # share of labels without an unknown pixel, above which class 0 may be just rare
# Names of what is no class, and of an id that is none.
VOID = ('unlabeled', 'unlabelled', 'void', 'ignore', 'ignored', 'unknown', 'undefined', 'dontcare',
        "don't care", "don't know")
UNUSED = ('', '-', '0', 'unused', 'spare', 'dummy', 'reserved', 'empty', 'na', 'n/a', 'nan', 'null',
          'padding', 'outside', 'no data', 'nodata', 'no label', 'no_label', 'ignore_label')
MANY_CLASSES = 6  # least number of classes to check whether most are unused
# Instances for classes: of so many classes; in so many labels, with so many of them; the share that
# holds 1 to k, and the least number of different k.
NUMBERED, SEVERAL, NEARLY_ALL, LENGTHS = 10, 3, 0.95, 3


def doubt_classes(task: 'CategoricalTask', seen: Seen) -> Doubt | None:
    """Return a reason why the labels look wrong that only class maps have, or None."""
    said = task.stored.said
    if not said and task.channels == 2 and _mixed_masks(seen):
        return Doubt('hold 0 and 1 only or 0 and 255 only, of two classes: if 255 is the class '
                     '1, write values=(0, (1, 255)) for the task, if it is unknown, '
                     'ignore=(255,)', certain=True)
    if task.class_weight is not None and seen.known and not any(
            task.class_weight[int(seen.low):int(seen.high) + 1]):
        return Doubt('hold only classes whose class_weight is 0', mute=True)
    if not seen.known or not seen.alike:
        told = _unused(task.channels, seen)
        if not told and not seen.published:
            told = (_blended(seen) or _instances(task.channels, seen)
                    or ('' if said else _undrawn(task.class_names[0], seen)
                        or _void(task.class_names, seen)
                        or _from_one(task.class_names, seen))
                    or _shifted(task.class_names, *seen.arrays, '.npy files', '.png files'))
        return Doubt(told) if told else None
    number = int(seen.low)
    if not number and seen.known < seen.pixels and not said:
        return Doubt('hold 0 and 255 only, and 255 is unknown: if 255 is a class, write '
                     'values=(0, 255) for the task, if it is unknown, ignore=(255,)',
                     certain=True)
    return Doubt(f'hold one class only, {number} ({task.class_names[number]}), wherever they '
                 'are known', mute=True)


def unlike_classes(class_names: Sequence[str], learned: Seen, tested: Seen) -> str:
    """Return how labels of evaluation contradict those of training, or ''.

    Args:
        class_names: names of the classes.
        learned: labels of training.
        tested: labels of evaluation.
    """
    return (_shifted(class_names, learned, tested, 'training', 'evaluation')
            or _one_sided(class_names, tested, learned, 'evaluation', 'training',
                          'what is not learned is not found')
            or _one_sided(class_names, learned, tested, 'training', 'evaluation',
                          'what is learned is not measured')
            or _blank(class_names, learned, tested, 'training', 'evaluation')
            or _blank(class_names, tested, learned, 'evaluation', 'training'))


def _blank(class_names: Sequence[str], here: Seen, there: Seen, name: str, other_name: str) -> str:
    """Report labels of nothing but the background here, and none there, that are no chance."""
    blank, others = ([one.known > 0 and one.low == one.high and undrawn(class_names[int(one.low)])
                      for one in seen.labels] for seen in (here, there))
    if not rare(sum(blank), len(blank), len(others)) or any(others):
        return ''
    file = next(one.source for one, is_blank in zip(here.labels, blank) if is_blank)
    return (f'hold nothing but the background in {sum(blank)} of {len(blank)} labels of {name}, '
            f'such as {file}, and in none of {len(others)} of {other_name}: are these images not '
            'labelled yet? Then delete such files; else all is well')


def _one_sided(class_names: Sequence[str], here: Seen, there: Seen, name: str, other_name: str,
               why: str) -> str:
    """Which classes so many labels hold that none elsewhere is no chance."""
    found = [(f'{number} ({class_name})', *counts)
             for number, class_name in enumerate(class_names)
             if (counts := here.held_beside(number, there))]
    told = ', '.join(f'{one} in {held}' for one, held, *_ in found)
    return told and (f'hold {told} of {found[0][2]} labels of {name} and in none of '
                     f'{found[0][3]} of {other_name}, of those that were opened: {why}')


def _unused(classes: int, seen: Seen) -> str:
    """Report if most classes, the highest ids, occur in no label: a wrong class list."""
    few = seen.images >= ENOUGH and seen.known and classes >= MANY_CLASSES
    return (f'hold ids up to {seen.high:g} only, class_names has {classes} names: is it '
            "the data's list?") if few and 2 * (seen.high + 1) < classes else ''


def _blended(seen: Seen) -> str:
    """Report if many pixels at an edge have an id between those of both sides."""
    return (f'hold, on {seen.blended:.0%} of the edges between two classes, ids that lie '
            'between theirs: were they resized with interpolation, or saved as JPEG? Only the '
            'nearest neighbour keeps ids') if seen.blended else ''


def _instances(classes: int, seen: Seen) -> str:
    """Report if nearly all labels hold exactly the numbers from 1 to some k, as instances do."""
    held = [np.unique(one.some[one.some > 0]) for one in seen.labels if one.known]
    long = [ids for ids in held if len(ids) >= SEVERAL]
    counted = sum(len(ids) == ids[-1] for ids in held if len(ids))
    if classes < NUMBERED or len(long) < ENOUGH or len({len(ids) for ids in long}) < LENGTHS or (
            counted < NEARLY_ALL * len(held)):
        return ''
    return (f'hold the numbers 1 to k without a gap, k being {min(map(len, long))} to '
            f'{max(map(len, long))}, in {counted} of {len(held)}: are they numbers of objects '
            '(instances), not of classes?')


def _undrawn(class_name: str, seen: Seen) -> str:
    """Report if class 0 is what no object covers, by its name, and is unknown instead."""
    known = [one for one in seen.labels if one.known]
    unknown = 1 - seen.known / seen.pixels
    covered = sum(one.known == one.pixels for one in known)
    if (not undrawn(class_name) or len(known) < ENOUGH or unknown < MUCH or not seen.low
            or covered > COVERED * len(known)):
        return ''
    return (f'hold 0 ({class_name}) in none of {len(known)} that were opened, and {unknown:.0%} of '
            'their pixels are unknown (255): are those where nothing is drawn? values=((0, 255), '
            '1, 2, ...) of the task reads them as class 0; unknown pixels are neither learned nor '
            'scored')


def _void(class_names: Sequence[str], seen: Seen) -> str:
    """Report a class that is there and whose name says that it is none."""
    known = [one for one in seen.labels if one.known]
    for number, name in enumerate(class_names):
        held = sum(bool((one.some == number).any()) for one in known)
        if held and _plain(name) in VOID:
            return (f'hold {number} ({name}) in {held} of {len(known)} that were opened, which is '
                    f'learned and scored as a class: ignore=({number},) of the task makes it '
                    'unknown, values says that it is a class')
    return ''


def _from_one(class_names: Sequence[str], seen: Seen) -> str:
    """Report if class 0 is in no label and each other class is in some: are ids from 1?"""
    held = set(np.unique(seen.some).tolist())
    if (seen.images < ENOUGH or not seen.low or held != set(range(1, len(class_names)))
            or _plain(class_names[0]) in (*UNDRAWN, *VOID, *UNUSED)):
        return ''
    last = len(class_names) - 1
    ids = ', '.join(map(str, range(1, last + 1))) if last < 4 else f'1, 2, ..., {last}'
    return (f'hold 0 ({class_names[0]}) in none of {seen.images} that were opened, and each id '
            f'from 1 ({class_names[1]}) to {last} ({class_names[-1]}): do ids begin at 1? If so, '
            f'and if {class_names[0]} is the class with id 1, take the name that is too many out '
            f'of class_names and write values=({ids}) for the task. If class 0 is just rare, all '
            'is well')


def undrawn(class_name: str) -> bool:
    """Return whether a class, by its name, is all that no other class covers."""
    return _plain(class_name) in UNDRAWN


def _plain(class_name: str) -> str:
    return class_name.strip('_ ').lower()


def _shifted(class_names: Sequence[str], one: Seen, other: Seen, name: str,
             other_name: str) -> str:
    """Report if class 0 is in all labels of one kind and in none of the other."""
    for here, there, names in ((one, other, (name, other_name)),
                               (other, one, (other_name, name))):
        if here.lacks(0, there):
            return (f'hold 0 ({class_names[0]}) in all labels of {names[1]} and none of '
                    f'{names[0]}: are the ids of the latter from 1? Both are taken as they are')
    return ''


def _mixed_masks(seen: Seen) -> bool:
    """Return whether masks of (0, 1) and of (0, 255 = unknown) are mixed."""
    only_0 = {(one.known < one.pixels, one.high.max() == 0) for one in seen.labels if one.known}
    return {(True, True), (False, False)} <= only_0 and (True, False) not in only_0
