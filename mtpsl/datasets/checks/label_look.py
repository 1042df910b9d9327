"""What is seen of the labels of one task, and of how they lie on their images."""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from itertools import combinations
from typing import NamedTuple

import numpy as np

from mtpsl.tasks import Task
from mtpsl.tasks.seen import Seen

from .bars import Bars
from .copied_labels import CopiedLabels
from .edge_fit import EdgeFit

FEW = 4  # images in which labels of two tasks may be the same by chance


class Misplaced(NamedTuple):
    """Where labels do not belong to what their images show.

    Attributes:
        what: it is about, beside the task's name.
        found: in a few words.
        expected: in a few words.
        text: end of a sentence that starts "the labels ... ".
    """

    what: str
    found: str
    expected: str
    text: str


class LabelLook:
    """Collects some labels of one task.

    Args:
        task: the task.
        published: whether the dataset is a published one, see :class:`Seen`.

    Attributes:
        task: the task.
        seen: statistics of the labels.
    """

    def __init__(self, task: Task, published: bool) -> None:
        self.task, self.seen = task, Seen(published)
        self._fit, self._bars, self._copies = EdgeFit(), Bars(task), CopiedLabels()

    def add(self, label: np.ndarray, source: str, image: np.ndarray | None,
            bars: np.ndarray | None, name: str) -> None:
        """Take a label map.

        Args:
            label: (H, W) or (H, W, 3), as loaded.
            source: its files.
            image: (H, W, 3) uint8, on which it should lie; None if that cannot be read.
            bars: where the image has plain bars, see :func:`~.bars.plain_bars`.
            name: of the image.
        """
        if label.ndim == 3:  # vectors one by one; of maps it leaves out whole ones, which are seen
            label = self.task.mark_ignored(label)
        self.seen.add(label, self.task.ignore_value, source)
        if image is not None:
            self._fit.add(image, label, self.task.ignore_value, name)
            self._bars.add(bars, label)
            self._copies.add(image, label, self.task.ignore_value, name)
            if label.dtype == np.uint8 and label.shape == image.shape[:2]:
                self.seen.colours.add(image, label, self.task.ignore_value)

    def misplaced(self, doubted: bool = False, ordered: bool = False,
                  files: bool = True) -> Iterator[Misplaced]:
        """Yield where the labels do not belong to what their images show.

        Args:
            doubted: their values are wrong already, so that their places tell nothing.
            ordered: they were added in their order, see :meth:`EdgeFit.told`.
            files: tell of maps that are those of other images; without, their files are compared,
                see :func:`~.copied_labels.copied_files`.
        """
        if not doubted and (told := self._fit.told(ordered)):
            yield Misplaced('beside images', re.split(' against|,', told)[0], 'as they are',
                            f'are {told}')
        if told := self._bars.told():
            yield Misplaced('on bars', 'one value', 'unknown', told)
        if not doubted and (told := self._copies.told(files)):
            yield Misplaced('copied', 'of other images, or the image', 'each its own', told)


class SameLabels:
    """Finds tasks of one type whose labels are the same, as of one folder that is read twice.

    Args:
        tasks: task name -> task.
    """

    def __init__(self, tasks: Mapping[str, Task]) -> None:
        self._tasks = tasks
        self._same: defaultdict[tuple[str, str], list[bool]] = defaultdict(list)

    def add(self, labels: Mapping[str, np.ndarray]) -> None:
        """Take the label maps of one image, by task; those of one value do not count."""
        maps = {name: label for name, label in labels.items() if label.min() < label.max()}
        for one, other in combinations(sorted(maps), 2):
            if type(self._tasks[one]) is type(self._tasks[other]):
                self._same[one, other].append(np.array_equal(maps[one], maps[other]))

    def told(self) -> Iterator[str]:
        """Yield what to say of each two of them, to go on after "the tasks "."""
        for (one, other), same in self._same.items():
            if len(same) >= FEW and all(same):
                yield (f'{one} and {other} have the same labels in all {len(same)} images that '
                       'were opened with both: does one of them read the folder of the other '
                       '(folders of the dataset)? If it is meant, all is well')
