"""Stage 1 of HiTTs: sizes, bins, tokens and heads against plain references, losses, gradients."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from tiny import PASCAL_TASKS, make_samples, tiny_hitts_config
from torch import nn

from mtpsl.analysis.complexity import build_without_values, complexity
from mtpsl.engine import FiniteOptimWrapper, load_config
from mtpsl.models import DepthBins, DirectionBins
from mtpsl.models.hitts.head import TokenAttention, TokenScores
from mtpsl.models.hitts.tokens import TaskTokens
from mtpsl.registry import MODELS

NORM = dict(type='BN')
LABELS = [['semseg', 'normal'], [], ['parsing', 'saliency', 'semseg']]


def build(**decoder: object) -> nn.Module:
    torch.manual_seed(0)
    model = MODELS.build(tiny_hitts_config(**decoder))
    model.init_weights()
    return model


def images(count: int = 3) -> torch.Tensor:
    return torch.from_numpy(
        np.random.default_rng(0).standard_normal((count, 3, 64, 64)).astype(np.float32))


# ---------------------------------------------------------------- sizes

# Parameters without the tokens, 512 a task, and multiply-adds in G, counted by others on the code.
@pytest.mark.parametrize('name, params, macs, scores, head', [
    ('pascal_onelabel', 62_099_388, 535.4, (21, 7, 2, 40, 1), 94.8),
    ('nyud_random', 42_054_158, 131.1, (13, 30, 40), 37.8),
    ('cityscapes_onelabel', 32_003_208, 25.7, (7, 50), 10.9)])
def test_sizes_are_the_published_ones(name, params, macs, scores, head):
    cfg = load_config(f'configs/hitts/{name}_r18.py')
    counts = complexity(build_without_values(cfg.model), cfg.data_preprocessor.size, depth=3)
    tasks = list(MODELS.build(cfg.model).tasks)
    assert counts['']['params'] == params + 512 * len(tasks)
    assert counts['backbone']['params'] == 11_176_512
    assert counts['']['macs'] / 1e9 == pytest.approx(macs, abs=0.1)
    heads = [counts[f'decoders.heads.{task}'] for task in tasks]
    # ASPP, attention, embedding, perceptron and predictions of K scores.
    assert [one['params'] for one in heads] == [
        5_662_208 + 771 * K + 9 * K * K for K in scores]
    assert heads[0]['macs'] / 1e9 == pytest.approx(head, rel=2e-3)


def test_weights_start_from_xavier_s_rule_and_tokens_from_a_normal_distribution():
    model = build(in_channels=(8, 16, 32, 64), channels=64, head_channels=64)
    conv = model.decoders.heads['semseg'].attention.conv.weight
    assert conv.std().item() == pytest.approx(math.sqrt(2 / (9 * 128)), rel=0.02)
    fuse = model.decoders.tokens.branches['normal'].fuse
    assert fuse.weight.std().item() == pytest.approx(math.sqrt(2 / (120 + 64)), rel=0.05)
    assert not fuse.bias.any()
    tokens = torch.cat([part.weight for part in model.decoders.tokens.exchange.globals.values()])
    assert tokens.std().item() == pytest.approx(1, abs=0.15)


# ---------------------------------------------------------------- regression by classification

def test_depth_bins_by_hand():
    bins = DepthBins(1.0, 4.0, 3)  # 1, 2, 4
    scores = torch.tensor([1.0, 2.0, 1.0]).log().view(1, 3, 1, 1)
    assert bins(scores).item() == pytest.approx((1 + 2 * 2 + 4) / 4)
    label = torch.tensor([0.0, 0.2, 1.49, 1.51, 2.99, 3.01, 9.0]).view(1, 1, 1, 7)
    assert bins.target(label, label > 0).tolist() == [[[255, 0, 0, 1, 1, 2, 2]]]
    assert bins.values.dtype == torch.float32 and not bins.state_dict()


@pytest.mark.parametrize('low, high, num, ratio', [(0.67, 10, 30, 1.0977), (0.01, 0.4922, 50,
                                                                            1.0828)])
def test_neighbouring_bins_have_the_published_ratio(low, high, num, ratio):
    values = DepthBins(low, high, num).values[:, 0]
    assert (values[1:] / values[:-1]).tolist() == pytest.approx([ratio] * (num - 1), abs=5e-5)
    assert (values[0].item(), values[-1].item()) == (pytest.approx(low), pytest.approx(high))


def test_direction_bins_are_spread_over_what_a_viewer_sees():
    bins = DirectionBins(40)
    anchors = bins.values
    assert torch.allclose(anchors.norm(dim=1), torch.ones(40)) and (anchors[:-1, 2] > 0).all()
    assert anchors[-1].tolist() == [0, 0, -1]
    seen = F.normalize(torch.randn(20000, 3, generator=torch.Generator().manual_seed(0)), dim=1)
    seen[:, 2].abs_()
    label = seen.T.reshape(1, 3, 100, 200)
    valid = torch.ones(1, 1, 100, 200, dtype=torch.bool)
    valid[..., 0] = False
    found = bins.target(label, valid)
    assert (found[..., 0] == 255).all()
    by_angle = (seen @ anchors.T).argmax(1).view(100, 200)
    assert torch.equal(found[0, :, 1:], by_angle[:, 1:])
    nearest = (seen @ anchors.T).amax(1).clamp(max=1).acos().rad2deg()
    assert nearest.mean() < 13.3 and nearest.max() < 47.9  # the published draw's
    scores = torch.full((1, 40, 1, 1), -30.0)
    scores[0, 3] = scores[0, 7] = 5.0
    assert torch.allclose(bins(scores)[0, :, 0, 0], F.normalize(anchors[3] + anchors[7], dim=0),
                          atol=1e-5)


@pytest.mark.parametrize('build_bins, message', [
    (lambda: DepthBins(0, 1, 5), '0 < low < high'), (lambda: DepthBins(2, 1, 5), '2, 1 and 5'),
    (lambda: DirectionBins(2), 'from 3 to 255'),
    (lambda: build(bins=dict(height=dict(type='DepthBins', low=1, high=2, num=5))), "'height'"),
    (lambda: build(bins=dict(normal=dict(type='DepthBins', low=1, high=2, num=5))),
     'bins.normal is a DepthBins')])
def test_bins_that_cannot_be(build_bins, message):
    with pytest.raises(ValueError, match=message):
        build_bins()


# ---------------------------------------------------------------- tokens and heads

def test_token_mixing_is_that_of_the_features():
    """Written out: features f_t = a_t x, mixed by the attention between the tokens."""
    torch.manual_seed(0)
    names, widths = ['a', 'b', 'c'], (8, 16)
    model = TaskTokens(names, widths, 12, 10, NORM, True).eval()
    stages = [torch.randn(2, 8, 6, 8), torch.randn(2, 16, 3, 4)]
    found = model(stages)
    exchange = model.exchange
    for name in names:
        maps, token = [], 0
        for k, (x, width) in enumerate(zip(stages, widths)):
            scale = exchange.scales[k]
            own = {n: scale.down[n](exchange.globals[n].weight[0]) for n in names}
            r = x * scale.reduce.weight.view(1, -1, 1, 1) + scale.reduce.bias.view(1, -1, 1, 1)
            features = {n: x * torch.sigmoid((r * own[n].view(1, -1, 1, 1)).sum(1, keepdim=True))
                        for n in names}
            weights = torch.stack([scale.query(own[name]) @ scale.key(own[u]) / math.sqrt(width)
                                   for u in names]).softmax(0)
            branch = model.branches[name]
            mixed = sum(w * features[u] for w, u in zip(weights, names))
            maps.append(F.interpolate(branch.refine[k](mixed), (6, 8), mode='bilinear'))
            token = token + branch.up[k](sum(w * own[u] for w, u in zip(weights, names)))
        torch.testing.assert_close(found[name][0], model.branches[name].fuse(torch.cat(maps, 1)))
        torch.testing.assert_close(found[name][1], token)
    assert list(model(stages, tasks=['b'])) == ['b']


@pytest.mark.parametrize('over_batch', [False, True])
def test_attention_and_scores_of_a_head(over_batch):
    torch.manual_seed(0)
    attention = TokenAttention(8, over_batch, NORM).eval()
    scores = TokenScores(8, 5).eval()
    x, token = torch.randn(2, 8, 6, 4), torch.randn(8)
    feature, own = attention(x, token)
    u = attention.conv(x)
    rows = []
    for part in (attention.query, attention.key, attention.value):
        pixels = [[(u[b, :, 2 * i:2 * i + 2, 2 * j:2 * j + 2] * part.conv.weight[:, 0]).sum((1, 2))
                   for i in range(3) for j in range(2)] for b in range(2)]
        rows.append(part.linear(torch.stack([torch.stack([*one, token]) for one in pixels])))
    q, k, v = rows
    out = (q @ k.transpose(1, 2) / math.sqrt(8)).softmax(2) @ v
    maps = attention.pixels(out[:, :6]).transpose(1, 2).reshape(2, 8, 3, 2)
    expected = attention.fuse(F.interpolate(maps, (6, 4), mode='bilinear') + u)
    torch.testing.assert_close(feature, expected)
    last = out[:, 6].mean(0, keepdim=True).repeat(2, 1) if over_batch else out[:, 6]
    torch.testing.assert_close(own, attention.token(last))

    embedding = scores.embed(torch.eye(5)).T  # (D, K)
    m = scores.reduce(feature)
    product = torch.empty(2, 5, 6, 4)
    for b in range(2):
        fine = torch.stack([scores.perceptron(own[b, d] + embedding[d]) for d in range(8)])
        for c in range(5):
            product[b, c] = F.softplus((m[b] * fine[:, c, None, None]).sum(0))
    torch.testing.assert_close(scores(feature, own),
                               scores.predict(scores.point(feature) * product))


@pytest.mark.parametrize('over_batch', [False, True])
def test_a_prediction_does_not_depend_on_the_other_images_of_its_batch(over_batch):
    model = build(token_over_batch=over_batch).eval()
    with torch.no_grad():
        together, alone = model(images()), model(images()[:1])
    differ = max((together[name][:1] - alone[name]).abs().max() for name in alone)
    assert (differ > 1e-4) == over_batch
    assert {name: maps.shape[1] for name, maps in alone.items()} == dict(
        semseg=21, parsing=7, saliency=2, normal=3, boundary=1)


@torch.no_grad()
def test_only_the_heads_of_chosen_tasks_are_run():
    model = build().eval()
    ran = []
    for name, head in model.decoders.heads.items():
        head.register_forward_hook(lambda *_, name=name: ran.append(name))
    found = model.decoders(model.extract_feat(images(1)), tasks=['normal'])[1]
    assert ran == list(found) == ['normal']
    assert torch.allclose(found['normal'].norm(dim=1), torch.ones(1, 16, 16), atol=1e-5)


def test_checkpointing_and_bfloat16():
    losses = []
    for with_cp in (False, True):
        model = build(with_cp=with_cp).train()
        torch.manual_seed(1)  # dropout
        total = sum(model(images(), make_samples(LABELS), mode='loss').values())
        total.backward()
        losses.append([total.detach(), *(p.grad for p in model.parameters())])
    for one, other in zip(*losses):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)
    with torch.autocast('cpu', torch.bfloat16):
        half = sum(model(images(), make_samples(LABELS), mode='loss').values())
    assert half.item() == pytest.approx(losses[0][0].item(), rel=0.1)


# ---------------------------------------------------------------- losses

@pytest.mark.parametrize('balanced', [True, False])
def test_losses_written_out(balanced):
    """A sample without a label adds nothing; the others count T / (B |L_i|), or T / B."""
    model = build().eval()
    model.label_balance = balanced
    samples = make_samples(LABELS)
    losses = model(images(), samples, mode='loss')
    outputs, logits = model.decoders(model.extract_feat(images()))
    expected = dict.fromkeys(('semseg', 'parsing', 'saliency', 'normal', 'bins'), 0.0)
    for row, names in enumerate(LABELS):
        for name in names:
            weight = 5 / 3 / (len(names) if balanced else 1) * model.tasks[name].loss_weight
            label = getattr(samples[row].gt, name)[None]
            full = F.interpolate(logits[name][row:row + 1], (64, 64), mode='bilinear')
            expected[name] += weight * model.tasks[name].loss(full, label)
            if name == 'normal':
                anchors = model.decoders.bins['normal'].values
                target = torch.einsum('nchw,kc->nkhw', label, anchors).argmax(1)
                target[~label.any(1)] = -100
                scores = F.interpolate(outputs[name].scores[row:row + 1], (64, 64),
                                       mode='bilinear')
                expected['bins'] += 0.1 * weight * F.cross_entropy(scores, target)
    assert set(losses) == {*(f'loss_{name}' for name in expected), 'loss_zero'}
    for name, value in expected.items():
        torch.testing.assert_close(losses[f'loss_{name}'], value.squeeze(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('labels', [
    [['semseg'], ['semseg']], [[], []], [[], ['normal']], [list(PASCAL_TASKS)] * 2])
def test_every_parameter_gets_a_gradient_and_silent_tasks_stay_as_they_are(labels):
    model = build().train()
    wrapper = FiniteOptimWrapper(torch.optim.Adam(model.parameters(), lr=1e-2, weight_decay=0.1))
    for step in (0, 1):  # in the first all tasks are labelled, so that all have moments
        before = {name: value.clone() for name, value in model.named_parameters()}
        samples = make_samples(labels if step else [list(PASCAL_TASKS)] * 2)
        with wrapper.optim_context(model):
            losses = model(images(2), samples, mode='loss')
        total = model.parse_losses(losses)[0]
        assert (total > 0) == (not step or any(labels))
        total.backward(retain_graph=True)
        assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
        wrapper.zero_grad()
        wrapper.update_params(total)
    present = {name for names in labels for name in names}
    for name, value in model.named_parameters():
        owner = next((task for task in PASCAL_TASKS if f'.{task}.' in name), None)
        # What a task gives to the exchange the others learn from, too.
        learns = bool(present) and ('exchange' in name or owner is None or owner in present)
        still = torch.equal(value, before[name])
        assert still == (not learns), name


def test_tokens_are_weights_that_may_be_frozen():
    for train in (True, False):
        model = build(train_tokens=train).train()
        sum(model(images(), make_samples(LABELS), mode='loss').values()).backward()
        tokens = {name: value for name, value in model.named_parameters() if '.globals.' in name}
        assert len(tokens) == 5 and set(tokens) <= set(model.state_dict())
        assert all(value.requires_grad == train for value in tokens.values())
        if train:
            assert all(value.grad.any() for value in tokens.values())


def test_stages_coarsest_first_are_an_error():
    decoders = build().decoders
    sizes = (1, 2, 4, 8)
    stages = [torch.zeros(2, channels, size, size)
              for channels, size in zip(decoders.in_channels, sizes)]
    with pytest.raises(ValueError, match='finest first, got 1 x 1, 2 x 2, 4 x 4, 8 x 8'):
        decoders(stages)


def test_a_batch_of_one_image_and_other_stages_are_errors():
    with pytest.raises(ValueError, match='at least 2 images'):
        build().train()(images(1), make_samples([['semseg']]), mode='loss')
    with pytest.raises(ValueError, match=r'in_channels is \(8, 16, 32, 16\)'):
        build(in_channels=(8, 16, 32, 16)).eval()(images(1))
    config = tiny_hitts_config() | dict(type='MultiTaskModel', neck=None,
                                        decoder=dict(type='TaskDecoders', channels=8))
    with pytest.raises(ValueError, match='makes of the 4 stages'):
        MODELS.build(config)(images(1))
