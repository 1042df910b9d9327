"""The inferencer against the model's own test step, draw by draw, and against itself."""

import numpy as np
import pytest
import torch
from mmengine.config import Config
from tiny import tiny_model_config, tiny_regularized_config
from torch.utils.flop_counter import FlopCounterMode

from mtpsl.apis import MultiTaskInferencer
from mtpsl.structures import MultiTaskSample

ALL = ['semseg', 'parsing', 'saliency', 'normal', 'boundary', 'depth']


def by_testing(infer, pixels, name):
    """The sample that testing makes of (H, W, 3) RGB pixels."""
    bgr = torch.from_numpy(pixels[..., ::-1].transpose(2, 0, 1).copy())
    sample = MultiTaskSample(metainfo=dict(img_id=name))
    infer.model.outputs = ('pred', 'initial', 'noisy', 'steps')
    with torch.no_grad():
        return infer.model.test_step(dict(inputs=[bgr], data_samples=[sample]))[0]


def test_maps_are_those_of_testing_in_the_image_s_size(infer, picture, folder):
    result = infer(folder / '0.png', stages=['initial', 'noisy', 'steps'])
    sample = by_testing(infer, picture, '0')
    assert list(result.maps) == ALL and result.name == '0'
    assert list(result.stages) == ['initial', 'noisy', 'step2']
    np.testing.assert_array_equal(result.image, picture)
    for name, task in infer.tasks.items():
        for field, maps in (('pred', result.maps), *result.stages.items()):
            expected = task.decode(getattr(getattr(sample, field), name)[None])[0].numpy()
            found = maps[name] if maps[name].ndim == 2 else maps[name].transpose(2, 0, 1)
            assert found.shape[-2:] == (50, 71)
            np.testing.assert_array_equal(found, expected.reshape(found.shape))
    assert len(np.unique(result.maps['semseg'])) > 1 and result.maps['semseg'].dtype == np.uint8
    assert result.maps['normal'].shape == (50, 71, 3) and not result.uncertainty


def test_augmentation_is_that_of_testing(config, checkpoint, infer, picture):
    config.tta_model = dict(scales=(1.0, 1.5), flip=True)
    augmented = MultiTaskInferencer(config, str(checkpoint), device='cpu', tta=True)
    found = augmented(picture)
    sample = by_testing(augmented, picture, 'image0')
    normal = sample.pred.normal.permute(1, 2, 0).numpy()
    np.testing.assert_array_equal(found.maps['normal'], normal)
    assert not np.allclose(normal, infer(picture).maps['normal'], atol=1e-3)


def test_paths_arrays_and_pil_images_are_one(infer, picture, folder):
    from PIL import Image
    infer.model.test_noise = lambda *_: None  # the noise depends on the name
    by_path = infer(str(folder / '0.png'))
    for other in (picture, Image.fromarray(picture)):
        result = infer(other)
        assert result.name == ('image0' if other is picture else 'image1')  # no result is lost
        np.testing.assert_array_equal(result.maps['normal'], by_path.maps['normal'])


def test_mean_and_spread_are_those_of_the_draws(infer, picture):
    """Against one whole prediction for each seed, stacked."""
    draws, test_noise = [], infer.model.test_noise
    for k in range(5):
        infer.model.test_noise = lambda initial, ids, k=k: test_noise(initial, ids, k)
        draws.append(by_testing(infer, picture, 'image0').pred)
    del infer.model.test_noise
    result = infer(picture, num_samples=5)
    for name, task in infer.tasks.items():
        stack = torch.stack([getattr(draw, name) for draw in draws])
        mean = stack.mean(0, keepdim=True)
        if name == 'normal':
            mean = torch.nn.functional.normalize(mean, dim=1)
        found = result.maps[name] if name == 'normal' else result.maps[name][..., None]
        agree = np.isclose(found.transpose(2, 0, 1), task.decode(mean)[0].numpy(), atol=1e-5)
        assert agree.mean() > 0.999  # an argmax may meet a tie
        spread = stack.var(0).sum(0).sqrt().numpy()
        assert spread.max() > 1e-5
        np.testing.assert_allclose(result.uncertainty[name], spread, rtol=1e-3, atol=1e-6)
    first = infer(picture)
    assert not np.array_equal(first.maps['normal'], result.maps['normal'])


