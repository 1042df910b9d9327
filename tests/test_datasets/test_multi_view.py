"""MultiView: every view is a sample of its own, whose labels fit its image."""

import copy
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmcv.transforms import Compose, RandomApply
from mmengine.dataset import pseudo_collate
from mmengine.registry import DefaultScope
from torch.utils.data import DataLoader

from mtpsl.datasets import SeededIndex, SeededSampler
from mtpsl.datasets.transforms import MultiView, RandomCrop, RandomScaleCrop
from mtpsl.datasets.transforms.geometric import Zoom
from mtpsl.engine import load_config
from mtpsl.models import MultiTaskDataPreprocessor
from mtpsl.registry import TRANSFORMS
from mtpsl.tasks import build_tasks

from .conftest import IDS, READ, TASKS, reader, write_mapping

ROOT = Path(__file__).parents[2]
ALL_TASKS = build_tasks(TASKS | dict(depth=dict(type='Depth')))
H, W = 42, 60
ZOOM = dict(type='mtpsl.RandomScaleCrop', scales=[1.5])
THREE = [[], [ZOOM], [ZOOM, dict(type='mtpsl.RandAugment')]]


def sample(*names: str) -> dict:
    """A noise image and noise labels of the named tasks, of all without names."""
    generator = np.random.default_rng(0)
    normal = generator.standard_normal((H, W, 3)).astype(np.float32)
    gt = dict(semseg=generator.integers(0, 21, (H, W), np.uint8),
              parsing=generator.integers(0, 7, (H, W), np.uint8),
              saliency=generator.integers(0, 2, (H, W), np.uint8),
              normal=normal / np.linalg.norm(normal, axis=2, keepdims=True),
              boundary=generator.integers(0, 2, (H, W), np.uint8),
              depth=generator.uniform(1, 9, (H, W)).astype(np.float32))
    return dict(img=generator.integers(0, 256, (H, W, 3), np.uint8), img_shape=(H, W),
                ori_shape=(H, W), img_id='a', img_path='a.jpg', tasks=ALL_TASKS,
                gt={name: gt[name] for name in names or gt})


def pixels(tensor: torch.Tensor) -> np.ndarray:
    """A packed map as (H, W) or (H, W, 3)."""
    return np.squeeze(tensor.numpy().transpose(1, 2, 0), 2 if len(tensor) == 1 else ())


def spoil(results: dict) -> dict:
    """Write into the arrays themselves, where other transforms make new ones."""
    results['img'][:] = 7
    for label in results['gt'].values():
        label[:] = 0
    results['gt'].pop('saliency')
    results['img_id'] = 'found_inf'
    return results


def same(first: dict, second: dict) -> bool:
    return set(first) == set(second) and all(
        np.array_equal(first[key], second[key]) for key in first)


def test_each_view_starts_from_the_sample_as_it_came():
    np.random.seed(0)
    given, before = sample(), sample()
    packed = MultiView([[], [spoil], [], [ZOOM]]).transform(given)
    assert same(given['gt'], before['gt']) and np.array_equal(given['img'], before['img'])
    assert list(given) == list(before) and given['img_id'] == 'a'
    for view in (0, 2):
        np.testing.assert_array_equal(pixels(packed['inputs'][view]), before['img'])
        kept = packed['data_samples'][view]
        assert kept.img_id == 'a'
        assert same({name: pixels(label) for name, label in kept.gt.items()}, before['gt'])
    found_inf = packed['data_samples'][1]
    assert found_inf.img_id == 'found_inf' and 'saliency' not in found_inf.gt
    assert (packed['inputs'][1] == 7).all() and not found_inf.gt.semseg.any()


def expected_label(name: str, label: np.ndarray, zoom: Zoom) -> np.ndarray:
    """The label of a zoomed view by OpenCV alone."""
    cut = label[zoom.top:zoom.bottom, zoom.left:zoom.right]
    if name == 'normal':
        mean = cv2.resize(cut, (W, H), interpolation=cv2.INTER_LINEAR)
        return mean / np.linalg.norm(mean, axis=2, keepdims=True)
    resized = cv2.resize(cut, (W, H), interpolation=cv2.INTER_NEAREST)
    return resized / zoom.scale if name == 'depth' else resized


def test_labels_are_cut_and_zoomed_as_their_image():
    np.random.seed(1)
    before = sample()
    places = set()
    for _ in range(5):
        packed = MultiView([[ZOOM], [], [ZOOM]]).transform(sample())
        for view in (0, 2):
            data = packed['data_samples'][view]
            zoom = data.zoom
            places.add(zoom)
            assert data.view == view and zoom.scale == 1.5
            assert (zoom.bottom - zoom.top, zoom.right - zoom.left) == (28, 40)
            assert 0 <= zoom.top <= H - 28 and 0 <= zoom.left <= W - 40
            cut = before['img'][zoom.top:zoom.bottom, zoom.left:zoom.right]
            np.testing.assert_array_equal(
                pixels(packed['inputs'][view]),
                cv2.resize(cut, (W, H), interpolation=cv2.INTER_LINEAR))
            assert set(data.gt.keys()) == set(before['gt'])
            for name, label in before['gt'].items():
                np.testing.assert_allclose(
                    pixels(getattr(data.gt, name)), expected_label(name, label, zoom),
                    rtol=1e-5, atol=1e-5, err_msg=name)
    assert len(places) == 10  # every view and every sample draws its own


