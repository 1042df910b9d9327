"""The converters' command lines, called in this process."""

import importlib.util
from collections.abc import Callable
from pathlib import Path

import pytest

TOOLS = Path(__file__).parents[2] / 'tools' / 'dataset_converters'


def load_main(name: str) -> Callable[[list[str]], None]:
    spec = importlib.util.spec_from_file_location(f'{name}_tool', TOOLS / f'{name}.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.main


class Tool:
    """A converter whose errors are read; ``fails`` gives the one line."""

    def __init__(self, name: str, capsys: pytest.CaptureFixture[str]) -> None:
        self.name, self.main, self.capsys = name, load_main(name), capsys

    def run(self, *args: object) -> str:
        """What ``convert`` prints, with one worker."""
        self.main(['convert', *map(str, args), '--workers', '1'])
        return self.capsys.readouterr().out

    def fails(self, *args: object, status: int = 1) -> str:
        """The one line on stderr when ``convert`` ends with ``status``."""
        with pytest.raises(SystemExit) as info:
            self.run(*args)
        assert info.value.code == status
        lines = self.capsys.readouterr().err.splitlines()
        assert len(lines) == 1, lines
        assert lines[0].startswith(f'{self.name}.py: ')
        return lines[0]
