"""The losses of a DiffusionMTL by plain loops over samples and tasks, in float32."""

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .denoising import denoise_pair


def losses(model: nn.Module, images: Tensor, samples: Sequence,
           noise: Mapping[str, Tensor] | None = None) -> dict[str, Tensor]:
    """Pseudocode 1 and Sec. 3.3 for any number of labels an image.

    Args:
        model: a DiffusionMTL, of which the weights are used.
        images: (B, 3, H, W), normalised.
        samples: what they are labelled for.
        noise: the draws of the labelled rows by task, (N_t, D, channels, h, w); None draws them.

    Returns:
        ``loss_<task>`` and ``loss_<task>_initial`` of the tasks with labels.
    """
    features, initial = initial_maps(model, images)
    total: dict[str, Tensor] = {}
    for i, sample in enumerate(samples):
        labelled = [task for task in model.tasks if task in sample.gt]
        for task in labelled:
            if noise is None:
                like = (features if hasattr(model.diffusion, 'final') else initial)[task][i:i + 1]
                draws = [torch.randn_like(like) for _ in range(model.diffusion.schedule.num_steps)]
            else:
                row = [j for j, other in enumerate(samples) if task in other.gt].index(i)
                draws = noise[task][row]
            final = denoise_pair(model, task, one(features, i), one(initial, i), draws)
            label = getattr(sample.gt, task)[None]
            share = len(model.tasks) / len(labelled) / len(samples)
            for stage, maps, factor in (('', final, 1.0),
                                        ('_initial', initial[task][i:i + 1], 0.5)):
                full = F.interpolate(maps, label.shape[-2:], mode='bilinear', align_corners=False)
                loss = model.tasks[task].loss(full, label)[0]
                name = f'loss_{task}{stage}'
                weight = model.tasks[task].loss_weight * factor * share
                total[name] = total.get(name, 0) + weight * loss
    return total


def one(maps: Mapping[str, Tensor], i: int) -> dict[str, Tensor]:
    """The maps of one sample, with a batch dimension."""
    return {task: m[i:i + 1] for task, m in maps.items()}


def initial_maps(model: nn.Module, images: Tensor) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Lines 4 to 8: F_init and P_init of all tasks, (B, C, h, w) and (B, C_t, h, w)."""
    stages, neck, decoders = model.backbone(images), model.neck, model.decoders
    size = [max(int(side * neck.scale), 1) for side in stages[0].shape[-2:]]
    feature = neck.conv(torch.cat([
        F.interpolate(stage, size, mode='bilinear', align_corners=False) for stage in stages], 1))
    features = {task: decoders.decode[task](feature) for task in model.tasks}
    return features, {task: decoders.predict[task](f) for task, f in features.items()}
