"""labels.py: what labelme, CVAT and COCO say as label files, pixel by pixel."""

import json
import math
import shutil
import unicodedata

import matplotlib.path
import numpy as np
import pytest
from in_process import load_tool
from PIL import Image, ImageOps
from test_conversion import tool_files as files
from test_conversion.tool_files import CLASSES, HOLE, SIZE, SQUARE, area, corners

from mtpsl.data_prep.annotations import UNKNOWN, Rules, meanings
from mtpsl.data_prep.annotations.outlines import Ellipse, Line, Polygons, fill, rectangle

CONFIG = f"""
tasks = dict(classes=dict(type='Semseg', class_names={CLASSES}), mask=dict(type='Saliency'),
             roads=dict(type='Semseg', class_names=('road', 'sky')), depth=dict(type='Depth'),
             numbers=dict(type='Saliency', values=(1, 2)),
             zeros=dict(type='Semseg', class_names={CLASSES}, ignore=(0,)),
             soft=dict(type='Saliency', ignore=(255,)))
train_dataloader = dict(dataset=dict(type='FolderDataset', data_root='data', folders=dict(
    mask='masks')))
"""
SQUARE_WITH_HOLE = area(SQUARE, HOLE)


@pytest.fixture
def convert(tmp_path, capsys):
    """Runs the tool; returns what it printed, and fails where it does."""
    (tmp_path / 'c.py').write_text(CONFIG)

    def run(kind, source, *arguments, task='classes', status=0):
        command = ['--from', kind, str(source), str(tmp_path / 'train'), '--config',
                   str(tmp_path / 'c.py'), '--task', task, '--workers', '1', *arguments]
        try:
            load_tool('dataset_converters/labels.py').main(command)
            ended = 0
        except SystemExit as end:
            ended = end.code
        printed = capsys.readouterr()
        assert ended == status, printed.err
        return printed.err if status else printed.out
    return run


def label(tmp_path, image='a', task='classes'):
    path = tmp_path / 'train' / task / f'{image}.png'
    return np.array(Image.open(path)) if path.exists() else np.load(path.with_suffix('.npy'))


def written(tmp_path, task='classes'):
    return sorted(path.name for path in (tmp_path / 'train' / task).glob('[!.]*'))


# ---------------------------------------------------------------- what covers which pixel

def pixels(outline, line_width=1, size=SIZE):
    mask = np.zeros(size, bool)
    top, left, part = outline.window(size, line_width)
    mask[top:top + part.shape[0], left:left + part.shape[1]] = part
    return mask


@pytest.mark.parametrize('seed', range(4))
def test_polygons_are_what_matplotlib_says_of_the_centres(seed):
    ring = np.random.default_rng(seed).uniform(-10, 60, (5, 2))  # crossing itself, and the border
    rows, columns = np.indices(SIZE) + 0.5
    # Even-odd by winding numbers: a point is inside if an odd number of triangles has it.
    inside = np.zeros(rows.size, int)
    for a, b in zip(ring, np.roll(ring, -1, 0)):
        inside += matplotlib.path.Path([ring.mean(0), a, b, ring.mean(0)]).contains_points(
            np.stack([columns.ravel(), rows.ravel()], 1))
    np.testing.assert_array_equal(pixels(Polygons([ring.tolist()])),
                                  (inside % 2 == 1).reshape(SIZE))


def test_neighbours_with_a_common_edge_share_no_pixel_and_leave_none():
    middle = (20.3, 11.7)
    outer = [(0, 0), (60, 0), (60, 40), (0, 40)]
    parts = [fill(np.array([a, b, middle]), SIZE) for a, b in zip(outer, outer[1:] + outer[:1])]
    assert (np.sum(parts, 0) == 1).all()


def test_ellipses_and_turned_boxes_have_their_area_and_place():
    circle = pixels(Ellipse((30, 20), (12, 12)))
    assert circle.sum() == pytest.approx(math.pi * 144, rel=0.01)
    rows, columns = np.nonzero(pixels(Ellipse((30, 20), (18, 4), 90)))  # it stands upright
    assert (np.ptp(rows) + 1, np.ptp(columns) + 1) == (36, 8)
    tilted = pixels(Ellipse((30, 20), (18, 4), 30))  # clockwise: its right end is lower
    assert tilted[20 + 7, 30 + 12] and not tilted[20 - 7, 30 + 12]
    turned = pixels(rectangle(12, 16, 48, 24, 30))
    assert turned[20 + 7, 30 + 12] and not turned[20 - 7, 30 + 12]
    assert turned.sum() == pytest.approx(36 * 8, rel=0.02)


