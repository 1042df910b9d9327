"""Which transforms a pipeline may have, and in which order."""

import random
from contextlib import nullcontext
from functools import partial

import numpy as np
import pytest
import torch

from mtpsl.datasets.checks.look import look_at_labels
from mtpsl.datasets.sampler import SeededIndex, seeded
from mtpsl.datasets.transforms import ImageOnly, PackMultiTaskInputs
from mtpsl.datasets.transforms.contract import check_pipeline, looks, photometric
from mtpsl.registry import TRANSFORMS
from mtpsl.tasks import build_tasks

from .own_data import folder_dataset, write_own_data

TASKS = build_tasks(dict(semseg=dict(type='Semseg'), normal=dict(type='Normal')))
IMAGE, LABELS, PACK, FLIP, CROP = (dict(type=f'mtpsl.{name}') for name in (
    'LoadImageFromFile', 'LoadLabels', 'PackMultiTaskInputs', 'RandomFlip', 'RandomCrop'))
CROP['balance_task'] = None
MIRROR = dict(type='mmcv.RandomFlip', prob=0.001)
GAMMA = dict(type='mmseg.AdjustGamma')


def build(*steps):
    return [TRANSFORMS.build(step) if isinstance(step, dict) else step for step in steps]


def check(*steps, read=(IMAGE, LABELS)):
    check_pipeline(build(*read, *steps, PACK), TASKS)


class Own:
    """Without a word."""

    def __call__(self, results):
        return results


class Stays(Own):
    moves = 'nothing'


class Moves(Own):
    moves = 'image and labels'


@pytest.mark.parametrize('step, words', [
    (MIRROR, r"mmcv.RandomFlip .* Write dict\(type='mtpsl.RandomFlip'"),
    (dict(type='mmcv.RandomFlip', prob=[0.2, 0.2], direction=['horizontal', 'vertical']),
     'mtpsl.RandomFlip'),
    (dict(type='mmseg.RandomFlip', prob=0.5, direction='vertical'), 'mtpsl.RandomFlip'),
    (dict(type='mmcv.Resize', scale=(64, 64)), 'mtpsl.RandomScale'),
    (dict(type='mmcv.RandomResize', scale=(90, 90), ratio_range=(0.5, 2)), 'mtpsl.RandomScale'),
    (dict(type='mmcv.Pad', size_divisor=32), 'data_preprocessor.size'),
    (dict(type='mmcv.CenterCrop', crop_size=(64, 64)), 'mmcv.CenterCrop moves the image without'),
    (dict(type='mmseg.RandomCrop', crop_size=(512, 512)), 'mtpsl.RandomCrop'),
    (dict(type='mmseg.RandomRotate', prob=0.01, degree=2), 'mmseg.RandomRotate moves'),
    (dict(type='mmseg.RandomMosaic', prob=0.5), 'mmseg.RandomMosaic moves'),
    (dict(type='mmcv.Normalize', mean=[1, 2, 3], std=[4, 5, 6]), 'the model normalises'),
    (dict(type='mmseg.Rerange', min_value=0, max_value=1), 'the model normalises'),
    (dict(type='mmcv.LoadImageFromFile'), 'mtpsl.LoadImageFromFile'),
    (dict(type='mmseg.LoadAnnotations'), 'mtpsl.LoadLabels'),
    (dict(type='mmcv.TestTimeAug', transforms=[[MIRROR]]), 'mmcv.TestTimeAug ignores the labels'),
    (dict(type='mmcv.RandomApply', transforms=[MIRROR], prob=0.01), 'mtpsl.RandomFlip'),
    (dict(type='mmcv.RandomChoice', transforms=[[GAMMA], [MIRROR]]), 'mtpsl.RandomFlip'),
    (dict(type='mtpsl.MultiView', views=[[], [MIRROR]]), 'mtpsl.RandomFlip')])
def test_what_knows_no_labels_is_refused_with_what_to_write(step, words):
    steps = [step] if step['type'].endswith('MultiView') else [step, PACK]
    with pytest.raises(ValueError, match=words):
        check_pipeline(build(IMAGE, LABELS, *steps), TASKS)


