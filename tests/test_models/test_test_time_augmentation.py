"""Test-time augmentation: the geometry of each task, the space of the mean, the real model."""

import warnings

import pytest
import torch
import torch.nn.functional as F
from in_process import load_tool
from mmengine.structures import PixelData
from tiny import PASCAL_TASKS, tiny_model_config
from torch import Tensor

from mtpsl.models import MultiTaskTTA, PredictOptions
from mtpsl.registry import MODELS
from mtpsl.structures import MultiTaskSample
from mtpsl.tasks import build_tasks
from mtpsl.tasks.normal import Normal

TASKS = build_tasks(PASCAL_TASKS | dict(
    depth=dict(type='Depth'), disparity=dict(type='InverseDepth')))


def toy(inputs: Tensor, samples: list, options: PredictOptions) -> dict[str, dict[str, Tensor]]:
    """A model that is symmetric: what it says of a zoomed or mirrored image is as it should be.

    Depth is as far as a bright object, one pixel wide at unit distance, is small; normals lean
    away from the brighter side; classes are the grey value.
    """
    grey = inputs[:, :1]
    width = inputs[:, 1:2].sum((2, 3), keepdim=True).sqrt()  # of a bright square
    slope = F.pad(grey, (1, 1, 0, 0), mode='replicate').diff(dim=3).unfold(3, 2, 1).sum(-1)
    normal = torch.cat([-slope, grey, torch.ones_like(grey)], 1)
    logits = {name: torch.cat([grey * k for k in range(task.channels)], 1)
              for name, task in TASKS.items()}
    maps = {name: TASKS[name].activate(values) for name, values in logits.items()}
    maps |= dict(normal=TASKS['normal'].activate(normal),
                 depth=(8 / width).expand_as(grey), disparity=(width / 8).expand_as(grey))
    return dict(pred=maps)


def augmented(tta: MultiTaskTTA, inputs: Tensor, predict=toy) -> dict[str, Tensor]:
    samples = [MultiTaskSample(metainfo=dict(img_id=str(row))) for row in range(len(inputs))]
    return tta(predict, inputs, samples, PredictOptions(), TASKS, 1)['pred']


def square(side: int = 64) -> Tensor:
    """(1, 3, H, W): a bright square, off the middle, in the second channel."""
    image = torch.zeros(1, 3, side, side)
    image[:, 1, 16:32, 8:24] = 1
    return image


@pytest.mark.parametrize('name', TASKS)
def test_mirroring_is_exact(name: str) -> None:
    torch.manual_seed(0)
    image = torch.randn(2, 3, 20, 30).abs()
    plain = toy(image, [], PredictOptions())['pred'][name]
    found = augmented(MultiTaskTTA((1.0,), flip=True), image)[name]
    torch.testing.assert_close(found, plain)


