"""Host lists to device tensors, without blocking; maps at other resolutions, and finite ones."""

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor


def labelled_index(rows: Mapping[str, Sequence[int]], device: torch.device) -> dict[str, Tensor]:
    """Rows of the batch by task as (N_t,) indices on the device."""
    return to_device(rows, torch.long, device)


def to_device(values: Mapping[str, Sequence], dtype: torch.dtype,
              device: torch.device) -> dict[str, Tensor]:
    """Lists by name to tensors by name, in one copy."""
    flat = upload([value for part in values.values() for value in part], dtype, device)
    return dict(zip(values, flat.split([len(part) for part in values.values()])))


def upload(values: Sequence, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Numbers, or rows of them, as a tensor of the device; the host does not wait for it."""
    return moved(torch.tensor(values, dtype=dtype), device)


def moved(tensor: Tensor, device: torch.device) -> Tensor:
    """A tensor of the host on the device; the host does not wait for it."""
    if device.type == 'cuda':
        tensor = tensor.pin_memory()
    return tensor.to(device, non_blocking=True)


def resize(maps: Tensor, size: Sequence[int]) -> Tensor:
    """(N, C, h, w) to (N, C, H, W), bilinear, corners not aligned."""
    return F.interpolate(maps, tuple(size), mode='bilinear', align_corners=False)


def refuse_not_finite(maps: Mapping[str, Mapping[str, Tensor]], images: Sequence[str]) -> None:
    """Raise ValueError where maps (B, C, H, W) by stage and task hold NaN or infinity.

    Args:
        maps: predictions.
        images: names of the B images, for the message.
    """
    named = [(name, m) for by_task in maps.values() for name, m in by_task.items()]
    if not named or torch.stack([m.sum() for _, m in named]).isfinite().all():
        return
    broken = dict.fromkeys(name for name, m in named if not m.isfinite().all())
    if not broken:  # their sum was too large
        return
    rows = sorted({row for _, m in named for row in range(len(m)) if not m[row].isfinite().all()})
    raise ValueError(f'the predictions of {", ".join(broken)} are not finite for '
                     f'{", ".join(images[row] for row in rows)}: is the checkpoint of a training '
                     'that failed, or are numbers of the config, such as '
                     'data_preprocessor.std, out of range?')
