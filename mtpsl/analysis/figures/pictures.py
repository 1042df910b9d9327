"""Draws a grid of pictures with titles and legends; missing pictures are hatched."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.textpath import TextPath

from mtpsl.engine.visualization.panels import Colour, Legends, flow_legend
from mtpsl.system.choices import PAGE

from .style import paper_style

# Inches.
GAP, STRIP, LINE, SWATCH = 0.04, 0.14, 0.14, 0.08
TEXT, SMALL, TINY = 7, 6, 5  # points
STEEPEST = 4  # largest height over width of a cell
HIGHEST = 200  # inches: the limit of PDF
Box = tuple[float, float, float, float]  # left, top, width, height in inches


class Mark(NamedTuple):
    """A short text in a picture at (x, y), relative to its width and height."""

    x: float
    y: float
    text: str


@dataclass(frozen=True)
class PictureRow:
    """A row of pictures of one size.

    Attributes:
        title: text on the left, such as a task.
        cells: column -> picture, (H, W, 3) uint8 RGB, or a text instead, such as 'no label'; absent
            columns stay blank.
        size: (H, W), the proportions of the pictures; very elongated ones are narrower than the
            column or lower than the row.
        heading: line above the row, such as the image's name; '' for none.
        marks: column -> texts written into its picture.
    """

    title: str
    cells: Mapping[str, np.ndarray | str]
    size: tuple[int, int]
    heading: str = ''
    marks: Mapping[str, Sequence[Mark]] = field(default_factory=dict)


def draw_pictures(rows: Sequence[PictureRow], columns: Sequence[str], legends: Legends,
                  width: float = PAGE) -> Figure:
    """Draw rows of pictures below the titles of the columns, and legends below them.

    Missing pictures are hatched.

    Args:
        rows: one or more.
        columns: left to right.
        legends: title -> name -> RGB; empty ones are left out.
        width: width of the figure in inches.

    Returns:
        The figure, as high as its rows need.

    Raises:
        ValueError: the figure would be higher than ``HIGHEST``.
    """
    side = (width - STRIP - len(columns) * GAP) / len(columns)
    heights = [min(max(row.size[0] / row.size[1] * side, LINE), STEEPEST * side) for row in rows]
    headings = [LINE + 2 * GAP * (number > 0) if row.heading else 0
                for number, row in enumerate(rows)]
    bottom = LINE + sum(heights) + sum(headings) + len(rows) * GAP
    with paper_style():
        entries, below = flow_legend(legends, _length, STRIP, width, 2 * GAP, LINE, SWATCH + GAP,
                                     2 * GAP)
        below += GAP if entries else 0
        if bottom + below > HIGHEST:
            raise ValueError(f'the figure would be {bottom + below:.0f} inches high, at most '
                             f'{HIGHEST} are possible: choose fewer images or tasks, or a smaller '
                             'width')
        figure = Figure(figsize=(width, bottom + below))
        axes = figure.add_axes((0, 0, 1, 1))  # units are inches from the top left
        for number, column in enumerate(columns):
            _write(axes, _left(number, side) + side / 2, LINE / 2, column)
        y = LINE
        for row, height, heading in zip(rows, heights, headings):
            if row.heading:
                _write(axes, STRIP, y + heading - LINE / 2, row.heading, ha='left', size=SMALL)
            _draw_row(axes, row, columns, y + heading, side, height)
            y += heading + height + GAP
        for x, line, colour, words in entries:
            _draw_entry(axes, x, bottom + GAP + line, colour, words)
        axes.set(xlim=(0, width), ylim=(bottom + below, 0), aspect='auto')
        axes.axis('off')
    return figure


def _draw_row(axes: Axes, row: PictureRow, columns: Sequence[str], y: float, side: float,
              height: float) -> None:
    _write(axes, STRIP / 2, y + height / 2, row.title, rotation=90)
    for number, column in enumerate(columns):
        place = _fit(row.size, (_left(number, side), y, side, height))
        if column in row.cells:
            _draw_cell(axes, row.cells[column], place)
        for mark in row.marks.get(column, ()):
            _write_boxed(axes, place[0] + mark.x * place[2], place[1] + mark.y * place[3],
                         mark.text, TINY)


def _left(number: int, side: float) -> float:
    return STRIP + number * (side + GAP)


def _fit(size: tuple[int, int], place: Box) -> Box:
    """Return the largest centred box with the proportions of (H, W) in a cell."""
    x, y, width, height = place
    scale = min(width / size[1], height / size[0])
    wide, high = size[1] * scale, size[0] * scale
    return x + (width - wide) / 2, y + (height - high) / 2, wide, high


def _write(axes: Axes, x: float, y: float, words: str, ha: str = 'center', size: float = TEXT,
           rotation: float = 0) -> None:
    axes.text(x, y, words, ha=ha, va='center', size=size, rotation=rotation)


def _write_boxed(axes: Axes, x: float, y: float, words: str, size: float) -> None:
    axes.text(x, y, words, ha='center', va='center', size=size, color='0.15',
              bbox=dict(facecolor='white', edgecolor='none', pad=0.6))


def _draw_cell(axes: Axes, cell: np.ndarray | str, box: Box) -> None:
    x, y, width, height = box
    if isinstance(cell, str):
        axes.add_patch(Rectangle((x, y), width, height, edgecolor='0.6', facecolor='0.96',
                                 linewidth=0.3, hatch='///'))
        _write_boxed(axes, x + width / 2, y + height / 2, cell, SMALL)
    else:
        axes.imshow(cell, extent=(x, x + width, y + height, y), interpolation='none')
        axes.add_patch(Rectangle((x, y), width, height, edgecolor='0.3', facecolor='none',
                                 linewidth=0.3))


def _draw_entry(axes: Axes, x: float, y: float, colour: Colour | None, words: str) -> None:
    if colour is not None:
        axes.add_patch(Rectangle((x, y + (LINE - SWATCH) / 2), SWATCH, SWATCH, linewidth=0.3,
                                 facecolor=np.array(colour) / 255, edgecolor='0.3'))
        x += SWATCH + GAP
    _write(axes, x, y + LINE / 2, words, ha='left', size=SMALL)


def _length(words: str) -> float:
    """Return the width of a text of the legend in inches."""
    return TextPath((0, 0), words, size=SMALL).get_extents().width / 72 if words.strip() else 0
