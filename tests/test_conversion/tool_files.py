"""Small exports of labelme, CVAT and COCO, of pictures of 40 x 60 pixels."""

import base64
import json
from io import BytesIO

import numpy as np
from PIL import Image

SIZE = (40, 60)
# A square with a hole that is drawn later, as (left, top, right, bottom).
SQUARE, HOLE = (10, 5, 40, 35), (20, 15, 30, 25)
CLASSES = ('background', 'person', 'dog')


def corners(box):
    left, top, right, bottom = box
    return [[left, top], [right, top], [right, bottom], [left, bottom]]


def area(*boxes):
    """(H, W) bool: pixels of the first box that are in none of the others."""
    mask = np.zeros(SIZE, bool)
    for number, (left, top, right, bottom) in enumerate(boxes):
        mask[top:bottom, left:right] = not number
    return mask


def write_images(folder, names, orientation=1, size=SIZE):
    """Pictures that differ; with an EXIF orientation, which turns them."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(names):
        pixels = np.random.default_rng(number).integers(0, 256, (*size, 3)).astype(np.uint8)
        exif = Image.Exif()
        if orientation != 1:
            exif[0x0112] = orientation
        Image.fromarray(pixels).save(folder / name, exif=exif)
    return folder


def png(mask):
    content = BytesIO()
    Image.fromarray(mask.astype(np.uint8) * 255).save(content, 'png')
    return base64.b64encode(content.getvalue()).decode()


def labelme(folder, name, *shapes, size=SIZE):
    """A file of labelme; shapes are (label, kind, points) and what else they have."""
    folder.mkdir(parents=True, exist_ok=True)
    entries = [dict(label=label, points=points, shape_type=kind, group_id=None, flags={})
               | (rest[0] if rest else {}) for label, kind, points, *rest in shapes]
    (folder / f'{name.partition(".")[0]}.json').write_text(json.dumps(dict(
        version='5.5.0', flags={}, shapes=entries, imagePath=name, imageData=None,
        imageHeight=size[0], imageWidth=size[1])))
    return folder


def cvat(folder, images, size=SIZE):
    """An export of "CVAT for images 1.1"; images are name -> text of the elements."""
    folder.mkdir(parents=True, exist_ok=True)
    listed = ''.join(f'<image id="{number}" name="{name}" width="{size[1]}" height="{size[0]}">'
                     f'{elements}</image>' for number, (name, elements) in
                     enumerate(images.items()))
    (folder / 'annotations.xml').write_text(
        f'<?xml version="1.0" encoding="utf-8"?><annotations><version>1.1</version>{listed}'
        '</annotations>')
    return folder


def cvat_points(box):
    return ';'.join(f'{x:.2f},{y:.2f}' for x, y in corners(box))


def cvat_masks(folder, masks, colours):
    """An export of "Segmentation mask 1.1"; masks are id -> (H, W) array of labels."""
    (folder / 'SegmentationClass').mkdir(parents=True)
    lines = ['# label:color_rgb:parts:actions']
    lines += [f'{name}:{",".join(map(str, colour))}::' for name, colour in colours.items()]
    (folder / 'labelmap.txt').write_text('\n'.join(lines) + '\n')
    for name, mask in masks.items():
        pixels = np.zeros((*mask.shape, 3), np.uint8)
        for label, colour in colours.items():
            pixels[mask == label] = colour
        Image.fromarray(pixels).save(folder / f'SegmentationClass/{name}.png')
    return folder


def coco(path, names, annotations, categories=CLASSES[1:], size=SIZE):
    """A COCO JSON; annotations are (number of the image, label, segmentation or box)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(dict(
        images=[dict(id=number + 1, file_name=name, height=size[0], width=size[1])
                for number, name in enumerate(names)],
        categories=[dict(id=number + 3, name=name) for number, name in enumerate(categories)],
        annotations=[dict(id=number, image_id=image + 1,
                          category_id=list(categories).index(label) + 3, iscrowd=0)
                     | what for number, (image, label, what) in enumerate(annotations)])))
    return path


def coco_polygon(*boxes):
    return dict(segmentation=[sum(corners(box), []) for box in boxes])


def runs(mask):
    """Uncompressed RLE of COCO's: column by column."""
    flat = mask.T.ravel().astype(int)
    ends = np.flatnonzero(np.diff(flat)) + 1
    lengths = np.diff([0, *ends, flat.size]).tolist()
    return [0, *lengths] if flat[0] else lengths
