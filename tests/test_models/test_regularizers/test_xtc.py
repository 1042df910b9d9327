"""XTC: the batch of all pairs against a plain loop, sizes against the published network's."""

import pytest
import torch
import torch.nn.functional as F
from tiny import PASCAL_TASKS, make_views, tiny_regularized_config

from mtpsl.models.regularizers import CrossTaskConsistency, View
from mtpsl.models.regularizers.xtc import find_pairs
from mtpsl.registry import MODELS
from mtpsl.tasks import build_tasks

CHANNELS = (4, 4, 8, 8, 16)
LABELS = [['semseg', 'normal'], [], ['parsing'], list(PASCAL_TASKS)]


def classes(count):
    return dict(type='Semseg', class_names=[str(i) for i in range(count)],
                palette=[(0, 0, 0)] * count)


@pytest.mark.parametrize('tasks, params', [
    (PASCAL_TASKS, 14_947_776),
    (dict(semseg=classes(13), depth=dict(type='Depth'), normal=dict(type='Normal')), 14_819_328),
    (dict(semseg=classes(7), depth=dict(type='InverseDepth')), 14_780_160)])
def test_parameters_are_those_of_the_published_network(tasks, params):
    regularizer = CrossTaskConsistency(build_tasks(tasks))
    assert sum(p.numel() for p in regularizer.parameters()) == params


def hard_classes(logits, dim, hard):
    """In the place of Gumbel noise: the likeliest class, straight through."""
    soft = logits.softmax(dim)
    return F.one_hot(logits.argmax(dim), logits.shape[dim]).movedim(-1, dim) - soft.detach() + soft


def make_view(tasks, labels, channels=16, seed=0):
    generator = torch.Generator().manual_seed(seed)
    samples = make_views(labels, 2)[len(labels):]
    logits = {name: torch.randn(len(labels), task.channels, 16, 16, generator=generator)
              .requires_grad_() for name, task in tasks.items()}
    feature = torch.randn(len(labels), channels, 2, 2, generator=generator).requires_grad_()
    return View(samples, logits, feature, (64, 64))


def rows_of(tasks, labels):
    return {name: [i for i, names in enumerate(labels) if name in names] for name in tasks}


def plain_map(net, x, name, code):
    """One map of one pair through the mapping network, layer by layer: BatchNorm, as published."""
    def layer(conv, norm, x):
        x = F.conv2d(x, conv.weight, conv.bias, padding=1)
        statistics = (None, None) if net.training else (norm.running_mean, norm.running_var)
        return F.batch_norm(x, *statistics, norm.weight, norm.bias, training=net.training)

    x = layer(net.enter[name][0], net.enter[name][1], x).relu()
    at = 0
    for convs in (2, 2, 3, 3, 3):
        for _ in range(convs):
            x = layer(*net.convs[at], x)
            gamma, beta = net.film[at].gamma[code], net.film[at].beta[code]
            x = (x * gamma[:, None, None] + beta[:, None, None]).relu()
            at += 1
        x = F.max_pool2d(x, 2)
    return x


def plain_code(name, logits, label):
    """A task's map, of its label where there is one."""
    if label is not None:
        if name == 'normal':
            return (label + 1) / 2
        count = dict(semseg=21, parsing=7, saliency=2).get(name)
        if count is None:
            return (label == 1).float()
        return torch.stack([(label[:, 0] == c).float() for c in range(count)], 1)
    logits = F.interpolate(logits, (64, 64), mode='bilinear')
    if name == 'normal':
        return (F.normalize(logits, dim=1) + 1) / 2
    return logits.sigmoid() if name == 'boundary' else hard_classes(logits, 1, True)


def plain_loss(regularizer, view, labels, weight):
    def distance(a, b):
        dot = (a * b).sum(1) / (a.norm(dim=1) * b.norm(dim=1)).clamp(min=1e-12)
        return 1 - dot.mean()

    names, total = list(regularizer.tasks), 0
    for i, labelled in enumerate(labels):
        feature = view.feature[i:i + 1].detach()
        for s, source in enumerate(names):
            for t, target in enumerate(names):
                if source in labelled or target not in labelled:
                    continue
                code = s * (len(names) - 1) + (t if t < s else t - 1)
                a = plain_map(regularizer.mapping, plain_code(
                    source, view.logits[source][i:i + 1], None), source, code)
                label = getattr(view.samples[i].gt, target)[None]
                b = plain_map(regularizer.mapping, plain_code(target, None, label), target, code)
                total = total + distance(a, b) + 0.5 * (distance(a, feature) + distance(b, feature))
    return weight / len(labels) * total


def test_against_the_plain_loop_with_gradients(monkeypatch):
    monkeypatch.setattr(F, 'gumbel_softmax', hard_classes)
    tasks = build_tasks(PASCAL_TASKS)
    torch.manual_seed(0)
    regularizer = CrossTaskConsistency(tasks, weight=2.0, channels=CHANNELS)
    for name, parameter in regularizer.named_parameters():
        if 'film' in name:  # so that a wrong pair shows
            torch.nn.init.normal_(parameter, mean=float('gamma' in name), std=0.3)
    regularizer.eval()
    results = []
    for loss in (lambda view: regularizer([None, view], rows_of(tasks, LABELS))['loss_xtc'],
                 lambda view: plain_loss(regularizer, view, LABELS, 2.0)):
        view = make_view(tasks, LABELS)
        regularizer.zero_grad()
        value = loss(view)
        value.backward()
        results.append([value.detach(), *[logits.grad for logits in view.logits.values()],
                        *[p.grad.clone() for p in regularizer.parameters()]])
        assert view.feature.grad is None
    assert results[0][0] > 0
    names = ['loss', *tasks, *[name for name, _ in regularizer.named_parameters()]]
    for name, ours, plain in zip(names, *results):
        assert plain.any(), name
        # Rounding may choose another of two equal maxima in a pooling.
        assert (ours - plain).norm() <= 0.02 * plain.norm(), name