def test_bfloat16_predicts_nearly_the_same_in_float32(infer, picture, config, checkpoint):
    half = MultiTaskInferencer(config, checkpoint, 'cpu', amp=True)
    seen = []
    half.model.neck.register_forward_hook(lambda *args: seen.append(args[2].dtype))
    exact, near = infer(picture), half(picture)
    assert seen == [torch.bfloat16]
    for name, ours in near.maps.items():
        assert ours.dtype == exact.maps[name].dtype
    assert 0 < np.abs(near.maps['normal'] - exact.maps['normal']).mean() < 0.05
    assert (near.maps['semseg'] == exact.maps['semseg']).mean() > 0.9


def test_the_draws_share_encoder_and_decoders(infer, picture):
    calls = dict(backbone=0, denoiser=0)

    def counter(name):
        def count(*_):
            calls[name] += 1
        return count
    infer.model.backbone.register_forward_hook(counter('backbone'))
    infer.model.diffusion.denoiser.register_forward_hook(counter('denoiser'))
    infer(picture, num_samples=4)
    assert calls == dict(backbone=1, denoiser=4 * 2)


def flops(infer, picture, tasks):
    with FlopCounterMode(display=False) as counter:
        infer(picture, tasks=tasks)
    return counter.get_total_flops()


def test_chosen_tasks_are_the_same_and_skip_the_work_of_the_others(infer, picture):
    whole, chosen = infer(picture), infer(picture, tasks=['depth', 'semseg'])
    assert list(chosen.maps) == ['semseg', 'depth']
    np.testing.assert_array_equal(chosen.maps['semseg'], whole.maps['semseg'])
    np.testing.assert_allclose(chosen.maps['depth'], whole.maps['depth'], rtol=1e-4, atol=1e-5)
    pairs = []
    infer.model.diffusion.denoiser.blocks[0].register_forward_hook(
        lambda _, inputs, __: pairs.append(len(inputs[0])))
    one, two, everything = [flops(infer, picture, tasks)
                            for tasks in (['depth'], ['semseg', 'depth'], None)]
    assert one < two < everything
    assert pairs == [1, 1, 2, 2, 6, 6]  # in each of the two steps


def test_without_condition_the_others_decoders_rest_as_well(picture):
    config = Config(dict(model=tiny_model_config(condition=None)))
    for infer in (MultiTaskInferencer(config, device='cpu'),
                  MultiTaskInferencer(Config(dict(model=tiny_regularized_config(
                      'ViewConsistency'))), device='cpu')):
        ran: list[str] = []
        for name, decode in infer.model.decoders.decode.items():
            decode.register_forward_hook(lambda *_, name=name, ran=ran: ran.append(name))
        infer(picture, tasks=['normal'])
        assert ran == ['normal']


def test_a_folder_is_the_images_one_by_one_in_natural_order(infer, folder, capsys):
    infer.batch_size = 2
    results = infer(folder)
    assert [result.name for result in results] == ['0', '2', '10']
    assert '3/3 images' in capsys.readouterr().out
    infer.batch_size = 1
    for result, name in zip(results, ('0', '2', '10')):
        alone = infer(folder / f'{name}.png')
        assert alone.maps['semseg'].shape == result.maps['semseg'].shape
        np.testing.assert_allclose(alone.maps['normal'], result.maps['normal'], atol=1e-4)
    assert capsys.readouterr().out == ''


def test_a_stream_predicts_as_it_is_asked(infer, folder, tmp_path):
    stream = infer.stream(folder, out_dir=tmp_path / 'out', formats=['npy'], progress=False)
    assert not list(tmp_path.glob('out/*/*'))
    assert next(stream).name == '0'
    assert {path.stem for path in tmp_path.glob('out/*/*')} == {'0'}


