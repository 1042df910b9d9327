"""One (sample, task) pair diffused and denoised by itself, as Pseudocode 1 of the paper has it.

Of MTDNet only the weights are used: the condition is made anew for each target task, attention
is an explicit softmax, the posterior is written out. Shapes: 1 x C x h x w maps, 1 x L x C tokens.
"""

import math
from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def attention(module: nn.Module, query: Tensor, key_value: Tensor) -> Tensor:
    q, (k, v) = module.q(query), module.kv(key_value).chunk(2, -1)
    heads = []
    width = q.shape[-1] // module.num_heads
    for h in range(module.num_heads):
        part = slice(h * width, (h + 1) * width)
        scores = q[..., part] @ k[..., part].transpose(-1, -2) / math.sqrt(width)
        heads.append(scores.softmax(-1) @ v[..., part])
    return module.proj(torch.cat(heads, -1))


def quarter(maps: Tensor) -> tuple[Tensor, torch.Size]:
    small = F.interpolate(maps, scale_factor=0.25, mode='bilinear', align_corners=False)
    return small.flatten(2).transpose(1, 2), small.shape


def step_vector(module: nn.Module, s: int) -> Tensor:
    values = [math.cos((s - 1) * 10000 ** (-i / 128)) for i in range(128)]
    values += [math.sin((s - 1) * 10000 ** (-i / 128)) for i in range(128)]
    first, _, second = module.mlp
    return second(F.silu(first(first.weight.new_tensor(values))))


def denoise_step(denoiser: nn.Module, task: str, x_s: Tensor, s: int,
                 condition: Tensor | None) -> Tensor:
    """One step: x_s (1, C_t, h, w) and the condition map (1, C, h, w) or None to x_0."""
    embedding = denoiser.embed[task](x_s) + step_vector(denoiser.step_embedding, s)[:, None, None]
    e, shape = quarter(embedding)
    if condition is None:
        c = e
        for block in denoiser.blocks:
            c = c + attention(block.attention, block.norm_attention(c), block.norm_attention(c))
            c = c + block.ffn(block.norm_ffn(c))
    else:
        c, _ = quarter(condition)
        for block in denoiser.blocks:
            e = e + block.ffn_embedding(block.norm_embedding_ffn(e))
            c = c + attention(block.attention, block.norm_query(c), block.norm_embedding(e))
            c = c + block.ffn(block.norm_ffn(c))
    maps = F.interpolate(c.transpose(1, 2).reshape(shape), scale_factor=4, mode='bilinear',
                         align_corners=False)
    x_0 = denoiser.heads[task](embedding + maps)
    return x_s + x_0 if denoiser.residual else x_0


def condition_map(condition: nn.Module | None, initial: Mapping[str, Tensor]) -> Tensor | None:
    """F_cond (1, C, h, w) from one sample's initial predictions of all tasks."""
    if condition is None:
        return None
    sources = {t: p.detach() if condition.detach else p for t, p in initial.items()}
    if hasattr(condition, 'project'):
        sources = {t: condition.project[t](p) for t, p in sources.items()}
    return condition.reduce(torch.cat(list(sources.values()), 1))


def denoise_pair(model: nn.Module, task: str, features: Mapping[str, Tensor],
                 initial: Mapping[str, Tensor], draws: Sequence[Tensor]) -> Tensor:
    """Lines 9 to 25: the final logits (1, C_t, h, w) of one task of one sample.

    Args:
        model: a DiffusionMTL.
        task: the target task.
        features: the sample's F_init of all tasks, (1, C, h, w).
        initial: the sample's P_init of all tasks, (1, C_t, h, w).
        draws: standard normal maps, the first one to decay, one for each step but the last.
    """
    diffusion, schedule = model.diffusion, model.diffusion.schedule
    steps, scale = schedule.num_steps, schedule.noise_scale
    root = [math.sqrt(schedule.beta[1]), math.sqrt(schedule.beta[-1])]
    betas = [(root[0] + k * (root[1] - root[0]) / max(steps - 1, 1)) ** 2 for k in range(steps)]
    abar = [math.prod(1 - beta for beta in betas[:k]) for k in range(steps + 1)]
    condition = condition_map(diffusion.condition, initial)
    source = features if hasattr(diffusion, 'final') else initial
    x = math.sqrt(abar[-1]) * source[task] + scale * math.sqrt(1 - abar[-1]) * draws[0]
    for s in range(steps, 0, -1):
        x_0 = denoise_step(diffusion.denoiser, task, x, s, condition)
        if s > 1 and schedule.sampler == 'direct':
            x = x_0
        elif s > 1:
            beta = betas[s - 1]
            mean = (beta * math.sqrt(abar[s - 1]) / (1 - abar[s]) * x_0
                    + (1 - abar[s - 1]) * math.sqrt(1 - beta) / (1 - abar[s]) * x)
            variance = beta * (1 - abar[s - 1]) / (1 - abar[s])
            x = mean + scale * math.sqrt(variance) * draws[steps - s + 1]
    return diffusion.final[task](x_0) if hasattr(diffusion, 'final') else x_0
