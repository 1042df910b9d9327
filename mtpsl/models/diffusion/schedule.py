"""Noise schedule and sampling: the equations of DDPM, without a network.

| here        | paper / DDPM          |
|-------------|-----------------------|
| ``s``       | step, S..1            |
| ``x_s``     | X_s^t, noisy map    |
| ``x_0``     | the denoiser's output |
| ``beta_s``  | beta_s                |
| ``abar_s``  | alpha-bar_s           |
"""

import math

import torch
from torch import Tensor

from mtpsl.registry import MODELS

BETA_SCHEDULES = {
    # Linear between the square roots, then squared; the reference's choice.
    'scaled_linear': lambda start, end, steps: torch.linspace(
        math.sqrt(start), math.sqrt(end), steps, dtype=torch.float64).square(),
    'linear': lambda start, end, steps: torch.linspace(start, end, steps, dtype=torch.float64),
}
SAMPLERS = ('ddpm', 'direct')


@MODELS.register_module()
class NoiseSchedule:
    """Forward process (Eq. 3) and one reverse step, for a network that predicts X_0.

    Args:
        num_steps: S, diffusion and denoising steps.
        beta_start: beta_1.
        beta_end: beta_S.
        beta_schedule: spacing between them, 'scaled_linear' or 'linear'.
        sampler: 'ddpm' draws X_{s-1} from the DDPM posterior given the predicted X_0 (the
            published results); 'direct' uses the output as X_{s-1} (the paper's Eq. 5).
        noise_scale: factor on every standard deviation; 0 is the paper's "w/o Diffusion": the
            same network and steps without noise.

    Raises:
        ValueError: an argument is out of range.

    Example:
        >>> schedule = NoiseSchedule(num_steps=2)
        >>> [round(abar, 5) for abar in schedule.abar]
        [1.0, 0.999, 0.98901]
        >>> schedule.num_noise_maps
        2
        >>> x_init, noise = torch.ones(1, 1, 4, 4), torch.randn(2, 1, 1, 4, 4)
        >>> x_2 = schedule.diffuse(x_init, noise[0])  # 0.9945 x_init + 0.1048 noise
        >>> x_0 = x_init  # the network's prediction from x_2
        >>> x_1 = schedule.step(x_0, x_2, 2, noise[1])
        >>> [round(weight, 5) for weight in schedule.posterior(2)[:2]]
        [0.90946, 0.09054]
    """

    def __init__(self, num_steps: int = 2, beta_start: float = 1e-3, beta_end: float = 1e-2,
                 beta_schedule: str = 'scaled_linear', sampler: str = 'ddpm',
                 noise_scale: float = 1.0) -> None:
        if num_steps < 1:
            raise ValueError(f'num_steps must be >= 1, got {num_steps}')
        if not 0 < beta_start <= beta_end < 1:
            raise ValueError('beta_start and beta_end must be in order in (0, 1), got '
                             f'{beta_start} and {beta_end}')
        if beta_schedule not in BETA_SCHEDULES:
            raise ValueError(f'beta_schedule must be one of {sorted(BETA_SCHEDULES)}, got '
                             f'{beta_schedule!r}')
        if sampler not in SAMPLERS:
            raise ValueError(f'sampler must be one of {SAMPLERS}, got {sampler!r}')
        if noise_scale < 0:
            raise ValueError(f'noise_scale must be >= 0, got {noise_scale}')
        self.sampler = sampler
        self.noise_scale = noise_scale
        beta = BETA_SCHEDULES[beta_schedule](beta_start, beta_end, num_steps)
        self.beta = [0.0, *beta.tolist()]  # indexed by s; abar_0 = 1
        self.abar = [1.0, *(1 - beta).cumprod(0).tolist()]

    @property
    def num_steps(self) -> int:
        """Return S, which is fixed: the weights of the steps follow from it."""
        return len(self.beta) - 1

    @property
    def num_noise_maps(self) -> int:
        """Return the noise maps of one run: one to diffuse, one per ddpm step but the last."""
        if self.noise_scale == 0:
            return 0
        return self.num_steps if self.sampler == 'ddpm' else 1

    def diffuse(self, x_init: Tensor, noise: Tensor | None) -> Tensor:
        """Sample X_S ~ q(X_S | X_init) (Eq. 3) from standard normal ``noise``; None adds none."""
        abar = self.abar[-1]
        x_s = math.sqrt(abar) * x_init
        if noise is None:
            return x_s
        return x_s + self.noise_scale * math.sqrt(1 - abar) * noise

    def posterior(self, s: int) -> tuple[float, float, float]:
        """Return the weights of x_0 and x_s in the mean of q(X_{s-1} | X_s, X_0), and its variance.

        Ho et al. 2020 (DDPM), Eqs. 6 and 7.
        """
        beta, abar, abar_previous = self.beta[s], self.abar[s], self.abar[s - 1]
        weight_x_0 = beta * math.sqrt(abar_previous) / (1 - abar)
        weight_x_s = (1 - abar_previous) * math.sqrt(1 - beta) / (1 - abar)
        return weight_x_0, weight_x_s, beta * (1 - abar_previous) / (1 - abar)

    def step(self, x_0: Tensor, x_s: Tensor, s: int, noise: Tensor | None) -> Tensor:
        """Compute X_{s-1} from the predicted ``x_0`` and from ``x_s``, for s > 1."""
        if self.sampler == 'direct':
            return x_0
        weight_x_0, weight_x_s, variance = self.posterior(s)
        mean = weight_x_0 * x_0 + weight_x_s * x_s
        return mean if noise is None else mean + self.noise_scale * math.sqrt(variance) * noise