def test_a_sample_says_which_view_it_is_and_what_it_shows():
    np.random.seed(2)
    packed = MultiView([[], [dict(type='mtpsl.RandAugment')], [ZOOM], [ZOOM]]).transform(
        sample('semseg'))
    data = packed['data_samples']
    assert [one.view for one in data] == [0, 1, 2, 3]
    assert data[0].zoom == data[1].zoom == Zoom(0, H, 0, W, 1.0)
    assert data[2].zoom != data[3].zoom
    assert all(isinstance(one.zoom, Zoom) and one.img_shape == (H, W) for one in data)
    assert set(data[0].metainfo) == {'img_id', 'img_path', 'ori_shape', 'img_shape', 'view', 'zoom'}


def test_where_a_view_lies_is_not_known_after_a_transform_of_the_user_s_own():
    class Own:
        def __init__(self, moves):
            self.moves = moves

        def __call__(self, results):
            return results

    moved, still = Own('image and labels'), Own('nothing')
    inside = [[RandomApply(Compose([one]), prob=1)] for one in (moved, still)]
    views = [[still], [moved], [moved, ZOOM], [ZOOM, moved], [still, ZOOM], *inside]
    data = MultiView(views).transform(sample('semseg'))['data_samples']
    assert [one.zoom is None for one in data] == [False, True, True, True, False, True, False]


def test_meta_keys_are_kept_beside_the_views_own():
    packed = MultiView([[], []], meta_keys=['img_id']).transform(sample())
    assert set(packed['data_samples'][1].metainfo) == {'img_id', 'view', 'zoom'}


def test_a_sample_without_truth_has_views_too():
    results = sample()
    del results['gt']
    packed = MultiView([[], [dict(type='mtpsl.RandAugment')]]).transform(results)
    assert all(list(one.gt.keys()) == [] for one in packed['data_samples'])
    assert 'gt' not in results


# ------------------------------------------------------------------ as part of a dataset


@pytest.fixture
def dataset(pascal):
    labels = write_mapping(pascal, dict(zip(IDS, (['semseg', 'normal'], ['boundary'], []))))
    crop = dict(type='mtpsl.RandomCrop', size=(30, 42))
    return reader(pascal, [*READ, crop, dict(type='mtpsl.MultiView', views=THREE)],
                  label_mapping=labels)


def flat(item: dict) -> list[torch.Tensor]:
    """All tensors of a packed sample."""
    return [*item['inputs'], *(getattr(one.gt, name) for one in item['data_samples']
                               for name in sorted(one.gt.keys()))]


def test_a_draw_decides_all_views_whoever_loads_them(dataset):
    np.random.seed(0)
    first = flat(dataset[SeededIndex(3, 1, 0)])
    np.random.seed(9)
    again, other = flat(dataset[SeededIndex(3, 1, 0)]), flat(dataset[SeededIndex(3, 2, 0)])
    assert len(first) == 3 + 3 * 2 and all(map(torch.equal, first, again))
    assert not torch.equal(first[1], other[1])

    sampler = SeededSampler(dataset, seed=3)
    sampler.set_epoch(1)
    for workers in (0, 2):
        for batch in DataLoader(dataset, 1, sampler=sampler, num_workers=workers,
                                collate_fn=lambda samples: samples[0]):
            here = flat(dataset[SeededIndex(3, 1, IDS.index(batch['data_samples'][0].img_id))])
            assert all(map(torch.equal, here, flat(batch)))


