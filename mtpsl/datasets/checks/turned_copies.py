"""Whether mirrored or turned copies of images, made on disk, have labels that were turned as well.

To move its pixels is not enough for a label of directions, as normals, or of left and right.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress

import numpy as np

from mtpsl.datasets.partial_label import PartialLabelDataset
from mtpsl.datasets.photo import TURNS, turn
from mtpsl.datasets.transforms.loading import LoadLabels, read_label
from mtpsl.datasets.unreadable import MixedCodingsError, UnreadableFileError
from mtpsl.tasks import Task
from mtpsl.tasks.seen import NAMED

from .seen_photos import FLAT, NEAR, Photo

# Images that are asked; pairs of one and its copy that are opened, fewer if so many are alike or
# after so many pixels; least number of wrong ones.
IMAGES, PAIRS, CLEAR, PIXELS, LEAST = 2000, 12, 4, 40_000_000, 2
# Least difference that turning values makes to a label, and the share of it that is none.
DIFFERENT, NONE = 0.01, 0.25
# What a copy is -> how it is made of its image.
KINDS = {'mirrored': TURNS[2], 'mirrored top to bottom': TURNS[4],
         'turned by 180 degrees': TURNS[3], 'transposed': TURNS[5],
         'turned left': TURNS[8], 'turned right': TURNS[6],
         'transposed and turned by 180 degrees': TURNS[7]}
COPY = re.compile(r'[a-zA-Z]')  # in what the id of a copy has beside that of its image


def turned_copies(dataset: PartialLabelDataset) -> Iterator[str]:
    """Yield what is wrong with the labels of copies, to go on after "the labels of the task".

    A copy is called as its image with letters before or after, as ``0001_flip`` of ``0001``. A few
    such pairs are opened, until it is clear.

    Args:
        dataset: images that are trained on, with their labels.
    """
    tasks = {name: task for name, task in dataset.tasks.items() if _has_sides(task)}
    if not tasks or not any(isinstance(step, LoadLabels) for step in dataset.pipeline.transforms):
        return
    pairs, pixels = list(_pairs(dataset)), 0
    right, wrong = Counter[str](), dict[str, list[str]]()
    for pair in pairs[::max(len(pairs) // PAIRS, 1)][:PAIRS]:
        clear = [name for name in tasks if max(right[name], len(wrong.get(name, ()))) >= CLEAR]
        if len(clear) == len(tasks) or pixels > PIXELS:
            break
        infos = [dataset.get_data_info(index) for index in pair]
        images = [read[0] for info in infos if (read := dataset.read_image(info))]
        if len(images) < 2:
            continue
        pixels += sum(image.shape[0] * image.shape[1] for image in images)
        kind = _kind_of(*images)
        for name, task in tasks.items() if kind else ():
            verdict = _turned(task, _labels(dataset, task, infos, images), KINDS[kind])
            right[name] += verdict is True
            if verdict is False:
                wrong.setdefault(name, []).append(f'{infos[1]["img_id"]} ({kind})')
    for name, ids in wrong.items():
        if len(ids) >= max(LEAST, right[name]):
            yield (f'{name} of {", ".join(ids[:NAMED])}{", ..." * (len(ids) > NAMED)}, which are '
                   'copies of other images, were moved as the pixels of a picture are: what they '
                   'say, directions or sides, is still that of the other image. Turn their values '
                   'as well, or delete such copies: RandomFlip makes right mirror images')


def _labels(dataset: PartialLabelDataset, task: Task, infos: Sequence[dict],
            images: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Read the labels of an image and its copy; fewer if one has none or cannot be read."""
    found = []
    for info, image in zip(infos, images):
        if task.name in info['labels']:
            with suppress(UnreadableFileError, MixedCodingsError):
                found.append(read_label(task, dataset.label_files(
                    task.name, info['labels'][task.name]), image.shape[:2], {}))
    return found


def _has_sides(task: Task) -> bool:
    """Return whether a mirror image changes values of a task's labels."""
    if task.label_channels > 1:
        label = np.full((1, 2, task.label_channels), task.label_channels ** -0.5, np.float32)
    else:
        label = np.arange(256, dtype=task.label_dtype)[None]
    with suppress(Exception):  # a task of the user's own
        return not np.array_equal(task.flip(label), label[:, ::-1])
    return False


def _pairs(dataset: PartialLabelDataset) -> Iterator[tuple[int, int]]:
    """Yield an image and its copy, by their ids."""
    ids = {str(dataset.get_data_info(index)['img_id']): index
           for index in range(min(len(dataset), IMAGES))}
    for one, index in ids.items():
        cuts = [(one[:end], one[end:]) for end in range(1, len(one))]
        for image_id, rest in (*reversed(cuts), *((tail, head) for head, tail in cuts)):
            if image_id in ids and COPY.search(rest):
                yield ids[image_id], index
                break


def _kind_of(image: np.ndarray, copy: np.ndarray) -> str:
    """Return which of ``KINDS`` the copy of an image (H, W, 3) is; '' if none."""
    small, other = Photo.of(image).small, Photo.of(copy).small
    if small.std() < FLAT or np.abs(small - other).max() < NEAR:
        return ''
    return next((name for name, turns in KINDS.items()
                 if np.abs(turn(small, turns) - other).max() < NEAR), '')


def _turned(task: Task, labels: Sequence[np.ndarray],
            turns: tuple[bool, bool, bool]) -> bool | None:
    """Return whether the values of a copy's label were turned, or not; None if it is neither."""
    if len(labels) < 2:
        return None
    label, copy = labels
    moved, turned = turn(label, turns), turn(label, turns, task.transpose, task.flip)
    if moved.shape != copy.shape or (gap := _apart(moved, turned)) < DIFFERENT:
        return None
    near = [_apart(one, copy) < NONE * gap for one in (turned, moved)]
    return near[0] if any(near) else None


def _apart(one: np.ndarray, other: np.ndarray) -> float:
    """Return the mean difference of measures, or the share of ids that differ."""
    return float(np.abs(one - other).mean() if one.dtype.kind == 'f' else (one != other).mean())
