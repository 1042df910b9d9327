"""Labelme: a JSON file an image."""

import json
import math
from collections import Counter
from pathlib import Path

from .outlines import Ellipse, Line, Outline, Picture, Polygons, rectangle
from .sources import Annotated, Annotations, Shape, digest

NO_AREA = ('point', 'points')


def read(source: Path) -> Annotations:
    """All JSON files of a folder; see :func:`mtpsl.data_prep.annotations.read_annotations`."""
    if not source.is_dir():
        raise ValueError(f'{source} must be the folder with the JSON files of labelme')
    files = sorted(path for path in source.glob('*.json') if path.name[0] != '.')
    if not files:
        raise FileNotFoundError(f'the folder {source} has no JSON file')
    left: Counter[str] = Counter()
    return Annotations([_image(path, left) for path in files], [source], digest(files), left)


def _image(path: Path, left: Counter[str]) -> Annotated:
    try:
        content = json.loads(path.read_bytes())
        height, width = content.get('imageHeight'), content.get('imageWidth')
        shapes = []
        for entry in content['shapes']:
            kind = entry.get('shape_type') or 'polygon'
            if kind in NO_AREA:
                left[kind] += 1
            else:
                shapes.append(Shape(str(entry['label']).strip(), kind, _outline(kind, entry)))
        name = content['imagePath'].replace('\\', '/')
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise ValueError(f'{path} is no JSON file of labelme, or it is damaged: '
                         f'{type(error).__name__} {error}') from error
    return Annotated(name, (height, width) if height and width else None, shapes, path,
                     path.stem)


def _outline(kind: str, entry: dict) -> Outline:
    points = [(float(x), float(y)) for x, y in entry['points']]
    if kind in ('polygon', 'oriented_rectangle') or kind == 'rectangle' and len(points) == 4:
        if len(points) < 3:
            raise ValueError(f'a {kind} of {len(points)} points')
        return Polygons([points])
    if kind in ('line', 'linestrip'):
        return Line(points)
    if len(points) != 2:
        raise ValueError(f'a {kind} of {len(points)} points')
    (x, y), (x2, y2) = points
    if kind == 'rectangle':
        return rectangle(min(x, x2), min(y, y2), max(x, x2), max(y, y2))
    if kind == 'circle':  # its centre, and a point of its edge
        radius = math.hypot(x2 - x, y2 - y)
        return Ellipse((x, y), (radius, radius))
    if kind == 'mask' and isinstance(entry.get('mask'), str):
        return Picture(round(y), round(x), entry['mask'])
    raise ValueError('a mask without pixels' if kind == 'mask' else
                     f'the unknown shape_type {kind!r}')
