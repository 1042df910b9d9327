"""JTR: against a plain loop over samples, and who learns from which loss."""

import copy

import pytest
import torch
import torch.nn.functional as F
from tiny import PASCAL_TASKS, make_views
from torch import nn

from mtpsl.models.regularizers import JointTaskRegularization, View
from mtpsl.tasks import build_tasks

CHANNELS = (4, 4, 8, 8, 16)
LABELS = [['semseg', 'normal'], [], ['parsing'], list(PASCAL_TASKS)]
CODES = dict(semseg=21, parsing=7, saliency=2, normal=3, boundary=1)


def classes(count):
    return dict(type='Semseg', class_names=[str(i) for i in range(count)],
                palette=[(0, 0, 0)] * count)


@pytest.mark.parametrize('tasks, channels, published', [
    (PASCAL_TASKS, 34, 25_000_358),
    (dict(semseg=classes(13), depth=dict(type='Depth'), normal=dict(type='Normal')), 17,
     24_989_427),
    (dict(semseg=classes(7), depth=dict(type='InverseDepth')), 8, 24_983_640)])
def test_parameters_are_those_of_the_published_network(tasks, channels, published):
    """But for a BatchNorm on the input, which the published code declares and never uses."""
    regularizer = JointTaskRegularization(build_tasks(tasks))
    assert sum(p.numel() for p in regularizer.parameters()) == published - 2 * channels


def sharp_classes(logits, dim, hard):
    """In the place of Gumbel noise: the likeliest class, straight through."""
    soft = logits.softmax(dim)
    return F.one_hot(logits.argmax(dim), logits.shape[dim]).movedim(-1, dim) - soft.detach() + soft


def make_all_views(tasks, labels):
    generator = torch.Generator().manual_seed(0)
    samples = make_views(labels, 3)
    count = len(labels)
    return [View(samples[v * count:(v + 1) * count],
                 {name: torch.randn(count, task.channels, 64, 64, generator=generator)
                  .requires_grad_() for name, task in tasks.items()},
                 torch.zeros(count, 8, 2, 2), (64, 64)) for v in range(3)]


def rows_of(tasks, labels):
    return {name: [i for i, names in enumerate(labels) if name in names] for name in tasks}


def plain_known(sample, labelled):
    known = torch.ones(1, 64, 64, dtype=torch.bool)
    for name in labelled:
        label = getattr(sample.gt, name)
        known &= label.any(0, keepdim=True) if name == 'normal' else label != 255
    return known[None]


def plain_map(name, logits, known, hard):
    if name == 'normal':
        return (F.normalize(logits, dim=1) * known + 1) / 2
    if name == 'boundary':
        return logits.sigmoid() * known
    return (sharp_classes(logits, 1, True) if hard else logits.softmax(1)) * known


def plain_label(name, label):
    if name == 'normal':
        return (label[None] + 1) / 2
    if name == 'boundary':
        return (label[None] == 1).float()
    return torch.stack([(label == c).float() for c in range(CODES[name])], 1)


def plain_maps(view, row, labelled, hard=True):
    """Reliable Y and noisy Yhat of one sample, by task."""
    known = plain_known(view.samples[row], labelled)
    noisy, reliable = {}, {}
    for name, logits in view.logits.items():
        logits = logits[row:row + 1]
        logits = logits.detach() if name in labelled else logits
        noisy[name] = plain_map(name, logits, known, hard)
        reliable[name] = (plain_label(name, getattr(view.samples[row].gt, name))
                          if name in labelled else plain_map(name, logits, known, True))
    return reliable, noisy, known


def plain_encode(encoder, maps):
    x, places = torch.cat(list(maps.values()), 1), []
    for stage in encoder.stages:
        for layer in stage:
            x = layer(x)
        x, place = nn.MaxPool2d(2, return_indices=True)(x)
        places.append(place)
    return x, places


def plain_decode(decoder, x, places):
    for stage, place in zip(decoder.stages, reversed(places)):
        x = nn.MaxUnpool2d(2)(x, place)
        for layer in stage:
            x = layer(x)
    return dict(zip(CODES, decoder.output(x).split(list(CODES.values()), 1)))


def distance(a, b):
    return 1 - ((a * b).sum(1) / (a.norm(dim=1) * b.norm(dim=1)).clamp(min=1e-12)).mean()


def plain_reconstruction(name, output, target, known):
    """One task, one sample: a mean over the known pixels."""
    if name == 'normal':
        vectors = 2 * target - 1
        pixel = 1 - (F.normalize(output, dim=1) * F.normalize(vectors, dim=1)).sum(1)
    else:
        p = output.sigmoid()
        pixel = -(target * p.log() + (1 - target) * (1 - p).log()).sum(1)
    return pixel[known[:, 0]].sum() / known.sum().clamp(min=1)


def plain_losses(regularizer, views, labels):
    model = joint = reconstruction = 0
    frozen = copy.deepcopy(regularizer.encoder).requires_grad_(False)
    for row, labelled in enumerate(labels):
        reliable, noisy, _ = plain_maps(views[1], row, labelled)
        model = model + distance(plain_encode(frozen, reliable)[0], plain_encode(frozen, noisy)[0])
        with torch.no_grad():
            reliable, noisy, known = plain_maps(views[2], row, labelled, hard=False)
            target = plain_maps(views[2], row, labelled)[1]
        codes = []
        for maps, wanted in ((reliable, reliable), (noisy, target)):
            code, places = plain_encode(regularizer.encoder, maps)
            codes.append(code)
            outputs = plain_decode(regularizer.decoder, code, places)
            reconstruction = reconstruction + sum(
                plain_reconstruction(name, outputs[name], wanted[name], known) for name in CODES)
        joint = joint + distance(*codes)
    count = len(labels)
    return dict(loss_jtr_model=4 * model / count, loss_jtr_distance=4 * 2 * joint / count,
                loss_jtr_reconstruction=2 * reconstruction / count)


