"""Collate samples into a batch that is copied to the GPU in one transfer."""

from collections.abc import Sequence

from mmengine.dataset import pseudo_collate
from torch import Tensor
from torch.utils.data import default_collate

from mtpsl.registry import FUNCTIONS


@FUNCTIONS.register_module()
def stack_alike(batch: Sequence[dict]) -> dict:
    """Collate into lists by key like mmengine's ``pseudo_collate``, stacking equally sized images.

    The batch then needs one copy to the device. A worker process stacks the images directly in
    shared memory, without a further copy.

    Args:
        batch: B results of the pipeline: ``inputs``, a (3, H, W) image or a list of V views, and
            ``data_samples``.

    Returns:
        ``inputs``: (B, 3, H, W), or a list of B images if their sizes differ; for views a list of
        V of these. ``data_samples``: a list of B, or V lists of B.
    """
    data = pseudo_collate(batch)
    if 'inputs' in data:
        data['inputs'] = _stacked(data['inputs'])
    return data


def _stacked(images: list) -> Tensor | list:
    if all(isinstance(image, Tensor) for image in images):
        alike = len({(image.shape, image.dtype) for image in images}) == 1
        return default_collate(images) if alike else list(images)
    return [_stacked(view) for view in images]
