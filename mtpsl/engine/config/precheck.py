"""What stops a run, found before a runner is built and prints what it runs on."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from mmengine.config import Config
from mmengine.registry import init_default_scope

from mtpsl.datasets.checks.doubles import same_files, told_twice
from mtpsl.datasets.transforms.contract import looks, zooms
from mtpsl.datasets.transforms.loading import LoadImageFromFile, LoadLabels
from mtpsl.datasets.walks import leaves_of
from mtpsl.engine.quiet import silence
from mtpsl.registry import DATASETS, TRANSFORMS, class_of
from mtpsl.tasks.stored import DECODED_BY_TASK, READING_OPTIONS

from .dataset_tree import joints, leaves, named_leaves
from .load import evaluators

NEAR = 1.05  # between zooms that are one
# What says which images a dataset has.
PLACE = ('type', 'data_root', 'split', 'images', 'ids')
T = TypeVar('T')


def check_together(cfg: Config) -> None:
    """Raise ValueError where of what goes together some is missing, or is of other tasks, or a
    loader has no sampler.
    """
    for split, third in (('train', 'optim_wrapper'), ('val', 'val_evaluator'),
                         ('test', 'test_evaluator')):
        group = [f'{split}_dataloader', f'{split}_cfg', third]
        missing = [name for name in group if cfg.get(name) is None]
        if 0 < len(missing) < len(group):
            raise ValueError(f'{", ".join(group)} go together, all or none of them: '
                             f'{", ".join(missing)} is missing')
        loader = cfg.get(group[0])
        if loader and not (loader.get('sampler') or loader.get('batch_sampler')):
            raise ValueError(f'{group[0]} has no sampler')
        _check_tasks(cfg, split)
    _check_idle_reading(cfg)


def _check_tasks(cfg: Config, split: str) -> None:
    """Raise ValueError where parts have tasks of their own that do not go with the model's."""
    model, loader = cfg.model.get('tasks') or {}, cfg.get(f'{split}_dataloader')
    if not model or not loader:
        return
    sets = list(joints(loader.dataset))
    parts = sets or list(leaves(loader.dataset))
    datasets = [part['tasks'] for part in parts if part.get('tasks')]
    scored = [part['tasks'] for part in evaluators(cfg, split) if part.get('tasks')]
    for place, tasks in (*((f'{split}_dataloader.dataset', one) for one in datasets),
                         *((f'{split}_evaluator', one) for one in scored)):
        for name in (name for name in tasks if tasks[name] and model.get(name)):
            for key in ('type', 'class_names'):
                own, others = tasks[name].get(key), model[name].get(key)
                if None not in (own, others) and _plain(own) != _plain(others):
                    raise ValueError(f'{place}.tasks.{name}.{key} is {own!r}, the model has '
                                     f'{others!r}; tasks at the top of a config is for all parts')
    there = {name for tasks in datasets for name in tasks}
    if split == 'train' and len(datasets) == len(parts) and set(model) - there:
        raise ValueError('train_dataloader.dataset has no task '
                         f'{", ".join(sorted(set(model) - there))}, '
                         'which the model has and would not learn')
    extra = {name for tasks in scored for name in tasks if name in there} - set(model)
    if extra:
        raise ValueError(f'{split}_evaluator has the task {", ".join(sorted(extra))}, which the '
                         'model does not predict')
    _check_single_task(cfg, split, {
        name: _model_names(one['tasks'], (joint.get('names') or {}).get(name, {}))
        for joint in sets for name, one in joint['datasets'].items()})


def _model_names(own: Mapping, names: Mapping[str, str]) -> set[str]:
    """What the model calls the tasks of a set."""
    model_names = {name: task for task, name in names.items()}
    return {model_names.get(name, name) for name in own}


def _check_single_task(cfg: Config, split: str, sets: Mapping[str, set[str]]) -> None:
    """Raise ValueError where figures to compare with are not of the sets that are scored.

    Args:
        cfg: the config.
        split: whose evaluators are meant.
        sets: named set -> the tasks that it is labelled for.
    """
    for part in evaluators(cfg, split):
        given = part.get('single_task') or {}
        nested = [name for name, figure in given.items() if isinstance(figure, Mapping)]
        if given and (bool(sets) != bool(nested) or set(nested) - set(sets)):
            raise ValueError(
                f'{split}_evaluator.single_task must hold a figure for each task' + (
                    f' of each set, as set -> task -> figure; the sets are {", ".join(sets)}'
                    if sets else ', since the dataset is no JointDataset') + f'; got {dict(given)}')
        for name in nested:
            if none := set(given[name]) - sets[name]:
                raise ValueError(
                    f'{split}_evaluator.single_task.{name} has a figure of '
                    f'{", ".join(sorted(none))}, which {name} is not labelled for; it is for '
                    f'{", ".join(sorted(sets[name]))}')


