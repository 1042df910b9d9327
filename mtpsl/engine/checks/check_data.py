"""A look at the data of a run before it: labels, images, and what pipelines make of them."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from mmengine.config import Config
from mmengine.runner import Runner

from mtpsl.datasets.checks.contradictions import by_set, compare_labels, compare_sets
from mtpsl.datasets.checks.copied_labels import copied_files
from mtpsl.datasets.checks.image_scale import (
    Scale,
    compare_scales,
    half_there,
    look_at_scales,
    mostly_padding,
    turned_crop,
)
from mtpsl.datasets.checks.look import look_at_labels
from mtpsl.datasets.transforms.probes.value_changes import Pipeline, other_values
from mtpsl.datasets.walks import leaves_of
from mtpsl.engine.checkpoints.trained_images import learned_from, other_images
from mtpsl.engine.config.precheck import (
    other_colours,
    other_reading,
    other_zoom,
    training_set_tested,
    zooms_of,
)
from mtpsl.engine.config.values import value_of
from mtpsl.engine.quiet import silence
from mtpsl.engine.ranks import bare_model, compare_data
from mtpsl.registry import DATASETS, MODELS
from mtpsl.tasks import Task
from mtpsl.tasks.seen import Seen

from .checkpoint_doubts import code_doubt

# Share of known values that may lie beyond the bins of a task; of published data, whose published
# bins leave some out, more.
BEYOND, BEYOND_PUBLISHED = 0.01, 0.5
ZOOMS = 9  # factors of a range that are tried


def check_labels(runner: Runner, training: bool = True) -> None:
    """Look at some labels of what a runner trains and validates on, or tests on.

    Raises:
        ValueError, RuntimeError: see :func:`mtpsl.datasets.checks.look.look_at_labels`; or the
            processes have other images.
    """
    if not training:
        _check_test(runner)
        return
    dataset = runner.train_dataloader.dataset
    learned, shown = look_at_labels(dataset), look_at_scales(dataset)
    for told in (*compare_sets(by_set(dataset, learned)), *beyond_bins(runner.cfg, learned),
                 idle_regularizer(runner), *_padding(runner, shown), *turned_crop(shown),
                 *_half_there('training', shown),
                 *(told for leaf in leaves_of(dataset) for told in copied_files(leaf))):
        if told:
            runner.logger.warning(told)
    if runner.val_loop is not None:
        compare_data(runner.val_dataloader.dataset, 'validation data')
        tested = look_at_labels(runner.val_dataloader.dataset, training=False)
        for told in (*compare_labels(learned, tested),
                     *other_values(*map(_pipelines, (
                         dataset, runner.val_dataloader.dataset)))):
            runner.logger.warning(told)
        if not other_zoom(runner.cfg, 'val'):  # which is told of
            _warn_of_scales(runner, shown, runner.val_dataloader.dataset)


def _pipelines(dataset: object) -> list[Pipeline]:
    return [(leaf.pipeline.transforms, leaf.tasks) for leaf in leaves_of(dataset)]


def _padding(runner: Runner, shown: Mapping[str, list[Scale]]) -> Iterator[str]:
    """Say where most of what is trained on is padding."""
    model = bare_model(runner)
    if hasattr(model, 'data_preprocessor'):
        yield from mostly_padding(shown, model.data_preprocessor.size)


def _check_test(runner: Runner) -> None:
    """Look at what a runner tests on, and hold it against what the config trains on."""
    cfg, tested = runner.cfg, runner.test_dataloader.dataset
    compare_data(tested, 'test data')
    seen = look_at_labels(tested, training=False)
    learned, zoom = training_data(cfg), other_zoom(cfg, 'test')
    for told in (other_colours(cfg, 'test'), zoom, other_reading(cfg, 'test'),
                 training_set_tested(cfg, learned, tested)
                 or cfg.load_from and learned_from(cfg.load_from, tested),
                 cfg.load_from and other_images(cfg.load_from, cfg, 'test'),
                 cfg.load_from and code_doubt(cfg.load_from, cfg),
                 *compare_labels(_learned_labels(learned), seen),
                 *other_values(_pipelines(learned), _pipelines(tested))):
        if told:
            runner.logger.warning(told)
    if learned is not None and not zoom:
        _warn_of_scales(runner, look_at_scales(learned), tested)


def _learned_labels(learned: object | None) -> Mapping[str, tuple[Task, Seen]]:
    """What was seen of training labels, of which a test tells nothing; {} if they do not fit."""
    try:
        with silence():
            return look_at_labels(learned)
    except Exception:  # a test does not need them
        return {}


def beyond_bins(cfg: Config, seen: Mapping[str, tuple[Task, Seen]]) -> Iterator[str]:
    """Say where labels, zoomed as in training, hold what the bins of HiTTs cannot predict.

    Args:
        cfg: the config.
        seen: task name, of named sets ``<task> of <set>`` -> the task and what its labels hold.
    """
    bins = value_of(cfg, 'model.decoder.bins') or {}
    zooms = zooms_of(cfg, 'train') if bins else []
    for name, config in bins.items():
        limits = getattr(MODELS.build(config), 'limits', lambda: None)()
        for place, (task, labels) in seen.items():
            label_of, _, its_set = place.partition(' of ')
            if limits is None or label_of != name or not labels.known:
                continue
            (low, high), zoom = limits, _zoom_of(its_set, zooms)
            values = np.concatenate([np.asarray(task.rescale(labels.some, factor))
                                     for factor in np.linspace(*zoom, ZOOMS)])
            beyond = float(((values < low) | (values > high)).mean())
            if beyond > (BEYOND_PUBLISHED if labels.published else BEYOND):
                zoomed = f', zoomed by {zoom[0]:g} to {zoom[1]:g},' * (zoom != (1, 1))
                yield (f'{beyond:.0%} of the known pixels of {place}{zoomed} are beyond its bins, '
                       f'{low:.4g} to {high:.4g}: they go from {values.min():.4g} to '
                       f'{values.max():.4g}, and a prediction cannot leave the bins; set low and '
                       f'high of model.decoder.bins.{name}')


def _zoom_of(its_set: str, zooms: Sequence[tuple[str, tuple[float, float]]]) -> tuple[float, float]:
    """Least and largest zoom of a named set, or of all."""
    own = [zoom for name, zoom in zooms if name == its_set] or [zoom for _, zoom in zooms]
    return (min(low for low, _ in own), max(high for _, high in own)) if own else (1, 1)


def idle_regularizer(runner: Runner) -> str:
    """Say where a regularizer learns from unlabelled tasks, and there is none; '' elsewhere."""
    model = bare_model(runner)
    regularizer: Any = getattr(model, 'regularizer', None)
    leaves = list(leaves_of(runner.train_dataloader.dataset))
    if not getattr(regularizer, 'of_unlabelled', False) or not leaves or any(
            len(leaf.get_data_info(index)['labels']) < len(model.tasks)
            for leaf in leaves for index in range(len(leaf))):
        return ''
    kind = type(regularizer).__name__
    return (f'all training images are labelled for all {len(model.tasks)} tasks: {kind} learns '
            'from unlabelled tasks alone, so its loss is 0 in all steps, which pay for '
            f'{regularizer.num_views} views; without model.regularizer they are cheaper')


def training_data(cfg: Config) -> object | None:
    """The built training dataset; None where it is not here, which a test does not need."""
    loader = cfg.get('train_dataloader')
    try:
        with silence():
            return DATASETS.build(loader.dataset) if loader else None
    except Exception:  # nor need it fit
        return None


def _warn_of_scales(runner: Runner, learned: Mapping[str, list[Scale]], tested: object) -> None:
    """Warn where images of evaluation are of another size than those of training."""
    shown = look_at_scales(tested)
    for told in (*_half_there('evaluation', shown), *compare_scales(learned, shown)):
        runner.logger.warning(told)


def _half_there(split: str, shown: Mapping[str, list[Scale]]) -> Iterator[str]:
    return (f'{split}: {told}' for told in half_there(shown))
