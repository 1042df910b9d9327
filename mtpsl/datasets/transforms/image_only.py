"""Colour transforms of other packages."""

from collections.abc import Callable, Sequence

import numpy as np
from mmcv.transforms import BaseTransform, Compose

from mtpsl.registry import TRANSFORMS

GIVEN = ('img', 'img_shape', 'ori_shape', 'img_id', 'img_path')
MOVES = ('nothing', 'image and labels')  # what a user's transform says of itself
MOVE_PIXELS = ('Crop', 'Flip', 'Pad', 'Resize', 'Rotate', 'RandomRotFlip', 'Mosaic', 'Affine',
               'Transpose', 'Shift', 'Warp', 'Distort', 'Elastic', 'Perspective')


@TRANSFORMS.register_module()
class ImageOnly(BaseTransform):
    """Apply transforms that leave every pixel in place: noise, blur, colours of other packages.

    Whether they do is the user's responsibility. They get the image only, and must not change its
    size or type. Random generators of albumentations are seeded by the draw of the image. ::

        dict(type='ImageOnly', transforms=[
            dict(type='mmseg.Albu', transforms=[dict(type='GaussNoise', p=0.5)])])

    Args:
        transforms: configs or callables, at least one.

    Raises:
        ValueError: no transform, or one of mmcv, mmseg or albumentations that moves pixels.
    """

    moves = 'nothing'

    def __init__(self, transforms: Sequence[dict | Callable]) -> None:
        if isinstance(transforms, (str, dict)) or not isinstance(transforms, Sequence) or (
                not transforms):
            raise ValueError('ImageOnly: transforms must be a list of at least one transform, got '
                             f'{transforms!r}')
        self.transforms = Compose(list(transforms)).transforms
        for step in self.transforms:
            _refuse_moving(step)
        held = [part for step in self.transforms
                for part in (step, *getattr(step, '__dict__', {}).values())]
        # Recent versions of albumentations keep generators, earlier ones use the global ones.
        self._seeded = [part for part in held if hasattr(part, 'set_random_seed')]

    def transform(self, results: dict) -> dict:
        """Change only ``img``, (H, W, 3) uint8.

        Raises:
            ValueError: a transform changed the size or type of the image.
        """
        given = {key: results[key] for key in GIVEN if key in results}
        before = given['img']
        for part in self._seeded:
            part.set_random_seed(np.random.randint(1 << 31))
        for step in self.transforms:
            after = step(given)
            if after is None:
                raise ValueError(f'ImageOnly: {package_and_name(step)[1]} returned None')
            given = after
        image = np.asarray(given['img'])
        if image.shape != before.shape or image.dtype != before.dtype:
            raise ValueError(f'ImageOnly: the image was {before.dtype} of shape {before.shape} and '
                             f'became {image.dtype} of shape {image.shape}')
        return results | dict(img=image)

    def __repr__(self) -> str:
        return f'{type(self).__name__}(transforms={self.transforms})'


def package_and_name(step: Callable) -> tuple[str, str]:
    """Return the package and the name of a transform, a function or an object."""
    owner = step if hasattr(step, '__qualname__') else type(step)
    return (owner.__module__ or '').partition('.')[0], owner.__qualname__


def moves_all(step: Callable) -> bool:
    """Return whether a user's transform, or one inside, says that it moves image and labels."""
    says = getattr(step, 'moves', None)
    if says is not None:
        return says == MOVES[1]
    inside = getattr(step, 'transforms', ())
    return any(map(moves_all, inside if isinstance(inside, (list, tuple)) else [inside]))


def moves_pixels(name: str) -> bool:
    """Return whether a transform of mmcv, mmseg or this package moves pixels, by its name."""
    return name != 'PhotoMetricDistortion' and any(word in name for word in MOVE_PIXELS)


def _refuse_moving(step: Callable) -> None:
    """Raise ValueError if a known transform, or one that it contains, moves pixels."""
    package, name = package_and_name(step)
    known = package in ('mmcv', 'mmseg', 'mtpsl') and moves_pixels(name)
    # In albumentations, transforms that must also be applied to masks are DualTransforms.
    dual = any(base.__name__ == 'DualTransform' for base in type(step).__mro__)
    if known or dual:
        raise ValueError(f'ImageOnly: {package}.{name} moves pixels, and the labels would stay')
    inside = [getattr(step, name, ()) for name in ('transforms', 'aug')]
    for part in inside:
        part = getattr(part, 'transforms', part)
        for inner in part if isinstance(part, (list, tuple)) else ():
            if callable(inner):
                _refuse_moving(inner)
