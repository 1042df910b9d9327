"""Stage 2 of HiTTs: pseudo-labels on hand-made predictions, losses, and the frozen teacher."""

import copy
import math
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from tiny import PASCAL_TASKS, make_samples, tiny_hitts_config
from torch import nn

from mtpsl.engine import FiniteOptimWrapper, load_config
from mtpsl.engine.checkpoints.content import RUN_KEY
from mtpsl.models import PseudoLabel, PseudoValue, WaveringBoundary
from mtpsl.models.hitts import TeacherMaps
from mtpsl.registry import MODELS
from mtpsl.tasks import build_tasks

TASKS = build_tasks(PASCAL_TASKS | dict(depth=dict(type='Depth')))
PSEUDO = load_config('configs/synthetic/hitts_onelabel_stage2.py').model.pseudo
LABELS = [['semseg', 'normal'], [], ['parsing', 'saliency', 'semseg']]


def student_config(teacher: object, **options: object) -> dict:
    pseudo = {name: dict(own, threshold=0.0) for name, own in PSEUDO.items()}  # all counts
    return tiny_hitts_config() | dict(
        type='DistilledHiTTs', teacher=str(teacher), pseudo=pseudo) | options


@pytest.fixture
def teacher(tmp_path: Path) -> Path:
    """A checkpoint of stage 1 in a work dir that was moved."""
    torch.manual_seed(0)
    model = MODELS.build(tiny_hitts_config())
    model.init_weights()
    torch.save(dict(state_dict=model.state_dict(), meta=dict(epoch=3)), tmp_path / 'epoch_3.pth')
    (tmp_path / 'last_checkpoint').write_text('/elsewhere/epoch_3.pth')
    return tmp_path


def build(teacher: object, **options: object) -> nn.Module:
    torch.manual_seed(1)
    model = MODELS.build(student_config(teacher, **options))
    model.init_weights()
    return model


def images(count: int = 3) -> torch.Tensor:
    return torch.randn(count, 3, 64, 64, generator=torch.Generator().manual_seed(0))


# ---------------------------------------------------------------- pseudo-labels

def maps(*pixels: list[float], scores: list | None = None) -> TeacherMaps:
    """One row of pixels, their channels each."""
    def row(values: tuple | list) -> torch.Tensor:
        return torch.tensor(values, dtype=torch.float32).T[None, :, None]
    return TeacherMaps(row(pixels), row(pixels if scores is None else scores), (1, len(pixels)))


def logit(p: float) -> float:
    return math.log(p / (1 - p))


def two(p: float) -> list[float]:
    """Logits of two classes, the second with probability p."""
    return [0.0, logit(p)]


def test_classes_count_where_the_teacher_is_sure_over_all_pixels():
    parsing = TASKS['parsing']
    sure, unsure = [9.0] + [0.0] * 6, [0.5] + [0.0] * 6
    student = maps([1.0] + [0.0] * 6, [0.0] * 7, [0.0, 2.0] + [0.0] * 5, [0.0] * 7).logits
    found = PseudoLabel(0.85).loss(parsing, student, maps(sure, unsure, sure, unsure))
    nll = [-F.log_softmax(student[0, :, 0, k], 0)[0] for k in (0, 2)]
    assert found.tolist() == [pytest.approx(sum(nll).item() / 4)]
    kept = PseudoLabel(0.85, over='kept').loss(parsing, student, maps(sure, unsure, sure, unsure))
    assert kept.item() == pytest.approx(sum(nll).item() / 2)
    assert PseudoLabel(0.999).loss(parsing, student, maps(unsure, unsure, unsure, unsure)) == 0


def test_saliency_learns_a_balanced_yes_and_no():
    """Of four pixels three are sure at 0.7, one a yes; a class weighs the share of the other."""
    student = maps(two(0.5), two(0.25), two(0.5), two(0.5)).logits
    found = PseudoLabel(0.7).loss(TASKS['saliency'], student,
                                  maps(two(0.9), two(0.2), two(0.6), two(0.05)))
    expected = 2 / 3 * -math.log(0.5) + 1 / 3 * -math.log(0.75) + 1 / 3 * -math.log(0.5)
    assert found.item() == pytest.approx(expected / 4, rel=1e-5)


PROBABILITIES = (0.999, 0.9945, 0.992, 0.5, 0.007, 0.001)


