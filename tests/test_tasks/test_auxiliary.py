"""How maps enter auxiliary networks, and which predictions may teach: numbers by hand."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from tiny import PASCAL_TASKS, random_label

from mtpsl.registry import TASKS
from mtpsl.tasks import build_tasks
from mtpsl.tasks.base import Task

KNOWN = torch.tensor([[True, False], [True, True]]).view(1, 1, 2, 2)


def tasks():
    return build_tasks(PASCAL_TASKS | dict(depth=dict(type='Depth')))


@pytest.mark.parametrize('name', [*PASCAL_TASKS, 'depth'])
def test_maps_of_predictions_and_labels_are_alike(name):
    """Shape and range; an unknown pixel of a prediction enters as one of a label does."""
    torch.manual_seed(0)
    task = tasks()[name]
    logits = 3 * torch.randn(2, task.channels, 6, 5)
    label = torch.stack([random_label(name, torch.Generator().manual_seed(i), 6, 5)
                         for i in range(2)])
    code = task.aux_from_label(label)
    known = task.valid(label)
    for prediction in (task.aux_map(logits), task.aux_map(logits, known),
                       task.aux_map(logits, known, hard=False)):
        assert prediction.shape == code.shape == (2, task.aux_channels, 6, 5)
        assert code.dtype == torch.float32
        for maps in (prediction, code):
            assert maps.min() >= -1e-6 and maps.max() <= 1 + 1e-6
    unknown = ~known.expand_as(code)
    assert unknown.any()
    assert torch.equal(task.aux_map(logits, known)[unknown], code[unknown])


def test_classes_are_one_hot_samples_with_the_gradient_of_the_soft_ones():
    torch.manual_seed(0)
    for name in ('semseg', 'parsing', 'saliency'):
        task = tasks()[name]
        logits = torch.zeros(1, task.channels, 60, 60)
        logits[:, 1] = 2.0
        logits.requires_grad_()
        code = task.aux_map(logits)
        assert torch.equal(code.detach().round(), code.detach()) or torch.allclose(
            code.sum(1), torch.ones(1, 60, 60))
        assert ((code > 0.5).sum(1) == 1).all()
        # Drawn with the softmax's probability.
        share = math.exp(2) / (math.exp(2) + task.channels - 1)
        assert (code[:, 1] > 0.5).float().mean().item() == pytest.approx(share, abs=0.03)
        code[:, 1].sum().backward()
        assert logits.grad.any()
        soft = task.aux_map(logits, hard=False)
        assert soft[0, 1, 0, 0].item() == pytest.approx(share)


def test_maps_of_labels_by_hand():
    one = tasks()
    label = torch.tensor([[0, 255], [2, 1]], dtype=torch.uint8).view(1, 1, 2, 2)
    code = one['semseg'].aux_from_label(label)[0]
    assert code.sum(0).tolist() == [[1, 0], [1, 1]]
    assert code[0, 0, 0] == code[2, 1, 0] == code[1, 1, 1] == 1
    binary = torch.tensor([[0, 255], [1, 1]], dtype=torch.uint8).view(1, 1, 2, 2)
    saliency = one['saliency'].aux_from_label(binary)[0]
    assert saliency.tolist() == [[[1, 0], [0, 0]], [[0, 0], [1, 1]]]
    assert one['boundary'].aux_from_label(binary)[0, 0].tolist() == [[0, 0], [1, 1]]
    normal = torch.tensor([0.6, 0.0, -0.8]).view(1, 3, 1, 1)
    assert one['normal'].aux_from_label(normal).flatten().tolist() == pytest.approx([0.8, 0.5, 0.1])
    assert one['normal'].aux_from_label(0 * normal).flatten().tolist() == [0.5, 0.5, 0.5]


def test_depth_is_over_the_largest_of_its_own_map():
    depth = torch.tensor([[[1.0, 4.0], [-1.0, 0.0]], [[5.0, 10.0], [2.5, 0.0]]])[:, None]
    task = tasks()['depth']
    code = task.aux_map(depth)
    assert code[:, 0].tolist() == [[[0.25, 1], [0, 0]], [[0.5, 1], [0.25, 0]]]
    assert torch.equal(task.aux_from_label(depth.clamp(min=0)), code)
    assert not task.aux_map(-depth.abs()).any()  # nothing blows up where all is negative
    moving = depth.clone().requires_grad_()
    task.aux_map(moving)[0, 0, 0, 0].backward()  # 1 / 4; the maximum is not detached
    assert moving.grad[0, 0, 0].tolist() == pytest.approx([1 / 4, -1 / 16])


def test_depth_as_its_place_in_a_normal_distribution():
    """JTR's constants of NYUD; 0 is where an unknown pixel enters."""
    task = build_tasks(dict(depth=dict(type='Depth', aux_normal=(2.3618, 1.5876))))['depth']
    depth = torch.tensor([0.0, 2.3618, 2.3618 + 1.5876, 9.0]).view(1, 1, 2, 2)
    expected = [0.0684, 0.5, 0.8413, 1.0]
    assert task.aux_map(depth).flatten().tolist() == pytest.approx(expected, abs=1e-4)
    assert task.aux_from_label(depth).flatten().tolist() == pytest.approx(expected, abs=1e-4)
    masked = task.aux_map(depth + 1, KNOWN).flatten()
    assert masked[1].item() == pytest.approx(0.0684, abs=1e-4) and masked[0] > 0.1
    with pytest.raises(ValueError, match=r'aux_normal must be \(mean, deviation > 0\) or None'):
        build_tasks(dict(depth=dict(type='Depth', aux_normal=(1.0, 0.0))))


