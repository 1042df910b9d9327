"""COCO JSON: one file for all images; polygons, run lengths (RLE) and boxes."""

import json
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from .outlines import CocoRuns, Polygons, Size, pycocotools, rectangle
from .sources import BOX, Annotated, Annotations, Shape, digest

HALF = 0.5  # intersection over union of a shape's extent and its box


def read(source: Path) -> Annotations:
    """A JSON file, or an unpacked export with one in ``annotations``.

    See :func:`mtpsl.data_prep.annotations.read_annotations`.
    """
    path = _file(source)
    try:
        content = json.loads(path.read_bytes())
        names = {entry['id']: str(entry['name']).strip() for entry in content['categories']}
        images = {entry['id']: entry for entry in content['images']}
        sizes = {key: _size(entry) for key, entry in images.items()}
        files = {key: entry['file_name'].replace('\\', '/') for key, entry in images.items()}
        entries = content['annotations']
        for what, known in (('images', images), ('categories', names)):
            if len(known) < len(content[what]):
                raise ValueError(f'two {what} have one id')
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise ValueError(f'{path} is no COCO JSON, or it is damaged: {type(error).__name__} '
                         f'{error}') from error
    shapes: dict[int, list[Shape]] = defaultdict(list)
    drawn: list[tuple[dict, CocoRuns | Polygons]] = []
    for entry in entries:
        if 'segments_info' in entry:
            raise ValueError(f'{path} is of panoptic segmentation, whose masks are pictures of '
                             'their own; the JSON of the instances has polygons or run lengths')
        try:
            for what, known in (('image', images), ('category', names)):
                if entry[f'{what}_id'] not in known:
                    raise ValueError(f'no {what} has the id {entry[f"{what}_id"]}')
            key, name = entry['image_id'], names[entry['category_id']]
            kind, outline = _outline(entry, sizes[key])
        except KeyError as error:
            known = dict(image_id=images, category_id=names)
            told = next((f'there is no {part[:-3]} with the id {entry[part]}' for part in known
                         if part in entry and entry[part] not in known[part]), f'it has no {error}')
            raise ValueError(f'{path}: the annotation {entry.get("id")} cannot be read: '
                             f'{told}') from error
        except (ValueError, LookupError, TypeError) as error:
            raise ValueError(f'{path}: the annotation {entry.get("id")} cannot be read: '
                             f'{type(error).__name__} {error}') from error
        shapes[key].append(Shape(name, kind, outline))
        if entry.get('segmentation'):
            drawn.append((entry, outline))
    _check_corners(path, [entry for entry in entries if not entry.get('segmentation')])
    if any(shape.kind == 'RLE' for found in shapes.values() for shape in found):
        pycocotools()  # before anything is written
    _check_outlines(path, drawn)
    found = [Annotated(name, sizes[key], shapes[key], path) for key, name in files.items()]
    folder = path.parent
    return Annotations(found, [folder / 'images', folder, folder.parent / 'images'],
                       digest([path]), order='')


def _file(source: Path) -> Path:
    if source.is_file():
        return source
    folder = source / 'annotations' if (source / 'annotations').is_dir() else source
    files = sorted(folder.glob('*.json'))
    if len(files) != 1:
        names = ', '.join(path.name for path in files) or 'none'
        raise FileNotFoundError(f'{folder} must have one JSON file, it has {names}: give the file')
    return files[0]


def _size(image: dict) -> Size | None:
    height, width = image.get('height'), image.get('width')
    return (height, width) if height and width else None


def _check_corners(path: Path, boxes: list[dict]) -> None:
    """Raise ValueError where most boxes have the area of corners x1, y1, x2, y2.

    An area below width times height is no contradiction by itself: it may be that of an outline
    that was left out.
    """
    corners = 0
    for entry in boxes:
        left, top, width, height = entry['bbox']
        across, down, area = width - left, height - top, entry.get('area')
        if isinstance(area, (int, float)) and min(area, across, down) > 0:
            rounding = 0.05 * area + across + down + 1  # whether the last pixel counts
            corners += abs(across * down - area) <= rounding < abs(width * height - area)
    if 2 * corners > len(boxes):
        raise ValueError(f'{path}: the area of {corners} of {len(boxes)} boxes says that they are '
                         'corners, x1, y1, x2, y2; bbox is to be x, y, width, height')


def _check_outlines(path: Path, drawn: list[tuple[dict, CocoRuns | Polygons]]) -> None:
    """Raise ValueError where most masks and polygons lie elsewhere than their own boxes."""
    apart = boxes = 0
    for entry, outline in drawn:
        box = entry.get('bbox') or []
        if len(box) != 4 or min(box[2:]) <= 0:
            continue
        left, top, width, height = box
        extent, boxes = outline.extent(), boxes + 1
        # Corners are a slip of the box, which is not used then.
        apart += max(_overlap(extent, one) for one in (
            (left, top, left + width, top + height), (left, top, width, height))) < HALF
    if 2 * apart > boxes:
        raise ValueError(
            f'{path}: {apart} of {boxes} masks or polygons lie elsewhere than the bbox of their '
            'annotation: run lengths go down the columns (pycocotools.mask.encode of '
            'np.asfortranarray(mask)), and each shape belongs to its own annotation. Annotations '
            'without bbox are taken as they are')


def _overlap(one: Sequence[float], other: Sequence[float]) -> float:
    """Intersection over union of two boxes of left, top, right and bottom."""
    across = max(min(one[2], other[2]) - max(one[0], other[0]), 0)
    down = max(min(one[3], other[3]) - max(one[1], other[1]), 0)
    areas = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (one, other))
    return across * down / union if (union := areas - across * down) > 0 else 0.0


def _outline(entry: dict, size: Size | None) -> tuple[str, CocoRuns | Polygons]:
    """Kind and outline of an annotation."""
    found = entry.get('segmentation')
    if not found:  # such as a rectangle of CVAT's
        left, top, width, height = entry['bbox']
        return BOX, rectangle(left, top, left + width, top + height)
    if isinstance(found, dict):
        height, width = found['size']
        if size not in (None, (height, width)):
            raise ValueError(f'a mask of {height} x {width} (height x width) in an image of '
                             f'{" x ".join(map(str, size or ()))}')
        counts = found['counts']
        if not isinstance(counts, str) and sum(counts) != height * width:
            raise ValueError(f'run lengths of {sum(counts)} pixels in a mask of {height} x {width}')
        return 'RLE', CocoRuns((height, width), counts)
    if not (isinstance(found, list) and all(isinstance(ring, list) for ring in found)):
        raise ValueError('segmentation must be a list of polygons, [[x, y, x, y, ...]], or run '
                         f'lengths, got {found!r:.60}')
    rings = [list(zip(ring[::2], ring[1::2])) for ring in found]
    if any(len(ring) < 6 or len(ring) % 2 for ring in found):
        raise ValueError('a polygon must have three corners at least, x and y of each')
    return 'polygon', Polygons(rings)