def test_lines_are_as_wide_as_is_said():
    mask = pixels(Line([(5, 10.5), (50, 10.5)]), 3)
    assert set(np.nonzero(mask)[0]) == {9, 10, 11} and mask[10, 5:50].all()
    assert not pixels(Line([(-9, -9), (-5, -5)]), 3).any()


def test_polygons_agree_with_cocos_own_library_within_a_border():
    masks = pytest.importorskip('pycocotools.mask', reason='pip install pycocotools')
    ring = [(5.2, 4.1), (51.3, 9.7), (30.9, 36.2), (22.4, 18.8)]
    theirs = masks.decode(masks.merge(masks.frPyObjects([np.ravel(ring).tolist()], *SIZE))) > 0
    ours = pixels(Polygons([ring]))
    assert (theirs ^ ours).sum() < 0.05 * ours.sum() and ours.sum() > 300


# ---------------------------------------------------------------- the formats

def test_labelme(convert, tmp_path):
    folder = files.write_images(tmp_path / 'raw', ['a.jpg', 'b.png', 'c.jpg', 'd.jpg'])
    small = np.zeros((4, 5), bool)
    small[1:, 2:] = True
    files.labelme(folder, 'a.jpg', ('person', 'polygon', corners(SQUARE)),
                  ('background', 'rectangle', [HOLE[2:], HOLE[:2]]),
                  ('dog', 'mask', [[50, 30], [54, 33]], dict(mask=files.png(small))),
                  ('person', 'point', [[1, 1]]))
    files.labelme(folder, 'b.png', ('dog', 'circle', [[30, 20], [30, 30]]))
    files.labelme(folder, 'c.jpg')
    out = convert('labelme', folder)
    expected = SQUARE_WITH_HOLE.astype(int)
    expected[30:34, 50:55][small] = 2
    np.testing.assert_array_equal(label(tmp_path), expected)
    assert written(tmp_path) == ['a.png', 'b.png']
    assert written(tmp_path, 'images') == ['a.jpg', 'b.png', 'c.jpg', 'd.jpg']
    rows = [[cell.strip() for cell in line.split('|')[1:-1]] for line in out.splitlines()
            if line.startswith('| 1')]
    share = f'{100 * SQUARE_WITH_HOLE.sum() / (2 * 40 * 60):.2f} %'
    assert rows == [['1 person', '1', share, '1']]
    assert '4 images, 2 of them labelled, 2 not' in out and 'point 1' in out
    assert 'without a shape to draw: 1, left unlabelled' in out


def test_a_rectangle_of_four_corners(convert, tmp_path):
    """As X-AnyLabeling writes them; of other numbers of points there is an error that says it."""
    folder = files.write_images(tmp_path / 'raw', ['a.jpg'])
    files.labelme(folder, 'a.jpg', ('person', 'rectangle', corners(SQUARE)))
    convert('labelme', folder)
    np.testing.assert_array_equal(label(tmp_path), area(SQUARE))
    files.labelme(folder, 'a.jpg', ('person', 'circle', corners(SQUARE)))
    assert 'a circle of 4 points' in convert('labelme', folder, status=1)


def test_accents_count_in_either_form():
    """As one character, or as a letter and its accent, which some tools and systems save."""
    both = [unicodedata.normalize(form, 'öl') for form in ('NFC', 'NFD')]
    assert both[0] != both[1]
    for one, other in (both, both[::-1]):
        for known in (meanings(['x', one], {}, [], []), meanings(['x', 'y'], {one: 'y'}, [], [])):
            assert Rules(known, 0, False).id_of(other) == 1
        assert Rules(meanings(['x'], {}, [one], []), 0, False).id_of(other) == UNKNOWN


