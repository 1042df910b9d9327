"""Whether labels say something of the plain bars that letterboxed images have at their borders."""

import numpy as np

from mtpsl.tasks import Task

PLAIN = 2  # largest difference of grey in a bar
LEAST, MOST = 0.04, 0.8  # share of an image that bars cover
MOSTLY, ENOUGH = 0.8, 8  # share of the labels, and their number, that say something


class Bars:
    """Counts the labels of a task that say something where their images have bars.

    Args:
        task: the task of the labels.
    """

    def __init__(self, task: Task) -> None:
        self._task = task
        self._labels = 0
        self._shares: list[float] = []

    def add(self, bars: np.ndarray | None, label: np.ndarray) -> None:
        """Take where an image has bars, see :func:`plain_bars`, and its label (H, W[, 3])."""
        self._labels += 1
        if bars is None or bars.shape != label.shape[:2]:
            return
        there = label[bars]
        if (there == there[0]).all() and not self._task.says_nothing(there[:1]).any():
            self._shares.append(float(bars.mean()))

    def told(self) -> str:
        """What is wrong, to go on after "the labels ... "; '' if too few labels are alike."""
        if len(self._shares) < max(ENOUGH, MOSTLY * self._labels):
            return ''
        return (f'hold one value on the plain bars at the borders of their images, '
                f'{np.mean(self._shares):.0%} of each, in {len(self._shares)} of {self._labels}: '
                'were images padded, and is that no label? It is learned and scored: make it '
                'unknown there, or leave images as they were, since a batch is padded by itself. '
                'If it is what the image shows, all is well')


def plain_bars(image: np.ndarray) -> np.ndarray | None:
    """Return where an image (H, W, 3) has bars of one colour, (H, W) bool; None without bars.

    None also if there is one at the top alone, as a rendered sky may be.
    """
    bars = np.zeros(image.shape[:2], bool)
    for pixels, mask in ((image, bars), (image.swapaxes(0, 1), bars.T)):
        for rows, part in ((pixels, mask), (pixels[::-1], mask[::-1])):
            part[:_plain_rows(rows)] = True
    below = bars[len(bars) // 2:].any()
    return bars if below and LEAST <= bars.mean() <= MOST else None


def _plain_rows(rows: np.ndarray) -> int:
    """How many of the first rows (R, P, 3) have the colour of the first pixel."""
    colour = rows[0, 0].astype(np.int16)
    return next((number for number, row in enumerate(rows)
                 if np.abs(row - colour).max() > PLAIN), len(rows))
