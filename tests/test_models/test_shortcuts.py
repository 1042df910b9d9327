"""What saves work gives the same values: shortcuts, skipped backward passes, checkpointing."""

import pytest
import torch
import torch.nn.functional as F
from tiny import PASCAL_TASKS, make_samples, tiny_model_config
from torch import nn

from mtpsl.models import ConcatenatedCondition, MultiScaleFusion, ProjectedCondition
from mtpsl.models.aligned_conv import padded_conv2d
from mtpsl.models.neck import enlarged_convolution
from mtpsl.registry import MODELS
from mtpsl.tasks import build_tasks


@pytest.mark.parametrize('short, long', [((3, 5), (24, 20)), ((6, 6), (12, 12)), ((1, 2), (3, 7))])
def test_convolution_of_an_enlarged_map_without_enlarging_it(short, long):
    maps = torch.randn(2, 4, *short, dtype=torch.float64, requires_grad=True)
    kernel = torch.randn(5, 4, 3, 3, dtype=torch.float64, requires_grad=True)
    fast = enlarged_convolution(maps, kernel, long)
    enlarged = F.interpolate(maps, long, mode='bilinear', align_corners=False)
    torch.testing.assert_close(fast, F.conv2d(enlarged, kernel, padding=1))
    weight = torch.randn_like(fast)
    ours = torch.autograd.grad((fast * weight).sum(), (maps, kernel))
    plain = torch.autograd.grad((F.conv2d(enlarged, kernel, padding=1) * weight).sum(),
                                (maps, kernel))
    torch.testing.assert_close(ours, plain)


@pytest.mark.parametrize('scale, side', [(1.0, 24), (0.5, 24), (0.25, 20)])
def test_neck_shortcut(scale, side):
    torch.manual_seed(0)
    neck = MultiScaleFusion((4, 6, 8, 3), 5, scale).double()
    stages = [torch.randn(2, c, max(side >> k, 1), max(side >> k, 1)).double()
              for k, c in enumerate((4, 6, 8, 3))]
    fast = neck(stages)
    neck.shortcut = False
    torch.testing.assert_close(fast, neck(stages))


@pytest.mark.parametrize('kind', [ProjectedCondition, ConcatenatedCondition])
def test_condition_at_a_quarter_of_the_resolution(kind):
    torch.manual_seed(0)
    tasks = build_tasks(PASCAL_TASKS)
    condition = kind(tasks, channels=6).double()
    maps = {name: torch.randn(2, task.channels, 12, 20).double() for name, task in tasks.items()}
    whole = F.interpolate(condition(maps), (3, 5), mode='bilinear', align_corners=False)
    torch.testing.assert_close(condition.quarter(maps), whole)


@pytest.mark.parametrize('channels', [(1, 16), (21, 16), (16, 3), (7, 5), (8, 16)])
@pytest.mark.parametrize('kernel, stride, padding', [(1, 1, 0), (3, 1, 1), (3, 3, 0)])
def test_padded_channels_change_no_value(channels, kernel, stride, padding):
    torch.manual_seed(0)
    conv = nn.Conv2d(*channels, kernel, stride, padding).double()
    maps = torch.randn(2, channels[0], 6, 9, dtype=torch.float64, requires_grad=True)
    leaves = (maps, conv.weight, conv.bias)
    padded, plain = padded_conv2d(maps, conv.weight, conv.bias, stride, padding), conv(maps)
    torch.testing.assert_close(padded, plain)
    weight = torch.randn_like(plain)
    torch.testing.assert_close(torch.autograd.grad((padded * weight).sum(), leaves),
                               torch.autograd.grad((plain * weight).sum(), leaves))


def test_maps_that_do_not_divide_take_the_long_way():
    model = MODELS.build(tiny_model_config()).diffusion
    for side, calls in ((8, 0), (10, 1)):
        seen = []
        model.condition.reduce.register_forward_hook(lambda *_, seen=seen: seen.append(1))
        model._condition_tokens({name: torch.randn(1, task.channels, side, side)
                                 for name, task in build_tasks(PASCAL_TASKS).items()})
        assert len(seen) == calls


def backward_calls(model: nn.Module, labels: list[list[str]]) -> set[str]:
    """The tasks whose decoders take part in the backward pass."""
    called = set()
    for name, decode in model.decoders.decode.items():
        decode[0].conv1.register_full_backward_hook(lambda *_, name=name: called.add(name))
    sum(model(torch.randn(2, 3, 64, 64), make_samples(labels), mode='loss').values()).backward()
    return called