@pytest.mark.parametrize('step', [
    GAMMA, dict(type='mmseg.CLAHE'), dict(type='mmseg.PhotoMetricDistortion'),
    dict(type='mmcv.RandomGrayscale', keep_channels=True), Stays(), Moves(),
    dict(type='mmcv.RandomApply', transforms=[GAMMA, dict(type='mtpsl.RandomFlip')]),
    dict(type='mtpsl.ImageOnly', transforms=[Own(), GAMMA])])
def test_colours_and_what_says_what_it_moves(step, warned):
    check(step)
    assert not warned


def test_what_does_not_say_is_named(warned):
    check(Own(), dict(type='mmcv.RandomApply', transforms=[lambda results: results]))
    text, = warned
    assert '.Own' in text and 'lambda' in text and "moves = 'nothing'" in text
    wrong = Own()
    wrong.moves = True
    with pytest.raises(ValueError, match='Own: moves must be one of .* got True'):
        check(wrong)


class Noise(Stays):
    """Its ``rng`` is what the test says."""

    def __init__(self, rng):
        self.rng = rng


class Shared(Stays):
    rng = np.random.RandomState(0)


RNG = np.random.default_rng(0)


class Loose(Stays):
    def __call__(self, results):
        return results | dict(img=results['img'] + RNG.integers(2))


@pytest.mark.parametrize('step, words', [
    (Noise(np.random.default_rng(0)), r'Noise keeps .* rng \(Generator\)'),
    (Noise([dict(a=random.Random(0))]), r'Noise .* rng \(Random\)'),
    (Noise(torch.Generator()), r'Noise .* rng \(Generator\)'),
    (Noise(RNG.normal), r'Noise .* rng \(Generator\)'),
    (Noise(Noise(np.random.RandomState(0))), r'Noise .* rng \(RandomState\)'),
    (Shared(), r'Shared .* rng \(RandomState\)'), (Loose(), r'Loose\.__call__ .* RNG'),
    (partial(lambda results, rng: results, rng=RNG), r'partial .*\(Generator\)'),
    (lambda results, rng=RNG: results, r'lambda.*\(Generator\)'),
    (Noise(np.random.mtrand._rand), ''), (Noise(np.random.normal), ''), (Noise(torch.rand), ''),
    (Noise(random.gauss), ''), (Noise(np.random), ''), (Noise(Stays), '')])
@pytest.mark.parametrize('wrapped', [
    lambda step: step, lambda step: dict(type='mtpsl.ImageOnly', transforms=[step]),
    lambda step: dict(type='mmcv.RandomChoice', transforms=[[GAMMA], [GAMMA, step]])])
def test_a_generator_of_ones_own_is_refused(step, words, wrapped):
    with pytest.raises(ValueError, match=words) if words else nullcontext():
        check(wrapped(step))


@pytest.mark.parametrize('steps, words', [
    ([IMAGE, LABELS, FLIP, LABELS], 'LoadLabels occurs twice'),
    ([IMAGE, LABELS, FLIP, IMAGE], 'LoadImageFromFile occurs twice'),
    ([IMAGE, FLIP, LABELS], 'LoadLabels is too late'),
    ([IMAGE, CROP, LABELS], 'LoadLabels is too late'),
    ([LABELS, IMAGE], 'LoadImageFromFile is too late'),
    ([IMAGE, LABELS, PACK, FLIP], 'RandomFlip is too late')])
def test_the_order_of_the_steps(steps, words, tmp_path):
    with pytest.raises(ValueError, match=f'^FolderDataset train: {words}'):
        folder_dataset(write_own_data(tmp_path), pipeline=steps)


def test_test_data_that_are_moved_by_chance_are_named(tmp_path, warned):
    root = write_own_data(tmp_path)
    scales = [dict(type='mtpsl.RandomScale', scale_range=span) for span in ((1, 2), (2, 2))]
    for steps, names in (([FLIP, CROP, scales[0]], ['RandomFlip, RandomCrop, RandomScale']),
                         ([dict(type='mtpsl.RandAugment')], ['RandAugment']),
                         ([scales[1]], [])):
        look_at_labels(folder_dataset(root, pipeline=[IMAGE, LABELS, *steps, PACK]), training=False)
        assert [text for text in warned if 'by chance' in text and names[0] in text] == (
            warned[:1] if names else [])
        warned.clear()


