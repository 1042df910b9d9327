"""Copy CPU lists to the device without blocking; resize maps."""

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor


def labelled_index(rows: Mapping[str, Sequence[int]], device: torch.device) -> dict[str, Tensor]:
    """Copy the batch rows of each task to the device, as (N_t,) indices."""
    return to_device(rows, torch.long, device)


def to_device(values: Mapping[str, Sequence], dtype: torch.dtype,
              device: torch.device) -> dict[str, Tensor]:
    """Convert lists by name to tensors by name, in one copy to the device."""
    flat = upload([value for part in values.values() for value in part], dtype, device)
    return dict(zip(values, flat.split([len(part) for part in values.values()])))


def upload(values: Sequence, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Copy numbers, or rows of numbers, to the device without blocking the CPU."""
    return moved(torch.tensor(values, dtype=dtype), device)


def moved(tensor: Tensor, device: torch.device) -> Tensor:
    """Copy a CPU tensor to the device without blocking the CPU."""
    if device.type == 'cuda':
        tensor = tensor.pin_memory()
    return tensor.to(device, non_blocking=True)


def resize(maps: Tensor, size: Sequence[int]) -> Tensor:
    """Resize (N, C, h, w) to (N, C, H, W), bilinear, with ``align_corners=False``."""
    return F.interpolate(maps, tuple(size), mode='bilinear', align_corners=False)
