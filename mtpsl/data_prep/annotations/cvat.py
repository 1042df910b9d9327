"""CVAT: "CVAT for images 1.1" (XML), and "Segmentation mask 1.1" (pictures and labelmap.txt)."""

import xml.etree.ElementTree as ElementTree
from collections import Counter
from pathlib import Path

import numpy as np
from PIL import Image

from .outlines import Coloured, Ellipse, Line, Outline, Polygons, Runs, rectangle
from .sources import Annotated, Annotations, Shape, digest

AREAS = ('box', 'polygon', 'ellipse', 'polyline', 'mask')
XML, LABELS, MASKS = 'annotations.xml', 'labelmap.txt', 'SegmentationClass'
BACKGROUND = 'background'  # what CVAT calls the colour of what nobody has labelled


def read(source: Path) -> Annotations:
    """An XML file, or an unpacked export with one or with masks.

    See :func:`mtpsl.data_prep.annotations.read_annotations`.
    """
    if source.is_file():
        return _read_xml(source)
    if (source / XML).is_file():
        return _read_xml(source / XML)
    if (source / LABELS).is_file():
        return _read_masks(source)
    raise FileNotFoundError(f'the folder {source} has neither {XML} (CVAT for images 1.1) nor '
                            f'{LABELS} (Segmentation mask 1.1)')


def _read_xml(path: Path) -> Annotations:
    try:
        root = ElementTree.parse(path).getroot()
    except (ElementTree.ParseError, UnicodeDecodeError) as error:
        raise ValueError(f'{path} is no XML file, or it is damaged: {error}') from error
    if root.tag != 'annotations' or root.find('track') is not None:
        what = ('of "CVAT for video 1.1"' if root.tag == 'annotations'
                else f'no file of CVAT, it holds <{root.tag}>')
        raise ValueError(f'{path} is {what}: export the task as "CVAT for images 1.1"')
    left: Counter[str] = Counter()
    images = [_image(path, element, left) for element in root.iter('image')]
    return Annotations(images, [path.parent / 'images', path.parent], digest([path]), left,
                       'by z_order, then the later in the file on top')


def _image(path: Path, image: ElementTree.Element, left: Counter[str]) -> Annotated:
    name = image.get('name', '')
    found = []
    for element in image:
        if element.tag not in AREAS:
            left[element.tag] += 1
            continue
        try:
            shape = Shape(element.attrib['label'].strip(), element.tag, _outline(element))
            found.append((int(element.get('z_order', 0)), shape))
        except (ValueError, LookupError) as error:
            raise ValueError(f'{path}, image {name}: a <{element.tag}> that cannot be read: '
                             f'{type(error).__name__} {error}') from error
    found.sort(key=lambda entry: entry[0])  # stable: file order among equals
    try:
        size = int(image.attrib['height']), int(image.attrib['width'])
    except (KeyError, ValueError):
        raise ValueError(f'{path}, image {name}: it has no width and height') from None
    return Annotated(name.replace('\\', '/'), size, [shape for _, shape in found], path)


def _outline(element: ElementTree.Element) -> Outline:
    def numbers(*names: str) -> list[float]:
        return [float(element.attrib[name]) for name in names]

    degrees = float(element.get('rotation', 0))
    if element.tag == 'box':
        left, top, right, bottom = numbers('xtl', 'ytl', 'xbr', 'ybr')
        return rectangle(left, top, right, bottom, degrees)
    if element.tag == 'ellipse':
        x, y, across, down = numbers('cx', 'cy', 'rx', 'ry')
        return Ellipse((x, y), (across, down), degrees)
    if element.tag == 'mask':
        left, top, width, height = map(int, numbers('left', 'top', 'width', 'height'))
        lengths = [int(text) for text in element.attrib['rle'].split(',')]
        if sum(lengths) != width * height or min(lengths) < 0:
            raise ValueError(f'run lengths of {sum(lengths)} pixels in a mask of {width} x '
                             f'{height}')
        return Runs(top, left, (height, width), lengths)
    pairs = [pair.split(',') for pair in element.attrib['points'].split(';')]
    points = [(float(across), float(down)) for across, down in pairs]
    if element.tag == 'polyline':
        return Line(points)
    if len(points) < 3:
        raise ValueError(f'a polygon of {len(points)} points')
    return Polygons([points])


def _read_masks(source: Path) -> Annotations:
    names = _read_colours(source / LABELS)
    files = sorted((source / MASKS).glob('*.png'))
    if not files:
        raise FileNotFoundError(f'there is no .png in {source / MASKS}')
    return Annotations([_mask(path, names) for path in files],
                       [source / 'JPEGImages', source / 'images', source],
                       digest([source / LABELS, *files]), order='one label a pixel')


def _read_colours(path: Path) -> dict[int, str]:
    """Packed colour -> label, of the lines ``label:r,g,b:parts:actions``."""
    found: dict[int, str] = {}
    for number, line in enumerate(path.read_text('utf-8').splitlines(), 1):
        if not line.strip() or line.startswith('#'):
            continue
        try:
            name, colour = line.split(':')[:2]
            red, green, blue = (int(text) for text in colour.split(','))
        except ValueError:
            raise ValueError(f'{path}, line {number}: expected label:red,green,blue:parts:actions, '
                             f'got {line!r}') from None
        packed = red << 16 | green << 8 | blue
        if packed in found:
            raise ValueError(f'{path}: {found[packed]} and {name} have one colour, {colour}')
        found[packed] = name.strip()
    return found


def _mask(path: Path, names: dict[int, str]) -> Annotated:
    try:
        with Image.open(path) as picture:
            pixels = np.array(picture.convert('RGB')).astype(np.int32)
    except OSError as error:
        raise ValueError(f'{path} cannot be read: {error}') from error
    shapes, foreign = [], []
    for packed in np.unique(pixels @ (1 << 16, 1 << 8, 1)).tolist():
        colour = packed >> 16, packed >> 8 & 255, packed & 255
        if packed not in names:
            foreign.append(colour)
        elif names[packed] != BACKGROUND:
            shapes.append(Shape(names[packed], 'mask', Coloured(path, colour)))
    if foreign:
        raise ValueError(f'{path} has colours that {LABELS} does not name: '
                         f'{", ".join(map(str, foreign[:3]))}{", ..." * (len(foreign) > 3)}')
    return Annotated(path.stem, pixels.shape[:2], shapes, path)
