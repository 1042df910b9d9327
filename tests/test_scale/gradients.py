"""Gradients of the ranks against those of one process with the whole batch, for every method."""

import copy
from collections.abc import Sequence
from unittest import mock

import torch
from mmengine.config import Config
from mmengine.model import MMDistributedDataParallel, revert_sync_batchnorm
from mmengine.optim import OptimWrapper
from mmengine.runner import Runner
from tiny import (
    PASCAL_TASKS,
    make_views,
    tiny_hitts_config,
    tiny_model_config,
    tiny_regularized_config,
)
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from mtpsl.engine import build_runner
from mtpsl.engine.dumped_config import KeepingRunner
from mtpsl.structures import MultiTaskSample

ALL = list(PASCAL_TASKS)
SIZE = (64, 64)
ACCUMULATED = ('one rank without labels', 'mixed')  # also sample by sample
SAMPLES = 4  # of all ranks together


def baseline_config() -> dict:
    """The MTL baseline, its backbone with gradient checkpointing."""
    config = tiny_regularized_config('ViewConsistency')
    del config['regularizer']
    config['backbone']['with_cp'] = True
    return config | dict(type='MultiTaskModel')


# XTC and JTR are left out: the classes that they draw at random are not those of the whole batch.
MODELS = dict(
    prediction=tiny_model_config('PredictionDiffusion'),
    feature=tiny_model_config('FeatureDiffusion'),
    hitts=tiny_hitts_config(dropout=0.0),
    baseline=baseline_config(),
    ss=tiny_regularized_config('ViewConsistency'))


def label_cases(world_size: int) -> dict[str, list[list[str]]]:
    """What each of the samples is labelled for; a rank holds neighbouring samples."""
    each = SAMPLES // world_size
    ranks = [rank for rank in range(world_size) for _ in range(each)]
    return {
        'another task on each rank': [[ALL[rank]] for rank in ranks],
        'one rank without normal': [ALL if rank else ['semseg', 'boundary'] for rank in ranks],
        'one rank without labels': [['saliency', 'normal'] if rank else [] for rank in ranks],
        'labels on the last rank only': [ALL if rank == world_size - 1 else [] for rank in ranks],
        'no boundary anywhere': [ALL[:4]] * SAMPLES,
        'no label anywhere': [[]] * SAMPLES,
        'mixed': [[ALL[i], *ALL[i + 2:]] for i in range(SAMPLES)],
    }


class KeptGradients(OptimWrapper):
    """Leaves the gradients where the update found them."""

    def zero_grad(self) -> None:
        pass


def freeze_statistics(model: nn.Module) -> None:
    """Training mode, with the running statistics in every BatchNorm."""
    model.train()
    for module in model.modules():
        if isinstance(module, _BatchNorm):
            module.eval()


def noise_by_image(model: nn.Module) -> None:
    """Draw the noise of training from the image's id, so that it is that of the whole batch."""
    def training_noise(initial: dict[str, Tensor],
                       rows: dict[str, Sequence[int]]) -> dict[str, Tensor] | None:
        noise = model.test_noise(initial, model.ids)
        return noise and {name: noise[name][list(labelled)] for name, labelled in rows.items()}

    model.training_noise = training_noise


def batch(labels: list[list[str]], views: int, rows: slice) -> dict:
    """Some samples of the seeded batch as a data loader gives them."""
    images = torch.randint(0, 256, (views, SAMPLES, 3, *SIZE), dtype=torch.uint8,
                           generator=torch.Generator().manual_seed(1))
    samples: list[list[MultiTaskSample]] = list(zip(
        *[iter(make_views(labels, views, SIZE))] * SAMPLES))
    if views == 1:
        return dict(inputs=list(images[0, rows]), data_samples=list(samples[0][rows]))
    return dict(inputs=[list(view[rows]) for view in images],
                data_samples=[list(view[rows]) for view in samples])


