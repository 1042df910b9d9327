"""From samples to a batch, in the form that a GPU copies in one go."""

from collections.abc import Sequence

from mmengine.dataset import pseudo_collate
from torch import Tensor
from torch.utils.data import default_collate

from mtpsl.registry import FUNCTIONS


@FUNCTIONS.register_module()
def stack_alike(batch: Sequence[dict]) -> dict:
    """Lists by key, as mmengine's ``pseudo_collate``, with images of one size stacked.

    A batch then is one copy to the device. In a worker process the images are stacked where the
    training process reads them, with no copy in between.

    Args:
        batch: what the pipeline gives of each of B samples: ``inputs``, a (3, H, W) image or a
            list of V views, and ``data_samples``.

    Returns:
        ``inputs`` (B, 3, H, W), or a list of B images where their sizes differ; of views a list of
        V of these. ``data_samples`` a list of B, or V lists of B.
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