def test_an_image_is_put_together_from_windows(infer, picture):
    """Large windows' inner parts see what the whole image sees; and no pixel is left out."""
    infer.model.test_noise = lambda *_: None
    large = np.tile(picture, (2, 3, 1))
    whole = infer(large)
    infer.window = (64, 96)
    result = infer(large, num_samples=1, progress=False)
    assert result.maps['normal'].shape == (100, 213, 3)
    np.testing.assert_allclose(np.linalg.norm(result.maps['normal'], axis=2), 1, atol=1e-5)
    assert not np.array_equal(result.maps['depth'], whole.maps['depth'])
    # A model that looks at one pixel only is the same by windows and whole.

    def pixelwise(inputs, samples, tasks):
        for row, sample in enumerate(samples):
            left, right, top, bottom = sample.padding
            inner = inputs[row, :, top:inputs.shape[2] - bottom, left:inputs.shape[3] - right]
            sample.pred = type(sample.pred)(normal=infer.tasks['normal'].activate(inner[None])[0],
                                            saliency=inner[:1].sigmoid())
        return samples
    sample = by_testing(infer, picture, 'x')
    infer.model.predict = lambda inputs, samples, tasks, *_: pixelwise(
        inputs, [one.set_field(sample.pred, 'pred') or one for one in samples], tasks)
    by_windows = infer(large, progress=False)
    infer.window = (512, 512)
    whole = infer(large)
    for name in ('normal', 'saliency'):
        np.testing.assert_allclose(by_windows.maps[name], whole.maps[name], atol=1e-5)


