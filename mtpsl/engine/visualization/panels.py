"""Draws panels: an image with its maps by output and task, and legends; paints uncertainty."""

from collections.abc import Callable, Mapping, Sequence

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

INK = (30, 30, 30)
PALE_INK = (140, 140, 140)
NOTHING = (236, 236, 236)

LEAST = 1e-6  # uncertainty below it is a rounding error
MIN_HEIGHT = 160  # of a picture in pixels: smaller ones are enlarged by whole factors
LARGEST_WIDTH = 1024  # of an enlarged picture, in pixels

Colour = tuple[int, int, int]
Legends = Mapping[str, Mapping[str, Colour]]
Entry = tuple[float, float, Colour | None, str]  # of a legend: place, swatch, words


def draw_panel(image: np.ndarray, rows: Sequence[str], columns: Sequence[str],
               pictures: Mapping[tuple[str, str], np.ndarray], legends: Legends,
               title: str = '') -> np.ndarray:
    """Lay out the input and a grid of pictures, labelled, with the legends below.

    Args:
        image: the input, (H, W, 3) uint8 RGB.
        rows: outputs, top to bottom.
        columns: tasks, left to right.
        pictures: (row, column) -> (H, W, 3) uint8 RGB; an absent key is drawn as missing.
        legends: column -> name -> RGB.
        title: heading of the panel.

    Returns:
        (H', W', 3) uint8 RGB panel.
    """
    # The width limits the factor of an image that is far wider than high.
    factor = max(1, min(-(-MIN_HEIGHT // image.shape[0]), LARGEST_WIDTH // image.shape[1]))
    height, width = image.shape[0] * factor, image.shape[1] * factor
    text = max(14, min(height, width) // 14)  # legible when a large panel is shown smaller
    font, margin, line = ImageFont.load_default(text), text // 2, text * 3 // 2
    left = 2 * margin + width + line  # of the grid; a row's name runs upwards left of it
    top = margin + line * (2 if title else 1)
    right, bottom = left + len(columns) * (width + margin), top + max(len(rows), 1) * (
        height + margin)
    legend = _legend(legends, font, text, margin, right)
    canvas = Image.new('RGB', (right, bottom + (legend.height if legend else 0)), 'white')
    draw = ImageDraw.Draw(canvas)
    if title:
        draw.text((margin, margin), title, INK, font)
    draw.text((margin, top - line), 'input', INK, font)
    canvas.paste(_enlarge(image, factor), (margin, top))
    for c, column in enumerate(columns):
        draw.text((left + c * (width + margin), top - line), column, INK, font)
    for r, row in enumerate(rows):
        y = top + r * (height + margin)
        strip = Image.new('RGB', (height, line), 'white')
        ImageDraw.Draw(strip).text((height // 2, line // 2), row, INK, font, anchor='mm')
        canvas.paste(strip.rotate(90, expand=True), (left - line, y))
        for c, column in enumerate(columns):
            x = left + c * (width + margin)
            if (row, column) in pictures:
                canvas.paste(_enlarge(pictures[row, column], factor), (x, y))
            else:
                draw.rectangle((x, y, x + width - 1, y + height - 1), NOTHING)
                draw.text((x + width // 2, y + height // 2), 'no label', PALE_INK, font,
                          anchor='mm')
    if legend:
        canvas.paste(legend, (0, bottom))
    return np.asarray(canvas)


def _legend(legends: Legends, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, text: int,
            margin: int, width: int) -> Image.Image | None:
    """Draw the legends; None if no column has entries."""
    line, swatch = text * 3 // 2, text
    entries, height = flow_legend(
        legends, lambda words: int(font.getlength(words)), margin, width - margin, margin, line,
        swatch + text // 3, text)
    if not entries:
        return None
    legend = Image.new('RGB', (width, int(height) + margin), 'white')
    draw = ImageDraw.Draw(legend)
    for x, y, fill, words in entries:
        if fill is not None:
            draw.rectangle((x, y + (line - swatch) // 2, x + swatch - 1,
                            y + (line + swatch) // 2 - 1), fill, PALE_INK)
            x += swatch + text // 3
        draw.text((x, y + line // 2), words, INK, font, anchor='lm')
    return legend


def flow_legend(legends: Legends, length: Callable[[str], float], left: float, right: float,
                gap: float, line: float, swatch: float, apart: float) -> tuple[list[Entry], float]:
    """Place a paragraph per title that has entries: the title, then swatches with names, wrapped.

    Args:
        legends: title -> name -> RGB.
        length: width of some words. All lengths are in one unit, that of the caller.
        left: of the titles.
        right: end of the lines.
        gap: between the longest title and the first swatch.
        line: height of a line.
        swatch: width of a swatch with the space to its name.
        apart: space between a name and the next swatch.

    Returns:
        Titles (without a colour) and names at the top left of their line or swatch, and the height.
    """
    legends = {title: colours for title, colours in legends.items() if colours}
    indent = left + gap + max(map(length, legends), default=0)
    entries: list[Entry] = []
    y = 0.0
    for title, colours in legends.items():
        entries.append((left, y, None, title))
        x = indent
        for name, colour in colours.items():
            end = x + swatch + length(name)
            if x > indent and end > right:
                x, y = indent, y + line
                end = x + swatch + length(name)
            entries.append((x, y, colour, name))
            x = end + apart
        y += line
    return entries, y


def _enlarge(picture: np.ndarray, factor: int) -> Image.Image:
    """Enlarge by a whole factor; pixels stay squares."""
    return Image.fromarray(np.ascontiguousarray(picture.repeat(factor, 0).repeat(factor, 1)))


def paint_uncertainty(deviation: np.ndarray, largest: float | None = None) -> np.ndarray:
    """Colour uncertainty from dark, where draws of noise agree, to bright, where they differ.

    Args:
        deviation: (H, W) standard deviation, in the unit of the task's predictions.
        largest: what is brightest; None for the maximum of the map.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    largest = float(deviation.max()) if largest is None else largest
    level = np.clip(deviation / max(largest, LEAST), 0, 1)
    return cv2.applyColorMap((255 * level).astype(np.uint8), cv2.COLORMAP_INFERNO)[..., ::-1]