def gradients(model: nn.Module, parts: Sequence[dict]) -> list[Tensor | None]:
    """Gradients of one update from the micro-batches ``parts``."""
    for parameter in model.parameters():
        parameter.grad = None
    wrapper = KeptGradients(torch.optim.SGD(model.parameters(), lr=0.0), len(parts))
    inner = getattr(model, 'module', model)
    for data in parts:
        views = data['data_samples']
        first = views[0] if isinstance(views[0], list) else views
        inner.ids = [sample.img_id for sample in first]
        model.train_step(data, wrapper)
    return [parameter.grad for parameter in model.parameters()]


def largest_error(got: Sequence[Tensor], expected: Sequence[Tensor]) -> float:
    """Largest difference of a parameter's gradients as a share of its largest gradient.

    Or of a millionth of the largest of all, where its own are rounding: a softmax does not see the
    bias of its keys.
    """
    least = 1e-6 * max(b.abs().max() for b in expected)
    errors = [((a - b).abs().max() / b.abs().max().clamp(min=least)).item()
              if b.any() else a.abs().max().item() for a, b in zip(got, expected)]
    return max(errors)


def build(kind: str, work_dir: str) -> Runner:
    """The runner of a model, as the tools build it on each rank."""
    # Most of a runner's building is to describe the machine and to lay out its config's text.
    with mock.patch.multiple(KeepingRunner, _log_env=mock.DEFAULT, dump_config=mock.DEFAULT):
        return build_runner(Config(dict(
            model=MODELS[kind], work_dir=work_dir, default_scope='mtpsl', launcher='pytorch',
            log_level='WARNING', experiment_name=kind, randomness=dict(seed=0), sync_bn='torch')))


def compare(kind: str, work_dir: str) -> dict[str, tuple[list[str], float]]:
    """What is compared -> names of parameters without a gradient, and :func:`largest_error`."""
    torch.set_default_dtype(torch.float64)  # what is compared is the sums, not their rounding
    runner = build(kind, work_dir)
    model, world_size, rank = runner.model, runner.world_size, runner.rank
    assert type(model) is MMDistributedDataParallel and not model.find_unused_parameters
    whole = copy.deepcopy(model.module)
    for module in (model, whole):
        freeze_statistics(module)
        noise_by_image(getattr(module, 'module', module))
    views = getattr(getattr(whole, 'regularizer', None), 'num_views', 1)
    each = SAMPLES // world_size
    start = rank * each
    found = {}
    for case, labels in label_cases(world_size).items():
        expected = _reference(whole, batch(labels, views, slice(None)), rank)
        for size in {each, 1} if case in ACCUMULATED else {each}:  # of a micro-batch
            rows = [slice(first, first + size) for first in range(start, start + each, size)]
            got = gradients(model, [batch(labels, views, part) for part in rows])
            missing = [name for (name, _), gradient
                       in zip(model.module.named_parameters(), got) if gradient is None]
            found[f'{kind}, {case}, {len(rows)} micro-batches'] = (
                missing, float('nan') if missing else largest_error(got, expected))
    return found


def sync_bn_error(work_dir: str) -> float:
    """:func:`largest_error` with batch statistics in training, over the ranks and of one process.
    """
    torch.backends.cudnn.allow_tf32 = False
    runner = build('prediction', work_dir)
    whole = revert_sync_batchnorm(copy.deepcopy(runner.model.module))
    for module in (runner.model.module, whole):
        module.train()
        noise_by_image(module)
    labels, each = label_cases(runner.world_size)['mixed'], SAMPLES // runner.world_size
    expected = _reference(whole, batch(labels, 1, slice(None)), runner.rank)
    own = slice(runner.rank * each, (runner.rank + 1) * each)
    return largest_error(gradients(runner.model, [batch(labels, 1, own)]), expected)


def _reference(model: nn.Module, data: dict, rank: int) -> list[Tensor]:
    """Gradients of the whole batch in one process; computed once and told to all ranks."""
    expected = gradients(model, [data]) if rank == 0 else list(model.parameters())
    expected = [tensor.detach().clone() for tensor in expected]
    for tensor in expected:
        torch.distributed.broadcast(tensor, 0)
    return expected


def compare_kinds(kinds: Sequence[str], work_dir: str) -> dict[str, tuple[list[str], float]]:
    """:func:`compare` of several kinds."""
    return {key: value for kind in kinds for key, value in compare(kind, work_dir).items()}
