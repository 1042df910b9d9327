"""Fixtures that several test files share."""

import numpy as np
import pytest
import torch
from tiny import make_samples, tiny_model_config

from mtpsl.engine.quiet import quieten
from mtpsl.registry import MODELS
from mtpsl.structures import MultiTaskSample

quieten()
torch.set_num_threads(1)


@pytest.fixture(params=['PredictionDiffusion', 'FeatureDiffusion'])
def tiny_model(request: pytest.FixtureRequest) -> torch.nn.Module:
    """Prediction and Feature Diffusion, seeded."""
    torch.manual_seed(0)
    return MODELS.build(tiny_model_config(request.param))


@pytest.fixture
def batch() -> tuple[torch.Tensor, list[MultiTaskSample]]:
    """Three normalised images; none is labelled for all, one for nothing, none for boundary."""
    images = torch.from_numpy(
        np.random.default_rng(0).standard_normal((3, 3, 64, 64)).astype(np.float32))
    return images, make_samples([['semseg', 'normal'], [], ['parsing', 'saliency', 'semseg']])
