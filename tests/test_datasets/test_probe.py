"""Transforms that take image and labels apart are refused when the pipeline is built."""

from pathlib import Path

import cv2
import mmseg.datasets.transforms
import numpy as np
import pytest
import torch

from mtpsl.datasets import FolderDataset
from mtpsl.datasets.transforms import PackMultiTaskInputs, RandomFlip
from mtpsl.datasets.transforms.probes.probe import check_geometry
from mtpsl.datasets.transforms.probes.probe_scale import stretch_of, zoom_of
from mtpsl.datasets.transforms.probes.probe_values import check_values
from mtpsl.registry import TRANSFORMS
from mtpsl.tasks import build_tasks
from mtpsl.tasks.semseg import Semseg

TASKS = build_tasks(dict(semseg=dict(type='Semseg'), normal=dict(type='Normal'),
                         depth=dict(type='Depth'), parts=dict(type='Parsing')))
READ = [dict(type='mtpsl.LoadImageFromFile'), dict(type='mtpsl.LoadLabels')]


def check(*steps, read=READ, tasks=TASKS):
    built = [TRANSFORMS.build(step) if isinstance(step, dict) else step
             for step in (*read, *steps)]
    check_geometry(built, tasks)
    check_values(built, tasks)


def of_image(change):
    """A transform of the image alone."""
    return lambda results: results | dict(img=change(results['img']))


def of_all(change):
    """A transform of image and labels alike."""
    return lambda results: results | dict(
        img=change(results['img']), gt={k: change(v) for k, v in results['gt'].items()})


def half(results, change):
    return change(results) if np.random.rand() < 0.5 else results


def warp(image):
    height, width = image.shape[:2]
    corners = np.float32([[0, 0], [width, 0], [width, height], [0, height]])
    moved = corners * np.float32([1, 0.95]) + np.float32([[6, 4], [-5, 0], [0, 0], [0, 0]])
    return cv2.warpPerspective(image, cv2.getPerspectiveTransform(corners, moved),
                               (width, height))


class Pasting:
    """Puts a part of the image before into the image, without its labels."""

    def __init__(self, share):
        self.share, self.last = share, None

    def __call__(self, results):
        image, before = results['img'].copy(), self.last
        self.last = results['img']
        if before is not None and before.shape == image.shape and np.random.rand() < 0.5:
            height, width = (round(side * self.share) for side in image.shape[:2])
            image[:height, :width] = before[:height, :width]
        return results | dict(img=image)


def crop_of_odd_sides(results):
    """Right for even sides."""
    height = results['img'].shape[0]
    top = 4 * (height % 2)
    return results | dict(img=results['img'][:height - 4], img_shape=(height - 4, 0), gt={
        name: label[top:height - 4 + top] for name, label in results['gt'].items()})


@pytest.mark.parametrize('step, words', [
    (Pasting(1.0), 'misaligns image and labels'),
    (crop_of_odd_sides, 'misaligns image and labels'),
    (lambda results: half(results, of_image(lambda image: image[:, ::-1])), 'lambda> misaligns im'),
    (of_image(lambda image: np.roll(image, 4, 1)), 'misaligns image and labels'),
    (of_image(lambda image: np.rot90(image, 2)), 'misaligns image and labels'),
    (of_image(warp), 'misaligns image and labels'),
    (lambda results: results | dict(gt={k: v[:, ::-1] for k, v in results['gt'].items()}),
     'misaligns image and labels'),
    (lambda results: results | dict(gt=results['gt'] | dict(depth=results['gt']['depth'][::-1])),
     r'misaligns image and labels \(depth\): it changes one of them only'),
    (lambda results: half(results, of_all(lambda pixels: pixels[:, ::-1])),
     'moves the normal label without changing its vectors, which are 90 degrees off: mirroring'),
    (lambda results: results | dict(gt=results['gt'] | dict(normal=-results['gt']['normal'])),
     'moves the normal label without changing its vectors')])
def test_what_moves_one_of_them_is_refused(step, words):
    with pytest.raises(ValueError, match='^the transform .*' + words):
        check(step)


def shadow(image):
    return (image * np.linspace(0, 1, image.shape[1])[:, None]).astype(np.uint8)


def noise(image):
    return (image + np.random.normal(0, 90, image.shape)).clip(0, 255).astype(np.uint8)


class Colours(mmseg.datasets.transforms.PhotoMetricDistortion):
    """Not known by its name."""


