"""Finds the files of runs that figures show."""

import logging
from collections.abc import Iterable
from pathlib import Path

from mmengine.logging import print_log

from mtpsl.analysis.results import Method, Result
from mtpsl.analysis.task_options import other_options, other_tests
from mtpsl.engine.checkpoints.checkpoint_file import checkpoint_file
from mtpsl.engine.checkpoints.latest import latest_checkpoint
from mtpsl.engine.dumped_config import is_dump
from mtpsl.system.arguments import split_name, split_paths
from mtpsl.system.files import named_in

from .image_predictions import TRUTH
from .method_grid import INPUT

CURVES = 'curves.json'


def curves_file(path: str) -> Path:
    """Return the file itself, or the curves of a work dir.

    Raises:
        FileNotFoundError: it does not exist.
    """
    file = named_in(path, CURVES)
    if not file.is_file():
        raise FileNotFoundError(f'there is no file {file}')
    return file


def tell_notes(*results: Result) -> None:
    """Warn of what is to be known of result files, see :attr:`Result.note`."""
    tell(dict.fromkeys(result.note for result in results if result.note))


def tell(lines: Iterable[str]) -> None:
    """Warn in these words."""
    for line in lines:
        print_log(line, 'current', logging.WARNING)


def tell_other_tests(methods: Iterable[Method], of_one_set: bool = True) -> None:
    """Warn of rows of one figure that were tested in other ways: see :func:`other_tests`.

    And of one set's tasks with other options, see :func:`other_options`.
    """
    methods = list(methods)
    tell(other_tests(methods, of_one_set))
    tell(other_options(methods) if of_one_set else ())


def run_title(path: str) -> str:
    """Return the default name of a work dir, or of a file in one: the folder's name."""
    resolved = Path(path).resolve()
    return (resolved if resolved.is_dir() else resolved.parent).name


def run_config(work_dir: str) -> str:
    """Find the config in the work dir of a run, which includes overrides: the dump, of several.

    Raises:
        FileNotFoundError: there is no config.
        ValueError: there are several configs.
    """
    found = sorted(map(str, Path(work_dir).glob('*.py')))
    if not found:
        raise FileNotFoundError(f'there is no config (.py) in {work_dir}, as tools/train.py and '
                                'tools/test.py leave one')
    if len(found) > 1:
        dumps = [path for path in found if is_dump(Path(path))]
        if len(dumps) == 1:  # beside a config of the user's
            return dumps[0]
        raise ValueError(f'{work_dir} holds several configs, {", ".join(found)}: name one, '
                         'CONFIG=FILE')
    return found[0]


def parse_method(text: str) -> tuple[str, list[tuple[str, str]]]:
    """Parse ``NAME=MODEL[,MODEL...]`` into a name and (config, checkpoint) pairs.

    A ``MODEL`` is ``CONFIG:CHECKPOINT``, or a work dir, which stands for its newest checkpoint.

    Raises:
        ValueError: another form, or the name of another column.
        FileNotFoundError: there is no such checkpoint.
    """
    name, rest = split_name(text)
    if not (name and rest):
        raise ValueError(f'a method is NAME=CONFIG:CHECKPOINT or NAME=WORK_DIR, got {text!r}')
    if name in (INPUT, TRUTH):
        raise ValueError(f'a method cannot be called {name!r}, as another column of the figure is')
    return name, [_find_model(part) for part in split_paths(rest)]


def _find_model(text: str) -> tuple[str, str]:
    if Path(text).is_dir():
        checkpoint, damage = latest_checkpoint(text)
        if damage:
            print_log(f'{damage}: {text} stands for {checkpoint}', 'current', logging.WARNING)
        if checkpoint is None:
            raise FileNotFoundError(f'there is no checkpoint in the work dir {text}')
        return run_config(text), checkpoint
    config, _, checkpoint = text.partition(':')
    if not checkpoint:
        raise ValueError(f'a model is CONFIG:CHECKPOINT or a work dir, got {text!r}')
    checkpoint_file(checkpoint)
    return config, checkpoint