def test_reconstruction_losses_by_hand():
    one = tasks()
    logit = math.log(3)  # a probability of 0.75
    code = torch.zeros(1, 21, 2, 2)
    code[:, 4] = 1
    expected = 20 * -math.log(0.25) - math.log(0.75)
    loss = one['semseg'].reconstruction_loss(torch.full_like(code, logit), code, KNOWN)
    assert loss.item() == pytest.approx(expected, rel=1e-5)
    ones = torch.ones(1, 1, 2, 2)
    assert one['boundary'].reconstruction_loss(
        logit * ones, ones, KNOWN).item() == pytest.approx(-math.log(0.75))
    assert one['depth'].reconstruction_loss(
        logit * ones, 0.25 * ones, KNOWN).item() == pytest.approx(0.5)
    # 60 degrees apart, at any length of the output.
    output = torch.tensor([3.0, 0.0, 0.0]).view(1, 3, 1, 1).expand(1, 3, 2, 2)
    vector = torch.tensor([0.5, math.sqrt(0.75), 0.0]).view(1, 3, 1, 1).expand(1, 3, 2, 2)
    assert one['normal'].reconstruction_loss(
        output, (vector + 1) / 2, KNOWN).item() == pytest.approx(0.5)
    for name, maps in (('depth', ones), ('semseg', code)):  # nothing is known
        assert one[name].reconstruction_loss(maps, maps, KNOWN & False).item() == 0


def test_only_known_pixels_enter_a_reconstruction_loss():
    code = torch.zeros(1, 1, 2, 2)
    output = torch.zeros(1, 1, 2, 2)
    output[..., 0, 1] = 99.0  # not known
    for name in ('boundary', 'depth'):
        a = tasks()[name].reconstruction_loss(output, code, KNOWN)
        b = tasks()[name].reconstruction_loss(torch.zeros_like(output), code, KNOWN)
        assert torch.equal(a, b) and a > 0


def test_pseudo_labels_by_hand():
    one = tasks()
    student = torch.zeros(1, 3, 1, 3)
    probability = torch.tensor([[0.97, 0.9, 0.02], [0.02, 0.1, 0.96], [0.01, 0.0, 0.02]])
    teacher = probability.view(1, 3, 1, 3)
    label = one['semseg'].pseudo_label(teacher, student)
    assert label.dtype == torch.uint8 and label.flatten().tolist() == [0, 255, 1]
    for name in ('saliency', 'boundary'):
        label = one[name].pseudo_label(torch.tensor([0.96, 0.5, 0.94, 0.04, 0.06]).view(1, 1, 1, 5),
                                       torch.zeros(1, 1, 1, 5))
        assert label.dtype == torch.uint8 and label.flatten().tolist() == [1, 255, 255, 0, 255]
    label = one['depth'].pseudo_label(torch.tensor([2.0, 2.0, 0.0]).view(1, 1, 1, 3),
                                      torch.tensor([2.09, 2.11, 0.0]).view(1, 1, 1, 3))
    assert label.flatten().tolist() == pytest.approx([2.0, 0.0, 1e-3])
    # 1 - cos is 0.099 at 25.7 degrees and 0.102 at 26.1.
    angles = torch.tensor([25.7, 26.1]).deg2rad()
    teacher = torch.stack([angles.cos(), angles.sin(), 0 * angles])[None, :, None]
    student = torch.tensor([1.0, 0.0, 0.0]).view(1, 3, 1, 1).expand(1, 3, 1, 2)
    label = one['normal'].pseudo_label(teacher, student)
    assert torch.equal(label[..., 0], teacher[..., 0]) and not label[..., 1].any()


def test_values_of_a_tensor_are_rescaled_like_those_of_an_array():
    values = np.array([[1.5, 3.0]], np.float32)
    tensor = torch.from_numpy(values)[None, None].repeat(2, 1, 1, 1)
    scales = torch.tensor([1.5, 3.0]).view(2, 1, 1, 1)
    for kind in ('Depth', 'InverseDepth', 'Normal'):
        task = TASKS.build(dict(type=kind))
        rescaled = task.rescale(tensor, scales)
        for row, scale in enumerate((1.5, 3.0)):
            expected = task.rescale(values, scale)
            assert expected.dtype == np.float32
            assert np.allclose(rescaled[row, 0].numpy(), expected)


def test_a_task_that_says_nothing_enters_as_its_values():
    """The defaults, for tasks of one's own."""

    class Share(Task):
        channels, ignore_value, primary_metric, higher_is_better = 2, 0.0, 'absErr', False

        def valid(self, label):
            return (label > 0).any(1, keepdim=True)

        def activate(self, logits):
            return logits.sigmoid()

        loss = stats = score = colorize = None

    task = Share()
    logits = torch.randn(1, 2, 2, 2)
    assert task.aux_channels == 2
    assert torch.equal(task.aux_map(logits, KNOWN), logits.sigmoid() * KNOWN)
    label = torch.tensor([0.5, 0.2]).view(1, 2, 1, 1)
    assert torch.equal(task.aux_from_label(label), label)
    near = task.pseudo_label(label, label + torch.tensor([0.09, -0.09]).view(1, 2, 1, 1))
    far = task.pseudo_label(label, label + torch.tensor([0.0, 0.11]).view(1, 2, 1, 1))
    assert torch.equal(near, label) and not far.any()
    difference = (logits.sigmoid() - 0.5).abs().sum(1)[KNOWN[:, 0]].mean()
    assert torch.allclose(task.reconstruction_loss(logits, torch.full((1, 2, 2, 2), 0.5), KNOWN),
                          difference[None])
    assert F.l1_loss(near, label) == 0