def _check_idle_reading(cfg: Config) -> None:
    """Raise ValueError where options say how labels are read that a published reader reads."""
    found = [(f'{split}_dataloader.dataset{f".datasets.{name}" * bool(name)}', part,
              _published(part)) for split in ('train', 'val', 'test')
             if (loader := cfg.get(f'{split}_dataloader'))
             for name, part in named_leaves(loader.dataset)]
    # What is said at the top may be for another dataset.
    shared = (cfg.get('tasks') or {}) if any(cls is None for *_, cls in found) else {}
    for place, part, cls in found:
        for name, task in (part.get('tasks') or {}).items() if cls else ():
            said, top = ((one or {}) if isinstance(one, Mapping) else {}
                         for one in (task, shared.get(name)))
            idle = [key for key in DECODED_BY_TASK & set(said)
                    if said[key] is not None and said[key] != top.get(key)]
            if idle and name in cls.LABELS:
                raise ValueError(
                    f'{place}.tasks.{name}.{min(idle)} would have no effect: {cls.__name__} reads '
                    'its labels as they are published; for other files there is FolderDataset')


def _published(part: Mapping) -> Any:
    """The class of a dataset in its published form; None of others."""
    cls = class_of(part.get('type'), DATASETS)
    return cls if getattr(cls, 'PUBLISHED', None) else None


def _plain(value: object) -> object:
    """The name of a class of any scope; a list of a tuple."""
    if isinstance(value, type):
        return value.__name__
    return value.rpartition('.')[2] if isinstance(value, str) else list(value)  # type: ignore[call-overload]


def other_colours(cfg: Config, split: str) -> str:
    """What is fixed of the colours of a split's images and is not in training, or the reverse.

    Args:
        cfg: a loaded config; without training data nothing is known.
        split: ``'val'`` or ``'test'``, which prediction reads images by too.

    Returns:
        A sentence for a warning, '' where there is nothing to tell.
    """
    learned, there = ([(name, look) for name, steps in _pipelines(cfg, one)
                       for look in looks(steps)] for one in ('train', split))
    for name, look in there:
        mates = _mates(learned, name)
        if not mates or any(map(look.like, mates)):
            continue
        theirs = next((mate for mate in mates if mate.names), mates[0])
        names = [', '.join(one.names) or 'no transform' for one in (theirs, look)]
        return (f'the colours of every image{_of(name)} are changed by {names[0]} in '
                f'train_dataloader, and by {names[1]} in {split}_dataloader: the model is not '
                'shown what it has learned from. What is not by chance belongs into both pipelines '
                '(prediction reads images as test_dataloader does)')
    return ''


def _mates(learned: Sequence[tuple[str, T]], name: str) -> list[T]:
    """What a set of evaluation is held against: the training set of its name, else all."""
    return ([one for known, one in learned if known == name] if name else []) or [
        one for _, one in learned]


def _of(name: str) -> str:
    return f' of {name}' if name else ''


def training_set_tested(cfg: Config, learned: object | None, tested: object) -> str:
    """Whether a test is on images that the config trains on; a sentence for a warning, or ''.

    Images of one path, links and copies count.

    Args:
        cfg: a loaded config.
        learned: its built training dataset; None where that is not here.
        tested: its built test dataset.
    """
    train, test = ([{key: part.get(key) for key in PLACE} for part in leaves(loader.dataset)]
                       if (loader := cfg.get(f'{split}_dataloader')) else []
                       for split in ('train', 'test'))
    both = next((place for place in test if place in train), None)
    if both is not None:
        return (f'test_dataloader reads the images of train_dataloader ({both["data_root"]}, split '
                f'{both["split"]!r}): its figures are of images that were learned from')
    if learned is None:
        return ''
    tested_on = paths_of(tested)
    same = same_files(paths_of(learned), tested_on)
    return f'{told_twice(same, len(tested_on), "test")}: the figures are too good' if same else ''


def paths_of(dataset: object) -> list[str]:
    """The paths of the images of a built dataset, wrapped or not, in their order."""
    return [info['img_path'] for leaf in leaves_of(dataset)
            for info in map(leaf.get_data_info, range(len(leaf)))]


def other_zoom(cfg: Config, split: str) -> str:
    """Whether no training image is as large as a split's are; arguments as :func:`other_colours`.
    """
    learned, there = (zooms_of(cfg, one) for one in ('train', split))
    for name, zoom in there:
        mates = _mates(learned, name)
        if mates and not any(zoom[0] <= NEAR * high and low <= NEAR * zoom[1]
                             for low, high in mates):
            low, high = mates[0]
            return (f'RandomScale zooms all training images{_of(name)} by {low:g} to {high:g}, '
                    f'those of {split}_dataloader by {zoom[0]:g} to {zoom[1]:g}: the model is '
                    'shown everything in another size than it has learned. Images that are too '
                    'large are to be shrunk on disk, for both')
    return ''


