"""The residual denoising step: its equation, where it starts, and that it learns."""

import math

import pytest
import torch
from tiny import PASCAL_TASKS, make_samples, tiny_model_config

from mtpsl.models.diffusion import Denoiser
from mtpsl.registry import MODELS

KINDS = ('PredictionDiffusion', 'FeatureDiffusion')


def build(kind: str = 'PredictionDiffusion', condition: str | None = 'default', **schedule):
    config = tiny_model_config(kind, condition, **schedule)
    config['diffusion']['residual'] = True
    return MODELS.build(config)


def scramble(module: torch.nn.Module) -> None:
    """Weights that are not zero, as after some training."""
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter, std=0.05)


def test_a_residual_step_adds_x_s_to_what_a_published_one_predicts():
    torch.manual_seed(0)
    channels = dict(semseg=5, normal=3)
    sizes = dict(channels=8, num_blocks=2, num_heads=2, ffn_ratio=2, head_convs=2,
                 conditioned=True)
    residual = Denoiser(channels, channels, **sizes, residual=True)
    scramble(residual)
    published = Denoiser(channels, channels, **sizes)
    published.load_state_dict(residual.state_dict())
    noisy = {name: torch.randn(2, c, 16, 16) for name, c in channels.items()}
    condition = torch.randn(4, 16, 8)
    correction = published(noisy, 2, condition)
    for name, x_0 in residual(noisy, 2, condition).items():
        torch.testing.assert_close(x_0, noisy[name] + correction[name])


def test_a_residual_step_returns_what_it_takes():
    with pytest.raises(ValueError, match=r"out_channels must be \{'semseg': 5\}, got None"):
        Denoiser(dict(semseg=5), None, 8, 1, 2, 2, 1, False, residual=True)


def chain(x: float, steps: int, sampler: str) -> float:
    """X_0 of a network that returns what it gets, from x, without noise; DDPM's Eq. 7."""
    roots = [math.sqrt(1e-3) + (math.sqrt(1e-2) - math.sqrt(1e-3)) * k / max(steps - 1, 1)
             for k in range(steps)]
    beta = [root ** 2 for root in roots]
    abar = [math.prod(1 - b for b in beta[:k]) for k in range(steps + 1)]
    x *= math.sqrt(abar[-1])
    if sampler == 'ddpm':
        for s in range(steps, 1, -1):
            x *= (math.sqrt(abar[s - 1]) * beta[s - 1]
                  + math.sqrt(1 - beta[s - 1]) * (1 - abar[s - 1])) / (1 - abar[s])
    return x


@pytest.mark.parametrize('kind', KINDS)
@pytest.mark.parametrize('condition', ['default', None])
@pytest.mark.parametrize('sampler', ['ddpm', 'direct'])
def test_final_predictions_start_as_the_initial_ones(kind, condition, sampler):
    """Without noise exactly, but for the forward process, which shrinks X_init a little."""
    for steps in range(1, 6):
        torch.manual_seed(steps)
        model = build(kind, condition, num_steps=steps, sampler=sampler, noise_scale=0.0)
        model.init_weights()
        model.eval()
        with torch.no_grad():
            stages = model.logits(torch.randn(2, 3, 64, 64), make_samples([[], []]))
        factor = chain(1.0, steps, sampler)
        assert 0.9 < factor < 1
        for task in PASCAL_TASKS:
            expected = stages['initial'][task] * factor
            if kind == 'FeatureDiffusion':  # the features shrink, the bias of f_pred^t does not
                bias = model.decoders.predict[task].bias.detach()
                expected += (1 - factor) * bias[:, None, None]
            torch.testing.assert_close(stages['pred'][task], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('kind', KINDS)
def test_noise_is_all_that_a_new_model_adds(kind):
    """A step of an untrained network hands on X_s with its noise; nothing else comes in."""
    torch.manual_seed(0)
    model = build(kind, num_steps=1)
    model.eval()
    with torch.no_grad():
        stages = model.logits(torch.randn(2, 3, 64, 64), make_samples([[], []]))
    for task in PASCAL_TASKS:
        torch.testing.assert_close(stages['pred'][task], stages['noisy'][task])
        noise = stages['pred'][task] - stages['initial'][task]
        assert noise.std() > 0.01


@pytest.mark.parametrize('kind', KINDS)
def test_every_weight_of_the_network_learns_from_the_second_step_on(kind):
    torch.manual_seed(0)
    model = build(kind)
    images, samples = torch.randn(2, 3, 64, 64), make_samples([list(PASCAL_TASKS)] * 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-2)
    last = len(model.diffusion.denoiser.heads.semseg) - 1
    for step in range(2):
        optimizer.zero_grad()
        sum(model(images, samples, mode='loss').values()).backward()
        moving = [name for name, p in model.diffusion.denoiser.named_parameters() if p.grad.any()]
        if step == 0:  # the gradient of all others goes through the last layers' zeros
            assert {name.split('.')[2] for name in moving} == {str(last)}
        torch.nn.utils.clip_grad_norm_(model.parameters(), 10)
        optimizer.step()
    assert len(moving) == len(list(model.diffusion.denoiser.parameters()))


def test_features_are_projected_as_f_pred_at_the_start_and_apart_from_then_on():
    model = build('FeatureDiffusion')
    for task, final in model.diffusion.final.items():
        predict = model.decoders.predict[task]
        assert torch.equal(final.weight, predict.weight) and torch.equal(final.bias, predict.bias)
        assert final.weight.data_ptr() != predict.weight.data_ptr()
    published = MODELS.build(tiny_model_config('FeatureDiffusion'))
    assert not torch.equal(published.diffusion.final.semseg.weight,
                           published.decoders.predict.semseg.weight)


def test_embeddings_and_heads_start_by_kaimings_rule():
    """std = sqrt(2 / fan_in), the gain of ReLU; biases and the last layer zero."""
    torch.manual_seed(0)
    denoiser = Denoiser(dict(a=64), dict(a=64), 64, 1, 4, 2, 2, True, residual=True)
    convolutions = [denoiser.embed['a'], *(m for m in denoiser.heads['a']
                                           if isinstance(m, torch.nn.Conv2d))]
    for layer in convolutions[:-1]:
        fan_in = layer.weight[0].numel()
        assert layer.weight.std().item() == pytest.approx((2 / fan_in) ** 0.5, rel=0.05)
    assert not convolutions[-1].weight.any()
    assert not any(layer.bias.any() for layer in convolutions)
