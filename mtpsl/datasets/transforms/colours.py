"""Find out how colour transforms change an image, by running them on one."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import cv2
import numpy as np

from mtpsl.datasets.sampler import SeededIndex, seeded

from .image_only import package_and_name
from .loading import LoadImageFromFile
from .probes.probe import copied

DRAWS = 32  # a transform with so many equal results is deterministic
FLAT, CUT = 3.0, 0.8  # deviation of an image of one grey; share of values at 0 and 255
SAME = 2.0  # grey levels by which rounding may differ


class Look(NamedTuple):
    """Deterministic colour changes of a pipeline.

    Attributes:
        names: the transforms and loader options that change colours; empty if none does.
        image: (H, W, 3), result of the pipeline for a fixed test image.
        white: ``white`` of the loader, for images of more than 8 bits; 0 if not set.
    """

    names: tuple[str, ...]
    image: np.ndarray
    white: float

    def like(self, other: 'Look') -> bool:
        """Return whether another pipeline changes colours equally, by whichever transforms."""
        return self.white == other.white and bool(
            np.allclose(self.image, other.image, rtol=0, atol=SAME))


def look_of(loader: LoadImageFromFile | None, steps: Sequence[Callable]) -> Look:
    """Run a loader's and transforms' deterministic colour changes on a test image.

    Transforms that are random, move pixels or fail without a file are ignored.
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
    """Raise ValueError if a colour transform changes the shape of an image."""
    image = _picture()
    try:
        after = _once(copied(step, surely=True), image, 0)
    except Exception:  # it reads files or labels and cannot be tested here
        return
    if after.shape != image.shape:
        package, name = package_and_name(step)
        advice = ('; write keep_channels=True' if hasattr(step, 'keep_channels') else
                  '; write out_channels=3' if hasattr(step, 'out_channels') else '')
        raise ValueError(f'the transform {package}.{name} makes {after.shape} of an image of '
                         f'{image.shape}, and the model takes (H, W, 3){advice}')


def blanked(step: Callable) -> float:
    """Return the share of draws in which a colour transform leaves next to nothing of an image.

    It is of one grey then, or nearly all black or white. 0 where the transform fails.
    """
    step, image, blank = copied(step), _picture(), 0
    for draw in range(DRAWS):
        try:
            after = _once(step, image, draw)
        except Exception:  # it needs more than an image
            return 0.0
        blank += after.std() < FLAT or np.isin(after, (0, 255)).mean() > CUT
    return blank / DRAWS


def _picture() -> np.ndarray:
    """Return a smooth test image with many colours, (H, W, 3) uint8."""
    noise = np.random.default_rng(0).integers(0, 256, (4, 6, 3), np.uint8)
    return cv2.resize(noise, (48, 32), interpolation=cv2.INTER_CUBIC)


def _once(step: Callable, image: np.ndarray, draw: int) -> np.ndarray:
    shape = image.shape[:2]
    with seeded(SeededIndex(0, 0, draw)):
        return np.asarray(step(dict(img=image.copy(), img_shape=shape, ori_shape=shape,
                                    img_id='probe', img_path='probe'))['img'])


def _always(step: Callable, image: np.ndarray) -> np.ndarray | None:
    """Return a transform's result if it is the same for all random states, else None."""
    step = copied(step)  # only once: some have a random state of their own
    try:
        first = _once(step, image, 0)
        same = first.shape == image.shape and all(
            np.array_equal(_once(step, image, draw), first) for draw in range(1, DRAWS))
    except Exception:  # it needs more than an image
        return None
    return first if same else None