def test_what_needs_labels_says_so():
    with pytest.raises(ValueError, match='RandomFlip .* after LoadLabels'):
        build(FLIP | dict(prob=1.0))[0](dict(img=np.zeros((4, 4, 3), np.uint8), tasks=TASKS))


@pytest.mark.parametrize('steps, words', [
    ([], 'at least one'), (GAMMA, 'at least one'),
    ([MIRROR], 'mmcv.RandomFlip moves pixels'), ([FLIP], 'mtpsl.RandomFlip moves pixels'),
    ([dict(type='mmcv.RandomApply', transforms=[dict(type='mmseg.RandomRotate', prob=1.0,
                                                     degree=3)])], 'RandomRotate moves pixels'),
    ([type('Shift', (type('DualTransform', (Own,), {}),), {})()], 'Shift moves pixels')])
def test_image_only_refuses_what_is_known_to_move(steps, words):
    with pytest.raises(ValueError, match=words):
        ImageOnly(steps)


class Augmentation:
    """As ``mmseg.Albu`` holds a composition of albumentations, which has generators of its own."""

    def __init__(self) -> None:
        self.aug, self.random = self, np.random.default_rng()

    def set_random_seed(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)

    def __call__(self, results: dict) -> dict:
        noise = self.random.integers(0, 3, results['img'].shape, np.uint8)
        return results | dict(img=results['img'] ^ noise)


Augmentation.__module__ = 'albumentations.core'


def test_generators_of_albumentations_are_seeded_by_the_draw():
    step, image = ImageOnly([Augmentation()]), dict(img=np.zeros((8, 8, 3), np.uint8))
    check(step)
    drawn = []
    for index in (SeededIndex(0, 0, 1), SeededIndex(0, 0, 2), SeededIndex(0, 0, 1)):
        with seeded(index):
            drawn.append(step(dict(image))['img'])
    assert (drawn[0] == drawn[2]).all() and (drawn[0] != drawn[1]).any()


