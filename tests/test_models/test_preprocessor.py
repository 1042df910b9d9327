"""Normalisation and centred padding."""

import pytest
import torch
from tiny import PASCAL_TASKS, make_samples

from mtpsl.models import MultiTaskDataPreprocessor
from mtpsl.structures import MultiTaskSample


def preprocess(sizes, training, **options):
    images = [torch.full((3, *size), 7 * (i + 1), dtype=torch.uint8)
              for i, size in enumerate(sizes)]
    samples = [make_samples([list(PASCAL_TASKS)], size)[0] for size in sizes]
    processor = MultiTaskDataPreprocessor(PASCAL_TASKS, **options)
    return processor(dict(inputs=images, data_samples=samples), training)


def test_images_are_normalised_in_rgb_and_padded_centred_with_zero():
    processor = MultiTaskDataPreprocessor(PASCAL_TASKS, size=(8, 8), size_divisor=8)
    bgr = torch.tensor([10, 20, 30], dtype=torch.uint8).view(3, 1, 1).expand(3, 4, 5)
    out = processor(dict(inputs=[bgr], data_samples=make_samples([[]], (4, 5))))['inputs']
    assert out.shape == (1, 3, 8, 8)
    rgb = (torch.tensor([30, 20, 10]) - torch.tensor([123.675, 116.28, 103.53])) / torch.tensor(
        [58.395, 57.12, 57.375])
    torch.testing.assert_close(out[0, :, 2:6, 1:6], rgb.view(3, 1, 1).expand(3, 4, 5))
    out[0, :, 2:6, 1:6] = 0
    assert not out.any()


def test_channels_stay_in_order_where_images_are_rgb():
    processor = MultiTaskDataPreprocessor(PASCAL_TASKS, mean=(0, 0, 0), std=(1, 1, 1), size=(4, 4),
                                      bgr_to_rgb=False, size_divisor=1)
    image = torch.arange(3 * 16, dtype=torch.uint8).view(3, 4, 4)
    out = processor(dict(inputs=[image], data_samples=make_samples([[]], (4, 4))))['inputs']
    assert torch.equal(out[0], image.float())


def test_training_labels_are_padded_with_their_fill():
    data = preprocess([(4, 5)], training=True, size=(8, 8), size_divisor=8)
    sample, = data['data_samples']
    assert sample.padding == (1, 2, 2, 2)
    for name, fill in dict(semseg=255, parsing=255, saliency=255, boundary=255, normal=0).items():
        label = getattr(sample.gt, name).clone()
        assert label.shape[-2:] == (8, 8)
        label[:, 2:6, 1:6] = fill
        assert (label == fill).all()


def test_test_labels_keep_their_size():
    data = preprocess([(4, 5)], training=False, size=(8, 8), size_divisor=8)
    assert data['data_samples'][0].gt.semseg.shape == (1, 4, 5)
    assert data['data_samples'][0].padding == (1, 2, 2, 2)


def test_images_of_several_sizes_share_the_largest_rounded_up():
    data = preprocess([(20, 33), (40, 8)], training=True, size=(16, 16), size_divisor=32)
    assert data['inputs'].shape == (2, 3, 64, 64)
    alone = preprocess([(20, 33)], training=True, size=(64, 64), size_divisor=32)
    assert torch.equal(data['inputs'][0], alone['inputs'][0])  # same pixels by either path
    assert data['data_samples'][1].padding == (28, 28, 12, 12)


@pytest.mark.parametrize('numbers, words', [
    (dict(mean=(0.485, 0.456, 0.406)), 'are they of 0..1'),
    (dict(std=(0.229, 0.224, 0.225)), 'are they of 0..1'),
    (dict(mean=(1.0, 2.0)), 'mean must be three numbers'),
    (dict(std=(60, 60, 0)), 'std must be positive'),
    (dict(mean=(300.0, 120.0, 100.0)), r'must be of 0\.\.255')])
def test_mean_and_std_of_another_scale_are_refused(numbers, words):
    with pytest.raises(ValueError, match=words):
        MultiTaskDataPreprocessor(PASCAL_TASKS, **numbers)


@pytest.mark.parametrize('mean, std', [(0, 1), (0, 255), (127.5, 127.5), (116, 1)])
def test_other_usual_scales_are_fine(mean, std):
    MultiTaskDataPreprocessor(PASCAL_TASKS, mean=(mean,) * 3, std=(std,) * 3)


@pytest.mark.parametrize('mean, bgr_to_rgb, told', [
    ((123.675, 116.28, 103.53), True, False), ((103.53, 116.28, 123.675), False, False),
    ((103.53, 116.28, 123.675), True, True), ((123.675, 116.28, 103.53), False, True),
    ((100.0, 116.0, 124.0), True, False)])
def test_a_mean_in_the_other_order_is_told(mean, bgr_to_rgb, told, warned):
    MultiTaskDataPreprocessor(dict(semseg=dict(type='Semseg')), mean, bgr_to_rgb=bgr_to_rgb)
    assert [f'bgr_to_rgb={bgr_to_rgb}' in text for text in warned] == [True] * told


def test_labels_that_are_scored_on_the_cpu_stay_there():
    processor = MultiTaskDataPreprocessor(PASCAL_TASKS, size=(32, 32)).to('meta')
    images = [torch.zeros(3, 32, 32, dtype=torch.uint8)] * 2
    for training in (False, True):
        samples = make_samples([list(PASCAL_TASKS), ['semseg']], (32, 32))
        out = processor(dict(inputs=images, data_samples=samples), training)['data_samples']
        assert [set(sample.gt.keys()) for sample in out] == [set(PASCAL_TASKS), {'semseg'}]
        assert out[0].img_id == 'image0'
        there = {name for name, label in out[0].gt.items() if label.device.type == 'meta'}
        assert there == set(PASCAL_TASKS) - (set() if training else {'boundary'})
        if not training:
            assert out[0].gt.boundary is samples[0].gt.boundary
    unlabelled = [MultiTaskSample(metainfo=dict(img_id='a'))] * 2
    assert processor(dict(inputs=images, data_samples=unlabelled))['inputs'].device.type == 'meta'
