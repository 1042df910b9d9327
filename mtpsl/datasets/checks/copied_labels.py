"""Whether labels are those of other images, copied, or the images themselves."""

import zlib
from collections.abc import Iterator

import cv2
import numpy as np

from mtpsl.datasets.partial_label import PartialLabelDataset
from mtpsl.datasets.transforms.loading import read_label

from .doubles import repeated

SMALL, ONE_SCENE = 16, 0.8  # side of a small picture, and correlation of two of one scene
SOME, SHARE, NAMED = 3, 0.25, 3  # labels, their share to tell of, and those named
GREY, STEP, ENOUGH, MOSTLY = 0.98, 4, 8, 0.8  # of measures that are the image's grey
FILES, PAIRS = 200, 12  # label files that are compared, and pairs of them that are opened


class CopiedLabels:
    """Counts the labels of a task that are the map of another scene, or the grey of their image."""

    def __init__(self) -> None:
        self._labels = 0
        self._first: dict[tuple[int, int], tuple[str, np.ndarray]] = {}
        self._found: list[tuple[str, str]] = []
        self._measures = self._greys = 0

    def add(self, image: np.ndarray, label: np.ndarray, ignore_value: float, name: str) -> None:
        """Take an image (H, W, 3) of a name and its label (H, W[, 3])."""
        self._labels += 1
        if min(image.shape[:2]) < SMALL or not _varied(label, ignore_value):
            return
        small = _small(image)
        key = label.size, zlib.crc32(np.ascontiguousarray(label).data)
        first, other = self._first.setdefault(key, (name, small))
        if first != name and not _alike(small, other):
            self._found.append((name, first))
        if label.ndim == 2 and label.dtype.kind == 'f' and label.shape == image.shape[:2]:
            some, grey = label[::STEP, ::STEP].ravel(), image[::STEP, ::STEP].mean(2).ravel()
            self._measures += 1
            self._greys += bool(np.ptp(some) and np.ptp(grey)) and (
                abs(np.corrcoef(some, grey)[0, 1]) > GREY)

    def told(self, files: bool = True) -> str:
        """What is wrong, to go on after "the labels ... "; '' where nothing seems to be.

        Args:
            files: tell of maps of other images too.
        """
        if self._greys >= max(ENOUGH, MOSTLY * self._measures):
            return (f'are the grey of their images in {self._greys} of {self._measures} (their '
                    'correlation is above 0.98): was the photo saved in the place of the label? If '
                    'the task is to say that, all is well')
        if not files or len(self._found) < max(SOME, SHARE * self._labels):
            return ''
        return _told(self._found, self._labels)


def copied_files(dataset: PartialLabelDataset) -> Iterator[str]:
    """Yield whose label files are those of other images.

    Files of equal size are compared, and some of those that are equal opened with their images.
    """
    if dataset.PUBLISHED:
        return
    infos = [dataset.get_data_info(index) for index in range(min(len(dataset), FILES))]
    for name in dataset.tasks:
        own = {info['labels'][name][0]: info for info in infos
               if len(info['labels'].get(name, ())) == 1}
        again = [(own[other], own[first]) for first, other in repeated(list(own))]
        if len(again) < max(SOME, SHARE * len(own)):
            continue
        some = again[::-(-len(again) // PAIRS)]
        if sum(_two_scenes(dataset, name, *pair) for pair in some) > len(some) / 2:
            pairs = [(one['img_id'], other['img_id']) for one, other in again]
            yield (f'{dataset.title}: the labels of the task {name} '
                   f'{_told(pairs, len(own))}')


def _two_scenes(dataset: PartialLabelDataset, name: str, one: dict, other: dict) -> bool:
    """Return whether two images show two scenes, and their label of a task several values."""
    images = [read[0] for info in (one, other) if (read := dataset.read_image(info))]
    if len(images) < 2 or min(images[0].shape[:2]) < SMALL or _alike(*map(_small, images)):
        return False
    try:
        label = read_label(dataset.tasks[name], dataset.label_files(name, one['labels'][name]),
                           None, {})
    except Exception:  # told of when it is read
        return False
    return _varied(label, dataset.tasks[name].ignore_value)


def _varied(label: np.ndarray, ignore_value: float) -> bool:
    """Return whether a map has several known values; it has one where there is no object."""
    known = label[label != ignore_value] if label.ndim == 2 else label[
        (label != ignore_value).any(2)]
    return bool((known != known[:1]).any())


def _small(image: np.ndarray) -> np.ndarray:
    return cv2.resize(image, (SMALL, SMALL), interpolation=cv2.INTER_AREA).mean(2).ravel()


def _alike(one: np.ndarray, other: np.ndarray) -> bool:
    return not np.ptp(one) or not np.ptp(other) or (
        abs(np.corrcoef(one, other)[0, 1]) > ONE_SCENE)


def _told(pairs: list[tuple[str, str]], number: int) -> str:
    named = ', '.join(f'{name} is {first}' for name, first in pairs[:NAMED])
    return (f'are the map of another image in {len(pairs)} of {number} ({named}'
            f'{", ..." * (len(pairs) > NAMED)}), and the images are unlike each other: were labels '
            'of one frame copied to others? If they show one scene, in other light or by another '
            'sensor, all is well')
