"""Feature Diffusion against outputs of the published implementation on seeded weights.

``golden_feature_r18.npz`` holds its final logits (evaluation mode, every noise draw zero) at the
input's resolution, every 16th pixel from the first. Each weight is drawn from a generator seeded
by its name in the reference's checkpoints, so our names are translated back to those.
"""

import re
import zlib
from pathlib import Path

import numpy as np
import torch
from tiny import PASCAL_TASKS

from mtpsl.models.methods.base import resize
from mtpsl.registry import MODELS

GOLDEN = Path(__file__).parents[1] / 'data' / 'golden_feature_r18.npz'
TASK_NAMES = dict(semseg='semseg', parsing='human_parts', saliency='sal', normal='normals',
                  boundary='edge')
# Ours -> theirs, in order.
KEYS = [
    (r'^neck\.conv', 'backbone_embed'),
    (r'^decoders\.decode\.', 'preliminary_dec.'),
    (r'^decoders\.predict\.(\w+)', r'preliminary_head.\1.0'),
    (r'^diffusion\.condition\.reduce', 'diffusion_model.pred_combinator.out_layer'),
    (r'^diffusion\.final\.(\w+)', r'diffusion_model.denoiser.final_task_heads.\1.linear_pred'),
    (r'^diffusion\.denoiser\.embed', 'diffusion_model.denoiser.pre_layer'),
    (r'^diffusion\.denoiser\.heads', 'diffusion_model.denoiser.task_heads'),
    (r'^diffusion\.denoiser\.step_embedding', 'diffusion_model.denoiser.t_embedder'),
    (r'^diffusion\.denoiser\.blocks', 'diffusion_model.denoiser.crossblocks'),
    (r'\.norm_query\.', '.norm1.'), (r'\.norm_ffn\.', '.norm2.'),
    (r'\.norm_embedding\.', '.norm_kv.'), (r'\.norm_embedding_ffn\.', '.norm2_kv.'),
    (r'\.attention\.', '.attn.'),
    (r'\.ffn_embedding\.0', '.mlp_kv.fc1'), (r'\.ffn_embedding\.2', '.mlp_kv.fc2'),
    (r'\.ffn\.0', '.mlp.fc1'), (r'\.ffn\.2', '.mlp.fc2'),
]


def reference_key(key: str) -> str:
    for ours, theirs in KEYS:
        key = re.sub(ours, theirs, key)
    return '.'.join(TASK_NAMES.get(part, part) for part in key.split('.'))


def generator(name: str) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(zlib.crc32(name.encode())))


def weight(key: str, shape: tuple[int, ...]) -> np.ndarray:
    """Fan-in scaled, so that activations stay near unit size."""
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


def test_outputs_of_the_published_implementation():
    model = MODELS.build(dict(
        type='DiffusionMTL', tasks=PASCAL_TASKS, backbone=dict(type='mmseg.ResNet', depth=18),
        neck=dict(type='MultiScaleFusion'), decoder=dict(type='TaskDecoders'),
        diffusion=dict(type='FeatureDiffusion', condition=dict(type='ConcatenatedCondition'))))
    state = {key: torch.from_numpy(np.asarray(weight(reference_key(key), tuple(value.shape))))
             for key, value in model.state_dict().items()}
    model.load_state_dict(state)
    model.eval()
    image = torch.from_numpy(generator('image').standard_normal((2, 3, 128, 128)).astype('f4'))
    with torch.no_grad():
        logits = model(image)
    golden = np.load(GOLDEN)
    assert set(golden) == set(logits)
    for task in golden:
        ours = resize(logits[task], (128, 128))[..., ::16, ::16].numpy()
        assert np.abs(ours - golden[task]).max() <= 1e-4 * golden[task].std(), task


def test_renamed_keys_are_the_reference_s():
    assert reference_key('diffusion.denoiser.blocks.3.ffn_embedding.2.bias') == \
        'diffusion_model.denoiser.crossblocks.3.mlp_kv.fc2.bias'
    assert reference_key('decoders.predict.saliency.weight') == 'preliminary_head.sal.0.weight'
