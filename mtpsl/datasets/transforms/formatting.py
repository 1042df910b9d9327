"""Pack a sample as tensors, the last step of every pipeline."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from mmcv.transforms import BaseTransform
from mmengine.structures import PixelData

from mtpsl.registry import TRANSFORMS
from mtpsl.structures import MultiTaskSample

from .geometric import forget_withheld


@TRANSFORMS.register_module()
class PackMultiTaskInputs(BaseTransform):
    """Pack image and labels for the model; set unknown pixels to the task's ``ignore_value``.

    The model's data preprocessor normalises and pads.

    Args:
        meta_keys: entries of the results to keep as meta information of the sample.
    """

    def __init__(self, meta_keys: Sequence[str] = ('img_id', 'img_path', 'ori_shape',
                                                   'img_shape')) -> None:
        if isinstance(meta_keys, str) or not all(isinstance(key, str) for key in meta_keys):
            raise ValueError('PackMultiTaskInputs: meta_keys must be a sequence of names such as '
                             f"('img_id',), got {meta_keys!r}")
        self.meta_keys = tuple(meta_keys)

    def transform(self, results: dict) -> dict:
        """Pack one sample.

        Args:
            results: ``img`` (H, W, 3) uint8 BGR, ``tasks``, ``gt`` (task name -> (H, W) or
                (H, W, 3) map; absent for an image without labels), the meta keys, and ``skipped``
                if the dataset skipped images before this one.

        Returns:
            ``inputs``: (3, H, W) uint8 BGR tensor; ``data_samples``: :class:`MultiTaskSample`
            whose ``gt`` holds the labelled tasks only, as (1, H, W) or (3, H, W).

        Raises:
            KeyError: the results lack a meta key.
            ValueError: image and label differ in size, or the image does not have three channels
                with values from 0 to 255.
        """
        absent = [key for key in self.meta_keys if key not in results]
        if absent:
            raise KeyError(f'PackMultiTaskInputs: meta_keys {", ".join(absent)} are not among the '
                           f'results, which have {", ".join(results)}')
        forget_withheld(results)
        unlike = unlike_sizes(results['img'], results.get('gt', {}))
        if unlike:
            raise ValueError(f'PackMultiTaskInputs: got {unlike}; a transform before it changed '
                             'one without the other')
        _check_image(results['img'])
        sample = MultiTaskSample(metainfo={key: results[key] for key in self.meta_keys})
        if results.get('skipped'):
            sample.set_metainfo(dict(skipped=results['skipped']))
        sample.gt = PixelData(**{
            name: _to_tensor(results['tasks'][name].mark_ignored(label))
            for name, label in results.get('gt', {}).items()})
        image = results['img']  # mmseg.RGB2Gray returns double precision; the model needs single
        image = image.astype(np.float32) if image.dtype.kind == 'f' else image
        return dict(inputs=_to_tensor(image), data_samples=sample)

    def __repr__(self) -> str:
        return f'{type(self).__name__}(meta_keys={self.meta_keys})'


def _check_image(image: np.ndarray) -> None:
    """Raise ValueError if an image is not (H, W, 3) with values from 0 to 255."""
    if image.ndim != 3 or image.shape[2] != 3:
        raise ValueError(f'PackMultiTaskInputs: an image must be (H, W, 3), got {image.shape}')
    if image.dtype == np.uint8:
        return
    low, high = np.nanmin(image), np.nanmax(image)
    if not np.issubdtype(image.dtype, np.floating) or low < 0 or high <= 1 or high > 255:
        raise ValueError(
            'PackMultiTaskInputs: an image must have values from 0 to 255, got '
            f'{image.dtype} from {low:.4g} to {high:.4g}; the model itself normalises, by mean '
            'and std of data_preprocessor')


def unlike_sizes(image: np.ndarray, maps: Mapping[str, np.ndarray]) -> str:
    """Describe an image and a label of different (H, W); '' if all sizes are equal."""
    height, width = image.shape[:2]
    for name, label in maps.items():
        if label.shape[:2] != (height, width):
            return (f'an image of {height} x {width} with a {name} label of '
                    f'{" x ".join(map(str, label.shape[:2]))}')
    return ''


def _to_tensor(pixels: np.ndarray) -> torch.Tensor:
    """Copy a (H, W) or (H, W, C) array to a contiguous (1, H, W) or (C, H, W) tensor."""
    return torch.from_numpy(np.array(np.atleast_3d(pixels).transpose(2, 0, 1), order='C'))
