"""An inferencer of a tiny model with random weights, and images."""

import copy
import importlib
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from tiny import PASCAL_TASKS, tiny_model_config

from mtpsl.apis import MultiTaskInferencer
from mtpsl.registry import MODELS

TASKS = PASCAL_TASKS | dict(depth=dict(type='Depth'))


@pytest.fixture(scope='session')
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of the tiny model with depth as a sixth task."""
    torch.manual_seed(0)
    model = MODELS.build(tiny_model_config() | dict(tasks=TASKS))
    for name, head in model.diffusion.denoiser.heads.items():  # maps that differ by pixel
        head[-1].weight.data.mul_(10 if name == 'depth' else 300)
        head[-1].bias.data.zero_()
    model.diffusion.denoiser.heads['depth'][-1].bias.data.fill_(5)  # metres
    path = tmp_path_factory.mktemp('weights') / 'tiny.pth'
    torch.save(dict(state_dict=model.state_dict(), meta={}), path)
    return path


@pytest.fixture
def config() -> Config:
    return Config(dict(model=tiny_model_config() | dict(tasks=TASKS)))


@pytest.fixture(scope='session')
def loaded(checkpoint: Path) -> MultiTaskInferencer:
    config = Config(dict(model=tiny_model_config() | dict(tasks=TASKS)))
    return MultiTaskInferencer(config, str(checkpoint), device='cpu')


@pytest.fixture
def infer(loaded: MultiTaskInferencer) -> MultiTaskInferencer:
    """The test's own; to copy one is quicker than to build it."""
    return copy.deepcopy(loaded)


@pytest.fixture(scope='session')
def web_page() -> ModuleType:
    """Loaded where it is used: Gradio takes seconds."""
    return importlib.import_module('mtpsl.apis.web_page')


@pytest.fixture(scope='session')
def gr(web_page: ModuleType) -> ModuleType:
    """Gradio, which the page loads after it has switched reports of its use off."""
    return web_page.gr


@pytest.fixture(scope='session')
def picture() -> np.ndarray:
    """(50, 71, 3) uint8 RGB, smooth."""
    coarse = np.random.default_rng(0).integers(0, 256, (5, 7, 3)).astype(np.uint8)
    return cv2.resize(coarse, (71, 50), interpolation=cv2.INTER_CUBIC)


@pytest.fixture
def folder(picture: np.ndarray, tmp_path: Path) -> Path:
    """Three lossless images of two sizes: 0, 2 and 10."""
    folder = tmp_path / 'images'
    folder.mkdir()
    for name, image in (('0', picture), ('2', picture[:40]), ('10', picture[::-1])):
        cv2.imwrite(str(folder / f'{name}.png'), image[..., ::-1])
    return folder
