"""The batched diffusion against the paper's pseudocode: plain loops over samples and tasks.

The loops are those of ``tests/plain``, which the speed is compared with too. Nothing of MTDNet's
forward pass is used there, only its weights.
"""

import pytest
import torch
from plain.inference import predict
from plain.training import losses
from tiny import make_samples, tiny_model_config

from mtpsl.registry import MODELS

LABELS = [['semseg', 'normal'], [], ['parsing', 'saliency', 'semseg'], ['boundary']]


CASES = [(diffusion, condition, detach, {}, False)
         for diffusion in ('PredictionDiffusion', 'FeatureDiffusion')
         for condition, detach in (('default', True), ('default', False), (None, True))]
CASES += [('PredictionDiffusion', 'default', True, schedule, False) for schedule in (
    dict(num_steps=3), dict(sampler='direct'), dict(noise_scale=0.5, num_steps=4))]
CASES += [('PredictionDiffusion', 'default', True, dict(num_steps=3), True),
          ('FeatureDiffusion', None, True, dict(sampler='direct'), True)]


@pytest.mark.parametrize('diffusion, condition, detach, schedule, residual', CASES)
def test_batched_pairs_equal_the_loop_with_gradients(diffusion, condition, detach, schedule,
                                                     residual):
    torch.manual_seed(1)
    # In float32 an activation near zero may take the other side of a ReLU, gradient included.
    config = tiny_model_config(diffusion, condition, detach=detach, **schedule)
    config['diffusion']['residual'] = residual
    model = MODELS.build(config)
    if residual:  # past its start, where the correction is zero
        for head in model.diffusion.denoiser.heads.values():
            torch.nn.init.normal_(head[-1].weight, std=0.1)
    model.double()
    images, samples = torch.randn(4, 3, 64, 64).double(), make_samples(LABELS)
    rows = model.labelled(samples)
    initial = {task: torch.zeros(1, 1, 8, 8) for task in model.tasks}
    noise = {task: draws.double() for task, draws in model.training_noise(initial, rows).items()}
    for draws in noise.values():  # of unit variance: scaling belongs to the schedule
        assert draws.numel() == 0 or 0.8 < draws.std() < 1.2
    model.training_noise = lambda *_: noise

    batched = sum(model(images, samples, mode='loss').values())
    batched.backward()
    gradients = {name: p.grad.clone() for name, p in model.named_parameters()}
    model.zero_grad(set_to_none=False)
    looped = sum(losses(model, images, samples, noise).values())
    looped.backward()

    torch.testing.assert_close(batched, looped, rtol=1e-6, atol=0, check_dtype=False)
    scale = max(g.abs().max() for g in gradients.values())
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(gradients[name] / scale, parameter.grad / scale,
                                   rtol=1e-5, atol=1e-6, msg=lambda m, n=name: f'{n}: {m}')


@pytest.mark.parametrize('diffusion, condition', [
    ('PredictionDiffusion', 'default'), ('FeatureDiffusion', 'default'),
    ('PredictionDiffusion', None)])
def test_predictions_of_all_tasks_equal_the_loop(diffusion, condition):
    torch.manual_seed(1)
    model = MODELS.build(tiny_model_config(diffusion, condition))
    model.eval()
    images, samples = torch.randn(2, 3, 64, 64), make_samples(LABELS[:2])
    samples[1].set_metainfo(dict(padding=(3, 1, 0, 5)))
    with torch.no_grad():
        features, initial = model.decoders(model.extract_feat(images))
        noise = model.test_noise(initial, [sample.img_id for sample in samples])
        batched = [sample.pred.clone() for sample in model(images, samples, mode='predict')]
        looped = predict(model, images, samples, noise)
    for ours, plain in zip(batched, looped):
        for task in model.tasks:
            torch.testing.assert_close(getattr(ours, task), getattr(plain.pred, task),
                                       rtol=1e-4, atol=1e-5)
    assert batched[1].semseg.shape == (21, 59, 60)
