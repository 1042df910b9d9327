"""Options of tasks and tests by which figures of one name differ: in files, beside a table."""

import inspect
import json
import os
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zlib import crc32

from mtpsl.registry import TASKS, class_of
from mtpsl.system.files import NUMBERED

if TYPE_CHECKING:
    from mmengine.config import Config

    from mtpsl.models import MultiTaskModel

    from .results import Method

# Of a metrics.json: task -> its type, and option -> value where that is not the default.
OPTIONS = 'task_options'
TESTED = 'tested'  # of a metrics.json: how the figures were measured
WAYS = ('tta', 'amp', 'num_samples')  # of testing, whatever the images
LABELLED = 'labelled images of '  # a task, of those tested on
CHECKPOINT = 'checkpoint'  # of what was tested: its name
STEPS = 'denoising steps'  # of it, where it has any
SETTINGS = 'settings changed since training'  # of its model, a list of "key before -> now"
TRAINED = 'training, as digests'  # of the parts of its training's config, without the seed
OF_A_RUN = (CHECKPOINT, STEPS, SETTINGS, TRAINED)  # are others in other rows
SHOWN = 60  # characters of a value
LOOKED_AT = 32  # images whose content, and that of their labels, is part of a digest


def options_of(tasks: Mapping[str, Mapping]) -> dict[str, dict[str, Any]]:
    """The entry ``task_options`` of a file of figures.

    Args:
        tasks: task name -> config; :attr:`mtpsl.tasks.Task.beside_figures` are left out.
    """
    found = {}
    for name, task in tasks.items():
        cls = class_of(task['type'], TASKS)
        given = {key: _plain(value) for key, value in task.items()
                 if key not in ('type', '_scope_', *cls.beside_figures)}
        defaults = {key: _plain(one.default)
                    for key, one in inspect.signature(cls).parameters.items()
                    if one.default is not one.empty}
        found[name] = {'type': cls.__name__} | {
            key: value for key, value in given.items()
            if key not in defaults or value != defaults[key]}
    return found


def trained_with(checkpoint: str, cfg: 'Config') -> dict[str, Any]:
    """What a checkpoint says of its training, for the entry ``tested``.

    Args:
        checkpoint: the file, which a training may remove before a test has ended.
        cfg: the config of the test.
    """
    from mtpsl.engine.checkpoints.resume import changed_settings, training_digests

    changed, parts = changed_settings(checkpoint, cfg), training_digests(checkpoint)
    return {CHECKPOINT: Path(checkpoint).name} | (
        {} if changed is None else {SETTINGS: changed}) | ({TRAINED: parts} if parts else {})


