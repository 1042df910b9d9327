"""The MTL baseline with a regulariser: losses, gradients for every process, views."""

import pytest
import torch
from tiny import PASCAL_TASKS, make_samples, make_views, tiny_regularized_config

from mtpsl.models import CrossTaskConsistency, JointTaskRegularization
from mtpsl.registry import MODELS
from mtpsl.tasks import build_tasks

LOSSES = dict(ViewConsistency={'loss_consistency'}, CrossTaskConsistency={'loss_xtc'},
              JointTaskRegularization={'loss_jtr_model', 'loss_jtr_distance',
                                       'loss_jtr_reconstruction'})


@pytest.fixture(params=list(LOSSES))
def model(request):
    torch.manual_seed(0)
    return MODELS.build(tiny_regularized_config(request.param))


def views_of(model, labels):
    samples = make_views(labels, model.regularizer.num_views)
    return torch.randn(len(samples), 3, 64, 64), samples


def test_the_losses_are_those_of_the_baseline_and_of_the_regulariser(model):
    torch.manual_seed(1)
    images, samples = views_of(model, [['semseg'], ['normal', 'boundary']])
    model.eval()  # view 0 alone then gives the same predictions
    losses = model(images, samples, mode='loss')
    assert set(losses) == LOSSES[type(model.regularizer).__name__] | {
        'loss_semseg', 'loss_normal', 'loss_boundary', 'loss_zero'}
    baseline = MODELS.build({key: value for key, value in tiny_regularized_config(
        'ViewConsistency').items() if key != 'regularizer'} | dict(type='MultiTaskModel'))
    baseline.load_state_dict({key: value for key, value in model.state_dict().items()
                              if not key.startswith('regularizer.')})
    baseline.eval()
    alone = baseline(images[:2], samples[:2], mode='loss')
    for name, value in alone.items():
        assert losses[name].item() == pytest.approx(value.item(), rel=1e-4), name
    assert all(torch.equal(a, b) for a, b in zip(
        baseline(images[:2]).values(), model(images[:2]).values()))


@pytest.mark.parametrize('labels', [
    [['semseg'], ['semseg']], [[], []], [[], ['normal']], [list(PASCAL_TASKS)] * 2])
def test_every_parameter_gets_a_finite_gradient_whatever_is_labelled(model, labels):
    """So that distributed training needs no find_unused_parameters."""
    losses = model(*views_of(model, labels), mode='loss')
    sum(losses.values()).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name


def test_unlabelled_tasks_learn_from_the_regulariser(model):
    """Of a task without a label only the regulariser reaches the decoder."""
    torch.manual_seed(2)
    images, samples = views_of(model, [['semseg'], ['semseg']])
    for name in PASCAL_TASKS:  # predictions that SS trusts
        with torch.no_grad():
            model.decoders.predict[name].weight.mul_(30)
    sum(model(images, samples, mode='loss').values()).backward()
    for name in ('parsing', 'normal', 'boundary', 'saliency'):
        assert any(p.grad.any() for p in model.decoders.decode[name].parameters()), name


def test_a_batch_without_the_views_is_an_error(model):
    needed = model.regularizer.num_views
    for samples in (make_samples([['semseg'], ['normal']]),
                    make_views([['semseg']], needed)[:-1] + make_views([['semseg']], 1)):
        with pytest.raises(ValueError, match=rf'needs the views \[0, 1.* end train_pipeline with '
                                             rf'MultiView and {needed} pipelines'):
            model(torch.randn(len(samples), 3, 64, 64), samples, mode='loss')


def test_prediction_takes_no_views(model):
    model.eval()
    with torch.no_grad():
        sample, = model(torch.randn(1, 3, 64, 64), make_samples([[]]), mode='predict')
    assert set(sample.pred.keys()) == set(PASCAL_TASKS)


def test_it_trains_where_only_deterministic_operations_may(model):
    torch.use_deterministic_algorithms(True)
    try:
        losses = model(*views_of(model, [['semseg'], ['normal', 'boundary']]), mode='loss')
        sum(losses.values()).backward()
    finally:
        torch.use_deterministic_algorithms(False)
    assert all(torch.isfinite(loss) for loss in losses.values())


@pytest.mark.parametrize('regularizer', [CrossTaskConsistency, JointTaskRegularization])
@pytest.mark.parametrize('options, message', [
    (dict(channels=(8, 8)), 'channels must be 5 numbers'),
    (dict(map_stride=0), 'map_stride must be at least 1, got 0'),
    (dict(statistics='image'), "statistics must be one of batch, map, got 'image'")])
def test_wrong_arguments(regularizer, options, message):
    with pytest.raises(ValueError, match=message):
        regularizer(build_tasks(PASCAL_TASKS), **options)


@pytest.mark.parametrize('regularizer, weight', [
    (CrossTaskConsistency, 'weight'), (JointTaskRegularization, 'distance_weight')])
def test_negative_weights(regularizer, weight):
    with pytest.raises(ValueError, match='must be >= 0'):
        regularizer(build_tasks(PASCAL_TASKS), **{weight: -1})


@pytest.mark.parametrize('name', ['CrossTaskConsistency', 'JointTaskRegularization'])
def test_maps_too_small_for_the_network_are_an_error(name):
    model = MODELS.build(tiny_regularized_config(name, map_stride=4))
    with pytest.raises(ValueError, match='map_stride 4 makes maps of 16 x 16 of images of 64 x 64'):
        model(*views_of(model, [['semseg'], []]), mode='loss')
