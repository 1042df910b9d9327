"""SS: geometry against OpenCV, the loss against a plain loop and numbers by hand."""

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from tiny import PASCAL_TASKS, make_views

from mtpsl.datasets.transforms.geometric import Zoom
from mtpsl.models.regularizers import View, ViewConsistency
from mtpsl.models.regularizers.ss import zoom_grid
from mtpsl.tasks import build_tasks

ZOOM = Zoom(6, 48, 10, 52, 1.5)


def smooth_map(height, width):
    y, x = np.mgrid[:height, :width].astype(np.float32)
    return np.sin(x / 9) + np.cos(y / 7) + x / 30


@pytest.mark.parametrize('padding', [(0, 0, 0, 0), (16, 16, 8, 24)])
def test_the_grid_is_the_crop_and_resize_of_the_transform(padding):
    left, right, top, bottom = padding
    image = smooth_map(64, 64)
    cut = image[ZOOM.top:ZOOM.bottom, ZOOM.left:ZOOM.right]
    expected = cv2.resize(cut, (64, 64), interpolation=cv2.INTER_LINEAR)

    sample = make_views([[]], 2, zoom=ZOOM)[1]
    sample.set_metainfo(dict(padding=padding))
    padded = F.pad(torch.from_numpy(image)[None, None], padding)
    size = tuple(padded.shape[-2:])
    grid, inside, scale = zoom_grid([sample], size, torch.device('cpu'))
    moved = F.grid_sample(padded, grid, padding_mode='border', align_corners=False)
    moved = moved[0, 0, top:size[0] - bottom, left:size[1] - right].numpy()
    inner = (slice(2, -2), slice(2, -2))  # at the rim OpenCV repeats pixels of the crop
    assert np.abs(moved - expected)[inner].max() < 1e-4
    assert scale.item() == 1.5
    counted = torch.zeros(1, 1, *size, dtype=torch.bool)
    counted[..., top:top + 64, left:left + 64] = True
    assert torch.equal(inside, counted)


def view(samples, logits, size=(64, 64)):
    return View(samples, logits, torch.zeros(len(samples), 8, 2, 2), size)


def test_two_tasks_by_hand():
    """Depth 3 on view 0 is 2 after a zoom of 1.5; the student says 2.05 or 2.2."""
    tasks = build_tasks(dict(depth=dict(type='Depth', loss_weight=2.0),
                             semseg=PASCAL_TASKS['semseg']))
    samples = make_views([['semseg'], ['semseg'], ['depth']], 2, zoom=ZOOM)
    teacher = dict(depth=torch.full((3, 1, 8, 8), 3.0), semseg=torch.zeros(3, 21, 8, 8))
    student = dict(depth=torch.tensor([2.05, 2.2, 9.0]).view(3, 1, 1, 1).expand(3, 1, 8, 8),
                   semseg=torch.zeros(3, 21, 8, 8))
    teacher['semseg'][2, 4] = 10.0  # sure of class 4; the others are labelled
    regularizer = ViewConsistency(tasks, weight=0.5)
    rows = dict(depth=[2], semseg=[0, 1])
    loss = regularizer([view(samples[:3], teacher), view(samples[3:], student)], rows)
    # 0.05 agrees and counts, 0.2 does not; 21 equal logits cost log 21.
    expected = 0.5 / 3 * (2.0 * 0.05 + np.log(21))
    assert loss['loss_consistency'].item() == pytest.approx(expected, rel=1e-5)


def test_a_teacher_that_is_not_sure_teaches_nothing():
    tasks = build_tasks(PASCAL_TASKS)
    samples = make_views([[], []], 2, zoom=ZOOM)
    generator = torch.Generator().manual_seed(0)
    logits = {name: torch.randn(2, task.channels, 8, 8, generator=generator)
              for name, task in tasks.items()}
    unsure = {name: 0.01 * maps for name, maps in logits.items()} | dict(normal=-logits['normal'])
    loss = ViewConsistency(tasks)([view(samples[:2], unsure), view(samples[2:], logits)],
                                  dict.fromkeys(tasks, ()))
    # Only normals that happen to agree are left, few of random vectors.
    assert 0 <= loss['loss_consistency'] < 0.2