def tested_with(model: 'MultiTaskModel', dataset: object,
                trained: Mapping[str, Any]) -> dict[str, Any]:
    """The entry ``tested`` of a file of figures.

    Args:
        model: the tested model.
        dataset: what it was tested on, built.
        trained: see :func:`trained_with`.
    """
    from mtpsl.datasets.walks import leaves_of

    views = None if model.tta is None else [
        f'{scale:g}{" mirrored" if flip else ""}' for flip, scale in model.tta.views]
    ways = dict(zip(WAYS, (views, model.amp, model.num_samples)))
    leaves = list(leaves_of(dataset))
    what = {**trained} | ({STEPS: model.num_steps} if model.num_steps else {})
    if not leaves:  # a dataset of another kind
        return {**what, 'images': len(dataset), **ways}  # type: ignore[arg-type]
    infos = [leaf.get_data_info(index) for leaf in leaves for index in range(len(leaf))]
    labelled = Counter(name for info in infos for name in info['labels'])
    # The names of all images, and the content of some of those, in whatever order they come.
    infos.sort(key=lambda info: str(info['img_id']))
    some = infos[::-(-len(infos) // LOOKED_AT) or 1]
    which = [str(info['img_id']) for info in infos], _content(info['img_path'] for info in some)
    return {**what, 'images': len(infos), 'digest of the images': _digest(which),
            **{f'{LABELLED}{task}': labelled[task] for task in model.tasks},
            **{f'digest of the labels of {task}': _digest(_content(
                path for info in some for path in info['labels'].get(task, ())))
               for task in model.tasks}, **ways}


def _content(paths: Iterable[str]) -> list:
    from mtpsl.engine.checkpoints.data_files import file_of

    return [file_of(path)['content'] for path in paths if os.path.isfile(path)]


def _digest(content: object) -> str:
    return f'{crc32(repr(content).encode()):08x}'


def _plain(value: object) -> Any:
    """In JSON's types."""
    return json.loads(json.dumps(value, default=repr))


def read_options(content: Mapping, place: str) -> dict[str, dict[str, Any]]:
    """The entry ``task_options`` of a result file; empty if it has none, as older ones.

    Raises:
        ValueError: it is no object of objects.
    """
    named = content.get(OPTIONS, {})
    if not (isinstance(named, dict) and all(isinstance(one, dict) for one in named.values())):
        raise ValueError(f'{place}: {OPTIONS!r} must be an object of task -> object of option -> '
                         f'value, got {named!r:.60}')
    return named


def read_tested(content: Mapping, place: str) -> dict[str, Any]:
    """The entry ``tested`` of a result file; empty if it has none, as older ones.

    Raises:
        ValueError: it is no object.
    """
    tested = content.get(TESTED, {})
    if not isinstance(tested, dict):
        raise ValueError(f'{place}: {TESTED!r} must be an object, got {tested!r:.60}')
    return tested


def other_tests(methods: Iterable['Method'], of_one_set: bool = True) -> list[str]:
    """Lines on rows that were tested in other ways: other images, views, precision, samples.

    And on runs of one row that are of other epochs or iterations, or of other denoising steps, or
    were trained otherwise.

    Args:
        methods: the rows.
        of_one_set: they should be of the same images.
    """
    methods = list(methods)
    rows = [(method.name, run.tested) for method in methods for run in method.runs]
    # What a row does not say, of a task that it lacks or as older files, is no difference.
    differing = [told for option in dict.fromkeys(key for _, given in rows for key in given)
                 if (of_one_set or option in WAYS) and option not in OF_A_RUN
                 and (told := _differing(option, [row for row in rows if option in row[1]]))]
    if changed := _other_changes(rows):
        differing.append(changed)
    lines = [f'the rows were not tested alike: {"; ".join(differing)}'] if differing else []
    for method in methods if of_one_set else ():
        named = {name for run in method.runs for name in _values(run.tested.get(CHECKPOINT))
                 if isinstance(name, str)}
        ends = {name for name in named if NUMBERED.fullmatch(name)}
        if len(ends) > 1 or ends and any(name.startswith('best_') for name in named):
            lines.append(f'the runs of {method.name} are of different checkpoints: '
                         f'{", ".join(sorted(named))}')
        steps = {str(number) for run in method.runs for number in _values(run.tested.get(STEPS))}
        if len(steps) > 1:
            lines.append(f'the files of {method.name} have different numbers of denoising steps: '
                         f'{", ".join(sorted(steps))}')
        if other := _other_trainings(method):
            lines.append(f'the runs of {method.name} were trained with other {", ".join(other)}')
    return lines


def _other_trainings(method: 'Method') -> list[str]:
    """Parts of their trainings' configs in which the runs of a row differ, besides their seed.

    A row of several files, as of single tasks, has several trainings: of those nothing is told.
    """
    found = [(set(run.metrics), run.tested[TRAINED]) for run in method.runs
             if isinstance(run.tested.get(TRAINED), dict)]
    return sorted({part for tasks, one in found for others, other in found if tasks == others
                   for part in one.keys() | other.keys() if one.get(part) != other.get(part)})


def _other_changes(rows: Iterable[tuple[str, Mapping]]) -> str:
    """Say which settings of the training some rows have changed and others have not."""
    said = [(name, {one for part in _values(given[SETTINGS])
                    for one in (part if isinstance(part, list) else [part])})
            for name, given in rows if SETTINGS in given]
    common = set.intersection(*(changes for _, changes in said)) if said else set()
    odd = [f'{", ".join(sorted(changes - common))} in {name}' for name, changes in said
           if changes - common]
    return f'{SETTINGS} (before -> in the test) are {"; ".join(odd)}' if odd else ''


def _values(said: Any) -> list:
    """What a row says of how it was tested, of several files several values."""
    return said if isinstance(said, list) else [] if said is None else [said]


def other_options(methods: Iterable['Method']) -> list[str]:
    """List the tasks whose figures are of differently set tasks, one line each.

    Names of classes are left to the figures of single classes where there are any.
    """
    runs = [(method.name, run) for method in methods for run in method.runs]
    lines = []
    for task in dict.fromkeys(task for _, run in runs for task in run.options):
        rows = [(name, run.options[task]) for name, run in runs if task in run.options]
        known = all(run.classes.get(task) for _, run in runs if task in run.options)
        differing = [told for option in dict.fromkeys(key for _, given in rows for key in given)
                     if not (known and option == 'class_names')
                     and (told := _differing(option, rows))]
        if differing:
            lines.append(f'{task} has other options in other rows, and its figures are not '
                         f'comparable: {"; ".join(differing)}')
    return lines


def _differing(option: str, rows: Iterable[tuple[str, Mapping]]) -> str:
    """What the rows say of an option; '' if it is one value."""
    said: dict[str, list[str]] = {}
    for name, given in rows:
        value = json.dumps(given[option]) if option in given else 'its default'
        names = said.setdefault(value, [])
        if name not in names:
            names.append(name)
    return f'{option} is ' + ', '.join(
        f'{value:.{SHOWN}} in {" and ".join(names)}' for value, names in said.items()
    ) if len(said) > 1 else ''