def test_boundaries_count_where_the_teacher_is_sure():
    """|2 p - 1| > 0.99 of the published threshold is a probability of 0.995."""
    student = maps(*[[0.0]] * 6).logits
    teacher = maps(*[[logit(p)] for p in PROBABILITIES])
    config = dict(PSEUDO['boundary'])
    pseudo = MODELS.build(config)
    assert (config['threshold'], pseudo.weight) == (0.995, 0.05)
    found = pseudo.loss(TASKS['boundary'], student, teacher)
    assert found.item() == pytest.approx((0.95 + 0.05) / 2 * math.log(2))  # the first and the last
    # Published: all others, of which 0.9945 and 0.992 are a yes.
    wavering = WaveringBoundary()
    assert wavering.weight == 0.05
    assert wavering.loss(TASKS['boundary'], student, teacher).item() == pytest.approx(
        (2 * 0.95 + 2 * 0.05) / 4 * math.log(2))


def test_values_count_as_one_bin_leads():
    """Two bins whose scores differ by z: the score is 1 / (1 + exp(-5 z))."""
    student = maps([2.0], [2.0], [2.0]).logits
    teacher = maps([3.0], [5.0], [2.5], scores=[[0.0, 1.0], [0.0, 0.0], [0.4, 0.0]])
    lead = [1 / (1 + math.exp(-5)), 0.5, 1 / (1 + math.exp(-2))]
    found = PseudoValue(0.7).loss(TASKS['depth'], student, teacher)
    assert found.item() == pytest.approx((1 * lead[0] + 0.5 * lead[2]) / 3)
    assert PseudoValue(0.9).loss(TASKS['depth'], student, teacher).item() == pytest.approx(
        lead[0] / 3)
    # Normals: unit vectors first, and the mean is over the three channels too.
    student, teacher = maps([0.0, 0.0, 2.0]).logits, maps([3.0, 0.0, 0.0], scores=[[0.0, 1.0]])
    assert PseudoValue(0.7).loss(TASKS['normal'], student, teacher).item() == pytest.approx(
        2 * lead[0] / 3)


@pytest.mark.parametrize('change, message', [
    (dict(threshold=1.0), r'threshold must be in \[0, 1\)'), (dict(over='some'), "'some'"),
    (dict(weight=-1), 'weight >= 0'), (dict(type='PseudoValue'), 'bins has no semseg'),
    (dict(type='WaveringBoundary'), 'of one channel')])
def test_pseudo_labels_that_cannot_be(change, message):
    pseudo = copy.deepcopy(dict(PSEUDO))
    pseudo['semseg'] = dict(type='PseudoLabel', threshold=0.9) | change
    with pytest.raises(ValueError, match=message):
        MODELS.build(student_config('nowhere') | dict(pseudo=pseudo))
    with pytest.raises(ValueError, match='normal is a regression'):
        MODELS.build(student_config('nowhere') | dict(
            pseudo=pseudo | dict(semseg=None, normal=dict(type='PseudoLabel', threshold=0.5))))
    with pytest.raises(ValueError, match='must name all tasks.*differs in boundary'):
        MODELS.build(student_config('nowhere') | dict(
            pseudo={name: own for name, own in pseudo.items() if name != 'boundary'}))


# ---------------------------------------------------------------- losses

def test_losses_written_out(teacher):
    """By pairs: a labelled one has the task's loss and the feature's, another pseudo-labels."""
    model = build(teacher, feature_weight=0.5).eval()
    samples = make_samples(LABELS)
    losses = model(images(), samples, mode='loss')
    alone = MODELS.build(tiny_hitts_config()).eval()
    alone.load_state_dict(model.state_dict())
    for name, value in alone(images(), samples, mode='loss').items():
        torch.testing.assert_close(losses[name], value)
    first = model.load_teacher()
    outputs, logits = model.decoders(model.extract_feat(images()))
    theirs, their_logits = first.decoders(first.extract_feat(images()))
    feature = pseudo = 0.0
    for row, names in enumerate(LABELS):
        for name in PASCAL_TASKS:
            f, g, token = outputs[name].feature[row], theirs[name].feature[row], theirs[name].token
            square = (f - g).square()
            if name in names:
                feature += square.mean()
                continue
            relevance = torch.einsum('dhw,d->hw', g, token[row]).sigmoid()
            feature += (square * relevance).mean()
            own = model.pseudo[name]
            maps = TeacherMaps(their_logits[name][row:row + 1], theirs[name].scores[row:row + 1],
                               (64, 64))
            full = F.interpolate(logits[name][row:row + 1], (64, 64), mode='bilinear')
            pseudo += model.tasks[name].loss_weight * own.weight * own.loss(
                model.tasks[name], full, maps).item()
    assert pseudo > 0 and set(losses) - {'loss_feature', 'loss_pseudo'} == {
        'loss_semseg', 'loss_parsing', 'loss_saliency', 'loss_normal', 'loss_bins', 'loss_zero'}
    torch.testing.assert_close(losses['loss_feature'], 0.5 * 5 / 3 * feature, rtol=1e-4, atol=1e-5)
    assert losses['loss_pseudo'].item() == pytest.approx(5 / 3 * pseudo, rel=1e-4)