def test_a_batch_holds_all_samples_of_view_0_first(dataset):
    draws = [dataset[SeededIndex(0, 0, index)] for index in range(3)]
    batch = MultiTaskDataPreprocessor(TASKS, mean=(0, 0, 0), std=(1, 1, 1), bgr_to_rgb=False,
                                  size=(40, 50), size_divisor=2)(
        pseudo_collate(copy.deepcopy(draws)), training=True)
    assert batch['inputs'].shape == (9, 3, 40, 50)
    assert [(one.view, one.img_id) for one in batch['data_samples']] == [
        (view, image_id) for view in range(3) for image_id in IDS]
    top, left = (40 - 30) // 2, (50 - 42) // 2
    for number, (image, data) in enumerate(zip(batch['inputs'], batch['data_samples'])):
        view, index = divmod(number, 3)
        before = draws[index]
        assert data.padding == (left, 50 - 42 - left, top, 40 - 30 - top)
        assert data.zoom == before['data_samples'][view].zoom and isinstance(data.zoom, Zoom)
        inside = image[:, top:top + 30, left:left + 42].clone()
        assert torch.equal(inside, before['inputs'][view].float())
        assert image.sum() == inside.sum()  # padded with 0 after a normalisation that does nothing
        assert set(data.gt.keys()) == [{'semseg', 'normal'}, {'boundary'}, set()][index]
        for name, label in data.gt.items():
            expected = torch.full((len(label), 40, 50), ALL_TASKS[name].ignore_value,
                                  dtype=label.dtype)
            expected[:, top:top + 30, left:left + 42] = getattr(
                before['data_samples'][view].gt, name)
            assert torch.equal(label, expected), name


def test_plain_samples_make_a_batch_as_before(dataset):
    draws = [dataset[SeededIndex(0, 0, index)] for index in range(3)]
    processor = MultiTaskDataPreprocessor(TASKS, size=(40, 50), size_divisor=2)
    plain = processor(dict(inputs=[draw['inputs'][0] for draw in draws]))
    assert plain['data_samples'] is None
    assert torch.equal(plain['inputs'], processor(pseudo_collate(draws))['inputs'][:3])


@pytest.mark.parametrize('balance_task, message', [
    ('semsge', "balance_task must be None or a task with a class map .* got 'semsge'"),
    ('normal', "balance_task .* got 'normal'")])
def test_transforms_inside_check_the_tasks_at_construction(pascal, balance_task, message):
    inner = [[], [dict(type='mtpsl.RandomCrop', balance_task=balance_task)]]
    with pytest.raises(ValueError, match=message):
        reader(pascal, [*READ, MultiView(inner)])


def test_transforms_inside_know_the_tasks_that_a_config_leaves_out(pascal):
    crop = RandomCrop((30, 42), balance_task='semseg')
    views = MultiView([[lambda results: results], [crop]])
    dataset = reader(pascal, [*READ, views], tasks=dict(normal=TASKS['normal']))
    assert dataset[0]['inputs'][1].shape == (3, 30, 42)


# ------------------------------------------------------------------ errors


@pytest.mark.parametrize('views', [
    None, 2, 'ab', dict(type='RandAugment'), [], [[]], [[ZOOM]], [ZOOM, ZOOM], ['ab', 'cd'],
    [[], None]])
def test_views_are_two_pipelines_or_more(views):
    with pytest.raises(ValueError, match='MultiView: views must be a list of two pipelines or '
                       r"more, such as \[\[\], \[dict\(type='RandomScaleCrop'\)\]\], got"):
        MultiView(views)


def test_a_transform_that_returns_nothing_is_named_by_its_view(pascal):
    views = MultiView([[], [lambda results: None, ZOOM]])
    with pytest.raises(RuntimeError, match='^MultiView: a transform of view 1 returned None'):
        views.transform(sample())
    with pytest.raises(RuntimeError, match=f'image {IDS[0]}: MultiView: a transform of view 1'):
        reader(pascal, [*READ, views])[0]


def test_a_meta_key_that_is_not_there():
    with pytest.raises(KeyError, match='meta_keys weather are not among the results'):
        MultiView([[], []], meta_keys=('weather',)).transform(sample())


def test_it_is_registered_and_says_what_it_is():
    built = TRANSFORMS.build(dict(type='MultiView', views=THREE))
    text = repr(built)
    assert text.startswith('MultiView(views=[') and 'RandAugment(num_ops=2' in text
    assert text.count('RandomScaleCrop(scales=(1.5,))') == 2
    with pytest.raises(TypeError, match='veiws'):
        TRANSFORMS.build(dict(type='MultiView', veiws=THREE))


@pytest.mark.parametrize('method, kinds', [
    ('ss', [[], ['RandomScaleCrop', 'PhotoMetricDistortion']]), ('xtc', [[], ['RandomScaleCrop']]),
    ('jtr', [['RandAugment'], *[['RandomScaleCrop', 'RandAugment']] * 2])])
def test_the_views_of_the_configs(method, kinds):
    cfg = load_config(str(ROOT / f'configs/{method}/nyud_random_r18.py'))
    pipeline = cfg.train_dataloader.dataset.pipeline
    assert 'PackMultiTaskInputs' not in [step.type for step in pipeline]
    assert [[step.type.split('.')[-1] for step in view] for view in pipeline[-1].views] == kinds
    with DefaultScope.overwrite_default_scope('mtpsl'):
        views = TRANSFORMS.build(pipeline[-1])
    scales = {transform.scales for view in views.views for transform in view.transforms
              if isinstance(transform, RandomScaleCrop)}
    assert scales == {(1.0, 1.2, 1.5)}