def test_cvat_xml(convert, tmp_path):
    polygon = '<polygon label="{}" points="{}" z_order="{}"/>'
    square, hole = files.cvat_points(SQUARE), files.cvat_points(HOLE)
    files.write_images(tmp_path / 'raw/images', ['a.jpg', 'b.jpg', 'c.jpg'])
    source = files.cvat(tmp_path / 'raw', {
        # The hole comes first in the file, and lies on top.
        'a.jpg': polygon.format('background', hole, 2) + polygon.format('person', square, 1)
        + '<mask label="dog" rle="2, 3, 1, 4" left="56" top="38" width="5" height="2" z_order="3"/>'
          '<tag label="dog"/><points label="dog" points="1,1"/>',
        'b.jpg': '<box label="dog" xtl="12" ytl="16" xbr="48" ybr="24" rotation="90"/>'
                 '<ellipse label="person" cx="30" cy="20" rx="4" ry="3"/>'
                 '<polyline label="dog" points="0,0.5;60,0.5"/>',
        'c.jpg': ''})
    out = convert('cvat', source, '--line-width', '1', '--empty', 'background')
    expected = SQUARE_WITH_HOLE.astype(int)
    expected[38, 58:] = expected[39, 57:] = 2  # ..yyy / nyyyy from (38, 56), cut at the border
    expected[38, 56:58] = 0
    np.testing.assert_array_equal(label(tmp_path), expected)
    second = label(tmp_path, 'b')
    assert (second[0] == 2).all() and (second[2:17, 26] == 2).all() and second[20, 30] == 1
    assert not label(tmp_path, 'c').any()
    assert 'points 1, tag 1' in out and 'labelled as background all over' in out


def test_cvat_masks(convert, tmp_path):
    names = np.full(SIZE, 'background', object)
    names[SQUARE_WITH_HOLE] = 'person'
    names[:3] = 'man'
    source = files.cvat_masks(tmp_path / 'raw', {'a.1': names},
                              dict(background=(0, 0, 0), person=(128, 0, 0), man=(0, 128, 1)))
    files.write_images(source / 'JPEGImages', ['a.1.jpg', 'b.jpg'])
    convert('cvat', source, '--map', 'man=dog')
    expected = SQUARE_WITH_HOLE.astype(int)
    expected[:3] = 2
    np.testing.assert_array_equal(label(tmp_path, 'a.1'), expected)
    assert written(tmp_path, 'images') == ['a.1.jpg', 'b.jpg']


@pytest.mark.parametrize('compressed', [False, True])
def test_coco(convert, tmp_path, compressed):
    masks = pytest.importorskip('pycocotools.mask', reason='pip install pycocotools')
    rle = dict(size=list(SIZE), counts=files.runs(SQUARE_WITH_HOLE))
    if compressed:
        encoded = masks.encode(np.asfortranarray(SQUARE_WITH_HOLE.astype(np.uint8)))
        rle = dict(encoded, counts=encoded['counts'].decode())
    files.write_images(tmp_path / 'images/sub', ['a.jpg'])
    files.write_images(tmp_path / 'images', ['b.jpg', 'c.jpg'])
    source = files.coco(tmp_path / 'annotations/instances.json', ['sub/a.jpg', 'b.jpg', 'c.jpg'], [
        (0, 'person', dict(segmentation=rle, iscrowd=1)),
        (1, 'dog', files.coco_polygon(HOLE)),  # smaller: lies on top whatever comes first
        (1, 'person', files.coco_polygon((10, 5, 20, 35), (20, 5, 40, 35))),
        (1, 'dog', dict(segmentation=[], bbox=[0, 0, 3, 2]))])
    out = convert('coco', source)
    np.testing.assert_array_equal(label(tmp_path), SQUARE_WITH_HOLE)
    expected = area(SQUARE) + area(HOLE).astype(int)
    expected[:2, :3] = 2
    np.testing.assert_array_equal(label(tmp_path, 'b'), expected)
    assert 'RLE 1, bbox 1, polygon 2; smaller shapes on larger ones' in out


def test_coco_without_sizes(convert, tmp_path):
    files.write_images(tmp_path / 'images', ['a.jpg'])
    source = files.coco(tmp_path / 'a.json', ['a.jpg'], [
        (0, 'dog', files.coco_polygon(HOLE))])
    content = json.loads(source.read_text())
    del content['images'][0]['height'], content['images'][0]['width']
    source.write_text(json.dumps(content))
    convert('coco', source)
    np.testing.assert_array_equal(label(tmp_path), area(HOLE) * 2)