def test_statistics_of_single_maps_are_those_of_the_plain_loop(monkeypatch, double):
    """In training, where the loop's BatchNorm sees one map at a time; in double precision."""
    monkeypatch.setattr(F, 'gumbel_softmax', hard_classes)
    tasks = build_tasks(PASCAL_TASKS)
    results = {}
    for statistics in ('map', 'batch'):
        torch.manual_seed(0)
        regularizer = CrossTaskConsistency(tasks, channels=CHANNELS, statistics=statistics)
        for loss in (lambda view, own=regularizer: own([None, view], rows_of(tasks, LABELS))[
                        'loss_xtc'],
                     lambda view, own=regularizer: plain_loss(own, view, LABELS, 1.0)):
            view = make_view(tasks, LABELS)
            regularizer.zero_grad()
            value = loss(view)
            value.backward()
            results.setdefault(statistics, []).append(
                [value.detach(), *[logits.grad for logits in view.logits.values()],
                 *[p.grad.clone() for p in regularizer.parameters()]])
    for ours, plain in zip(*results['map']):
        assert plain.any() and (ours - plain).abs().max() <= 1e-10
    assert abs(results['batch'][0][0] - results['batch'][1][0]) > 1e-3  # the loop's are of one map


def test_pairs_and_their_codes():
    pairs = find_pairs(['a', 'b', 'c'], [{'a'}, {'a', 'c'}, set(), {'a', 'b', 'c'}])
    # Maps: a of samples 0 and 1, then b of both, then c: of 0 (not labelled) and of 1.
    assert list(zip(pairs.sample, pairs.source, pairs.target, pairs.code)) == [
        (0, 2, 0, 2), (0, 4, 0, 4), (1, 3, 1, 2), (1, 3, 5, 3)]
    names = list('abcde')
    codes = {code for target in names for code in find_pairs(names, [{target}]).code}
    assert codes == set(range(20))


def test_statistics_come_from_all_maps_of_the_batch(monkeypatch):
    monkeypatch.setattr(F, 'gumbel_softmax', hard_classes)
    tasks = build_tasks(PASCAL_TASKS)
    labels = [['semseg'], ['normal']]
    regularizer = CrossTaskConsistency(tasks, channels=CHANNELS)
    view = make_view(tasks, labels)
    regularizer([None, view], rows_of(tasks, labels))
    conv, norm, _ = regularizer.mapping.enter['normal']
    with torch.no_grad():
        x = conv(torch.cat([plain_code('normal', view.logits['normal'][:1], None),
                            plain_code('normal', None, view.labels('normal', [1]))]))
    assert norm.num_batches_tracked == 1
    assert torch.allclose(norm.running_mean, 0.1 * x.mean((0, 2, 3)), atol=1e-6)


@pytest.mark.parametrize('labels', [[[], []], [list(PASCAL_TASKS)] * 2])
def test_a_batch_without_a_pair_costs_nothing_and_leaves_zero_gradients(labels):
    tasks = build_tasks(PASCAL_TASKS)
    regularizer = CrossTaskConsistency(tasks, channels=CHANNELS)
    loss = regularizer([None, make_view(tasks, labels)], rows_of(tasks, labels))['loss_xtc']
    loss.backward()
    assert loss == 0
    assert all(p.grad is not None and not p.grad.any() for p in regularizer.parameters())


def test_maps_at_a_fraction_of_the_resolution():
    tasks = build_tasks(PASCAL_TASKS)
    regularizer = CrossTaskConsistency(tasks, channels=CHANNELS, map_stride=2)
    view = make_view(tasks, [['semseg'], []])
    maps = regularizer._maps(view, [0], rows_of(tasks, [['semseg'], []]))
    assert {name: tuple(m.shape) for name, m in maps.items()} == {
        name: (1, task.channels, 32, 32) for name, task in tasks.items()}
    full = tasks['semseg'].aux_from_label(view.labels('semseg', [0]))
    assert torch.allclose(maps['semseg'][..., 3, 5], full[..., 6:8, 10:12].mean((2, 3)))


def test_one_task_alone_has_no_pairs():
    with pytest.raises(ValueError, match=r"at least two tasks, got \['depth'\]"):
        CrossTaskConsistency(build_tasks(dict(depth=dict(type='Depth'))))


def test_a_backbone_of_other_channels_is_an_error_that_says_what_to_set():
    model = MODELS.build(tiny_regularized_config('CrossTaskConsistency', channels=16) | dict(
        regularizer=dict(type='CrossTaskConsistency', channels=(8, 8, 8, 8, 8))))
    with pytest.raises(ValueError, match='8 channels, but the backbone.s last stage has 64'):
        model(torch.randn(2, 3, 64, 64), make_views([['semseg']], 2), mode='loss')
