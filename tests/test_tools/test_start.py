"""What a command line loads before it is asked for any work: nothing heavy."""

import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import ROOT, environment

HEAVY = {'torch', 'mmengine', 'mmcv', 'mmseg', 'numpy', 'scipy', 'cv2', 'PIL', 'matplotlib',
         'gradio'}
LOADED = """
import runpy, sys
sys.argv = sys.argv[1:]
try:
    runpy.run_path(sys.argv[0], run_name='__main__')
finally:
    print(*{name.partition('.')[0] for name in sys.modules}, sep='\\n', file=sys.stderr)
"""
TOOLS = sorted(path.relative_to(ROOT) for folder in ('tools', 'demo')
               for path in (ROOT / folder).rglob('*.py'))
SUBCOMMANDS = {'benchmark.py': ('train', 'inference', 'data', 'metrics'),
               'label_mapping.py': ('generate', 'import', 'with-people'),
               'nyud.py': ('convert', 'check')}


def loaded(path: Path, *arguments: str) -> set[str]:
    done = subprocess.run([sys.executable, '-c', LOADED, str(ROOT / path), *arguments], text=True,
                          capture_output=True, check=True, env=environment(PYTHONPATH=str(ROOT)))
    assert done.stdout
    return set(done.stderr.split())


@pytest.mark.parametrize('path', TOOLS, ids=str)
def test_help_loads_nothing_heavy(path):
    for command in SUBCOMMANDS.get(path.name, ()):
        assert not loaded(path, command, '--help') & HEAVY
    found = loaded(path, '--help')
    assert 'mtpsl' in found and not found & HEAVY


@pytest.mark.parametrize('arguments', [['--help'], ['list'], ['list', 'jtr'], ['find', 'ss/nyud']])
def test_what_ships_is_listed_without_pytorch(arguments):
    code = LOADED.replace('runpy.run_path(sys.argv[0]', "runpy.run_module('mtpsl'")
    done = subprocess.run([sys.executable, '-c', code, 'mtpsl', *arguments], text=True,
                          capture_output=True, check=False, env=environment(PYTHONPATH=str(ROOT)))
    assert {'mtpsl', 'sys'} <= set(done.stderr.split())
    assert not set(done.stderr.split()) & {'torch', 'mmcv', 'mmseg', 'cv2', 'scipy', 'matplotlib'}


def test_the_contents_of_a_package_come_when_they_are_asked_for():
    import mtpsl.analysis.figures
    import mtpsl.engine
    assert 'load_config' in mtpsl.engine.__all__ and callable(mtpsl.analysis.figures.draw_gains)
    assert mtpsl.engine.config.load.load_config is mtpsl.engine.load_config
    with pytest.raises(AttributeError, match="module 'mtpsl.engine' has no attribute 'nothing'"):
        mtpsl.engine.nothing  # noqa: B018
    with pytest.raises(ImportError, match="cannot import name 'nothing'"):
        from mtpsl.engine import nothing  # noqa: F401
