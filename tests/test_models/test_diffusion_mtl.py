"""DiffusionMTL's three modes, gradients of unlabelled tasks, reproducible noise."""

import pytest
import torch
from tiny import PASCAL_TASKS, make_samples, tiny_model_config

from mtpsl.models.diffusion.noise import NoiseSource
from mtpsl.registry import MODELS


def test_loss_names_only_what_is_optimised(tiny_model, batch):
    losses = tiny_model(*batch, mode='loss')
    labelled = {'semseg', 'normal', 'parsing', 'saliency'}
    assert set(losses) == {f'loss_{task}{stage}' for task in labelled
                           for stage in ('', '_initial')} | {'loss_zero'}
    assert all(torch.isfinite(value) for value in losses.values())
    assert losses['loss_zero'] == 0  # boundary: no sample of the batch is labelled for it


def test_every_parameter_gets_a_gradient_whatever_is_labelled(tiny_model):
    images = torch.randn(2, 3, 64, 64)
    for labels in ([['semseg'], ['semseg']], [[], []], [[], ['normal']]):
        samples = make_samples(labels)
        tiny_model.zero_grad()
        sum(tiny_model(images, samples, mode='loss').values()).backward()
        without = [n for n, p in tiny_model.named_parameters() if p.grad is None]
        assert not without
        # A task without labels has zero gradients; its map still serves the others' condition.
        moved = [n for n, p in tiny_model.named_parameters()
                 if 'boundary' in n.split('.') and 'condition' not in n and p.grad.any()]
        assert not moved


def test_detached_condition_keeps_other_tasks_decoders_untouched():
    """The paper's text trains unlabelled tasks through the condition; as released it does not."""
    images, samples = torch.randn(2, 3, 64, 64), make_samples([['semseg'], ['semseg']])
    for detach in (True, False):
        torch.manual_seed(0)
        model = MODELS.build(tiny_model_config(detach=detach))
        sum(model(images, samples, mode='loss').values()).backward()
        reached = any(p.grad.any() for p in model.decoders.decode['normal'].parameters())
        assert reached is not detach


def test_predictions_do_not_depend_on_the_batch(tiny_model):
    tiny_model.eval()
    images, samples = torch.randn(3, 3, 64, 64), make_samples([[], [], []])
    with torch.no_grad():
        together = tiny_model(images, samples, mode='predict')
        again = tiny_model(images, make_samples([[], [], []]), mode='predict')
        alone = tiny_model(images[2:], make_samples([[], [], []])[2:], mode='predict')
    for task in PASCAL_TASKS:
        full = getattr(together[2].pred, task)
        assert torch.equal(full, getattr(again[2].pred, task))
        torch.testing.assert_close(full, getattr(alone[0].pred, task), rtol=1e-4, atol=1e-5)


def test_another_test_seed_or_image_draws_other_noise(tiny_model):
    initial = {task: torch.zeros(2, 1, 8, 8) for task in PASCAL_TASKS}
    first = tiny_model.test_noise(initial, ['a', 'b'])
    assert not torch.equal(first['normal'][0], first['normal'][1])
    assert torch.equal(first['normal'][1], tiny_model.test_noise(initial, ['b', 'a'])['normal'][0])
    tiny_model.noise.seed = 1
    assert not torch.equal(first['normal'], tiny_model.test_noise(initial, ['a', 'b'])['normal'])
    assert first['semseg'].shape[1] == 2  # S = 2: one to decay, one before the last step
    assert first['semseg'].std().item() == pytest.approx(1, abs=0.05)


def test_noise_of_the_cpu_goes_to_whichever_device(monkeypatch):
    source = NoiseSource(2, dict(a=3, b=1), seed=5, on_cpu=True)
    copied = []
    monkeypatch.setattr('mtpsl.models.diffusion.noise.moved',
                        lambda tensor, device: copied.append(tensor) or tensor.to(device))
    there = source.for_images(['x', 'y'], (2, 4), torch.device('meta'), sample=1)
    assert {m.device.type for m in there.values()} == {'meta'} and there['a'].shape[2] == 3
    here = NoiseSource(2, dict(a=3, b=1), seed=5).for_images(['x', 'y'], (2, 4),
                                                             torch.device('cpu'), sample=1)
    assert torch.equal(copied[0], torch.cat(list(here.values()), 2))
    assert MODELS.build(tiny_model_config() | dict(test_noise_on_cpu=True)).noise.on_cpu