@pytest.mark.parametrize('labels', [[[], []], [[], ['normal']], [list(PASCAL_TASKS)] * 2])
@pytest.mark.parametrize('pseudo', ['all', 'none'])
def test_every_parameter_gets_a_gradient_and_all_tasks_learn(teacher, labels, pseudo):
    """An image without a label has pseudo-labels only."""
    model = build(teacher, **({} if pseudo == 'all' else dict(
        pseudo=dict.fromkeys(PASCAL_TASKS)))).train()
    losses = model(images(2), make_samples(labels), mode='loss')
    assert ('loss_pseudo' in losses) == (pseudo == 'all' and len(labels[0]) < 5)
    assert losses['loss_feature'] > 0
    if not any(labels):
        assert set(losses) <= {'loss_feature', 'loss_pseudo', 'loss_zero'}
    sum(losses.values()).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
    for name in PASCAL_TASKS:
        head = model.decoders.heads[name]
        assert head.attention.conv.weight.grad.any()
        taught = (pseudo == 'all' or any(name in own for own in labels))
        assert bool(head.scores.predict.weight.grad.any()) == taught, name


# ---------------------------------------------------------------- the teacher

@pytest.mark.parametrize('place', ['.', 'epoch_3.pth'])
def test_the_teacher_is_frozen_and_no_part_of_the_student(teacher, place):
    model = build(teacher / place)
    saved = torch.load(teacher / 'epoch_3.pth')['state_dict']
    plain = MODELS.build(tiny_hitts_config())
    assert list(model.state_dict()) == list(plain.state_dict())
    assert len(list(model.parameters())) == len(list(plain.parameters()))
    wrapper = FiniteOptimWrapper(torch.optim.Adam(model.parameters(), lr=1e-2))
    for _ in range(2):
        model.train()
        with wrapper.optim_context(model):
            losses = model(images(), make_samples(LABELS), mode='loss')
        wrapper.update_params(model.parse_losses(losses)[0])
    first = model.load_teacher()
    assert not any(module.training for module in first.modules())
    assert not any(p.requires_grad for p in first.parameters())
    for name, value in first.state_dict().items():
        assert torch.equal(value, saved[name]), name
    assert not torch.equal(model.backbone.conv1.weight, first.backbone.conv1.weight)


def test_the_student_starts_from_the_same_weights_whatever_its_teacher(teacher):
    torch.manual_seed(1)
    plain = MODELS.build(tiny_hitts_config())
    plain.init_weights()
    for name, value in build(teacher).state_dict().items():
        assert torch.equal(value, plain.state_dict()[name]), name


def test_testing_needs_no_teacher():
    model = MODELS.build(student_config('/nowhere')).eval()
    with torch.no_grad():
        sample, = model(images(1), make_samples([[]]), mode='predict')
    assert set(sample.pred.keys()) == set(PASCAL_TASKS)
    for learn in (model.init_weights, lambda: model(images(), make_samples(LABELS), mode='loss')):
        with pytest.raises(FileNotFoundError, match=r'model.teacher=/nowhere: .*train stage 1'):
            learn()


def test_a_teacher_of_another_model_is_an_error(teacher):
    with pytest.raises(ValueError, match=r'model.teacher=.*of another model.*heads.normal'):
        build(teacher, decoder=tiny_hitts_config()['decoder'] | dict(bins=dict(
            normal=dict(type='DirectionBins', num=11))))
    assert RUN_KEY not in torch.load(teacher / 'epoch_3.pth')['meta']
