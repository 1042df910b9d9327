"""Arrays loaded back must equal the labels that were rendered, in the numbers of each dataset."""
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from mtpsl.data_prep import layouts
from mtpsl.data_prep.synthetic import RenderedScene, dataset, render_scene, write_scenes
from mtpsl.data_prep.synthetic.layout import scene_id, scene_place, scene_seed
from mtpsl.data_prep.synthetic.scene import compose_scene
from mtpsl.tasks.semseg import VOC_CLASSES

SIZE = (48, 56)
NYUD = ['bed', 'books', 'ceiling', 'chair', 'floor', 'furniture', 'objects', 'picture', 'sofa',
        'table', 'tv', 'wall', 'window']
CITYSCAPES = ['flat', 'construction', 'object', 'nature', 'sky', 'human', 'vehicle']
# What a thing is called by NYUD's 13 classes and Cityscapes' 7 categories; '-' unknown.
NAMES = {'sky': ('-', 'sky'), 'ground': ('floor', 'flat'), 'wall': ('wall', 'construction'),
         'clutter': ('objects', 'object'), 'sofa': ('sofa', 'object'), 'chair': ('chair', 'object'),
         'diningtable': ('table', 'object'), 'tvmonitor': ('tv', 'object'),
         'pottedplant': ('objects', 'nature'), 'person': ('objects', 'human'),
         'car': ('objects', 'vehicle'), 'bottle': ('objects', 'object'),
         'dog': ('objects', 'object')}
LABELS = {'nyud': ('label', NYUD, 0), 'cityscapes': ('label_7', CITYSCAPES, 1)}
both = pytest.mark.parametrize('layout', LABELS)
Write = Callable[[RenderedScene], dict[str, np.ndarray]]


def class_id(layout: str, thing: str) -> int:
    _, names, column = LABELS[layout]
    return -1 if NAMES[thing][column] == '-' else names.index(NAMES[thing][column])