def test_against_a_plain_loop():
    """Every sample, task and pixel by itself, for the tasks with their own pseudo-labels."""
    tasks = build_tasks(PASCAL_TASKS)
    labels = [['semseg', 'normal'], ['parsing'], []]
    samples = make_views(labels, 2, zoom=ZOOM)
    generator = torch.Generator().manual_seed(1)
    teacher = {name: 4 * torch.randn(3, task.channels, 8, 8, generator=generator)
               for name, task in tasks.items()}
    student = {name: maps + 0.3 * torch.randn(maps.shape, generator=generator)
               for name, maps in teacher.items()}
    rows = {name: [i for i, names in enumerate(labels) if name in names] for name in tasks}
    loss = ViewConsistency(tasks, weight=2.0)(
        [view(samples[:3], teacher), view(samples[3:], student)], rows)['loss_consistency']

    grid, _, _ = zoom_grid(samples[3:], (64, 64), torch.device('cpu'))
    total = 0.0
    for i, names in enumerate(labels):
        for name, task in tasks.items():
            if name in names:
                continue
            moved = F.grid_sample(teacher[name][i:i + 1], grid[i:i + 1], padding_mode='border',
                                  align_corners=False)
            given = F.interpolate(student[name][i:i + 1], (64, 64), mode='bilinear')
            label, kept = plain_label(name, moved, given)
            if kept.any():
                share = kept.float().mean().item()
                total += task.loss_weight * share * task.loss(given, label).item()
    assert loss.item() == pytest.approx(2.0 / 3 * total, rel=1e-4)


def plain_label(name, teacher, student):
    """Pseudo-label of one sample and the pixels that are kept."""
    if name in ('semseg', 'parsing', 'saliency'):
        probability, label = teacher.softmax(1).max(1, keepdim=True)
        kept = probability > 0.95
        return torch.where(kept, label, 255), kept
    if name == 'boundary':
        probability = teacher.sigmoid()
        kept = (probability > 0.95) | (probability < 0.05)
        return torch.where(kept, (probability > 0.5).long(), 255), kept
    a, b = F.normalize(teacher, dim=1), F.normalize(student, dim=1)
    kept = 1 - (a * b).sum(1, keepdim=True) < 0.1
    return torch.where(kept, a, 0.0), kept


def test_nothing_to_learn_where_all_is_labelled():
    tasks = build_tasks(PASCAL_TASKS)
    samples = make_views([list(tasks)], 2)
    logits = {name: torch.randn(1, task.channels, 8, 8) for name, task in tasks.items()}
    loss = ViewConsistency(tasks)([view(samples[:1], logits), view(samples[1:], logits)],
                                  dict.fromkeys(tasks, [0]))
    assert loss['loss_consistency'] == 0


def test_the_gradient_reaches_the_student_alone():
    tasks = build_tasks(dict(semseg=PASCAL_TASKS['semseg']))
    samples = make_views([[]], 2)
    teacher, student = (torch.randn(1, 21, 8, 8) * 9 for _ in range(2))
    teacher.requires_grad_()
    student.requires_grad_()
    ViewConsistency(tasks)([view(samples[:1], dict(semseg=teacher)),
                            view(samples[1:], dict(semseg=student))],
                           dict(semseg=()))['loss_consistency'].backward()
    assert teacher.grad is None and student.grad.any()


@pytest.mark.parametrize('argument', [dict(weight=-1), dict(confidence=1.0), dict(agreement=0)])
def test_arguments_out_of_range_are_refused(argument):
    with pytest.raises(ValueError, match=f'{next(iter(argument))}.* got'):
        ViewConsistency({}, **argument)


@pytest.mark.parametrize('name, argument', [
    ('semseg', dict(confidence=0.2)), ('normal', dict(agreement=1.5))])
def test_lower_thresholds_trust_more(name, argument):
    """All pixels with these, few with the defaults: the loss counts the pixels that are kept."""
    task = build_tasks({name: dict(type=name.capitalize())})[name]
    generator = torch.Generator().manual_seed(0)
    teacher, student = (task.activate(3 * torch.randn(1, task.channels, 8, 8, generator=generator))
                        for _ in range(2))
    few, many = (task.valid(task.pseudo_label(teacher, student, **options)).float().mean()
                 for options in ({}, argument))
    assert few < 0.5 < many


def test_views_of_another_geometry_are_an_error():
    """Not silently compared at the wrong places: a mirrored view 1, or a view 0 that is a cut."""
    tasks = build_tasks(dict(semseg=PASCAL_TASKS['semseg']))
    logits = dict(semseg=torch.zeros(1, 21, 8, 8))
    for number, zoom in ((1, None), (0, ZOOM), (0, None)):
        samples = make_views([[]], 2)
        samples[number].set_metainfo(dict(zoom=zoom))
        with pytest.raises(ValueError, match=rf'MultiView made others in view {number} of image0'):
            ViewConsistency(tasks)([view(samples[:1], logits), view(samples[1:], logits)],
                                   dict(semseg=()))
