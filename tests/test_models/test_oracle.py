"""The batched diffusion against the paper's pseudocode: plain loops over samples and tasks.

Nothing of MTDNet's forward pass is used here, only its weights: each (sample, task) pair is
diffused and denoised by itself, attention is an explicit softmax, the posterior is written out,
the balance of the losses is a loop.
"""

import math

import pytest
import torch
import torch.nn.functional as F
from tiny import make_samples, tiny_model_config

from mtpsl.registry import MODELS

LABELS = [['semseg', 'normal'], [], ['parsing', 'saliency', 'semseg'], ['boundary']]


def attention(module, query, key_value):
    q, (k, v) = module.q(query), module.kv(key_value).chunk(2, -1)
    heads = []
    width = q.shape[-1] // module.num_heads
    for h in range(module.num_heads):
        part = slice(h * width, (h + 1) * width)
        scores = q[..., part] @ k[..., part].transpose(-1, -2) / math.sqrt(width)
        heads.append(scores.softmax(-1) @ v[..., part])
    return module.proj(torch.cat(heads, -1))


def quarter(maps):
    small = F.interpolate(maps, scale_factor=0.25, mode='bilinear', align_corners=False)
    return small.flatten(2).transpose(1, 2), small.shape


def step_vector(module, s):
    values = [math.cos((s - 1) * 10000 ** (-i / 128)) for i in range(128)]
    values += [math.sin((s - 1) * 10000 ** (-i / 128)) for i in range(128)]
    first, _, second = module.mlp
    return second(F.silu(first(torch.tensor(values))))


def denoise_pair(denoiser, task, x_s, s, condition):
    """One step for one pair: x_s (1, C_t, h, w) and the condition map (1, C, h, w) or None."""
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
    return denoiser.heads[task](embedding + maps)


def condition_maps(condition, initial):
    """F_cond, (B, C, h, w)."""
    sources = {t: p.detach() if condition.detach else p for t, p in initial.items()}
    if hasattr(condition, 'project'):
        sources = {t: condition.project[t](p) for t, p in sources.items()}
    return condition.reduce(torch.cat(list(sources.values()), 1))


def loop_losses(model, images, samples, noise):
    """Pseudocode 1 and Sec. 3.3 for any number of labels an image."""
    diffusion, steps = model.diffusion, model.diffusion.schedule.num_steps
    root = [math.sqrt(1e-3), math.sqrt(1e-2)]
    betas = [(root[0] + k * (root[1] - root[0]) / (steps - 1)) ** 2 for k in range(steps)]
    abar = [math.prod(1 - beta for beta in betas[:k]) for k in range(steps + 1)]
    scale, direct = diffusion.schedule.noise_scale, diffusion.schedule.sampler == 'direct'
    features, initial = model.decoders(model.extract_feat(images))
    condition = diffusion.condition and condition_maps(diffusion.condition, initial)
    total = 0
    for i, sample in enumerate(samples):
        labelled = [task for task in model.tasks if task in sample.gt]
        for task in labelled:
            row = [j for j, other in enumerate(samples) if task in other.gt].index(i)
            source = features if hasattr(diffusion, 'final') else initial
            draws = noise[task][row]
            x = (math.sqrt(abar[-1]) * source[task][i:i + 1]
                 + scale * math.sqrt(1 - abar[-1]) * draws[0])
            for s in range(steps, 0, -1):
                x_0 = denoise_pair(diffusion.denoiser, task, x, s,
                                   None if condition is None else condition[i:i + 1])
                if s > 1 and direct:
                    x = x_0
                elif s > 1:
                    beta = betas[s - 1]
                    mean = (beta * math.sqrt(abar[s - 1]) / (1 - abar[s]) * x_0
                            + (1 - abar[s - 1]) * math.sqrt(1 - beta) / (1 - abar[s]) * x)
                    variance = beta * (1 - abar[s - 1]) / (1 - abar[s])
                    x = mean + scale * math.sqrt(variance) * draws[steps - s + 1]
            if hasattr(diffusion, 'final'):
                x_0 = diffusion.final[task](x_0)
            label = getattr(sample.gt, task)[None]
            for maps, factor in ((x_0, 1.0), (initial[task][i:i + 1], 0.5)):
                full = F.interpolate(maps, label.shape[-2:], mode='bilinear', align_corners=False)
                loss = model.tasks[task].loss(full, label)[0]
                total = total + (model.tasks[task].loss_weight * factor * loss
                                 * len(model.tasks) / len(labelled) / len(samples))
    return total


CASES = [(diffusion, condition, detach, {})
         for diffusion in ('PredictionDiffusion', 'FeatureDiffusion')
         for condition, detach in (('default', True), ('default', False), (None, True))]
CASES += [('PredictionDiffusion', 'default', True, schedule) for schedule in (
    dict(num_steps=3), dict(sampler='direct'), dict(noise_scale=0.5, num_steps=4))]


@pytest.mark.parametrize('diffusion, condition, detach, schedule', CASES)
def test_batched_pairs_equal_the_loop_with_gradients(diffusion, condition, detach, schedule):
    torch.manual_seed(1)
    model = MODELS.build(tiny_model_config(diffusion, condition, detach=detach, **schedule))
    # Float64 inside would hide nothing and cost little, but the claim is for float32.
    images, samples = torch.randn(4, 3, 64, 64), make_samples(LABELS)
    rows = model.labelled(samples)
    initial = {task: torch.zeros(1, 1, 8, 8) for task in model.tasks}
    noise = model.training_noise(initial, rows)
    for draws in noise.values():  # of unit variance: scaling belongs to the schedule
        assert draws.numel() == 0 or 0.8 < draws.std() < 1.2
    model.training_noise = lambda *_: noise

    batched = sum(model(images, samples, mode='loss').values())
    batched.backward()
    gradients = {name: p.grad.clone() for name, p in model.named_parameters()}
    model.zero_grad(set_to_none=False)
    looped = loop_losses(model, images, samples, noise)
    looped.backward()

    torch.testing.assert_close(batched, looped, rtol=1e-5, atol=1e-5)
    scale = max(g.abs().max() for g in gradients.values())
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(gradients[name] / scale, parameter.grad / scale,
                                   rtol=1e-5, atol=1e-5, msg=lambda m, n=name: f'{n}: {m}')
