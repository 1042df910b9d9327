"""Result files: the ``metrics.json`` of ``tools/test.py``, and sets of results of any origin.

Both hold figures by ``<task>/<metric>``, or ``<set>/<task>/<metric>`` of several named sets. Only
the primary metrics are kept: those that the file names, else those of the registered tasks.
``docs/compare.md`` shows both kinds.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from mtpsl.system.arguments import split_name, split_paths
from mtpsl.system.files import NUMBERED, RESULT, named_in

from .directions import left_out, metric_directions, primary_figures, read_directions
from .results import Result, refuse_overlap
from .task_options import CHECKPOINT, read_options, read_tested

PAPER = Path(__file__).with_name('paper_results.json')
SET_KEYS = ('title', 'source', 'results')  # the first two for who reads the file
RESULT_KEYS = ('method', 'setting', 'params', 'macs', 'metrics', 'printed_delta_m')
SHOWN = 8  # keys that an error lists at most: a metrics.json may have hundreds


def result_file(path: str | Path) -> Path:
    """Return the file itself, or that of a work dir."""
    return named_in(path, RESULT)


def read_results(path: str | Path, setting: str | None = None) -> list[Result]:
    """Read a result file of either kind.

    An object with the key ``results`` is a set. Any other is one result, named after its folder
    if the file is called ``metrics.json``, else after the file.

    Args:
        path: the file; a work dir stands for its ``metrics.json``.
        setting: which of a set's settings to take; needed where it has several.

    Raises:
        FileNotFoundError: no such file.
        ValueError: it is no result file, a figure is no number, or the setting is not clear.
    """
    path = result_file(path)
    content = _load(path)
    if 'results' in content:
        return _of_setting(_read_set(content, str(path)), setting)
    name = _folder_name(path) if path.name == RESULT else path.stem
    tested = read_tested(content, str(path))
    result = Result(name, {}, str(path), classes=_classes(content),
                    options=read_options(content, str(path)), tested=tested,
                    note=_older(path, tested))
    return [_with_figures(result, content, read_directions(content, str(path)))]


def _older(path: Path, tested: Mapping) -> str:
    """Say that a work dir's figures are not of its last checkpoint."""
    pointer = path.parent / 'last_checkpoint'
    last = Path(pointer.read_text().strip()).name if pointer.is_file() else ''
    of = tested.get(CHECKPOINT)
    return f'{path} has the figures of {of}, and the last checkpoint there is {last}' if (
        path.name == RESULT and isinstance(of, str) and last != of
        and NUMBERED.fullmatch(of) and NUMBERED.fullmatch(last)) else ''


def _folder_name(path: Path) -> str:
    """Of the default ``work_dirs/<method>/<config>`` both, since configs of methods share names."""
    parts = path.resolve().parent.parts
    return '/'.join(parts[-2:] if parts[-3:-2] == ('work_dirs',) else parts[-1:])


def read_argument(text: str, setting: str | None = None) -> list[Result]:
    """Read ``FILE``, or ``NAME=FILE,...``: files of different tasks that make one named row.

    Args:
        text: as above; with a name, each file is a ``metrics.json``.
        setting: see :func:`read_results`.

    Raises:
        FileNotFoundError: no such file.
        ValueError: see :func:`read_results`; no name; two files that hold the same figure.
    """
    name, files = split_name(text)
    if not name:
        return read_results(text, setting)
    parts = [read_results(file, setting) for file in split_paths(files)]
    for part in parts:
        if part[0].index is not None:
            raise ValueError(f'{part[0].file} is a set, whose results have names of their own; '
                             f'NAME=FILE takes a metrics.json, got {text!r}')
    results = [part[0] for part in parts]
    refuse_overlap((result.file, [result]) for result in results)
    return [Result(name, {key: value for r in results for key, value in r.metrics.items()},
                   ','.join(result.file for result in results),
                   classes={key: value for r in results for key, value in r.classes.items()},
                   directions={key: value for r in results for key, value in r.directions.items()},
                   options={key: value for r in results for key, value in r.options.items()},
                   tested=_tested_alike(results),
                   note='; '.join(filter(None, (r.note for r in results))))]


def _tested_alike(results: Sequence[Result]) -> dict:
    """How several files of a row were tested; their values together where they differ."""
    said = [result.tested for result in results if result.tested]
    values = {key: list({json.dumps(one[key]): one[key] for one in said if key in one}.values())
              for key in dict.fromkeys(key for one in said for key in one)}
    return {key: found[0] if len(found) == 1 else found for key, found in values.items()}