def test_image_only_gives_and_takes_the_image_alone():
    image = np.full((4, 6, 3), 100, np.uint8)
    seen = {}

    def half(results):
        seen.update(results)
        return dict(img=results['img'] // 2, gt='lost', more=1)

    results = dict(img=image, gt=dict(semseg=1), img_id='7', labels={})
    after = ImageOnly([half])(results)
    assert set(seen) == {'img', 'img_id'} and set(after) == set(results)
    assert (after['img'] == 50).all() and after['gt'] == dict(semseg=1)
    for change in (lambda image: image[:2], lambda image: image / 255):
        with pytest.raises(ValueError, match='ImageOnly: the image was uint8 .* and became'):
            ImageOnly([lambda results, change=change: dict(img=change(results['img']))])(results)
    with pytest.raises(ValueError, match='returned None'):
        ImageOnly([lambda results: None])(results)


@pytest.mark.parametrize('image, words', [
    (np.full((4, 6, 3), 0.5), 'float64 from 0.5 to 0.5'),
    (np.float32([[[-2, 0, 2]]]), 'float32 from -2 to 2'),
    (np.full((4, 6, 3), 300, np.float32), 'from 300'),
    (np.full((4, 6, 3), 30, np.int64), 'int64'),
    (np.zeros((4, 6), np.uint8), r'\(H, W, 3\), got \(4, 6\)')])
def test_an_image_on_another_scale_is_not_packed(image, words):
    with pytest.raises(ValueError, match=f'^PackMultiTaskInputs: an image must .*{words}'):
        PackMultiTaskInputs(()).transform(dict(img=image))


def test_photometric_transforms_of_a_pipeline(warned):
    kept = photometric(build(IMAGE, LABELS, GAMMA, Stays(), PACK))
    assert [type(step).__name__ for step in kept] == ['AdjustGamma', 'Stays']
    chance = dict(type='mmseg.PhotoMetricDistortion')
    assert len(photometric(build(IMAGE, FLIP, chance, GAMMA))) == 1
    assert 'RandomFlip, PhotoMetricDistortion in the pipeline' in warned[-1]
    fixed = dict(type='mtpsl.RandomScale', scale_range=(2, 2))
    for step, words in ((fixed, 'mtpsl.RandomScale .* moves'), (Moves(), 'Moves .* moves'),
                        (Own(), 'Own .* may move'), (MIRROR, 'mtpsl.RandomFlip')):
        with pytest.raises(ValueError, match=words):
            photometric(build(IMAGE, step))


@pytest.mark.parametrize('step, words', [
    (dict(type='mmcv.RandomGrayscale', prob=0.001), r'RandomGrayscale .*write keep_channels=True'),
    (dict(type='mmcv.RandomApply', transforms=[dict(type='mmcv.RandomGrayscale')], prob=0.1),
     'keep_channels=True'),
    (dict(type='mmseg.RGB2Gray', out_channels=1), r'RGB2Gray .*\(32, 48, 1\).* out_channels=3')])
def test_another_shape_is_found_before_an_image_is_read(step, words):
    with pytest.raises(ValueError, match=words):
        check(step)


@pytest.mark.parametrize('options, told', [
    ({}, False), (dict(contrast_range=(0, 0)), True), (dict(contrast_range=(80, 120)), True),
    (dict(brightness_delta=1000), True), (dict(brightness_delta=64), False),
    (dict(contrast_range=(0.2, 2.0)), False), (dict(hue_delta=0), False),
    (dict(saturation_range=(0, 0)), False)])
@pytest.mark.parametrize('package', ['mtpsl', 'mmseg'])
def test_colours_that_leave_nothing_of_an_image_are_told(package, options, told, warned):
    step = dict(type=f'{package}.PhotoMetricDistortion', **options)
    for one in (step, dict(type='mmcv.RandomApply', transforms=[step], prob=0.8)):
        check(one)
    assert ['black, white or of one grey' in text for text in warned] == [True] * (2 * told)


class Own4(Stays):
    """A fixed colour of the user's own, of all images."""

    def __call__(self, results):
        return results | dict(img=results['img'] // 4)


GREY = dict(type='mmseg.RGB2Gray', out_channels=3, weights=(0.114, 0.587, 0.299))  # of BGR


@pytest.mark.parametrize('steps, names', [
    ([IMAGE, LABELS, FLIP, CROP, PACK], []),
    ([IMAGE, dict(type='mmseg.PhotoMetricDistortion'), dict(type='mtpsl.RandAugment')], []),
    ([IMAGE, dict(type='mmcv.RandomApply', transforms=[GAMMA], prob=0.5)], []),
    ([IMAGE, GAMMA | dict(gamma=1.0), Stays(), Own()], []),  # which change nothing
    ([IMAGE, GAMMA | dict(gamma=2.0), dict(type='mmseg.CLAHE')], ['AdjustGamma', 'CLAHE']),
    ([IMAGE, dict(type='mmcv.RandomGrayscale', prob=1.0, keep_channels=True)],
     ['RandomGrayscale']),
    ([IMAGE, dict(type='mtpsl.ImageOnly', transforms=[GAMMA | dict(gamma=2.0)])], ['ImageOnly']),
    ([IMAGE, Own4(), lambda results: 1 / 0], ['Own4']),
    ([IMAGE | dict(color_type='grayscale', white=4095)],
     ["color_type='grayscale'", 'white=4095'])])
def test_what_is_fixed_of_the_colours(steps, names):
    look, = looks(build(*steps))
    assert list(look.names) == names


def test_the_same_look_by_other_transforms():
    plain, loader, step = (looks(build(*steps))[0] for steps in (
        [IMAGE], [IMAGE | dict(color_type='grayscale')], [IMAGE, GREY]))
    assert loader.like(step) and not loader.like(plain)
    views = looks(build(IMAGE, dict(type='mtpsl.MultiView', views=[[], [GREY]])))
    assert [look.like(plain) for look in views] == [True, False]
