"""Made-up checkpoints with the names of the published implementation, and their converter."""

import importlib.util
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch

ROOT = Path(__file__).parents[2]
TOOL = ROOT / 'tools/model_converters/reference_to_mtpsl.py'
NAMES = ROOT / 'tests/data/reference_feature_r18.txt'
# DDPM's names of what the schedule keeps.
BUFFERS = ('betas', 'alphas_cumprod', 'alphas_cumprod_prev', 'sqrt_alphas_cumprod',
           'posterior_variance', 'posterior_mean_coef1', 'posterior_mean_coef2')


def load_main() -> Callable[[list[str]], None]:
    """The converter's ``main``."""
    spec = importlib.util.spec_from_file_location('reference_to_mtpsl_tool', TOOL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.main


def expand(pattern: str) -> Iterator[str]:
    """``a{b,c}`` to ``ab`` and ``ac``."""
    head, brace, rest = pattern.partition('{')
    if not brace:
        yield pattern
        return
    options, _, tail = rest.partition('}')
    for option in options.split(','):
        yield from expand(head + option + tail)


def published_shapes() -> dict[str, tuple[int, ...]]:
    """Shapes of the published checkpoint's weights (ResNet-18, PASCAL) by their names."""
    lines = [line.split() for line in NAMES.read_text().splitlines() if line[0] != '#']
    return {name: () if shape == '-' else tuple(map(int, shape.split('x')))
            for pattern, shape in lines for name in expand(pattern)}


def shrunk_shapes() -> dict[str, tuple[int, ...]]:
    """The same with a 32nd of the channels, 16 instead of 512; see ``SHRUNK``."""
    shapes = {name: tuple(n // 32 if n >= 64 else n for n in shape)
              for name, shape in published_shapes().items()}
    # The sinusoid of the step has 256 dimensions whatever the channels are.
    return shapes | {'diffusion_model.denoiser.t_embedder.mlp.0.weight': (16, 256)}


# A config whose model has the shrunk shapes; {base} is the full one.
SHRUNK = """
_base_ = {base!r}
model = dict(backbone=dict(stem_channels=2, base_channels=2, init_cfg=None),
             neck=dict(in_channels=(2, 4, 8, 16), out_channels=16), decoder=dict(channels=16),
             diffusion=dict(channels=16), data_preprocessor=dict(size=(64, 64)))
"""


def generator(name: str) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(zlib.crc32(name.encode())))


def weight(key: str, shape: tuple[int, ...]) -> np.ndarray:
    """Drawn from a generator seeded by its name; fan-in scaled: activations stay near unit size."""
    rng = generator(key)
    if key.endswith('num_batches_tracked'):
        return np.zeros(shape, np.int64)
    if key.endswith('running_var'):
        return (rng.random(shape) * .5 + .75).astype(np.float32)
    if key.endswith('running_mean'):
        return (rng.standard_normal(shape) * .05).astype(np.float32)
    if len(shape) <= 1:
        return (key.endswith('weight') + .05 * rng.standard_normal(shape)).astype(np.float32)
    fan_in = int(np.prod(shape[1:]))
    return (rng.standard_normal(shape) * (1.4 / fan_in) ** .5).astype(np.float32)


def seeded_weights(shapes: dict[str, tuple[int, ...]]) -> dict[str, torch.Tensor]:
    return {key: torch.from_numpy(np.asarray(weight(key, shape))) for key, shape in shapes.items()}


def save_checkpoint(path: Path, weights: dict[str, torch.Tensor], prefix: str = '') -> Path:
    """What the published training script saves, with the schedule's buffers."""
    buffers = {f'diffusion_model.{name}': torch.ones(2, dtype=torch.float64) for name in BUFFERS}
    model = {prefix + key: value for key, value in (buffers | weights).items()}
    torch.save(dict(model=model, epoch=99, best_result=np.float64(1.5),
                    optimizer=dict(state={}, param_groups=[dict(lr=2e-5)])), path)
    return path