@pytest.fixture(scope='module')
def roots(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same 6 training and 3 validation scenes in every layout."""
    folders = {layout: tmp_path_factory.mktemp(layout) for layout in (*LABELS, 'pascal')}
    for layout, folder in folders.items():
        assert write_scenes(folder, layout, 6, 3, *SIZE, seed=5, workers=1) == 9
    return folders


def scenes() -> dict[str, RenderedScene]:
    """By split and number, such as 'train 0'."""
    names = {f'train {i}': f'synthetic_{i + 1:06d}' for i in range(6)}
    names |= {f'val {i}': f'synthetic_{i + 500_001}' for i in range(3)}
    return {place: render_scene(scene_seed(5, name), *SIZE) for place, name in names.items()}


def load(root: Path, place: str, folder: str) -> np.ndarray:
    split, number = place.split()
    return np.load(root / split / folder / f'{number}.npy', allow_pickle=False)


def test_names_of_the_classes() -> None:
    assert list(layouts.NYUD_CLASSES) == NYUD and len(NYUD) == 13
    assert list(layouts.CITYSCAPES_CLASSES) == CITYSCAPES and len(CITYSCAPES) == 7


def test_place_of_a_scene() -> None:
    for split in ('train', 'val'):
        for number in (0, 1, 499_999):
            assert scene_place(scene_id(split, number)) == (split, number)


@both
def test_files(roots: dict[str, Path], layout: str) -> None:
    folders = {'nyud': ('image', 'label', 'depth', 'normal'),
               'cityscapes': ('image', 'label_7', 'depth')}[layout]
    expected = {f'{split}/{folder}/{number}.npy' for split, count in (('train', 6), ('val', 3))
                for folder in folders for number in range(count)}
    found = {str(path.relative_to(roots[layout])): path for path in roots[layout].rglob('*')
             if path.is_file()}
    assert found.keys() == expected | {'synthetic.json'}
    tails = {'image': (3,), 'depth': (1,), 'normal': (3,)}
    for name in expected:
        array = np.load(found[name], allow_pickle=False)
        assert array.dtype == np.float32, name
        assert array.shape == SIZE + tails.get(name.split('/')[1], ()), name


@both
def test_images_are_the_rendered_ones(roots: dict[str, Path], layout: str) -> None:
    for place, scene in scenes().items():
        image = load(roots[layout], place, 'image')
        assert 0 <= image.min() < 0.4 < 0.6 < image.max() <= 1
        np.testing.assert_allclose(image, scene.image.astype(np.float64) / 255, rtol=1e-6)
        np.testing.assert_array_equal((image * 255 + 0.5).astype(np.uint8), scene.image)


def test_depth_and_normals_are_exact(roots: dict[str, Path]) -> None:
    sky_seen = 0
    for place, scene in scenes().items():
        depth = load(roots['nyud'], place, 'depth')
        np.testing.assert_array_equal(depth[..., 0], scene.depth)
        normal = load(roots['nyud'], place, 'normal')
        np.testing.assert_array_equal(normal, scene.normal)
        sky = scene.instance == 0
        np.testing.assert_array_equal((normal == 0).all(axis=2), sky)
        inverse = load(roots['cityscapes'], place, 'depth')
        for values in (depth, inverse):
            np.testing.assert_array_equal(values[..., 0] == 0, sky)
        np.testing.assert_allclose((depth * inverse)[~sky], 1, atol=2e-7)
        sky_seen += sky.sum()
    assert sky_seen > 100


@both
def test_classes_of_rendered_scenes(roots: dict[str, Path], layout: str) -> None:
    seen = set()
    for place, scene in scenes().items():
        label = load(roots[layout], place, LABELS[layout][0])
        things = composed(place)
        expected = np.full(SIZE, class_id(layout, 'sky'))
        for number, thing in enumerate(things, 1):
            name = VOC_CLASSES[thing.category] if thing.category else 'clutter'
            if thing.primitives[0].shape == 'plane':
                name = 'ground' if number == 1 else 'wall'
            inside = scene.instance == number
            expected[inside] = class_id(layout, name)
            seen |= {name} if inside.any() else set()
        np.testing.assert_array_equal(label, expected)
    assert seen >= {'ground', 'wall', 'clutter', 'person'}


def composed(place: str) -> tuple:
    """The things of a scene, in the order of their instances."""
    split, number = place.split()
    identifier = scene_id(split, int(number))
    rng = np.random.Generator(np.random.PCG64(scene_seed(5, identifier)))
    return compose_scene(rng, SIZE[1] / SIZE[0]).things


def test_the_number_of_walls_is_that_of_planes_after_the_ground() -> None:
    counts = set()
    for seed in range(12):
        things = compose_scene(np.random.Generator(np.random.PCG64(seed)), 1.0).things
        planes = [thing.primitives[0].shape == 'plane' for thing in things]
        walls = render_scene(seed, 8, 8).walls
        assert planes == [True] * (1 + walls) + [False] * (len(things) - 1 - walls)
        counts.add(walls)
    assert counts == {0, 1, 2}


def test_a_scene_is_the_same_one_in_every_layout(roots: dict[str, Path]) -> None:
    for place in scenes():
        split, number = place.split()
        image = load(roots['nyud'], place, 'image')
        np.testing.assert_array_equal(image, load(roots['cityscapes'], place, 'image'))
        name = scene_id(split, int(number))
        jpeg = cv2.imread(str(roots['pascal'] / 'JPEGImages' / f'{name}.jpg'))[..., ::-1]
        assert np.abs(jpeg - 255 * image).mean() < 8
        semseg = cv2.imread(str(next(roots['pascal'].glob(f'semseg/*/{name}.png'))),
                            cv2.IMREAD_UNCHANGED)
        np.testing.assert_array_equal(load(roots['cityscapes'], place, 'label_7') == 5,
                                      semseg == 15)


def made_by_hand(things: list[str], walls: int) -> RenderedScene:
    """One row; a pixel, and an instance, for each thing, of which sky and ground come first."""
    count = len(things)
    semseg = [VOC_CLASSES.index(name) if name in VOC_CLASSES else 0 for name in things]
    depth = np.float32([[0 if name == 'sky' else 0.25 + number
                         for number, name in enumerate(things)]])
    normal = np.zeros((1, count, 3), np.float32)
    normal[0, 1:] = (0.6, 0, 0.8)
    image = np.arange(3 * count, dtype=np.uint8).reshape(1, count, 3) * 6
    return RenderedScene(
        image=image, semseg=np.uint8([semseg]), instance=np.arange(count, dtype=np.int32)[None],
        parsing=np.zeros((1, count), np.uint8), saliency=np.zeros((1, count), np.uint8),
        normal=normal, depth=depth, focal=1.0, walls=walls)


@pytest.fixture
def write(tmp_path: Path, request: pytest.FixtureRequest) -> Write:
    """Writes one scene in the test's layout: the arrays by folder."""
    layout = dataset.LAYOUTS[request.getfixturevalue('layout')]

    def run(scene: RenderedScene) -> dict[str, np.ndarray]:
        layout.write(layout.scene_files(tmp_path, 'synthetic_500003'), 'synthetic_500003', scene)
        files = [path for path in tmp_path.rglob('*') if path.is_file()]
        assert all(path.relative_to(tmp_path).match('val/*/2.npy') for path in files)
        return {path.parent.name: np.load(path) for path in files}
    return run


@pytest.mark.parametrize('walls', range(3))
@both
def test_every_kind_of_thing(layout: str, write: Write, walls: int) -> None:
    others = [name for name in NAMES if name not in ('sky', 'ground', 'wall')]
    things = ['sky', 'ground', *['wall'] * walls, *others]
    arrays = write(made_by_hand(things, walls))
    assert arrays[LABELS[layout][0]].tolist() == [[class_id(layout, name) for name in things]]
    assert arrays['image'].shape == (1, len(things), 3)
    assert arrays['image'][0, 2].tolist() == [np.float32(36 / 255), np.float32(42 / 255),
                                              np.float32(48 / 255)]
    depth = [0, *(0.25 + number for number in range(1, len(things)))]
    if layout == 'cityscapes':
        assert arrays.keys() == {'image', 'label_7', 'depth'}
        np.testing.assert_allclose(arrays['depth'][0, :, 0], [0, *(1 / v for v in depth[1:])],
                                   rtol=1e-7)
    else:
        assert arrays.keys() == {'image', 'label', 'depth', 'normal'}
        assert arrays['depth'][0, :, 0].tolist() == depth
        assert not arrays['normal'][0, 0].any()
        np.testing.assert_array_equal(arrays['normal'][0, 1:],
                                      np.tile(np.float32([0.6, 0, 0.8]), (len(things) - 1, 1)))
    for array in arrays.values():
        assert array.dtype == np.float32


@both
def test_things_the_scenes_have_not_are_objects(layout: str, write: Write) -> None:
    things = ['sky', 'ground', *(name for name in VOC_CLASSES[1:] if name not in NAMES)]
    assert len(things) == 2 + 11
    label = write(made_by_hand(things, 0))[LABELS[layout][0]]
    assert label[0, 2:].tolist() == [{'nyud': 6, 'cityscapes': 2}[layout]] * 11


@both
def test_without_sky_nothing_is_unknown(layout: str, write: Write) -> None:
    whole = made_by_hand(['sky', 'ground', 'person', 'chair'], 0)
    cut = RenderedScene(*(value[:, 1:] if isinstance(value, np.ndarray) else value
                          for value in vars(whole).values()))
    arrays = write(cut)
    assert (arrays['depth'] > 0).all() and (arrays[LABELS[layout][0]] >= 0).all()
