"""Style of the figures: widths of a paper, text as text, lines distinct without colour."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from mtpsl.system.figure_arguments import check_figure_path
from mtpsl.system.files import atomically

DPI = 300  # dots per inch of .png
RC: dict[Any, Any] = {
    'font.family': 'sans-serif', 'font.sans-serif': ['DejaVu Sans'], 'font.size': 7,
    'axes.titlesize': 7, 'axes.labelsize': 7, 'xtick.labelsize': 6, 'ytick.labelsize': 6,
    'legend.fontsize': 7, 'axes.linewidth': 0.6, 'lines.linewidth': 1.1, 'lines.markersize': 3.5,
    'axes.titlepad': 3, 'axes.labelpad': 2, 'xtick.major.pad': 2, 'ytick.major.pad': 2,
    'xtick.major.size': 2, 'ytick.major.size': 2, 'grid.linewidth': 0.3, 'grid.color': '0.8',
    'hatch.linewidth': 0.3,
    # Keep text editable and searchable: TrueType in PDF, <text> in SVG.
    'pdf.fonttype': 42, 'svg.fonttype': 'none',
    'text.parse_math': False,  # names may contain a $
    'svg.hashsalt': 'mtpsl'}  # the same figure gives the same file
# Okabe and Ito's colours for colour-blind readers; dashes and markers for print in grey.
COLOURS = ('#000000', '#0072B2', '#D55E00', '#009E73', '#CC79A7', '#56B4E9')
DASHES = ('-', (0, (4, 1.5)), (0, (1, 1)), (0, (5, 1, 1, 1)), (0, (8, 2)), (0, (3, 1, 1, 1, 1, 1)))
MARKERS = ('o', 's', '^', 'D', 'v', 'P', 'X')


@contextmanager
def paper_style() -> Iterator[None]:
    """Set matplotlib's parameters for drawing and saving figures."""
    with matplotlib.rc_context(RC):
        yield


def line_styles(names: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Return arguments of ``plot`` by name: a colour, a dash pattern and a marker per line."""
    looks = zip(cycle(COLOURS), cycle(DASHES), cycle(MARKERS))
    return {name: dict(color=colour, linestyle=dash, marker=marker, markeredgewidth=0.6,
                       markerfacecolor='white' if number % 2 else colour)
            for number, (name, (colour, dash, marker)) in enumerate(zip(names, looks))}


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure in the format of the suffix, reproducibly to the byte.

    Args:
        figure: a figure drawn under :func:`paper_style`.
        path: see :func:`mtpsl.system.figure_arguments.check_figure_path`; its folder is made.

    Raises:
        ValueError: another file is there, or it is no path of a figure.
    """
    check_figure_path(path)
    vector = path.suffix != '.png'
    for axes in figure.axes:
        # PDF and SVG keep the pixels of each picture, which the viewer scales.
        for image in axes.get_images():
            image.set_interpolation('none' if vector else 'antialiased')
    dates = {'.pdf': {'CreationDate': None}, '.svg': {'Date': None}}
    with paper_style():
        atomically(path, lambda name: figure.savefig(name, dpi=DPI,
                                                     metadata=dates.get(path.suffix)))
