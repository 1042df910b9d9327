"""Picture panels: what an image is, and what is said of it at each stage, task by task."""

from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

MARGIN = 6
CAPTION = 20
INK = (30, 30, 30)
NOTHING = (236, 236, 236)


def draw_panel(image: np.ndarray, rows: Sequence[str], columns: Sequence[str],
               pictures: Mapping[tuple[str, str], np.ndarray],
               legends: Mapping[str, Mapping[str, tuple[int, int, int]]],
               title: str = '', min_side: int = 160) -> np.ndarray:
    """Lay out the input and a grid of pictures, labelled.

    Args:
        image: the input, (H, W, 3) uint8 RGB.
        rows: stages, top to bottom.
        columns: tasks, left to right.
        pictures: (row, column) -> (H, W, 3) uint8 RGB; an absent key is drawn as missing.
        legends: column -> name -> RGB, written under the column.
        title: text above the input.
        min_side: pictures are enlarged by whole factors to at least this height in pixels.

    Returns:
        (H', W', 3) uint8 RGB panel.
    """
    factor = max(1, -(-min_side // image.shape[0]))
    height, width = image.shape[0] * factor, image.shape[1] * factor
    font = ImageFont.load_default(13)
    depth = max((len(entries) for entries in legends.values()), default=0)
    canvas = Image.new('RGB', (
        (len(columns) + 1) * (width + MARGIN) + MARGIN + CAPTION,
        len(rows) * (height + MARGIN) + 2 * CAPTION + MARGIN + depth * 16), 'white')
    draw = ImageDraw.Draw(canvas)
    x0, y0 = MARGIN, CAPTION + MARGIN
    draw.text((x0, 4), f'input {title}'.strip(), INK, font)
    canvas.paste(_enlarge(image, factor), (x0, y0))
    for c, column in enumerate(columns):
        x = x0 + CAPTION + (c + 1) * (width + MARGIN)
        draw.text((x, 4), column, INK, font)
        for r, row in enumerate(rows):
            y = y0 + r * (height + MARGIN)
            if (row, column) in pictures:
                canvas.paste(_enlarge(pictures[row, column], factor), (x, y))
            else:
                draw.rectangle((x, y, x + width - 1, y + height - 1), NOTHING)
                draw.text((x + 8, y + 8), 'no label', INK, font)
        y = y0 + len(rows) * (height + MARGIN)
        for k, (name, colour) in enumerate(legends.get(column, {}).items()):
            draw.rectangle((x, y + 16 * k + 2, x + 11, y + 16 * k + 13), colour, INK)
            draw.text((x + 16, y + 16 * k - 1), name, INK, font)
    for r, row in enumerate(rows):  # stage names run upwards, left of the grid
        strip = Image.new('RGB', (height, CAPTION), 'white')
        ImageDraw.Draw(strip).text((height // 2, 2), row, INK, font, anchor='ma')
        canvas.paste(strip.rotate(90, expand=True), (x0 + width + 3, y0 + r * (height + MARGIN)))
    return np.asarray(canvas)


def _enlarge(picture: np.ndarray, factor: int) -> Image.Image:
    """By a whole factor, pixels stay squares."""
    return Image.fromarray(np.ascontiguousarray(picture.repeat(factor, 0).repeat(factor, 1)))