def test_a_shrunk_image_gets_maps_of_its_own_size_and_the_model_s_metres(infer, picture):
    import cv2
    infer.model.test_noise = lambda *_: None
    small = cv2.resize(picture, (36, 25), interpolation=cv2.INTER_AREA)
    expected = infer(small).maps['depth']
    infer.max_side = 36
    result = infer(picture, progress=False)
    assert {values.shape[:2] for values in result.maps.values()} == {(50, 71)}
    enlarged = cv2.resize(expected, (71, 50), interpolation=cv2.INTER_LINEAR)
    np.testing.assert_allclose(result.maps['depth'], enlarged, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(np.linalg.norm(result.maps['normal'], axis=2), 1, atol=1e-5)


def test_uncertainty_has_the_unit_of_the_map(infer, picture):
    import cv2
    small = cv2.resize(picture, (36, 25), interpolation=cv2.INTER_AREA)
    expected = infer(small, num_samples=3).uncertainty['depth']
    infer.max_side = 36
    found = infer(picture, num_samples=3).uncertainty
    assert found['depth'].mean() == pytest.approx(expected.mean(), rel=0.02)
    assert found['normal'].max() < 0.9  # a spread is no unit vector


def test_each_window_has_noise_of_its_own_and_shares_a_third(infer, picture):
    assert infer.overlap == 1 / 3 and infer.window == (512, 512)
    infer.window, seen = (32, 32), []
    predict = infer.model.predict

    def note(inputs, samples, *wanted):
        seen.extend(sample.img_id for sample in samples)
        return predict(inputs, samples, *wanted)
    infer.model.predict = note
    infer(picture, tasks=['depth'], progress=False)
    assert len(set(seen)) == len(seen) == 6
    assert {'image0@0,0', 'image0@18,39'} <= set(seen)


def test_images_of_other_padded_sizes_do_not_share_a_batch(infer, picture):
    infer.batch_size = 8
    wide = np.tile(picture, (1, 2, 1))
    found = infer([picture, wide, wide], progress=False)
    infer.model.test_noise = lambda *_: None
    assert [result.maps['depth'].shape for result in found] == [(50, 71), (50, 142), (50, 142)]


def test_a_call_leaves_the_model_and_the_config_as_they_were(infer, picture, config, checkpoint):
    outputs = infer.model.outputs
    infer(picture, num_samples=2, stages=['steps'])
    assert infer.model.outputs == outputs and infer.model.num_samples == 1
    before = config.pretty_text
    averaging = Config(dict(model=dict(config.model, num_samples=3)))
    result = MultiTaskInferencer(averaging, checkpoint, 'cpu')(picture)  # a Path does as well
    assert result.uncertainty and config.pretty_text == before
    assert not MultiTaskInferencer(averaging, checkpoint, 'cpu')(picture, num_samples=1).uncertainty
    with pytest.raises(ValueError, match=r"of load_config\(path, options\), got \{'model.x': 1\}"):
        MultiTaskInferencer(config, checkpoint, 'cpu', {'model.x': 1})


def test_stages_are_of_the_chosen_tasks(infer, picture):
    result = infer(picture, tasks=['depth'], stages=['initial', 'noisy', 'steps'])
    assert all(list(maps) == ['depth'] for maps in result.stages.values())


def test_weights_may_come_from_the_model_index(config, checkpoint, tmp_path, monkeypatch):
    config.dump(tmp_path / 'tiny.py')
    monkeypatch.setattr('mtpsl.apis.load_model.find_weights', lambda name: str(checkpoint))
    infer = MultiTaskInferencer(tmp_path / 'tiny.py', device='cpu')
    saved = torch.load(checkpoint)['state_dict']['decoders.predict.depth.bias']
    assert torch.equal(infer.model.decoders.predict['depth'].bias, saved)


def test_an_untrained_model_is_said_to_be_one(config):
    with pytest.warns(UserWarning, match='untrained'):
        MultiTaskInferencer(config, device='cpu')


@pytest.mark.parametrize('arguments, message', [
    (dict(tasks=['deep']), r"some of \['semseg'.*'depth'.*\], got \['deep'\]"),
    (dict(tasks='depth'), r"got 'depth'"),
    (dict(tasks=[]), r'got \[\]'),
    (dict(num_samples=0), 'at least 1, got 0'),
    (dict(stages=['first']), r"\['initial', 'noisy', 'steps'\], got \['first'\]"),
    (dict(formats=['png', 'png']), 'formats must differ'),
    (dict(formats=['jpg']), r"\['png', 'npy'\], got \['jpg'\]"),
    (dict(on_error='warn'), "'raise' or 'skip', got 'warn'"),
])
def test_arguments_are_checked_before_anything_is_predicted(infer, folder, arguments, message):
    infer.model.predict = None
    with pytest.raises(ValueError, match=message):
        infer.stream(folder, **arguments)


def test_an_out_dir_that_cannot_be_is_refused_first(infer, folder):
    infer.model.predict = None
    with pytest.raises(FileExistsError, match='out_dir must be a folder, .*0.png is a file'):
        infer(folder, out_dir=folder / '0.png')
    with pytest.raises(OSError, match='out_dir: the folder .* cannot be made'):
        infer(folder, out_dir=folder / '0.png' / 'below')


def test_models_without_noise_take_no_samples(picture, checkpoint):
    config = tiny_model_config(noise_scale=0.0)
    infer = MultiTaskInferencer(Config(dict(model=config)), device='cpu')
    with pytest.raises(ValueError, match='no noise is drawn'):
        infer(picture, num_samples=2)
    baseline = MultiTaskInferencer(Config(dict(model=tiny_regularized_config('ViewConsistency'))),
                                   device='cpu')
    for wrong in (2, True):
        with pytest.raises(ValueError, match=f'RegularizedMTL draws no noise.*got {wrong}'):
            baseline(picture, num_samples=wrong)
    with pytest.raises(ValueError, match='another model'):
        MultiTaskInferencer(Config(dict(model=config)), str(checkpoint), device='cpu')


@pytest.mark.parametrize('arguments, message', [
    (dict(window=(64,)), r'\(height, width\).*\(64,\)'), (dict(overlap=1.0), r'\[0, 1\), got 1.0'),
    (dict(batch_size=0), 'at least 1, got 0'), (dict(max_side=0), 'got 1 and 0'),
    (dict(max_side='all'), "None or 'auto'.*got 1 and 'all'"),
    (dict(window=(True, 64)), 'window must be'), (dict(window=(64, 64.5)), 'window must be'),
    *((dict(batch_size=wrong), f'integers of at least 1, got {wrong}') for wrong in (True, 2.0)),
    *((dict(max_side=wrong), f'got 1 and {wrong}') for wrong in (True, 64.0))])
def test_constructor_arguments_are_checked(config, arguments, message):
    with pytest.raises(ValueError, match=message):
        MultiTaskInferencer(config, device='cpu', **arguments)