@pytest.mark.parametrize('name', TASKS)
@pytest.mark.parametrize('scales', [(0.5,), (2.0,), (0.5, 1.0, 2.0)])
def test_zooming_is_exact(name: str, scales: tuple[float, ...]) -> None:
    image = square()
    plain = toy(image, [], PredictOptions())['pred'][name]
    found = augmented(MultiTaskTTA(scales), image)[name]
    assert found.shape == plain.shape
    # The edges of the enlarged square are blurred: its area stays.
    torch.testing.assert_close(found, plain, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize('scales', [(0.75,), (1.0,), (1.25,), (0.5, 1.0, 1.7)])
@pytest.mark.parametrize('paddings', [[(2, 2, 7, 7)] * 2, [(2, 3, 0, 0), (9, 10, 4, 5)]])
def test_padding_does_not_leak_into_the_image(paddings, scales) -> None:
    """Of images of one grey, in a model that looks at each pixel alone, each view says the same."""
    image, samples = torch.zeros(2, 3, 64, 64), []
    for row, padding in enumerate(paddings):
        left, right, top, bottom = padding
        image[row, :, top:64 - bottom, left:64 - right] = 1
        samples.append(MultiTaskSample(metainfo=dict(img_id=str(row), padding=padding)))
    plain = toy(image, [], PredictOptions())['pred']
    found = MultiTaskTTA(scales)(toy, image, samples, PredictOptions(), TASKS, 32)['pred']
    for name in ('semseg', 'parsing', 'saliency'):
        for row in range(2):
            inside = image[row, 0] == 1
            torch.testing.assert_close(found[name][row][:, inside], plain[name][row][:, inside])


def test_the_mean_is_one_of_predictions() -> None:
    """By hand: probabilities, unit vectors of which the second is mirrored, metres times scale."""
    views = iter([dict(semseg=[0.9, 0.1], normal=[0, 0, 1], depth=[2.0], disparity=[2.0]),
                  dict(semseg=[0.4, 0.6], normal=[0, 0, 1], depth=[3.0], disparity=[2.0]),
                  dict(semseg=[0.9, 0.1], normal=[1, 0, 0], depth=[2.0], disparity=[2.0]),
                  dict(semseg=[0.4, 0.6], normal=[1, 0, 0], depth=[3.0], disparity=[2.0])])
    seen = []

    def predict(inputs: Tensor, samples: list, options: PredictOptions) -> dict:
        seen.append(tuple(inputs.shape[-2:]))
        return dict(pred={name: torch.tensor(value).float().view(1, -1, 1, 1).expand(
            1, -1, *inputs.shape[-2:]) for name, value in next(views).items()})

    found = augmented(MultiTaskTTA((2.0, 1.0)), torch.zeros(1, 3, 6, 4), predict)
    assert seen == [(6, 4), (12, 8)] * 2
    half = 2 ** -0.5
    for name, value in dict(semseg=[0.65, 0.35], normal=[-half, 0, half], depth=[4.0],
                            disparity=[1.5]).items():
        torch.testing.assert_close(found[name][0, :, 3, 2], torch.tensor(value))


def samples_of(names: str = 'ab') -> list[MultiTaskSample]:
    return [MultiTaskSample(metainfo=dict(img_id=name)) for name in names]


def predicted(model, images: list[Tensor]) -> list[MultiTaskSample]:
    with torch.no_grad():
        return model.test_step(dict(inputs=images, data_samples=samples_of()))


@pytest.fixture
def model():
    torch.manual_seed(0)
    config = tiny_model_config() | dict(num_samples=2, outputs=('pred', 'initial', 'noisy'))
    built = MODELS.build(config)
    for module in built.modules():
        module.training = False
    return built


def test_one_view_as_it_is_changes_nothing(model) -> None:
    images = [torch.randint(0, 256, (3, 50, 60), dtype=torch.uint8) for _ in 'ab']
    plain = predicted(model, images)
    model.augment_tests(dict(scales=(1.0,), flip=False))
    for one, other in zip(plain, predicted(model, images)):
        assert one.keys() == other.keys()
        for field, maps in one.items():
            for name, values in maps.items() if isinstance(maps, PixelData) else ():
                assert torch.equal(values, getattr(getattr(other, field), name)), (field, name)


def test_a_real_model_in_all_views(model) -> None:
    images = [torch.randint(0, 256, (3, 50, 60), dtype=torch.uint8) for _ in 'ab']
    plain = predicted(model, images)
    asked, prediction_maps = [], model.prediction_maps

    def watched(inputs: Tensor, samples: list, options: PredictOptions) -> dict:
        asked.append((tuple(inputs.shape[-2:]), options.outputs))
        return prediction_maps(inputs, samples, options)

    model.prediction_maps = watched
    model.augment_tests()
    found = predicted(model, images)
    # 64 pixels to 48 and 80, padded to multiples of 32; the later views for what is scored only.
    assert [size for size, _ in asked] == [(64, 64), (96, 96), (64, 64)] * 2
    assert [outputs for _, outputs in asked] == [None] + [['pred', 'initial']] * 5
    for one, other in zip(plain, found):
        assert one.keys() == other.keys()
        assert other.pred.semseg.shape == (21, 50, 60)
        torch.testing.assert_close(other.pred.semseg.sum(0), torch.ones(50, 60))
        torch.testing.assert_close(other.pred.normal.norm(dim=0), torch.ones(50, 60))
        assert not torch.equal(one.initial.semseg, other.initial.semseg)
        assert torch.equal(one.noisy.semseg, other.noisy.semseg)
        assert torch.equal(one.uncertainty.semseg, other.uncertainty.semseg)


@pytest.mark.parametrize('arguments, message', [
    (dict(scales=()), 'scales must be'), (dict(scales=(1, 0)), 'scales must be'),
    (dict(scales=1.0), 'scales must be'), (dict(scales=(75, 100)), 'not percent'),
    (dict(flip=2), 'flip must be')])
def test_views_that_cannot_be(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MultiTaskTTA(**arguments)


def test_a_task_that_mirrors_labels_only() -> None:
    class Flow(Normal):
        def flip(self, label):
            return -label[:, ::-1]

    class Whole(Flow):
        def mirror(self, prediction):
            return -prediction.flip(-1)

    MultiTaskTTA().check_tasks(TASKS | dict(flow=Whole()))
    MultiTaskTTA(flip=False).check_tasks(dict(flow=Flow()))
    with pytest.raises(ValueError, match='Flow of flow overrides flip .* not mirror'):
        MultiTaskTTA().check_tasks(dict(flow=Flow()))


def test_views_on_the_command_line_need_the_flag():
    tell_unread = load_tool('test.py').tell_unread
    with pytest.warns(UserWarning, match='tta_model.scales has no effect without --tta'):
        tell_unread({'tta_model.scales': (0.5,)}, tta=False)
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        tell_unread({'tta_model.scales': (0.5,)}, tta=True)