def test_shapes_that_lie_where_no_pixel_is(convert, tmp_path):
    files.write_images(tmp_path / 'images', ['a.jpg'])
    height, width = SIZE
    outside = [files.coco_polygon(box) for box in (
        (width, 0, width + 5, 5), (0, -9, 5, 0), (3, 3, 3, 9))]
    source = files.coco(tmp_path / 'a.json', ['a.jpg'], [
        (0, 'person', one) for one in outside] + [(0, 'dog', files.coco_polygon((-5, -5, 1, 1)))])
    assert '?): person 3\n' in convert('coco', source)
    assert label(tmp_path)[0, 0] == 2 and np.count_nonzero(label(tmp_path)) == 1
    files.coco(source, ['a.jpg'], [(0, 'dog', files.coco_polygon((0.25, 0.5, 0.75, 1)))])
    assert "shares of the picture's sides" in convert('coco', source, status=1)


BOXES = [(20, 10, 30, 20), (10, 20, 30, 30), (40, 30, 60, 40), (35, 5, 50, 25)]


@pytest.mark.parametrize(('change', 'told'), [
    (lambda x, y, x2, y2: dict(bbox=[x, y, x2, y2]), '3 of 4 boxes reach beyond their picture'),
    (lambda x, y, x2, y2: dict(bbox=[x, y, x2, y2], area=(x2 - x) * (y2 - y)), '4 of 4 boxes says'),
    (lambda x, y, x2, y2: dict(bbox=[x, y, x2 - x, y2 - y], area=(x2 - x) * (y2 - y)), ''),
    (lambda x, y, x2, y2: dict(bbox=[x, y, x2 - x, y2 - y], area=9), ''),  # of its outline
    (lambda x, y, x2, y2: dict(bbox=[x, y, x2 - x + 2, y2 - y + 2]), ''),  # rounding
])
def test_boxes_that_are_corners_are_refused(convert, tmp_path, change, told):
    files.write_images(tmp_path / 'images', ['a.jpg'])
    source = files.coco(tmp_path / 'a.json', ['a.jpg'], [
        (0, 'dog', change(*box)) for box in BOXES])
    out = convert('coco', source, status=bool(told) * 1)
    assert told in out and 'reach far' not in out


@pytest.mark.parametrize(('shape', 'boxes', 'told'), [
    (lambda box: dict(size=list(SIZE), counts=files.runs(area(box))), BOXES, ''),
    (lambda box: dict(size=list(SIZE), counts=files.runs(area(box).reshape(SIZE[::-1]).T)), BOXES,
     '4 of 4 masks or polygons lie elsewhere'),  # row by row
    (lambda box: [sum(corners(box), [])], BOXES, ''),
    (lambda box: [sum(corners(box), [])], BOXES[1:] + BOXES[:1], 'of 4 masks or polygons lie'),
    (lambda box: [sum(corners(box), [])], [(0, 0, 0, 0)] * 4, ''),  # no boxes
])
def test_shapes_that_lie_elsewhere_than_their_boxes_are_refused(convert, tmp_path, shape, boxes,
                                                                told):
    """Corners in the place of a corner and a size are of no consequence."""
    files.write_images(tmp_path / 'images', ['a.jpg'])
    for as_corners in (False, True):
        shutil.rmtree(tmp_path / 'train', ignore_errors=True)
        source = files.coco(tmp_path / 'a.json', ['a.jpg'], [
            (0, 'dog', dict(segmentation=shape(box), bbox=[x, y, *(
                (x2, y2) if as_corners else (x2 - x, y2 - y))]))
            for box, (x, y, x2, y2) in zip(BOXES, boxes)])
        assert told in convert('coco', source, status=bool(told) * 1)


def test_polygons_that_reach_far_beyond_their_picture_are_counted(convert, tmp_path):
    files.write_images(tmp_path / 'images', ['a.jpg'])
    source = files.coco(tmp_path / 'a.json', ['a.jpg'], [
        (0, name, files.coco_polygon(box)) for name, box in (
            ('person', (30, 20, 64, 40)), ('dog', (10, 10, 20, 80)), ('dog', (0, -1, 62, 42)))])
    assert 'picture of another size?): dog 1, person 1\n' in convert('coco', source)


def test_the_order_of_the_file_where_it_is_asked_for(convert, tmp_path):
    files.write_images(tmp_path / 'images', ['a.jpg'])
    source = files.coco(tmp_path / 'a.json', ['a.jpg'], [
        (0, 'dog', files.coco_polygon(HOLE)), (0, 'person', files.coco_polygon(SQUARE))])
    convert('coco', source, '--order', 'file')
    np.testing.assert_array_equal(label(tmp_path), area(SQUARE))