def paper_results(setting: str) -> list[Result]:
    """The paper's own figures, of one of its settings.

    Raises:
        ValueError: not one of them.
    """
    return read_results(PAPER, setting)


def _load(path: Path) -> dict:
    if not path.is_file():
        raise FileNotFoundError(f'there is no result file {path}')
    try:
        content = json.loads(path.read_text(encoding='utf-8'))
    except ValueError as error:
        raise ValueError(f'{path} is no JSON file: {error}') from error
    if not isinstance(content, dict):
        raise ValueError(f'{path} must hold an object, got {type(content).__name__}')
    return content


def _read_set(content: dict, file: str) -> list[Result]:
    _refuse_unknown(content, SET_KEYS, file)
    results = content['results']
    if not (isinstance(results, list) and results):
        raise ValueError(f"{file}: 'results' must be a list of at least one, got {results!r:.60}")
    return [_read_result(entry, file, index) for index, entry in enumerate(results)]


def _read_result(entry: object, file: str, index: int) -> Result:
    place = f'{file}: results[{index}]'
    if not isinstance(entry, dict):
        raise ValueError(f'{place} must be an object, got {entry!r:.60}')
    _refuse_unknown(entry, RESULT_KEYS, place)
    for key, kind in (('method', str), ('metrics', dict)):
        if not (isinstance(entry.get(key), kind) and str(entry[key] or '').strip()):
            raise ValueError(f'{place}: {key!r} must be a {kind.__name__} that is not empty, got '
                             f'{entry.get(key)!r:.60}')
    setting = entry.get('setting')
    if not (setting is None or isinstance(setting, str)):
        raise ValueError(f"{place}: 'setting' must be a str, got {setting!r:.60}")
    numbers = {key: None if entry.get(key) is None else _number(entry[key], f'{place}: {key!r}')
               for key in ('params', 'macs', 'printed_delta_m')}
    result = Result(' '.join(entry['method'].split()), {}, file, index, setting, numbers['params'],
                    numbers['macs'], numbers['printed_delta_m'])
    return _with_figures(result, entry['metrics'], None)


def _refuse_unknown(entry: dict, known: Sequence[str], place: str) -> None:
    unknown = [key for key in entry if key not in known]
    if unknown:
        raise ValueError(f'{place}: unknown keys {unknown[:SHOWN]}, the keys are {list(known)}')


def _with_figures(result: Result, metrics: dict, named: dict[str, bool] | None) -> Result:
    """The result with the figures of primary metrics that were measured."""
    directions = {key: better for key, better in primary_figures(metrics, named).items()
                  if metrics[key] is not None}
    if not directions:
        allowed = list(metric_directions() if named is None else named)
        raise ValueError(f'{result.place}: no figure of a primary metric; allowed are '
                         f'<task>/<metric> with the metrics {allowed}, got '
                         f'{list(metrics)[:SHOWN]}')
    kept = {key: _number(metrics[key], f'{result.place}: {key!r}') for key in directions}
    return replace(result, metrics=kept, directions=directions,
                   note='; '.join(filter(None, (
                       result.note, left_out(metrics, directions, result.place)))))


def _classes(metrics: dict) -> dict[str, frozenset[str]]:
    """Classes by task, from figures of single classes such as ``semseg/IoU.cat``."""
    found: dict[str, set[str]] = {}
    for key in metrics:
        task, _, metric = key.partition('/IoU.')
        if metric:
            found.setdefault(task, set()).add(metric)
    return {task: frozenset(names) for task, names in found.items()}


def _number(value: object, place: str) -> float:
    # Python's JSON also reads NaN and Infinity, and takes true for 1.
    if isinstance(value, bool) or not (isinstance(value, int | float)
                                       and abs(value) <= sys.float_info.max):
        raise ValueError(f'{place} must be a finite number, got {value!r:.60}')
    return value


def _of_setting(results: list[Result], setting: str | None) -> list[Result]:
    """Those of one setting; a result that names none belongs to every setting."""
    known = list(dict.fromkeys(r.setting for r in results if r.setting is not None))
    if setting is None and len(known) > 1:
        raise ValueError(f'{results[0].file} holds several settings, --setting must '
                         f'choose one of {known}')
    if setting is not None and known and setting not in known:
        raise ValueError(f'{results[0].file} has no setting {setting!r}, choose one of {known}')
    return [r for r in results if setting in (None, r.setting) or r.setting is None]
