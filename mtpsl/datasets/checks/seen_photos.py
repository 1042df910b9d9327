"""Whether images of training and of evaluation are of one shape and of one kind of colours."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from mtpsl.datasets.decoding import is_transparent

STEP, ALL = 4, 64  # each fourth row and column is looked at, of small images more
SQUASHED = 1.25  # times as long, for their width, as any of the others
# Channels of a grey image differ by no more, a clear tint by more, a faint one too; and times as
# bright.
GREY, TINT, FAINT, BRIGHTER = 3, 4, 1, 4
# How many times as large contrasts may be that are one, and must be that differ; correlation of
# small pictures of one scene: frames of a video have 0.94, 8 images of many scenes up to 0.82.
STEADY, VARIED, ONE_SCENE = 1.05, 1.25, 0.85
# Side of small pictures, largest difference of one that was saved anew, deviation of a plain one.
SMALL, NEAR, FLAT = 16, 6.0, 8.0
MOSTLY, ENOUGH = 0.9, 8
MIDDLE, LOST = 128, 0.1  # what decoders fill a truncated file with, and least share of the rows
NAMED = 3  # images in a message
LUMA = np.array((0.299, 0.587, 0.114), np.float32)  # shares of red, green and blue in ITU-R BT.601


class Photo(NamedTuple):
    """What is kept of an image as it is read.

    Attributes:
        size: height and width in pixels.
        rgb: its mean colour, 0 to 255.
        contrast: (5,) standard deviations of its channels, its luma and all values, 0 to 128.
        grey: whether its three channels are equal.
        small: (16, 16) float32, the image in grey.
        lost: share of the rows, the lowest, that are middle grey (128) or black throughout, as
            the highest are not.
        name: of the image, for messages.
    """

    size: tuple[int, int]
    rgb: tuple[float, float, float]
    contrast: np.ndarray
    grey: bool
    small: np.ndarray
    lost: float = 0.0
    name: str = ''

    @classmethod
    def of(cls, image: np.ndarray, name: str = '') -> 'Photo':
        """Look at an RGB image (H, W, 3) of a name."""
        lost, top = (max(_rows_of(rows, level) for level in (MIDDLE, 0))
                     for rows in (image[::-1], image))
        step = min(max(min(image.shape[:2]) // ALL, 1), STEP)
        some = image[::step, ::step].reshape(-1, 3).astype(np.float32)
        red, green, blue = some.mean(0).tolist()
        contrast = np.array([*some.std(0), (some @ LUMA).std(), some.std()])
        grey = bool(np.ptp(some, axis=1).max() <= GREY)
        small = cv2.resize(np.float32(image), (SMALL, SMALL), interpolation=cv2.INTER_AREA).mean(2)
        return cls((image.shape[0], image.shape[1]), (red, green, blue), contrast, grey, small,
                   0.0 if top > lost / 2 else lost / len(image), name)


def compare_photos(learned: Sequence[Photo], tested: Sequence[Photo]) -> Iterator[str]:
    """Where images of evaluation are unlike all of training: ends of "the images ...".

    Args:
        learned: what was seen of images that are trained on.
        tested: and of those that are tested on.
    """
    if learned and tested:
        yield from _squashed(learned, tested)
        yield from _doubles(learned, tested)
    if min(len(learned), len(tested)) < ENOUGH:
        return
    yield from _of_other_colours(learned, tested)
    yield from _of_other_contrast(learned, tested)
    bright, others = (float(np.median([sum(photo.rgb) / 3 for photo in photos]))
                      for photos in (learned, tested))
    if max(bright, others) > BRIGHTER * max(min(bright, others), 1):
        yield (f'have a mean grey of {others:.0f} in evaluation and {bright:.0f} in training '
               '(medians, of 255): were they saved alike?')


def _of_other_colours(learned: Sequence[Photo], tested: Sequence[Photo]) -> Iterator[str]:
    grey, others = (np.mean([photo.grey for photo in photos]) for photos in (learned, tested))
    if max(grey, others) >= MOSTLY and min(grey, others) <= 1 - MOSTLY:
        here, there = ('grey', 'coloured') if grey > others else ('coloured', 'grey')
        yield f'are {there} in evaluation and {here} in training: were they saved alike?'
    tints, other_tints = (np.array([photo.rgb[0] - photo.rgb[2] for photo in photos])
                          for photos in (learned, tested))
    least = min(abs(np.median(tints)), abs(np.median(other_tints)))
    # A faint tint may be the light of one scene.
    faint = _of_scenes(learned) and _of_scenes(tested) and max(
        abs(np.median(tints)), abs(np.median(other_tints))) > TINT
    most = TINT if least > TINT else FAINT if faint else np.inf
    for sign, words in ((1, ('red than blue', 'blue than red')),
                        (-1, ('blue than red', 'red than blue'))):
        if min((sign * tints > most).mean(), (-sign * other_tints > most).mean()) >= MOSTLY:
            yield (f'are rather {words[1]} in evaluation and rather {words[0]} in training: are '
                   'red and blue exchanged in one of them, as by cv2.imwrite of RGB? If the light '
                   'is another, all is well')


def _of_other_contrast(learned: Sequence[Photo], tested: Sequence[Photo]) -> Iterator[str]:
    """Images of several scenes have one contrast in one part alone, as if equalised."""
    ranges = [np.quantile([np.maximum(photo.contrast, 1) for photo in photos],
                          (1 - MOSTLY, MOSTLY), axis=0) for photos in (learned, tested)]
    steady = [(high < STEADY * low) & _of_scenes(photos)
              for (low, high), photos in zip(ranges, (learned, tested))]
    varied = [high > VARIED * low for low, high in ranges]
    if (found := steady[0] & varied[1] | steady[1] & varied[0]).any():
        here, there = (f'{low:.0f} to {high:.0f}' for low, high in (
            one[:, found.argmax()] for one in ranges))
        yield (f'have a contrast of {there} in evaluation and {here} in training (standard '
               'deviations of most, of 255): were images of one of them equalised or normalised '
               'before they were saved?')


def _of_scenes(photos: Sequence[Photo]) -> bool:
    """Whether most images are unlike all others, as frames of one scene are not."""
    small = np.stack([photo.small.ravel() for photo in photos])
    small = small - small.mean(1, keepdims=True)
    length = np.linalg.norm(small, axis=1)
    likeness = (small @ small.T) / np.maximum(np.outer(length, length), 1e-6)
    np.fill_diagonal(likeness, -1)
    return bool(np.median(likeness.max(1)) < ONE_SCENE)


def told_transparent(paths: Sequence[str]) -> str:
    """What to say of image files with transparent pixels, to go on after "images"; or ''."""
    found = [path for path in paths if is_transparent(_content(path))]
    return found and (f'have transparent pixels in {len(found)} of {len(paths)} files, such as '
                      f'{found[0]}: alpha is left out, and what is stored beneath is seen. Save '
                      'the images as they are to be seen') or ''


def _content(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError:  # of another file backend
        return b''


def _rows_of(rows: np.ndarray, level: int) -> int:
    """Count the first rows (R, W, 3) that are of one level."""
    return next((number for number, row in enumerate(rows) if (row != level).any()), len(rows))


def truncated(photos: Sequence[Photo]) -> Iterator[str]:
    """Yield that some images are half there: the end of "images ...".

    Where most have such rows, and as many each, these are padding or a part of the camera's car.
    """
    lost = [photo for photo in photos if LOST <= photo.lost < 1]
    alike = len({round(photo.lost, 2) for photo in lost}) == 1
    if lost and not (alike and len(lost) > len(photos) / 2):
        named = ', '.join(photo.name for photo in lost[:NAMED]) + ', ...' * (len(lost) > NAMED)
        yield (f'are plain middle grey (128) or black in their lower rows in {len(lost)} of '
               f'{len(photos)} ({named}), {np.mean([photo.lost for photo in lost]):.0%} of each, '
               'as decoders make them of truncated files: copy these anew from their source. If '
               'they are so, all is well')


def _squashed(learned: Sequence[Photo], tested: Sequence[Photo]) -> Iterator[str]:
    ranges = []
    for photos in (learned, tested):
        ratios = [max(photo.size) / min(photo.size) for photo in photos]
        ranges.append((min(ratios), max(ratios)))
    (low, high), (other_low, other_high) = ranges
    if other_low > SQUASHED * high or low > SQUASHED * other_high:
        here, there = (f'{one:.2f}' if f'{one:.2f}' == f'{two:.2f}' else f'{one:.2f} to {two:.2f}'
                       for one, two in ranges)
        yield (f'are {there} times as long as wide in evaluation and {here} times in training (of '
               'those opened): were they resized in one of them without keeping their shape? '
               'Things are then narrower than was learned. Where they were cut out, or are of '
               'another camera, all is well')


def _doubles(learned: Sequence[Photo], tested: Sequence[Photo]) -> Iterator[str]:
    """Images that were saved anew, in another format or size or mirrored."""
    known = np.stack([view for photo in learned for view in (photo.small, photo.small[:, ::-1])])
    twins = sum(bool((np.abs(known - photo.small).max((1, 2)) < NEAR).any()) for photo in tested
                if photo.small.std() > FLAT)
    if twins:
        yield (f'seem to be training images, saved anew or mirrored, in {twins} of {len(tested)} '
               f'that were opened beside {len(learned)} of training: figures will be too good')
