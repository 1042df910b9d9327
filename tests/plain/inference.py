"""The predictions of a DiffusionMTL by plain loops over samples and tasks, in float32."""

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from mmengine.structures import PixelData
from torch import Tensor, nn

from .denoising import denoise_pair
from .training import initial_maps, one


def predict(model: nn.Module, images: Tensor, samples: Sequence,
            noise: Mapping[str, Tensor] | None = None) -> Sequence:
    """Pseudocode 1 in its mode 'infer', for every task of every sample: ``sample.pred``.

    Args:
        model: a DiffusionMTL, of which the weights are used.
        images: (B, 3, H, W), normalised and padded.
        samples: get the predictions in their own size.
        noise: the draws by task, (B, D, channels, h, w); None draws them.
    """
    features, initial = initial_maps(model, images)
    height, width = images.shape[-2:]
    for i, sample in enumerate(samples):
        left, right, top, bottom = sample.get('padding', (0, 0, 0, 0))
        maps = {}
        for task in model.tasks:
            if noise is None:
                like = (features if hasattr(model.diffusion, 'final') else initial)[task][i:i + 1]
                draws = [torch.randn_like(like) for _ in range(model.diffusion.schedule.num_steps)]
            else:
                draws = noise[task][i]
            logits = denoise_pair(model, task, one(features, i), one(initial, i), draws)
            full = F.interpolate(logits, (height, width), mode='bilinear', align_corners=False)
            full = model.tasks[task].activate(full)
            maps[task] = full[0, :, top:height - bottom, left:width - right].clone()
        sample.pred = PixelData(**maps)
    return samples