def test_masks_are_black_and_white_or_arrays_where_pixels_are_unknown(convert, tmp_path):
    folder = files.write_images(tmp_path / 'raw', ['a.jpg', 'b.jpg'])
    files.labelme(folder, 'a.jpg', ('person', 'polygon', corners(SQUARE)),
                  ('glare', 'polygon', corners(HOLE)))
    files.labelme(folder, 'b.jpg', ('glare', 'polygon', corners(HOLE)))
    out = convert('labelme', folder, '--map', '*=yes', '--skip', 'glare', task='mask')
    np.testing.assert_array_equal(label(tmp_path, task='masks'), area(SQUARE) * 255)
    assert written(tmp_path, 'masks') == ['a.png'] and '| 1 yes' in out  # b: nothing to draw
    (tmp_path / 'train/masks').rename(tmp_path / 'train/before')
    out = convert('labelme', folder, '--map', 'person=yes', '--ignore', 'glare', task='mask')
    np.testing.assert_array_equal(label(tmp_path, task='masks'), area(SQUARE) + area(HOLE) * 254)
    assert written(tmp_path, 'masks') == ['a.npy', 'b.npy'] and 'ignore=(255,)' in out
    convert('labelme', folder, '--map', 'person=yes', '--skip', 'glare', task='soft')  # ignore=255
    np.testing.assert_array_equal(label(tmp_path, task='soft'), area(SQUARE))


@pytest.mark.parametrize('orientation', range(2, 9))
def test_labels_lie_as_the_photo_is_shown(convert, tmp_path, orientation):
    """Drawn on what is shown, or, as the size tells, on the stored picture."""
    folder = files.write_images(tmp_path / 'raw', ['a.jpg'], orientation)
    shown = ImageOps.exif_transpose(Image.open(folder / 'a.jpg')).size[::-1]
    files.labelme(folder, 'a.jpg', ('person', 'polygon', corners((1, 2, 9, 5))), size=shown)
    convert('labelme', folder)
    drawn = np.zeros(shown, int)
    drawn[2:5, 1:9] = 1
    np.testing.assert_array_equal(label(tmp_path), drawn)
    if shown == SIZE:  # the size cannot tell
        return
    (tmp_path / 'train/classes').rename(tmp_path / 'before')
    files.labelme(folder, 'a.jpg', ('person', 'polygon', corners((1, 2, 9, 5))))
    assert 'turned as EXIF says: 1' in convert('labelme', folder)
    stored = np.zeros(SIZE, np.uint8)
    stored[2:5, 1:9] = 1
    picture = Image.fromarray(stored)
    picture.getexif()[0x0112] = orientation
    np.testing.assert_array_equal(label(tmp_path), ImageOps.exif_transpose(picture))


def test_an_interrupted_conversion_goes_on_and_nothing_is_overwritten(convert, tmp_path):
    folder = files.write_images(tmp_path / 'raw', ['a.jpg', 'b.jpg'])
    for name in ('a.jpg', 'b.jpg'):
        files.labelme(folder, name, ('person', 'polygon', corners(SQUARE)))
    convert('labelme', folder)
    (tmp_path / 'train/classes/b.png').unlink()
    assert '1/1 images' in convert('labelme', folder)
    assert 'already there' in convert('labelme', folder)
    assert 'other settings: outside is 0, not 2' in convert('labelme', folder, '--outside', 'dog',
                                                            status=1)
    files.labelme(folder, 'a.jpg', ('dog', 'polygon', corners(SQUARE)))
    assert 'source is' in convert('labelme', folder, status=1)
    (tmp_path / 'train/masks').mkdir()
    (tmp_path / 'train/masks/a.png').write_bytes(b'mine')
    assert 'is not empty' in convert('labelme', folder, '--map', '*=yes', task='mask', status=1)


def test_images_that_lie_there_are_not_copied(convert, tmp_path):
    folder = files.write_images(tmp_path / 'train/images', ['a.jpg', 'b.jpg'])
    files.labelme(tmp_path / 'raw', 'a.jpg', ('person', 'polygon', corners(SQUARE)))

    def file() -> tuple[int, int]:  # not when it was read last
        return (folder / 'a.jpg').stat().st_ino, (folder / 'a.jpg').stat().st_mtime_ns

    before = file()
    convert('labelme', tmp_path / 'raw', '--images', str(folder))
    assert file() == before and written(tmp_path) == ['a.png']


