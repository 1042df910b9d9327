"""The diffusion algebra against the facts' figures, Bayes' rule and sampling."""

import math

import pytest
import torch

from mtpsl.models.diffusion import NoiseSchedule


def test_two_steps_have_the_published_coefficients():
    schedule = NoiseSchedule(num_steps=2)
    assert schedule.beta[1:] == pytest.approx([0.001, 0.01])
    assert schedule.abar[1:] == pytest.approx([0.999, 0.98901])
    weight_x_0, weight_x_s, variance = schedule.posterior(2)
    assert (weight_x_0, weight_x_s) == pytest.approx((0.90946, 0.09054), abs=5e-6)
    assert variance == pytest.approx(9.0992e-4, rel=1e-4)


@pytest.mark.parametrize('s', [2, 3, 5])
def test_posterior_is_bayes_rule_on_gaussians(s):
    """q(x_{s-1} | x_s, x_0) is prior N(sqrt(abar_{s-1}) x_0, 1 - abar_{s-1}) times likelihood."""
    schedule = NoiseSchedule(num_steps=5)
    x_0, x_s = 0.7, -0.4
    prior_mean, prior_var = math.sqrt(schedule.abar[s - 1]) * x_0, 1 - schedule.abar[s - 1]
    gain = math.sqrt(1 - schedule.beta[s])  # x_s = gain x_{s-1} + sqrt(beta_s) noise
    precision = 1 / prior_var + gain ** 2 / schedule.beta[s]
    mean = (prior_mean / prior_var + gain * x_s / schedule.beta[s]) / precision
    weight_x_0, weight_x_s, variance = schedule.posterior(s)
    assert variance == pytest.approx(1 / precision)
    assert weight_x_0 * x_0 + weight_x_s * x_s == pytest.approx(mean)


def test_decayed_maps_have_the_moments_of_equation_3():
    schedule = NoiseSchedule(num_steps=4, beta_end=0.3)
    noise = torch.randn(200_000, generator=torch.Generator().manual_seed(0))
    x = schedule.diffuse(torch.full_like(noise, 2.0), noise)
    assert x.mean().item() == pytest.approx(2 * math.sqrt(schedule.abar[4]), abs=0.01)
    assert x.var().item() == pytest.approx(1 - schedule.abar[4], rel=0.02)


def test_forward_in_one_go_equals_step_by_step():
    """abar_S is the product of the steps' alphas: S single steps have the same variance."""
    schedule = NoiseSchedule(num_steps=6, beta_end=0.2)
    mean, variance = 1.0, 0.0
    for beta in schedule.beta[1:]:
        mean, variance = math.sqrt(1 - beta) * mean, (1 - beta) * variance + beta
    assert mean == pytest.approx(math.sqrt(schedule.abar[-1]))
    assert variance == pytest.approx(1 - schedule.abar[-1])


def test_samplers_and_number_of_draws():
    x_0, x_s, noise = torch.ones(3), torch.zeros(3), torch.randn(3)
    direct = NoiseSchedule(sampler='direct', num_steps=3)
    assert direct.step(x_0, x_s, 2, noise) is x_0  # the paper's Eq. 5
    assert (direct.num_noise_maps, NoiseSchedule(num_steps=3).num_noise_maps) == (1, 3)
    silent = NoiseSchedule(noise_scale=0.0)
    assert silent.num_noise_maps == 0
    torch.testing.assert_close(silent.step(x_0, x_s, 2, None), torch.full((3,), 0.90946),
                               atol=5e-6, rtol=0)


def test_a_linear_beta_schedule():
    assert NoiseSchedule(num_steps=3, beta_schedule='linear').beta[1:] == pytest.approx(
        [0.001, 0.0055, 0.01])


@pytest.mark.parametrize('argument, value', [
    ('num_steps', 0), ('beta_start', 0.0), ('beta_end', 1.0), ('beta_schedule', 'cosy'),
    ('sampler', 'ddim'), ('noise_scale', -1)])
def test_an_argument_out_of_range_is_named(argument, value):
    with pytest.raises(ValueError, match=f'{argument}.*{value}'):
        NoiseSchedule(**{argument: value})


def test_the_steps_of_a_built_schedule_are_fixed():
    """The coefficients are those of its number of steps; a new one is built with another."""
    schedule = NoiseSchedule(num_steps=2)
    with pytest.raises(AttributeError, match='num_steps'):
        schedule.num_steps = 1
    assert schedule.num_steps == 2
