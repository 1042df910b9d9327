"""Each transform against a plain computation; the maps carry their own coordinates."""

import json

import numpy as np
import pytest
import torch
from mmengine.dataset import Compose

from mtpsl.datasets import SeededIndex
from mtpsl.datasets.transforms import (
    LoadLabels,
    PackMultiTaskInputs,
    RandomCrop,
    RandomFlip,
    RandomScale,
)
from mtpsl.registry import TRANSFORMS
from mtpsl.tasks import build_tasks

from .conftest import IDS, READ, TASKS, TEST, reader

ALL_TASKS = build_tasks(TASKS | dict(depth=dict(type='Depth')))
H, W = 48, 64


def sample(*names):
    """An image and maps of which pixel (r, c) says where it is; names: the labelled tasks."""
    r, c = np.indices((H, W))
    image = np.stack([r, c, r + c], 2).astype(np.uint8)
    maps = dict(semseg=(r * 7 + c) % 21, parsing=(r + c * 3) % 7, saliency=(r + c) % 2,
                boundary=(r // 2 + c) % 2)
    gt = {name: label.astype(np.uint8) for name, label in maps.items()}
    gt['depth'] = (1 + r * 100 + c).astype(np.float32)
    gt['normal'] = np.stack([c + 1, r, r * 0 + 1], 2).astype(np.float32)
    return dict(img=image, img_shape=(H, W), ori_shape=(H, W), img_id='a', img_path='a.jpg',
                tasks=ALL_TASKS, gt={name: gt[name] for name in names or gt})


# ------------------------------------------------------------------ scale


@pytest.mark.parametrize('scale', [0.5, 0.73, 1.0, 1.9])
def test_scale_takes_labels_by_nearest_neighbour_and_divides_depth(scale):
    before, after = sample(), RandomScale((scale, scale)).transform(sample())
    size = round(H * scale), round(W * scale)
    assert after['img_shape'] == after['img'].shape[:2] == size
    rows, columns = (np.floor(np.arange(new) * (old / new)).astype(int)
                     for old, new in zip((H, W), size))
    for name, label in before['gt'].items():
        expected = label[rows][:, columns] / (scale if name == 'depth' else 1)
        assert after['gt'][name].dtype == label.dtype
        np.testing.assert_allclose(after['gt'][name], expected, rtol=1e-6, err_msg=name)


@pytest.mark.parametrize('scale', [0.5, 0.73, 1.9])
def test_image_is_scaled_bilinearly(scale):
    ramp = np.zeros((H, W, 3), np.uint8) + (np.arange(W, dtype=np.uint8) * 4)[:, None]
    scaled = RandomScale((scale, scale)).transform(dict(img=ramp, gt={}))['img']
    width = round(W * scale)
    # A ramp stays one, sampled at the centres of the new pixels; nearest would be 2 off.
    centres = ((np.arange(width) + 0.5) * W / width - 0.5).clip(0, W - 1)
    np.testing.assert_allclose(scaled[3, :, 1], 4 * centres, atol=1)


def test_scale_is_uniform_over_the_range():
    np.random.seed(0)
    transform, tiny = RandomScale((0.5, 2.0)), np.zeros((100, 100, 3), np.uint8)
    sides = np.array([transform.transform(dict(img=tiny, gt={}))['img_shape'][0]
                      for _ in range(2000)])
    assert 50 <= sides.min() < 52 and 198 < sides.max() <= 200
    assert abs(sides.mean() - 125) < 4 and abs(np.mean(sides < 100) - 1 / 3) < 0.04


# ------------------------------------------------------------------ crop


def test_crop_cuts_the_same_place_out_of_all_maps_and_reaches_every_place():
    np.random.seed(0)
    before, tops = sample(), set()
    for _ in range(200):
        after = RandomCrop((40, 30)).transform(sample())
        top, left = (int(v) for v in after['img'][0, 0, :2])
        tops.add(top)
        np.testing.assert_array_equal(after['img'], before['img'][top:top + 40, left:left + 30])
        for name, label in before['gt'].items():
            np.testing.assert_array_equal(after['gt'][name], label[top:top + 40, left:left + 30])
        assert after['img_shape'] == (40, 30) == after['img'].shape[:2]
    assert tops == set(range(9))


def test_crop_is_never_larger_than_the_image():
    after = RandomCrop((512, 20)).transform(sample())
    assert after['img'].shape == (H, 20, 3) and after['gt']['normal'].shape == (H, 20, 3)


def half_and_half(right_value=3):
    """Semseg of two classes side by side: a crop of half the width is mixed or nearly pure."""
    results = sample('semseg', 'saliency')
    results['gt']['semseg'] = np.where(np.arange(W) < W // 2, 0, right_value).astype(
        np.uint8)[None].repeat(H, 0)
    return results


def shares(transform, results, count=300):
    """Largest share of a class among the known pixels of each of many crops."""
    found, semseg = [], results['gt'].get('semseg', half_and_half()['gt']['semseg'])
    for _ in range(count):
        crop = transform.transform(dict(results, gt=dict(results['gt'])))
        left = int(crop['img'][0, 0, 1])
        window = semseg[:, left:left + 32]
        found.append(np.bincount(window[window != 255]).max() / np.sum(window != 255))
    return np.array(found)


def test_crop_keeps_a_class_below_the_ratio():
    np.random.seed(0)
    # A place is accepted with probability 17 / 33; ten refusals in a row: 7e-4.
    assert shares(RandomCrop((H, 32)), half_and_half()).max() <= 0.75
    assert shares(RandomCrop((H, 32), tries=1), half_and_half()).max() > 0.75


def test_crop_takes_exactly_the_ratio_and_rejects_more():
    transform = RandomCrop((H, 32), max_class_ratio=0.75, tries=1000)
    np.random.seed(0)
    assert shares(transform, half_and_half()).max() == 0.75  # 24 of 32 columns


@pytest.mark.parametrize('transform, labelled', [
    (RandomCrop((H, 32), balance_task=None), True), (RandomCrop((H, 32)), False)])
def test_crop_rule_is_off_without_the_task_or_its_label(transform, labelled):
    results = half_and_half()
    if not labelled:
        del results['gt']['semseg']
    np.random.seed(0)
    assert abs(np.mean(shares(transform, results) > 0.75) - 16 / 33) < 0.1


@pytest.mark.parametrize('name', ['semsge', 'normal'])
def test_balance_task_must_be_a_task_with_classes(name):
    with pytest.raises(ValueError, match='balance_task must be None or a task with a class map '
                       rf"\(semseg, parsing, saliency, boundary\), got '{name}'"):
        RandomCrop(balance_task=name).transform(sample())


def test_unknown_value_is_the_tasks(monkeypatch):
    monkeypatch.setattr(ALL_TASKS['semseg'], 'ignore_value', 7, raising=False)
    results = half_and_half(right_value=7)  # a crop at column 32 shows no known pixel
    transform = RandomCrop((H, 32), max_class_ratio=1, tries=1000)
    np.random.seed(0)
    lefts = {int(transform.transform(dict(results, gt=dict(results['gt'])))['img'][0, 0, 1])
             for _ in range(400)}
    assert lefts == set(range(32))


def test_unknown_pixels_do_not_count():
    results = half_and_half()
    results['gt']['semseg'][8:] = 255  # else the most frequent "class" of every crop
    np.random.seed(0)
    assert shares(RandomCrop((H, 32)), results).max() <= 0.75


def test_place_without_a_known_pixel_is_refused():
    results = sample('semseg')
    columns = np.arange(W)
    # Known from column 32 on, two classes in turn: a crop at 0 shows none, one at 1 a single class.
    semseg = np.where(columns < 32, 255, columns % 2).astype(np.uint8)
    results['gt']['semseg'] = semseg[None].repeat(H, 0)
    np.random.seed(0)
    transform = RandomCrop((H, 32), tries=1000)
    lefts = {int(transform.transform(dict(results, gt=dict(results['gt'])))['img'][0, 0, 1])
             for _ in range(400)}
    assert lefts == set(range(2, 33))


def test_crop_draws_ten_places_and_one_more_if_all_are_refused(monkeypatch):
    draws = []
    monkeypatch.setattr(np.random, 'randint', lambda high: draws.append(high) or 0)
    results = half_and_half(right_value=0)
    RandomCrop((H, 32), tries=10).transform(results)
    assert len(draws) == 2 * 11


# ------------------------------------------------------------------ flip


def test_flip_mirrors_all_and_negates_the_x_of_normals():
    before, after = sample(), RandomFlip(prob=1.0).transform(sample())
    np.testing.assert_array_equal(after['img'], before['img'][:, ::-1])
    for name, label in before['gt'].items():
        mirrored = label[:, ::-1].copy()
        if name == 'normal':
            mirrored[..., 0] *= -1
        np.testing.assert_array_equal(after['gt'][name], mirrored, err_msg=name)


def test_flip_probability():
    np.random.seed(0)
    flipped = [RandomFlip(prob=0.3).transform(sample('semseg'))['img'][0, 0, 1] > 0
               for _ in range(1000)]
    assert abs(np.mean(flipped) - 0.3) < 0.05
    assert RandomFlip(prob=0.0).transform(sample())['img'][0, 0, 1] == 0


# ------------------------------------------------------------------ packing


def test_packed_sample_has_the_labelled_tasks_and_nothing_else():
    packed = PackMultiTaskInputs().transform(RandomFlip(1.0).transform(sample('depth', 'normal')))
    image, data = packed['inputs'], packed['data_samples']
    assert image.shape == (3, H, W) and image.dtype == torch.uint8 and image.is_contiguous()
    assert image[:, 2, 0].tolist() == [2, W - 1, W + 1]
    assert set(data.gt.keys()) == {'depth', 'normal'} and 'semseg' not in data.gt
    assert data.gt.depth.shape == (1, H, W) and data.gt.depth.dtype == torch.float32
    assert data.gt.normal.shape == (3, H, W) and data.gt.normal.is_contiguous()
    assert data.gt.normal[:, 5, 0].tolist() == [-W, 5, 1]
    assert data.gt.depth[0, 5, 0] == 1 + 500 + W - 1
    assert data.metainfo == dict(img_id='a', img_path='a.jpg', ori_shape=(H, W), img_shape=(H, W))


def test_class_maps_stay_uint8_and_parsing_without_part_becomes_unknown():
    results = sample('semseg', 'parsing')
    results['gt']['parsing'][:] = 0
    gt = PackMultiTaskInputs().transform(results)['data_samples'].gt
    assert gt.semseg.dtype == gt.parsing.dtype == torch.uint8
    assert (gt.parsing == 255).all() and gt.semseg.max() == 20


def test_parsing_is_judged_after_the_crop(monkeypatch):
    results = sample('parsing')
    results['gt']['parsing'] = np.zeros((H, W), np.uint8)
    results['gt']['parsing'][0, 0] = 1
    monkeypatch.setattr(np.random, 'randint', lambda high: high - 1)  # bottom right
    cropped = RandomCrop((20, 20)).transform(results)
    assert (PackMultiTaskInputs().transform(cropped)['data_samples'].gt.parsing == 255).all()


def test_packing_an_image_without_truth():
    results = sample()
    del results['gt']
    assert list(PackMultiTaskInputs().transform(results)['data_samples'].gt.keys()) == []


def test_packed_tensors_do_not_share_memory_with_the_results():
    results = sample('depth')
    packed = PackMultiTaskInputs().transform(results)
    results['gt']['depth'][:] = -1
    assert packed['data_samples'].gt.depth.min() == 1


def test_missing_meta_key():
    with pytest.raises(KeyError, match='meta_keys scale are not among the results.*img_id'):
        PackMultiTaskInputs(meta_keys=('img_id', 'scale')).transform(sample())


# ------------------------------------------------------------------ arguments


@pytest.mark.parametrize('build, message', [
    (lambda: RandomScale((0, 2)), r'RandomScale: scale_range .* 0 < low <= high, got \(0, 2\)'),
    (lambda: RandomScale((2, 1)), 'RandomScale: scale_range'),
    (lambda: RandomScale((1, 1, 1)), 'RandomScale: scale_range'),
    (lambda: RandomScale(2.0), r'RandomScale: scale_range must be \(low, high\) .* got 2.0'),
    (lambda: RandomScale('ab'), "RandomScale: scale_range must be .* got 'ab'"),
    (lambda: RandomCrop(512), r'RandomCrop: size must be \(height, width\) .* got 512'),
    (lambda: RandomCrop((51.2, 4)), r'RandomCrop: size must be .* got \(51.2, 4\)'),
    (lambda: RandomCrop(max_class_ratio='1'), "max_class_ratio must be .* got '1'"),
    (lambda: RandomCrop(tries=1.5), 'tries must be an integer of at least 1, got 1.5'),
    (lambda: RandomFlip('0.5'), "RandomFlip: prob must be a number .* got '0.5'"),
    (lambda: PackMultiTaskInputs(meta_keys='img_id'), "meta_keys must .* names .* got 'img_id'"),
    (lambda: RandomCrop((0, 4)), r'RandomCrop: size .* got \(0, 4\)'),
    (lambda: RandomCrop(max_class_ratio=0), r'max_class_ratio must be in \(0, 1\], got 0'),
    (lambda: RandomCrop(max_class_ratio=75), 'max_class_ratio must be in .* got 75'),
    (lambda: RandomCrop(tries=0), 'tries must be an integer of at least 1, got 0'),
    (lambda: RandomFlip(1.5), r'prob must be a number in \[0, 1\], got 1.5'),
])
def test_arguments_out_of_range(build, message):
    with pytest.raises(ValueError, match=message):
        build()


@pytest.mark.parametrize('name', ['LoadLabels', 'RandomScale', 'RandomCrop', 'RandomFlip',
                                  'PackMultiTaskInputs', 'LoadImageFromFile'])
def test_transforms_are_registered_and_refuse_unknown_arguments(name):
    assert type(TRANSFORMS.build(dict(type=name))).__module__.startswith('mtpsl.')
    with pytest.raises(TypeError, match='porb|takes no arguments'):
        TRANSFORMS.build(dict(type=name, porb=0.5))


def test_every_argument_is_shown():
    transforms = [LoadLabels(), RandomScale(), RandomCrop(), RandomFlip(), PackMultiTaskInputs()]
    text = repr(Compose(transforms))
    for part in ('LoadLabels()', 'scale_range=(0.5, 2.0)', 'size=(512, 512)', 'tries=10',
                 'prob=0.5', "'img_shape'"):
        assert part in text


# ------------------------------------------------------------------ a withheld label as a guide


def guided(pascal, **arguments):
    """Samples of an image without a semseg label, and what the crops were chosen by."""
    mapping = {image_id: ['saliency'] for image_id in IDS}
    (pascal / 'label_mappings/m.json').write_text(json.dumps(mapping))
    steps = [*READ, dict(type='mtpsl.RandomScale', scale_range=(1, 1)),
             dict(type='mtpsl.RandomCrop', size=(8, 4), max_class_ratio=0.6, tries=99)]
    dataset = reader(pascal, steps, label_mapping='label_mappings/m.json', **arguments)
    packing = reader(pascal, [*steps, dict(type='mtpsl.PackMultiTaskInputs')],
                     label_mapping='label_mappings/m.json', **arguments)
    cut = [dataset[SeededIndex(0, epoch, 0)] for epoch in range(40)]
    return cut, [packing[SeededIndex(0, epoch, 0)]['data_samples'] for epoch in range(40)]


def largest_share(sample):
    """Of the semseg class c // 3, c being a quarter of the image's green channel."""
    columns = sample['img'][..., 1].astype(int).mean(0) / 4
    return np.bincount(np.rint(columns).astype(int) // 3).max() / 4


def test_a_withheld_label_guides_crops_on_demand_and_never_leaves(pascal, label_path):
    free, _ = guided(pascal)
    chosen, packed = guided(pascal, crop_guide='semseg')
    for sample, out in zip(chosen, packed):
        assert list(sample['gt']) == ['saliency'] and out.gt.keys() == ['saliency']
    places = [[sample['img'][0, 0].tolist() for sample in samples] for samples in (free, chosen)]
    assert places[0] != places[1]
    shares = [[largest_share(sample) for sample in samples] for samples in (free, chosen)]
    assert max(shares[0]) == 0.75 and max(shares[1]) == 0.5
    label_path('semseg', IDS[0]).unlink()
    guided(pascal)  # not needed without the option
    with pytest.raises(FileNotFoundError, match='semseg label, for crop_guide'):
        guided(pascal, crop_guide='semseg')
    with pytest.raises(ValueError, match="crop_guide must be one of the tasks .* got 'depth'"):
        guided(pascal, crop_guide='depth')


def test_the_guide_is_dropped_without_a_crop_too(pascal):
    (pascal / 'label_mappings/m.json').write_text(json.dumps({i: ['normal'] for i in IDS}))
    dataset = reader(pascal, TEST, label_mapping='label_mappings/m.json', crop_guide='semseg')
    assert dataset[0]['data_samples'].gt.keys() == ['normal']
    # An image that is labelled is as it was.
    (pascal / 'label_mappings/m.json').write_text(json.dumps({i: ['semseg'] for i in IDS}))
    dataset = reader(pascal, TEST, label_mapping='label_mappings/m.json', crop_guide='semseg')
    assert dataset[0]['data_samples'].gt.keys() == ['semseg']
