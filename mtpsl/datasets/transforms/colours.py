"""What transforms of colours do to an image, found out by trying them on one."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import cv2
import numpy as np
import torch

from mtpsl.datasets.sampler import SeededIndex, seeded

from .image_only import package_and_name
from .loading import LoadImageFromFile
from .probe import copied

DRAWS = 32  # after as many equal results a transform does not act by chance
SAME = 2.0  # greys: two ways to round


class Look(NamedTuple):
    """What a pipeline makes of the colours of every image.

    Attributes:
        names: the transforms that do it, with what the loader does; none leaves them.
        image: (H, W, 3), what became of the image that is always the same.
        white: what the loader takes for white in images of more than 8 bits; 0 by their type.
    """

    names: tuple[str, ...]
    image: np.ndarray
    white: float

    def like(self, other: 'Look') -> bool:
        """Whether the other does the same, by whichever transforms."""
        return self.white == other.white and bool(
            np.allclose(self.image, other.image, rtol=0, atol=SAME))


def look_of(loader: LoadImageFromFile | None, steps: Sequence[Callable]) -> Look:
    """What a loader and transforms that leave pixels in place do to each image alike.

    What happens by chance, moves pixels or fails without a file counts as nothing.
    """
    image, names = _picture(), []
    if loader is not None and loader.grey:
        image = loader.in_colours(image)
        names.append(f'color_type={loader.color_type!r}')
    white = 0 if loader is None else loader.white or 0
    names += [f'white={white:g}'] if white else []
    for step in steps:
        after = _always(step, image)
        if after is not None and not np.array_equal(after, image):
            image = after
            names.append(package_and_name(step)[1])
    return Look(tuple(names), image, white)


def refuse_other_shape(step: Callable) -> None:
    """Raise ValueError where a transform of colours gives an image of another shape."""
    image = _picture()
    try:
        after = _once(copied(step, surely=True), image, 0)
    except Exception:  # a reader of files, or of labels: it tells nothing here
        return
    if after.shape != image.shape:
        package, name = package_and_name(step)
        advice = ('; write keep_channels=True' if hasattr(step, 'keep_channels') else
                  '; write out_channels=3' if hasattr(step, 'out_channels') else '')
        raise ValueError(f'the transform {package}.{name} makes {after.shape} of an image of '
                         f'{image.shape}, and the model takes (H, W, 3){advice}')


def _picture() -> np.ndarray:
    """(H, W, 3) uint8 of many colours, smooth as photos are."""
    noise = np.random.default_rng(0).integers(0, 256, (4, 6, 3), np.uint8)
    return cv2.resize(noise, (48, 32), interpolation=cv2.INTER_CUBIC)


def _once(step: Callable, image: np.ndarray, draw: int) -> np.ndarray:
    shape = image.shape[:2]
    with seeded(SeededIndex(0, 0, draw)), torch.random.fork_rng(devices=[]):
        torch.manual_seed(draw)
        return np.asarray(step(dict(img=image.copy(), img_shape=shape, ori_shape=shape,
                                    img_id='probe', img_path='probe'))['img'])


def _always(step: Callable, image: np.ndarray) -> np.ndarray | None:
    """What a transform makes of an image whatever is drawn; None where that varies or fails."""
    step = copied(step)  # once: some have a random state of their own
    try:
        first = _once(step, image, 0)
        same = first.shape == image.shape and all(
            np.array_equal(_once(step, image, draw), first) for draw in range(1, DRAWS))
    except Exception:  # it needs more than an image
        return None
    return first if same else None
