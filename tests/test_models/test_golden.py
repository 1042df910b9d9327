"""Feature Diffusion against outputs of the published implementation on seeded weights.

``golden_feature_r18.npz`` holds its final logits (evaluation mode, every noise draw zero) at the
input's resolution, every 16th pixel from the first. A checkpoint with its names of the weights,
each drawn from a generator seeded by its name, goes through the converter like a real one.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from test_tools.reference_checkpoint import (
    generator,
    load_main,
    published_shapes,
    save_checkpoint,
    seeded_weights,
)

from mtpsl.engine import load_config
from mtpsl.engine.checkpoints.fits import check_checkpoint
from mtpsl.registry import MODELS

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / 'tests/data/golden_feature_r18.npz'
CONFIG = ROOT / 'configs/diffusionmtl/pascal_onelabel_r18_feature.py'


@pytest.fixture
def folder() -> Iterator[Path]:
    """Unlike ``tmp_path`` gone at once: two checkpoints are a gigabyte."""
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def test_a_converted_checkpoint_gives_the_published_outputs(folder):
    weights = seeded_weights(published_shapes())
    # Without the prefix that the small ones of tests/test_tools/test_reference_to_mtpsl.py have.
    source, converted = save_checkpoint(folder / 'ref.tar', weights, ''), folder / 'ours.pth'
    load_main()([str(source), str(converted)])
    model = MODELS.build(load_config(str(CONFIG)).model)
    check_checkpoint(str(converted), model)
    model.load_state_dict(torch.load(converted, weights_only=True)['state_dict'])
    model.eval()
    image = torch.from_numpy(generator('image').standard_normal((2, 3, 128, 128)).astype('f4'))
    with torch.no_grad():
        logits = model(image)
    golden = np.load(GOLDEN)
    assert set(golden) == set(logits)
    for task in golden:
        full = F.interpolate(logits[task], (128, 128), mode='bilinear', align_corners=False)
        ours = full[..., ::16, ::16].numpy()
        assert np.abs(ours - golden[task]).max() <= 1e-4 * golden[task].std(), task