def test_the_noise_of_a_task_does_not_depend_on_the_order_of_the_tasks():
    """A run dumps its config with sorted keys."""
    config = tiny_model_config() | dict(tasks=dict(sorted(PASCAL_TASKS.items())))
    initial = {task: torch.zeros(1, 1, 8, 8) for task in PASCAL_TASKS}
    first, second = (MODELS.build(other).test_noise(initial, ['a'])
                     for other in (tiny_model_config(), config))
    assert all(torch.equal(first[task], second[task]) for task in PASCAL_TASKS)


def test_predict_returns_public_predictions_without_padding(tiny_model):
    data = dict(inputs=[torch.zeros(3, 40, 51, dtype=torch.uint8)],
                data_samples=make_samples([['semseg']], (40, 51)))
    sample, = tiny_model.test_step(data)
    for field in ('pred', 'initial', 'noisy'):
        maps = getattr(sample, field)
        assert maps.semseg.shape == (21, 40, 51)
        torch.testing.assert_close(maps.semseg.sum(0), torch.ones(40, 51))
        torch.testing.assert_close(maps.normal.norm(dim=0), torch.ones(40, 51))
        assert maps.saliency.shape == maps.boundary.shape == (1, 40, 51)


def test_predictions_are_the_stages_cut_to_the_image(tiny_model):
    """Each field from its own maps, resized to the padded batch, then the padding cut away."""
    tiny_model.eval()
    sample, = make_samples([[]], (40, 51))
    sample.set_metainfo(dict(padding=(6, 7, 10, 14)))  # left, right, top, bottom of 64 x 64
    maps = {field: {'saliency': torch.randn(1, 2, 8, 8)} for field in ('pred', 'initial', 'noisy')}
    tiny_model.logits = lambda *_: maps
    sample, = tiny_model.predict(torch.zeros(1, 3, 64, 64), [sample])
    for field, by_task in maps.items():
        full = torch.nn.functional.interpolate(by_task['saliency'], (64, 64), mode='bilinear')
        expected = full.softmax(1)[0, 1:, 10:50, 6:57]
        torch.testing.assert_close(getattr(sample, field).saliency, expected)
        assert getattr(sample, field).saliency.is_contiguous()


