"""Adds predicted maps to their samples."""

from collections.abc import Mapping, Sequence

import torch
from mmengine.structures import PixelData
from torch import Tensor

from mtpsl.structures import MultiTaskSample


def attach(maps: Mapping[str, Mapping[str, Tensor]],
           data_samples: list[MultiTaskSample]) -> list[MultiTaskSample]:
    """Add to each sample its (C, H, W) maps by output and task, without padding.

    Raises:
        ValueError: a map is not finite.
    """
    refuse_not_finite(maps, [str(sample.get('img_id')) for sample in data_samples])
    for field, full in maps.items():
        height, width = next(iter(full.values())).shape[-2:]
        for row, sample in enumerate(data_samples):
            left, right, top, bottom = sample.get('padding', (0, 0, 0, 0))
            window = (row, slice(None), slice(top, height - bottom), slice(left, width - right))
            # A copy, so that a stored sample does not keep the whole batch in memory.
            setattr(sample, field,
                    PixelData(**{name: m[window].clone() for name, m in full.items()}))
    return data_samples


def refuse_not_finite(maps: Mapping[str, Mapping[str, Tensor]], images: Sequence[str]) -> None:
    """Raise ValueError if maps (B, C, H, W) by output and task hold NaN or infinity.

    Args:
        maps: predictions.
        images: names of the B images, for the error message.
    """
    named = [(name, m) for by_task in maps.values() for name, m in by_task.items()]
    if not named or torch.stack([m.sum() for _, m in named]).isfinite().all():
        return
    broken = dict.fromkeys(name for name, m in named if not m.isfinite().all())
    if not broken:  # only the sum overflowed
        return
    rows = sorted({row for _, m in named for row in range(len(m)) if not m[row].isfinite().all()})
    raise ValueError(f'the predictions of {", ".join(broken)} are not finite for '
                     f'{", ".join(images[row] for row in rows)}: is the checkpoint from a failed '
                     'training, or are numbers of the config, such as data_preprocessor.std, '
                     'out of range?')
