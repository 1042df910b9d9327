"""The command lines in the test's own process."""

import importlib.util
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from itertools import count
from pathlib import Path
from types import ModuleType

import pytest
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.runner import Runner
from mmengine.utils.dl_utils import collect_env

ROOT = Path(__file__).parents[1]


def load_tool(script: str) -> ModuleType:
    """A tool as a module."""
    return load_module(ROOT / 'tools' / script)


def load_module(path: Path) -> ModuleType:
    """A Python file as a module."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def last_of_each(line: Sequence[object]) -> list[str]:
    """A command line without the ``--cfg-options`` that later ones of it override."""
    place = list(line).index('--cfg-options') + 1 if '--cfg-options' in line else len(line)
    last = {str(pair).partition('=')[0]: str(pair) for pair in line[place:]}
    return [*map(str, line[:place]), *last.values()]


RUNS = count()
environment = cache(collect_env)  # runs compilers for their versions


@contextmanager
def running_here() -> Iterator[pytest.MonkeyPatch]:
    """For trainings and tests in this process: quicker, and their loggers end with them."""
    from_cfg = Runner.from_cfg.__func__

    def build(cls: type[Runner], cfg: Config) -> Runner:
        cfg.experiment_name = f'run{next(RUNS)}'  # else the second, which two runs may share
        return from_cfg(cls, cfg)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Runner, 'from_cfg', classmethod(build))
        patch.setattr('mmengine.runner.runner.collect_env', environment)
        patch.setattr(MMLogger, '_instance_dict', MMLogger._instance_dict.copy())
        yield patch