# ---------------------------------------------------------------- what does not fit

@pytest.fixture
def folder(tmp_path):
    folder = files.write_images(tmp_path / 'raw', ['a.jpg', 'b.jpg'])
    files.labelme(folder, 'b.jpg', ('person', 'polygon', corners(SQUARE)))
    return folder


def test_unknown_names_are_all_listed_with_their_counts(convert, folder, tmp_path):
    files.labelme(folder, 'a.jpg', *[('Dog', 'polygon', corners(HOLE))] * 2,
                  ('tree', 'polygon', corners(HOLE)))
    said = convert('labelme', folder, status=1)
    assert "'Dog' (2 shapes, is it dog?), 'tree' (1 shape)" in said and '--map' in said
    assert not (tmp_path / 'train').exists()
    out = convert('labelme', folder, '--map', 'Dog=dog', '--ignore', 'tree', 'bush')
    assert 'Dog (2) for dog' in out and 'tree 1' in out and 'no shape is called bush' in out
    assert (label(tmp_path) == 255).sum() == area(HOLE).sum()


@pytest.mark.parametrize('arguments, task, said', [
    (['--map', 'tree=oak'], 'classes', 'tree=oak: the classes are background, person, dog'),
    (['--map', 'tree'], 'classes', 'LABEL=CLASS'),
    (['--map', 'a=dog', '--skip', 'a'], 'classes', 'name a label once, got a'),
    ([], 'roads', '--outside CLASS must say'), (['--outside', 'sea'], 'roads', 'got sea'),
    ([], 'sky', "no task 'sky'"), ([], 'depth', 'depth is Depth'), ([], 'numbers', 'values'),
    ([], 'zeros', 'numbers of its own'),
    (['--outside', 'unknown', '--empty', 'background'], 'classes', 'nothing is known'),
    (['--images', 'nowhere'], 'classes', 'no folder nowhere')])
def test_arguments_that_cannot_be(convert, folder, arguments, task, said):
    assert said in convert('labelme', folder, *arguments, task=task, status=1)


def damaged_xml(tmp_path):
    return 'cvat', files.cvat(tmp_path / 'x', {'a.jpg': '<mask label="dog" rle="1,2" left="0" '
                                               'top="0" width="2" height="2"/>'})


def video_xml(tmp_path):
    folder = files.cvat(tmp_path / 'x', {})
    (folder / 'annotations.xml').write_text('<annotations><track id="0"/></annotations>')
    return 'cvat', folder


def other_text(name, text):
    def write(tmp_path):
        (tmp_path / 'x').mkdir()
        (tmp_path / 'x' / name).write_text(text)
        return name.partition('_')[0], tmp_path / 'x'
    return write


def coco_of(*annotations):
    def write(tmp_path):
        return 'coco', files.coco(tmp_path / 'x/a.json', ['a.jpg'], annotations)
    return write


@pytest.mark.parametrize('write, said', [
    (damaged_xml, 'image a.jpg: a <mask>'), (video_xml, 'CVAT for images 1.1'),
    (other_text('labelme_a.json', '{}'), 'labelme_a.json is no JSON file of labelme'),
    (other_text('labelme_a.json', '{"shapes": ['), 'no JSON file of labelme'),
    (other_text('labelme_a.json', '{"shapes": [{"label": "dog", "points": [[0, 0], [1, 1]], '
                '"shape_type": "mask", "mask": null}]}'), 'a mask without pixels'),
    (other_text('labelme_a.txt', ''), 'has no JSON file'),
    (other_text('coco_a.json', '[]'), 'is no COCO JSON'),
    (other_text('cvat_a.txt', ''), 'neither annotations.xml'),
    (coco_of((0, 'dog', dict(segmentation=[[1, 2, 3, 4]]))), 'the annotation 0 cannot be read'),
    (coco_of((0, 'dog', dict(segmentation=[1, 2, 3, 4, 5, 6]))),
     'must be a list of polygons, [[x, y, x, y, ...]]'),
    (coco_of((0, 'dog', dict(segmentation=[[1, 2, 3, 4, 5, float('nan')]]))),
     'image a.jpg: ValueError a shape with a corner that is no number'),
    (coco_of((9, 'dog', dict(segmentation=[[1, 2, 3, 4, 5, 6]]))), 'no image has the id 10'),
    (coco_of((0, 'dog', dict(segmentation=dict(size=[4, 4], counts=[16])))), 'a mask of 4 x 4'),
    (other_text('coco_a.json', '{"categories": [{"id": 1, "name": "dog"}, {"id": 1, "name": '
                '"person"}], "images": [], "annotations": []}'), 'two categories have one id'),
    (other_text('coco_a.json', '{"categories": [], "images": [], "annotations": [{"image_id": 1, '
                '"segments_info": []}]}'), 'of panoptic segmentation'),
    (lambda tmp_path: ('coco', tmp_path / 'no.json'), 'no file or folder'),
    (lambda tmp_path: ('coco', files.coco(tmp_path / 'x.json', [], [])), 'lists no image')])