def zooms_of(cfg: Config, split: str) -> list[tuple[str, tuple[float, float]]]:
    """Least and largest zoom of each pipeline and view of a split, with the name of its set."""
    return [(name, zoom) for name, steps in _pipelines(cfg, split) for zoom in zooms(steps)]


def other_reading(cfg: Config, split: str) -> str:
    """Whether files of one place are read in two ways; arguments as :func:`other_colours`."""
    learned, there = (list(named_leaves(loader.dataset)) if (
        loader := cfg.get(f'{one}_dataloader')) else [] for one in ('train', split))
    for name, other in there:
        mates = [one for known, one in learned if known == name and all(
            one.get(key) == other.get(key) for key in ('type', 'data_root', 'folders'))]
        told = [_reading_of_two(cfg, one, other, split, name) for one in mates]
        if told and all(told):
            return told[0]
    return ''


def _reading_of_two(cfg: Config, one: Mapping, other: Mapping, split: str, name: str) -> str:
    """What differs in reading the files of two datasets of one place."""
    lies = [_lie(built_steps(cfg, part), part) for part in (one, other)]
    if lies[0] != lies[1]:
        return (f'photos that a camera noted a rotation of{_of(name)} in {one["data_root"]} are '
                f'read {lies[0]} in train_dataloader and {lies[1]} in {split}_dataloader: images '
                'or labels lie turned in one of them. orientation of LoadImageFromFile and stored '
                'of LoadLabels belong into both pipelines')
    for task, own in (other.get('tasks') or {}).items():
        mine = (one.get('tasks') or {}).get(task)
        if not (isinstance(mine, Mapping) and isinstance(own, Mapping)):
            continue
        odd = sorted(key for key in READING_OPTIONS
                     if _plain_list(mine.get(key)) != _plain_list(own.get(key)))
        if odd:
            ways = [f'{odd[0]}={options.get(odd[0])}' for options in (mine, own)]
            return (f'labels of {task}{_of(name)} in {one["data_root"]} are read by {ways[0]} in '
                    f'train_dataloader and by {ways[1]} in {split}_dataloader: files of one kind '
                    'are to be read in one way')
    return ''


def _lie(steps: Sequence[Callable], dataset: Mapping) -> str:
    """How a pipeline's readers turn photos, and labels with them."""
    loader, labels = (next((step for step in steps if isinstance(step, kind)), None)
                      for kind in (LoadImageFromFile, LoadLabels))
    photos = getattr(class_of(dataset.get('type'), DATASETS), 'PHOTOS', 'stored')
    orientation = getattr(loader, 'orientation', None) or photos
    # Of what is not turned the labels lie as they are.
    stored = sorted(getattr(labels, 'stored', ())) if orientation == 'upright' else []
    return f"with orientation='{orientation}'" + f' and stored={stored}' * bool(stored)


def _plain_list(value: object) -> object:
    return [_plain_list(one) for one in value] if isinstance(value, (list, tuple)) else value


def _pipelines(cfg: Config, split: str) -> Iterator[tuple[str, list[Callable]]]:
    """The built transforms of each dataset of a split, with the name of its set."""
    loader = cfg.get(f'{split}_dataloader')
    for name, part in named_leaves(loader.dataset) if loader else ():
        yield name, built_steps(cfg, part)


def built_steps(cfg: Config, dataset: Mapping) -> list[Callable]:
    """The transforms of the pipeline of a dataset of a config, built."""
    init_default_scope(cfg.get('default_scope') or 'mtpsl')
    return [TRANSFORMS.build(step) if isinstance(step, dict) else step
            for step in dataset.get('pipeline') or ()]


def check_data(cfg: Config, *splits: str) -> None:
    """Build the datasets of these splits once, in silence; the runner builds them again and tells.

    Of several processes of a machine the first does it, and its end ends the others.

    Raises:
        What building them raises: folders, lists or label mappings that are missing or do not fit.
    """
    local = os.environ.get('LOCAL_RANK') or os.environ.get('SLURM_LOCALID') or ''
    if cfg.get('launcher', 'none') != 'none' and local != '0':
        return  # another does it; or what the launcher should have set is missing, which comes next
    init_default_scope(cfg.get('default_scope') or 'mtpsl')
    with silence():
        for split in splits:
            if cfg.get(f'{split}_dataloader'):
                DATASETS.build(cfg[f'{split}_dataloader'].dataset)