@pytest.fixture
def parts(monkeypatch):
    monkeypatch.setattr(F, 'gumbel_softmax', sharp_classes)
    torch.manual_seed(0)
    tasks = build_tasks(PASCAL_TASKS)
    return JointTaskRegularization(tasks, channels=CHANNELS), tasks


def test_against_the_plain_loop_with_gradients(parts):
    regularizer, tasks = parts
    regularizer.eval()
    results = []
    for losses in (lambda views: regularizer(views, rows_of(tasks, LABELS)),
                   lambda views: plain_losses(regularizer, views, LABELS)):
        views = make_all_views(tasks, LABELS)
        regularizer.zero_grad()
        values = losses(views)
        sum(values.values()).backward()
        results.append(dict(values) | {n: p.grad.clone() for n, p in
                                       regularizer.named_parameters()}
                       | {n: x.grad for n, x in views[1].logits.items()})
    assert set(results[0]) == set(results[1])
    for name, plain in results[1].items():
        assert plain.any(), name
        # Rounding may choose another of two equal maxima in a pooling.
        assert (results[0][name] - plain).norm() <= 0.02 * plain.norm(), name


def one_by_one(regularizer, tasks):
    """The same weights with BatchNorm, as published: in the loop it sees one map at a time."""
    plain = JointTaskRegularization(tasks, channels=CHANNELS)
    plain.load_state_dict(regularizer.state_dict())
    return plain


def test_statistics_of_single_maps_are_those_of_the_plain_loop(monkeypatch, double):
    """In training and in double precision."""
    monkeypatch.setattr(F, 'gumbel_softmax', sharp_classes)
    tasks = build_tasks(PASCAL_TASKS)
    found = {}
    for statistics in ('map', 'batch'):
        torch.manual_seed(0)
        regularizer = JointTaskRegularization(tasks, channels=CHANNELS,
                                              statistics=statistics)
        plain = one_by_one(regularizer, tasks)
        for model, losses in ((regularizer, regularizer), (plain, plain_losses)):
            views = make_all_views(tasks, LABELS)
            values = (losses(views, rows_of(tasks, LABELS)) if model is losses
                      else losses(model, views, LABELS))
            sum(values.values()).backward()
            found.setdefault(statistics, []).append(
                dict(values) | {n: p.grad for n, p in model.named_parameters()}
                | {n: x.grad for n, x in views[1].logits.items()})
    ours, plain = found['map']
    assert set(ours) == set(plain)
    for name in plain:
        assert plain[name].any() and (ours[name] - plain[name]).abs().max() <= 1e-10, name
    ours, plain = found['batch']
    assert abs(ours['loss_jtr_distance'] - plain['loss_jtr_distance']) > 1e-3


def test_who_learns_from_which_loss(parts):
    """View 1 trains unlabelled tasks of the model, view 2 the auto-encoder, view 0 nothing."""
    regularizer, tasks = parts
    for trained, kept in (('loss_jtr_model', 'model'), ('loss_jtr_distance', 'encoder'),
                          ('loss_jtr_reconstruction', 'encoder decoder')):
        views = make_all_views(tasks, [['semseg'], ['normal']])
        regularizer.zero_grad()
        regularizer(views, rows_of(tasks, [['semseg'], ['normal']]))[trained].backward()
        moved = {part for part in ('encoder', 'decoder') for p in
                 getattr(regularizer, part).parameters() if p.grad is not None and p.grad.any()}
        logits = [{n: x.grad for n, x in view.logits.items() if x.grad is not None and x.grad.any()}
                  for view in views]
        if kept == 'model':
            assert not moved and not logits[0] and not logits[2]
            assert not logits[1]['semseg'][0].any() and logits[1]['semseg'][1].any()
            assert not logits[1]['normal'][1].any() and logits[1]['normal'][0].any()
        else:
            assert moved == set(kept.split()) and not any(logits)


def test_the_frozen_encoder_leaves_the_statistics(parts):
    regularizer, tasks = parts
    regularizer(make_all_views(tasks, LABELS), rows_of(tasks, LABELS))
    assert regularizer.encoder.stages[0][1].num_batches_tracked == 1


def test_each_use_of_a_class_map_draws_anew(monkeypatch):
    """Of each of the three class tasks: Y, Yhat of view 1; Y, the target of Yhat of view 2."""
    calls = []
    monkeypatch.setattr(F, 'gumbel_softmax', lambda logits, dim, hard: calls.append(logits) or
                        sharp_classes(logits, dim, hard))
    tasks = build_tasks(PASCAL_TASKS)
    JointTaskRegularization(tasks, channels=CHANNELS)(
        make_all_views(tasks, LABELS), rows_of(tasks, LABELS))
    assert len(calls) == 3 * 4


def test_maps_at_a_fraction_of_the_resolution(parts):
    """A coarse pixel is known where all of its pixels are."""
    regularizer = JointTaskRegularization(parts[1], channels=CHANNELS, map_stride=2)
    view = make_all_views(parts[1], [['semseg']])[1]
    view.samples[0].gt.semseg[:] = 3
    view.samples[0].gt.semseg[0, 10, 20] = 255
    known = regularizer._known(view, dict(semseg=[0]))
    assert known.shape == (1, 1, 32, 32) and not known[0, 0, 5, 10]
    assert known.sum() == 32 * 32 - 1