def test_tasks_without_labels_have_no_backward_pass_but_with_syncbn():
    labels = [['semseg'], ['normal', 'semseg']]
    assert backward_calls(MODELS.build(tiny_model_config()), labels) == {'semseg', 'normal'}
    model = MODELS.build(tiny_model_config(detach=False))
    assert backward_calls(model, labels) == set(PASCAL_TASKS)
    # Another rank may wait for this one's part of the batch statistics, also without any label.
    for some in (labels, [[], []]):
        model = nn.SyncBatchNorm.convert_sync_batchnorm(MODELS.build(tiny_model_config()))
        assert backward_calls(model, some) == set(PASCAL_TASKS)


def test_decoders_that_do_not_learn_keep_no_graph():
    decoders = MODELS.build(tiny_model_config()).decoders
    for learning, kept in ((['semseg'], ['semseg']), (None, list(PASCAL_TASKS))):
        features, initial = decoders(torch.randn(1, 16, 8, 8), learning)
        assert [name for name in initial if initial[name].requires_grad] == kept
        assert [name for name in features if features[name].requires_grad] == kept


def test_batch_statistics_count_images_without_labels():
    models = []
    for labels in ([['semseg'], ['semseg']], [['normal'], ['boundary']]):
        torch.manual_seed(0)
        models.append(MODELS.build(tiny_model_config()))
        models[-1](torch.randn(2, 3, 64, 64), make_samples(labels), mode='loss')
    for one, other in zip(*(model.decoders.buffers() for model in models)):
        torch.testing.assert_close(one, other)
    assert models[0].decoders.decode['normal'][0].bn1.num_batches_tracked == 1


def kept_bytes(model: nn.Module) -> tuple[int, dict[str, torch.Tensor]]:
    """What the graph of a step keeps beside parameters, and the gradients by name."""
    kept = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = tensor, storage.nbytes()
        return tensor

    torch.manual_seed(1)
    images, samples = torch.randn(2, 3, 64, 64), make_samples([['semseg'], ['normal', 'boundary']])
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        total = sum(model(images, samples, mode='loss').values())
    own = {p.untyped_storage().data_ptr() for p in model.parameters()}
    size = sum(nbytes for pointer, (_, nbytes) in kept.items() if pointer not in own)
    total.backward()
    return size, {name: p.grad for name, p in model.named_parameters()}


@pytest.mark.parametrize('part, synchronised', [
    ('decoder', False), ('decoder', True), ('diffusion', False)])
def test_checkpointing_keeps_less_and_changes_nothing(part, synchronised):
    def build(checkpoint: bool) -> nn.Module:
        torch.manual_seed(0)
        config = tiny_model_config(channels=64)
        config[part]['with_cp'] = checkpoint
        model = MODELS.build(config)
        return nn.SyncBatchNorm.convert_sync_batchnorm(model) if synchronised else model

    plain, thrifty = build(False), build(True)
    (kept, gradients), (less, same) = kept_bytes(plain), kept_bytes(thrifty)
    # Three of the maps inside a block of a decoder, for three tasks and two images; three of
    # those inside a head, for three pairs and two steps.
    assert kept - less >= 3 * 3 * 2 * 64 * 8 * 8 * 4
    for name in gradients:
        torch.testing.assert_close(gradients[name], same[name], msg=name)
    for one, other in zip(plain.buffers(), thrifty.buffers()):  # counted once, not twice
        torch.testing.assert_close(one, other)


def test_outputs_that_are_not_asked_for_are_not_made():
    config = tiny_model_config() | dict(outputs=('pred',))
    model = MODELS.build(config)
    model.eval()
    with torch.no_grad():
        sample = model(torch.randn(1, 3, 64, 64), make_samples([[]]), mode='predict')[0]
    assert 'pred' in sample and 'initial' not in sample and 'noisy' not in sample
    for outputs in (('initial',), ('pred', 'final')):
        with pytest.raises(ValueError, match="outputs must be 'pred' and others of"):
            MODELS.build(config | dict(outputs=outputs))


def test_memory_format_is_an_option_and_changes_no_value():
    """A seed's initial weights included."""
    values, weights = [], []
    for channels_last in (True, False):
        torch.manual_seed(0)
        model = MODELS.build(tiny_model_config() | dict(channels_last=channels_last))
        model.init_weights()
        weights.append(model.state_dict())
        weight = model.diffusion.condition.reduce.weight
        assert weight.is_contiguous(memory_format=torch.channels_last) == channels_last
        model.eval()
        with torch.no_grad():
            values.append(model(torch.linspace(-1, 1, 3 * 64 * 64).view(1, 3, 64, 64)))
    assert all(torch.equal(value, weights[1][name]) for name, value in weights[0].items())
    for task in PASCAL_TASKS:
        torch.testing.assert_close(values[0][task], values[1][task], rtol=1e-4, atol=1e-5)