@pytest.mark.parametrize('step', [
    Colours(), dict(type='mtpsl.ImageOnly', transforms=[
        dict(type='mmseg.RandomCutOut', prob=0.5, n_holes=(1, 4),
             cutout_ratio=[(0.2, 0.2), (0.5, 0.5)])]),
    dict(type='mtpsl.ImageOnly', transforms=[of_image(lambda image: image // 2)]),
    *map(of_image, (shadow, noise, lambda image: 255 - image, lambda image: image * 0,
                    lambda image: image[..., ::-1], lambda image: np.where(image > 99, 99, image),
                    lambda image: cv2.GaussianBlur(image, (0, 0), 5)))])
def test_colours_may_change(step):
    check(step)


def test_what_moves_all_alike_may_be_anyones_own():
    class Flip(RandomFlip):
        """Ours by another name."""

    def shrink(results):
        height, width = (round(side * 0.6) for side in results['img'].shape[:2])
        return results | dict(
            img=cv2.resize(results['img'], (width, height)),
            gt={name: results['tasks'][name].resize(label, (height, width))
                for name, label in results['gt'].items()})

    check(Flip(), shrink)
    # In two steps, which only together are right.
    check(of_image(lambda image: image[:, ::-1]), lambda results: results | dict(
        gt={name: results['tasks'][name].flip(label) for name, label in results['gt'].items()}))
    # Labels that are read later are fitted to the image, but not mirrored.
    check(read=[READ[0], of_image(lambda image: cv2.resize(image, (252, 180))), READ[1]])
    with pytest.raises(ValueError, match='misaligns image and labels'):
        check(read=[READ[0], of_image(lambda image: image[:, ::-1]), READ[1]])


def test_after_packing_and_in_image_only():
    with pytest.raises(ValueError, match='lambda> misaligns image and labels'):
        check(PackMultiTaskInputs(), lambda packed: packed | dict(inputs=packed['inputs'].flip(2)))
    with pytest.raises(ValueError, match='ImageOnly misaligns image and labels'):
        check(dict(type='mtpsl.ImageOnly', transforms=[of_image(lambda image: image[::-1])]))


def test_trials_leave_the_transform_and_the_random_states_alone():
    class Counts:
        seen = 0

        def __call__(self, results):
            self.seen += 1
            return results

    step = Counts()
    np.random.seed(0)
    expected = np.random.rand()
    np.random.seed(0)
    check(step)
    assert step.seen == 0 and np.random.rand() == expected
    check(lambda results: 1 / 0)  # what cannot be tried tells nothing
    check(lambda results: None)


def test_sizes_are_compared_where_a_sample_is_packed():
    """Also where the probe cannot know, such as a transform of one image only."""
    labels = dict(semseg=np.zeros((4, 6), np.uint8), depth=np.zeros((4, 5), np.float32))
    results = dict(img=np.zeros((4, 6, 3), np.uint8), gt=labels, tasks=TASKS)
    with pytest.raises(ValueError, match='^PackMultiTaskInputs: got an image of 4 x 6 with a depth '
                       'label of 4 x 5; a transform before it changed one without the other'):
        PackMultiTaskInputs(()).transform(results)


def affine(degrees=0.0, zoom=1.0, turn=False, divide=False, ids=cv2.INTER_NEAREST, fill=255,
           depth=cv2.INTER_NEAREST, spread=0.0, task_names=None):
    """A transform of a user's own: turns and zooms image and labels, values too if it is told."""
    def change(results):
        factor = zoom + spread * np.random.uniform(-1, 1)
        height, width = results['img'].shape[:2]
        matrix = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, factor)

        def moved(pixels, interpolation, value):
            return cv2.warpAffine(pixels, matrix, (width, height), flags=interpolation,
                                  borderValue=[value] * 4)
        gt = {}
        for name, label in results['gt'].items():
            if label.dtype == np.uint8:
                gt[name] = moved(label, ids, fill)
            elif label.ndim == 2:
                gt[name] = moved(label, depth, 0) / (factor if divide else 1)
            else:
                normal, angle = moved(label, cv2.INTER_LINEAR, 0), np.radians(degrees)
                if turn:
                    x, y = normal[..., 0].copy(), normal[..., 1].copy()
                    normal[..., 0] = np.cos(angle) * x - np.sin(angle) * y
                    normal[..., 1] = np.sin(angle) * x + np.cos(angle) * y
                gt[name] = normal
        return results | dict(img=moved(results['img'], cv2.INTER_LINEAR, 0), gt=gt)
    return change


@pytest.mark.parametrize('options', [
    dict(), dict(degrees=30, turn=True), dict(degrees=-75, turn=True), dict(degrees=2),
    dict(zoom=1.5, divide=True), dict(zoom=1.5, spread=0.4, divide=True),
    dict(degrees=20, turn=True, zoom=0.8, spread=0.2, divide=True),
    dict(zoom=0.5)])  # of all images: metres may stay
def test_values_that_are_moved_rightly(options, warned):
    check(affine(**options))
    assert not warned


@pytest.mark.parametrize('options, words', [
    (dict(degrees=30), 'moves the normal label without .*, which are 30 degrees off'),
    (dict(degrees=-8), 'moves the normal label .* are 8 degrees'),
    (dict(degrees=30, turn=True, ids=cv2.INTER_LINEAR), 'blends the numbers of the semseg label: '),
    (dict(degrees=30, turn=True, depth=cv2.INTER_LINEAR), 'blends known and unknown .* depth lab')])
def test_values_that_are_moved_wrongly(options, words):
    with pytest.raises(ValueError, match=f'^the transform .*change {words}'):
        check(affine(**options))


def test_what_may_be_meant_is_warned_of(warned):
    check(affine(zoom=1.6, spread=0.4))
    text, = warned
    assert 'zooms at random, and turns a depth of 4 into 4.00 at a zoom of' in text
    check(affine(degrees=30, turn=True, fill=0))
    assert 'writes 0 into the semseg label outside of the image' in warned[1]


def test_turns_by_the_tasks_own_ways(warned):
    def flip_and_turn(results):
        tasks = results['tasks']
        gt = {name: tasks[name].flip(tasks[name].transpose(label))
              for name, label in results['gt'].items()}
        return results | dict(img=np.ascontiguousarray(results['img'].swapaxes(0, 1)[:, ::-1]),
                              gt=gt)
    check(flip_and_turn)
    assert not warned


def test_images_in_double_precision_are_packed_in_single():
    image = np.full((4, 6, 3), 100.0)
    packed = PackMultiTaskInputs(()).transform(dict(img=image, tasks=TASKS))
    assert packed['inputs'].dtype == torch.float32 and (packed['inputs'] == 100).all()


SIDED = build_tasks(dict(semseg=dict(type='Semseg', class_names=(
    'background', 'left arm', 'head', 'right arm'))))


def mirrored(results):
    """Turns the picture round, and exchanges nothing."""
    return results | dict(img=results['img'][:, ::-1], gt={
        name: label[:, ::-1] for name, label in results['gt'].items()})


def by_the_task(results):
    return results | dict(img=results['img'][:, ::-1], gt={
        name: results['tasks'][name].flip(label) for name, label in results['gt'].items()})


@pytest.mark.parametrize('step', [mirrored, lambda results: half(results, mirrored),
                                  of_all(lambda one: one[::-1])])
def test_classes_of_two_sides_are_to_be_exchanged(step):
    with pytest.raises(ValueError, match='mirrors the semseg label and leaves left arm and right '
                       r'arm what they are, .*\.flip exchanges them; .* mirrored=\(\)'):
        check(step, tasks=SIDED)
    check(step, tasks=build_tasks(dict(semseg=dict(
        type='Semseg', class_names=('background', 'left arm', 'head', 'right arm'),
        mirrored=()))))


def exchanged_in_place(results):
    label = results['gt']['semseg'][:, ::-1]
    sides = [label == number for number in (1, 3)]
    label[sides[0]], label[sides[1]] = 3, 1
    return results | dict(img=results['img'][:, ::-1], gt=dict(semseg=label))


def mirrored_in_place(results):
    for one in (results['img'], results['gt']['semseg']):
        one[:] = one[:, ::-1].copy()
    return results


@pytest.mark.parametrize('values', [(0, 3, 2, 1), (10, 11, 12, 13)])
def test_sides_of_files_with_numbers_of_their_own(values):
    tasks = build_tasks(dict(semseg=dict(type='Semseg', class_names=(
        'background', 'left arm', 'head', 'right arm'), values=values)))
    check(by_the_task, tasks=tasks)
    for step in (mirrored, mirrored_in_place):
        with pytest.raises(ValueError, match='leaves left arm and right arm what they are'):
            check(step, tasks=tasks)


def test_a_task_of_ids_of_the_users_own(warned):
    class Ids(Semseg):
        def flip(self, label):
            return 3 - label[:, ::-1]
    task = Ids(class_names=tuple('abcd'))
    task.name = 'ids'
    with pytest.raises(ValueError, match='leaves 0 and 3 what they are'):
        check(of_all(lambda one: one[:, ::-1]), tasks=dict(ids=task))
    Ids.flip = lambda self, label: 1 / 0
    check(of_all(lambda one: one[:, ::-1]), tasks=dict(ids=task))


@pytest.mark.parametrize('step', [
    by_the_task, exchanged_in_place, of_all(lambda one: one[::-1, ::-1]),
    of_all(lambda one: np.roll(one, 80, 1)),
    of_all(np.rot90), of_all(lambda one: one[20:, 60:])])
def test_classes_of_two_sides_that_are_right(step, warned):
    check(step, tasks=SIDED)
    assert not [text for text in warned if 'outside of the image' in text]


@pytest.mark.parametrize('side', [168, 184])
def test_padding_is_no_zoom(side):
    def padded(results):
        height, width = results['img'].shape[:2]
        most = max(height, width) * side // 168
        return results | dict(img=np.pad(results['img'], (
            (0, most - height), (0, most - width), (0, 0))))
    assert zoom_of(padded) == (1, 1)
    low, high = zoom_of(lambda results: results | dict(img=np.kron(
        results['img'], np.ones((2, 2, 1), np.uint8))))
    assert low < 2 < high


def resized(size, by=(1, 1)):
    """A user's step: to a (height, width), or by factors of both."""
    def step(results):
        height, width = size or results['img'].shape[:2]
        return results | dict(img=cv2.resize(results['img'], (
            round(width * by[1]), round(height * by[0]))))
    return step


def padded_to_a_square(results):
    height, width = results['img'].shape[:2]
    most = max(height, width)
    return results | dict(img=np.pad(results['img'], (
        (0, most - height), (0, most - width), (0, 0))))


def padded_by_the_border(results):
    height, width = results['img'].shape[:2]
    most = max(height, width)
    return results | dict(img=np.pad(results['img'], (
        (0, most - height), (most - width, 0), (0, 0)), mode='edge'))


def in_perspective(results):
    height, width = results['img'].shape[:2]
    corners = np.float32([(0, 0), (width, 0), (0, height), (width, height)])
    moved = corners + np.random.uniform(-0.2, 0.2, (4, 2)) * (width, height)
    return results | dict(img=cv2.warpPerspective(results['img'], cv2.getPerspectiveTransform(
        corners, moved.astype(np.float32)), (width, height)))


def narrowed(results):
    left = np.random.randint(results['img'].shape[1] - 20)
    return results | dict(img=results['img'][:, left:left + 20])


def cut(results):
    height, width = results['img'].shape[:2]
    top, left = np.random.randint(height // 3), np.random.randint(width // 3)
    return results | dict(img=results['img'][top:top + height // 2, left:left + width // 2])


def turned(results):
    return results | dict(img=np.rot90(results['img'], np.random.randint(4)))


def jittered(results):
    return resized(None, np.random.uniform(0.75, 1.33, 2))(results)


@pytest.mark.parametrize('size', [(48, 64), (375, 500), (900, 600), (1024, 2048)])
@pytest.mark.parametrize('step, wide', [
    (resized(None, (1, 2)), 2), (resized(None, (1.5, 1)), 2 / 3), (resized(None, (0.5, 0.5)), 1),
    (resized((128, 128)), None), (padded_to_a_square, 1),
    (padded_by_the_border, 1), (in_perspective, 1), (cut, 1), (turned, 1), (jittered, 1)])
def test_images_that_are_stretched(step, wide, size):
    wide = wide or size[0] / size[1]  # of a square
    assert stretch_of([step], size) == pytest.approx(wide, rel=0.12)
    squares = [padded_to_a_square, resized((128, 128))]
    assert stretch_of(squares, size) == pytest.approx(1, rel=0.12)
    assert stretch_of([step, resized(None, (1, 2))], size) == pytest.approx(2 * wide, rel=0.15)
    assert stretch_of([], size) == 1


def needing_labels(results):
    return results['gt']['depth']


@pytest.mark.parametrize('step', [needing_labels, narrowed])
def test_steps_that_do_not_tell_whether_they_stretch(step):
    assert stretch_of([step, resized(None, (1, 2))], (300, 400)) == 1
    assert zoom_of(step) == (1, 1)


class Debarred:
    """A user's, which cuts off black bars of the image alone and fills its size again."""

    moves = 'nothing'

    def __call__(self, results):
        image = results['img']
        bright = np.flatnonzero(image.max((1, 2)) > 0)
        if not len(bright):
            return results
        inner = image[bright[0]:bright[-1] + 1]
        return results | dict(img=cv2.resize(inner, image.shape[1::-1]))


def test_what_moves_images_of_some_names(tmp_path, warned):
    (tmp_path / 'images').mkdir()
    (tmp_path / 'semseg').mkdir()
    for number in range(30):
        for folder in ('images', 'semseg'):
            cv2.imwrite(str(tmp_path / folder / f'{"ab"[number % 5 == 0]}{number}.png'),
                        np.zeros((8, 9, 3), np.uint8))

    kept = {}

    def of_camera(results):
        kept.setdefault(results['img_id'], results['img'].mean())
        return mirrored_image(results) if results['img_id'][0] == 'b' else results

    def by_path(results):
        name = results['img_path'].rsplit('/', 1)[-1]
        assert results['img_path'] == f'{tmp_path}/images/{name}' and name.endswith('.probe.png')
        return mirrored_image(results) if name[0] == 'b' else results

    def read_anew(results):
        image = cv2.imread(results['img_path'])
        return results if image is None else results | dict(img=image[:, ::-1])

    mirrored_image = of_image(lambda image: image[:, ::-1].copy())
    pipeline = [TRANSFORMS.build(step) for step in READ]
    options = dict(data_root=str(tmp_path), tasks=dict(semseg=dict(type='Semseg')))
    for step in (of_camera, by_path):
        warned.clear()
        FolderDataset(pipeline=[*pipeline, step], **options)
        assert ['of images that are called as b' in told and 'misaligns image and labels' in told
                for told in warned if 'does not say what it moves' not in told] == [True]
    assert len(kept) > 9 and all(name.endswith('probe') for name in kept)  # nothing true is lost
    for step in (read_anew, lambda results: results):
        warned.clear()
        FolderDataset(pipeline=[*pipeline, step], **options)
        assert all('does not say what it moves' in told for told in warned)


def test_what_moves_pictures_with_bars_only():
    with pytest.raises(ValueError, match=r'Debarred misaligns image and labels'):
        check(Debarred())


class Mixing:
    """A user's CutMix: a rectangle of another image with its labels."""

    moves = 'image and labels'

    def __init__(self, ids=(0, 2, 5)):
        self.ids = ids

    def __call__(self, results):
        height, width = results['img'].shape[:2]
        top, left = np.random.randint(height // 2), np.random.randint(width // 2)
        where = slice(top, top + height // 3), slice(left, left + width // 3)
        shape = results['img'][where].shape[:2]
        other = np.random.default_rng(top)
        image, labels = results['img'].copy(), {}
        image[where] = other.integers(0, 255, (*shape, 3))
        for name, label in results['gt'].items():
            labels[name] = label.copy()
            if name == 'depth':
                labels[name][where] = other.uniform(1, 9, shape)
            elif label.ndim == 3:
                labels[name][where] = (0.6, 0, 0.8)
            else:
                labels[name][where] = other.choice(self.ids, shape)
        return results | dict(img=image, gt=labels)


@pytest.mark.parametrize('tasks', [TASKS, build_tasks(dict(saliency=dict(type='Saliency')))])
def test_rectangles_of_other_images_are_no_blends(tasks, warned):
    check(Mixing(ids=(0, 2, 5) if 'semseg' in tasks else (0, 1)), tasks=tasks)
    assert not [text for text in warned if 'Mixing' in text and 'does not say' not in text]


def test_rectangles_of_one_class_are_told_of(warned):
    check(Mixing(ids=(3, 3)))
    assert any('writes 3 into the semseg label' in text for text in warned)


def test_datasets_that_name_images_in_their_own_way_are_built(tmp_path):
    class Late(FolderDataset):
        def __init__(self, **options):
            super().__init__(**options)
            self.extra = 'later'

        def get_data_info(self, index):
            return super().get_data_info(index) | dict(extra=self.extra)

    class Paths(FolderDataset):
        def get_data_info(self, index):
            info = super().get_data_info(index)
            return info | dict(img_path=Path(info['img_path']))

    (tmp_path / 'images').mkdir()
    (tmp_path / 'semseg').mkdir()
    for folder in ('images', 'semseg'):
        cv2.imwrite(str(tmp_path / folder / '1.png'), np.zeros((8, 9, 3), np.uint8))
    for kind in (Late, Paths):
        data = kind(data_root=str(tmp_path), tasks=dict(semseg=dict(type='Semseg')), pipeline=[
            *(TRANSFORMS.build(step) for step in READ), lambda results: results])
        assert len(data) == 1
