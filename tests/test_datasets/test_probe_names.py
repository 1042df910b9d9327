"""Own transforms that act on some images only, and what pastes images."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from mtpsl.datasets import FolderDataset
from mtpsl.registry import TRANSFORMS
from mtpsl.tasks import build_tasks

from .probing import READ, TASKS, check, of_image


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