def test_test_time_noise_enters_the_predictions(tiny_model):
    """With the image's own draws; and what is shown as noisy is the noisy map."""
    tiny_model.eval()
    images, samples = torch.randn(2, 3, 64, 64), make_samples([[], []])
    with torch.no_grad():
        maps = tiny_model.logits(images, samples)
        silent = tiny_model(images)
        features, initial = tiny_model.decoders(tiny_model.extract_feat(images))
    assert not torch.allclose(maps['pred']['normal'], silent['normal'], atol=1e-6)
    noise = tiny_model.test_noise(initial, ['image0', 'image1'])
    source = tiny_model.diffusion.source(features, initial)['normal']
    noisy = 0.98901 ** 0.5 * source + (1 - 0.98901) ** 0.5 * noise['normal'][:, 0]
    shown = noisy if noisy.shape[1] == 3 else tiny_model.decoders.predict['normal'](noisy)
    torch.testing.assert_close(maps['noisy']['normal'], shown, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(maps['initial']['normal'], initial['normal'])


def test_images_that_would_change_each_other_s_padding_are_refused(tiny_model):
    data = dict(inputs=[torch.zeros(3, 60, 60, dtype=torch.uint8),
                        torch.zeros(3, 100, 70, dtype=torch.uint8)],
                data_samples=make_samples([[], []]))
    with pytest.raises(ValueError, match=r'\(100, 70\) and \(60, 60\).*batch_size=1'):
        tiny_model.test_step(data)
    alone = dict(inputs=data['inputs'][1:], data_samples=make_samples([[]], (100, 70)))
    assert tiny_model.test_step(alone)[0].pred.boundary.shape == (1, 100, 70)


def test_the_baseline_trains_and_predicts(batch):
    config = tiny_model_config()
    for key in ('diffusion', 'type'):
        config.pop(key)
    model = MODELS.build(dict(type='MultiTaskModel', **config))
    losses = model(*batch, mode='loss')
    assert set(losses) == {'loss_semseg', 'loss_normal', 'loss_parsing', 'loss_saliency',
                           'loss_zero'}
    # Row 0 is labelled for two tasks, row 2 for three; L = 1/3 sum 5/|L_i| w_t l_t.
    task, label = model.tasks['normal'], batch[1][0].gt.normal[None]
    with torch.no_grad():
        logits = model(batch[0])['normal'][:1]
        full = torch.nn.functional.interpolate(logits, (64, 64), mode='bilinear')
    assert losses['loss_normal'].item() == pytest.approx(
        5 / 2 / 3 * 10 * task.loss(full, label).item(), rel=1e-4)
    sum(losses.values()).backward()
    assert all(p.grad is not None for p in model.parameters())


def test_tensor_mode_is_deterministic_and_rejects_other_modes(tiny_model, batch):
    tiny_model.eval()
    first, second = tiny_model(batch[0]), tiny_model(batch[0])
    assert list(first) == list(PASCAL_TASKS)
    assert all(torch.equal(first[task], second[task]) for task in first)
    assert first['semseg'].shape == (3, 21, 8, 8)
    with pytest.raises(ValueError, match="'loss', 'predict' or 'tensor', got 'train'"):
        tiny_model(batch[0], mode='train')


def test_training_noise_is_fresh_and_off_without_diffusion(batch):
    model = MODELS.build(tiny_model_config())
    rows = model.labelled(batch[1])
    initial = {task: torch.zeros(3, 1, 8, 8) for task in PASCAL_TASKS}
    assert not torch.equal(model.training_noise(initial, rows)['semseg'],
                           model.training_noise(initial, rows)['semseg'])
    without = MODELS.build(tiny_model_config(noise_scale=0.0))
    assert without.training_noise(initial, rows) is None
    assert without.test_noise(initial, ['a', 'b', 'c']) is None


def test_a_misspelt_argument_is_an_error():
    config = tiny_model_config()
    config['diffusion']['num_stepz'] = 3
    with pytest.raises(TypeError, match='num_stepz'):
        MODELS.build(config)


@pytest.mark.parametrize('change', [dict(sampler='direct'), dict(num_steps=1), dict(num_steps=3),
                                    dict(beta_schedule='linear'), dict(noise_scale=0.0)])
def test_every_schedule_option_trains(change, batch):
    model = MODELS.build(tiny_model_config(**change))
    total = sum(model(*batch, mode='loss').values())
    total.backward()
    assert torch.isfinite(total)
    assert model.diffusion.denoiser.embed['semseg'].weight.grad.any()


def test_without_conditioning_there_is_no_conditioning_path(batch):
    model = MODELS.build(tiny_model_config(condition=None))
    assert model.diffusion.condition is None
    assert not any('ffn_embedding' in name for name, _ in model.named_parameters())
    sum(model(*batch, mode='loss').values()).backward()
    assert model.diffusion.denoiser.blocks[0].attention.q.weight.grad.any()


@pytest.mark.parametrize('diffusion', ['PredictionDiffusion', 'FeatureDiffusion'])
def test_the_steps_are_what_the_denoiser_says_at_each(diffusion):
    """By hand, without noise and with the direct sampler: X_2 = a source, X_1 = X_0 of step 2."""
    torch.manual_seed(0)
    model = MODELS.build(tiny_model_config(diffusion, num_steps=3, sampler='direct',
                                           noise_scale=0.0)).eval()
    model.outputs = ('pred', 'steps')
    images = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        maps = model.logits(images, make_samples([[]]))
        features, initial = model.decoders(model.extract_feat(images))
        network = model.diffusion
        condition = network._condition_tokens(initial)[[0] * 5]
        x = {name: network.schedule.abar[-1] ** 0.5 * source
             for name, source in network.source(features, initial).items()}
        for s, stage in ((3, 'step3'), (2, 'step2'), (1, 'pred')):
            x = network.denoiser(x, s, condition)
            for name, expected in network.project(x).items():
                torch.testing.assert_close(maps[stage][name], expected)
    assert set(maps) == {'step3', 'step2', 'pred'}
    assert not torch.equal(maps['step3']['normal'], maps['step2']['normal'])


def test_a_config_may_average_draws_in_testing(tiny_model):
    data = dict(inputs=[torch.zeros(3, 40, 51, dtype=torch.uint8)],
                data_samples=make_samples([[]], (40, 51)))
    assert 'uncertainty' not in tiny_model.test_step(data)[0]
    tiny_model.num_samples = 3
    sample, = tiny_model.test_step(data)
    assert sample.uncertainty.semseg.shape == sample.uncertainty.normal.shape == (1, 40, 51)
    torch.testing.assert_close(sample.pred.normal.norm(dim=0), torch.ones(40, 51))
    for wrong in (0, True):
        with pytest.raises(ValueError, match=f'num_samples must be an integer .*, got {wrong}'):
            MODELS.build(tiny_model_config() | dict(num_samples=wrong))
    with pytest.raises(ValueError, match='no noise is drawn'):
        MODELS.build(tiny_model_config(noise_scale=0.0) | dict(num_samples=2))