def test_files_that_cannot_be_read(convert, tmp_path, write, said):
    files.write_images(tmp_path / 'pictures', ['a.jpg'])
    kind, source = write(tmp_path)
    assert said in convert(kind, source, '--images', str(tmp_path / 'pictures'), status=1)


def test_a_colour_without_a_name(convert, tmp_path):
    source = files.cvat_masks(tmp_path / 'raw', {'a': np.full(SIZE, 'dog', object)},
                              dict(background=(0, 0, 0), dog=(1, 2, 3)))
    (source / 'labelmap.txt').write_text('background:0,0,0::\n')
    assert 'SegmentationClass/a.png has colours' in convert('cvat', source, status=1)
    (source / 'labelmap.txt').write_text('background;0,0,0\n')
    assert 'labelmap.txt, line 1' in convert('cvat', source, status=1)


def test_renamed_pictures_with_the_old_name_in_their_files(convert, tmp_path):
    folder = files.write_images(tmp_path / 'raw', ['1.jpg', '2.jpg'])
    files.labelme(folder, '2.jpg', ('dog', 'polygon', corners(SQUARE)))
    (folder / '2.json').rename(folder / '1.json')  # as its picture was
    assert '1.json says that it is of 2.jpg, and beside it lies 1.jpg' in convert(
        'labelme', folder, status=1)
    (folder / '1.json').rename(folder / 'notes.json')  # beside which no picture lies
    convert('labelme', folder)
    assert written(tmp_path) == ['2.png']


def test_images_that_do_not_fit(convert, folder, tmp_path):
    files.labelme(folder, 'a.jpg', ('dog', 'polygon', corners(HOLE)), size=(10, 10))
    assert 'a.jpg (height x width 40 x 60, annotated 10 x 10)' in convert('labelme', folder,
                                                                          status=1)
    (folder / 'a.jpg').rename(folder / 'x.jpg')
    said = convert('labelme', folder, status=1)
    assert '1 of 2 annotated images are not in' in said and 'such as a.jpg' in said
    assert 'listed but not there: 1' in convert('labelme', folder, '--allow-missing')
    assert written(tmp_path) == ['b.png']
    files.write_images(folder, ['b.jpg', 'q.jpg'])  # another b.jpg
    files.labelme(tmp_path / 'two', 'b.jpg', ('person', 'polygon', corners(SQUARE)))
    assert 'of other content' in convert('labelme', tmp_path / 'two', '--images', str(folder),
                                         '--map', '*=yes', task='mask', status=1)


def test_run_lengths_without_their_library(convert, tmp_path, monkeypatch):
    from mtpsl.data_prep.annotations import outlines
    outlines.pycocotools.cache_clear()
    monkeypatch.setitem(__import__('sys').modules, 'pycocotools.mask', None)
    files.write_images(tmp_path / 'images', ['a.jpg'])
    source = files.coco(tmp_path / 'a.json', ['a.jpg'], [
        (0, 'dog', dict(segmentation=dict(size=list(SIZE), counts=files.runs(area(HOLE)))))])
    assert 'pip install pycocotools' in convert('coco', source, status=1)
    outlines.pycocotools.cache_clear()


def test_the_manifest_says_what_the_labels_depend_on(convert, folder, tmp_path):
    convert('labelme', folder)
    manifest = json.loads((tmp_path / 'train/classes/.labels.json').read_text())
    assert manifest['classes'] == list(CLASSES) and manifest['images'] == 2
