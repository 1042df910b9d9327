"""Panels of pictures: an image and its maps by output and task; uncertainty as a picture."""

from collections.abc import Mapping, Sequence

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

INK = (30, 30, 30)
PALE_INK = (140, 140, 140)
NOTHING = (236, 236, 236)

LEAST = 1e-6  # uncertainty below it is rounding
LARGEST_WIDTH = 1024  # of an enlarged picture, in pixels

Legends = Mapping[str, Mapping[str, tuple[int, int, int]]]


def draw_panel(image: np.ndarray, rows: Sequence[str], columns: Sequence[str],
               pictures: Mapping[tuple[str, str], np.ndarray], legends: Legends,
               title: str = '', min_side: int = 160) -> np.ndarray:
    """Lay out the input and a grid of pictures, labelled, with the legends below.

    Args:
        image: the input, (H, W, 3) uint8 RGB.
        rows: stages, top to bottom.
        columns: tasks, left to right.
        pictures: (row, column) -> (H, W, 3) uint8 RGB; an absent key is drawn as missing.
        legends: column -> name -> RGB.
        title: heading of the panel.
        min_side: pictures are enlarged by whole factors to at least this height in pixels.

    Returns:
        (H', W', 3) uint8 RGB panel.
    """
    # Of an image that is far wider than high, the width counts.
    factor = max(1, min(-(-min_side // image.shape[0]), LARGEST_WIDTH // image.shape[1]))
    height, width = image.shape[0] * factor, image.shape[1] * factor
    text = max(14, min(height, width) // 14)  # stays legible when a large panel is shown smaller
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
    """One paragraph a column that has entries: its name, then swatches with names, wrapped."""
    legends = {column: entries for column, entries in legends.items() if entries}
    if not legends:
        return None
    line, swatch = text * 3 // 2, text
    indent = 2 * margin + max(int(font.getlength(column)) for column in legends)
    # x, y, colour of the swatch or None, words
    marks: list[tuple[int, int, tuple[int, int, int] | None, str]] = []
    y = 0
    for column, entries in legends.items():
        marks.append((margin, y, None, column))
        x = indent
        for name, colour in entries.items():
            step = swatch + text // 3 + int(font.getlength(name)) + text
            if x > indent and x + step - text > width - margin:
                x, y = indent, y + line
            marks.append((x, y, colour, name))
            x += step
        y += line
    legend = Image.new('RGB', (width, y + margin), 'white')
    draw = ImageDraw.Draw(legend)
    for x, y, fill, words in marks:
        if fill is not None:
            draw.rectangle((x, y + (line - swatch) // 2, x + swatch - 1,
                            y + (line + swatch) // 2 - 1), fill, PALE_INK)
            x += swatch + text // 3
        draw.text((x, y + line // 2), words, INK, font, anchor='lm')
    return legend


def _enlarge(picture: np.ndarray, factor: int) -> Image.Image:
    """By a whole factor, pixels stay squares."""
    return Image.fromarray(np.ascontiguousarray(picture.repeat(factor, 0).repeat(factor, 1)))


def paint_uncertainty(deviation: np.ndarray, largest: float | None = None) -> np.ndarray:
    """Dark where the draws agree, bright where they differ; also in grey.

    Args:
        deviation: (H, W) standard deviation, in the unit of the task's predictions.
        largest: what is brightest; the map's own maximum if None.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    largest = float(deviation.max()) if largest is None else largest
    level = np.clip(deviation / max(largest, LEAST), 0, 1)
    return cv2.applyColorMap((255 * level).astype(np.uint8), cv2.COLORMAP_INFERNO)[..., ::-1]
