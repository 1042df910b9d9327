"""Every command of the README, the docs and the configs' READMEs is run as it stands there.

Bash reads them (``doc_commands``); the tools run in this process, in a folder like a reader's
(``doc_place``), on thin models and small data: the tables below are all that is changed.
"""

import inspect
import re
import runpy
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace

import doc_place
import pytest
from doc_commands import DOCUMENTS, Command, commands, python_blocks, shell_text
from doc_place import Place
from in_process import load_module, load_tool, running_here
from mmengine.config import Config
from test_tools.test_benchmark_tool import ThisProcess

import mtpsl.__main__
import mtpsl.datasets
import mtpsl.engine.config.load
from mtpsl.analysis.complexity import build_without_values
from mtpsl.analysis.profiling import Measurement

ROOT = Path(__file__).parents[1]
HOW = """
A command of a document must run. Either let it: give what it reads to PREPARE in
tests/doc_place.py, and smaller numbers to SMALLER in tests/test_doc_commands.py. Or, where it
cannot be run, put its first words into ELSEWHERE there, with the reason and the other test."""
# The first words of commands that are not run here: (why, what runs them or the like of them).
ELSEWHERE = {
    'make demo': ('minutes', 'tests/test_tools/test_train_test.py'),
    'make test': ('is this suite', '.ci/run'),
    'make env': ('installs', 'Makefile'),
    'python -m pytest -q -rs tests/test_models/test_backbones.py': (
        'is of this suite', 'tests/test_models/test_backbones.py'),
    'make lint': ('the other half of continuous integration', '.ci/run'),
    'pip install': ('changes the environment', 'Makefile'),
    'pip wheel': ('needs a checkout, and is built there', 'tests/test_packaging.py'),
    'python tools/analysis_tools/complexity_table.py': (
        'half a minute, and it is run there at full size', 'tests/test_complexity.py'),
    'python -m sphinx': ('half a minute', 'tests/test_docs_site.py'),
    'python tools/deployment/export.py': ('half a minute', 'tests/test_apis/test_deployment.py'),
    'python tools/webapp.py': ('goes on for ever', 'tests/test_tools/test_webapp.py'),
    'mtpsl webapp': ('goes on for ever', 'tests/test_tools/test_webapp.py'),
    'tar -xzf': ('the archive is several GB', 'tests/test_datasets/test_pascal_context.py'),
    'mv PASCAL_MT': ('the archive is several GB', 'tests/test_datasets/test_pascal_context.py'),
}
# Tool, or tool and subcommand: arguments that come after the document's and win over them.
SMALLER = {
    'dataset_converters/make_synthetic.py':
        '--train 6 --val 2 --height 64 --width 64 --workers 1',
    'dataset_converters/nyud.py convert': '--workers 1 --size 60 80',
    'dataset_converters/cityscapes.py convert': '--workers 1 --size 32 64',
    'analysis_tools/benchmark.py train': '--size 64 64 --batch 2 --repeats 1 --warm-up 0',
    'analysis_tools/benchmark.py inference': '--size 64 64 --batch 2 --repeats 1 --warm-up 0',
    'analysis_tools/benchmark.py data': '--samples 2 --repeats 1 --warm-up 0',
    'analysis_tools/benchmark.py metrics': '--size 64 64 --maps 1 --repeats 1 --warm-up 0',
    'benchmark_synthetic.py': '--train 8 --val 2 --size 64 --channels 8 --batch 1 --epochs 1 '
                              '--seeds 1 --settings onelabel --methods SS --record runs.json',
}
# Arguments that are left out, with the reason: a GPU only.
WITHOUT = {'--matrix-share': 'sums the times of a GPU\'s kernels'}
# Modules that read configs for the tools (which find it in mtpsl.engine).
READERS = ('mtpsl.engine', 'mtpsl.engine.checks.check_commands', 'mtpsl.apis.load_model',
           'mtpsl.analysis.profiling.model', 'mtpsl.analysis.profiling.data',
           'mtpsl.analysis.profiling.metrics', 'mtpsl.analysis.figures.steps',
           'mtpsl.analysis.figures.image_predictions')
# Documents whose Python other tests run, on data of their own.
PYTHON_ELSEWHERE = {'docs/backbones.md': 'tests/test_doc_backbones.py',
                    'docs/deployment.md': 'tests/test_apis/test_deployment.py',
                    'docs/new_task.md': 'tests/test_docs.py',
                    'docs/own_data.md': 'tests/test_tools/test_own_data.py'}


def split(command: Command) -> tuple[str, list[str]] | None:
    """The tool of a command and its arguments; through torchrun or srun too, as one process."""
    words = list(command.words)
    if words[:3] == ['python', '-m', 'mtpsl']:
        words = words[2:]
    if words[0] == 'mtpsl':
        programs = mtpsl.__main__.tools()
        if words[1] not in programs:  # list, find
            return 'mtpsl', words[1:]
        words = ['python', str(programs[words[1]]), *words[2:]]
    if words[0] not in ('python', 'python3', 'srun'):
        return None
    script = next((word for word in words[1:] if re.match(r'(.*/)?(tools|demo)/.*\.py$', word)),
                  None)
    if script is None:
        return None
    arguments = [word for word in words[words.index(script) + 1:] if word not in WITHOUT]
    if '--launcher' in arguments:
        at = arguments.index('--launcher')
        del arguments[at:at + 2]
    return re.sub(r'^(.*/)?tools/|^.*/(?=demo/)', '', script), arguments


def elsewhere(command: Command) -> str | None:
    return next((words for words in ELSEWHERE if str(command).startswith(words)), None)


def measured_here(sides: Mapping[str, Callable], *arguments: object,
                  **options: object) -> list[Measurement]:
    """In the place of a process for each side: one call in this one."""
    found = []
    for name, setup in sides.items():
        step = setup()
        start = time.perf_counter()
        facts = step()
        found.append(Measurement(name, (time.perf_counter() - start,), 1, 1,
                                 facts if isinstance(facts, dict) else {}))
    return found


@pytest.fixture(scope='module')
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return doc_place.write_data(tmp_path_factory.mktemp('docs') / 'data')


@pytest.fixture
def place(data: Path, tmp_path: Path) -> Iterator[Place]:
    """The folder, entered, with everything shrunk."""
    load_config = mtpsl.engine.config.load.load_config
    here = Place(tmp_path / 'checkout', data)

    def thin(*arguments: object) -> Config:
        return doc_place.thin(load_config(*arguments))

    with running_here() as patch:
        for module in READERS:
            patch.setattr(f'{module}.load_config', thin)
        for name in ('training', 'inference', 'data', 'metrics'):
            patch.setattr(f'mtpsl.analysis.profiling.{name}.measure', measured_here)
        for name, published in doc_place.sizes_of_the_official_files().items():
            patch.setattr(getattr(mtpsl.datasets, name), 'PUBLISHED', published)
        patch.delenv('MTPSL_DATA', raising=False)
        patch.chdir(here.folder)
        patch.syspath_prepend(here.folder)
        with doc_place.forgetting():
            yield here


def start(name: str, arguments: Sequence[str]) -> None:
    """A tool in this process, as are the processes that it starts itself."""
    if name == 'mtpsl':
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, 'argv', [name, *arguments])
            mtpsl.__main__.main()
        return
    tool = load_module(ROOT / name) if name.startswith('demo/') else load_tool(name)
    if hasattr(tool, 'ProcessPoolExecutor'):
        tool.ProcessPoolExecutor = tool.ThreadPoolExecutor = ThisProcess
        tool.subprocess = SimpleNamespace(run=start_child)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, 'argv', [name, *arguments])
        tool.main(*([list(arguments)] if inspect.signature(tool.main).parameters else []))


def start_child(command: Sequence[object], check: bool) -> SimpleNamespace:
    name = str(Path(command[1]).relative_to(ROOT / 'tools'))
    start(name, [*map(str, command[2:]), *SMALLER.get(name, '').split()])
    return SimpleNamespace(returncode=0)


def run(command: Command, place: Place) -> None:
    """Run a tool as a document's command has it."""
    name, arguments = split(command)
    place.prepare(name, arguments)
    smaller = SMALLER.get(name) or SMALLER.get(' '.join((name, *arguments[:1])), '')
    if '--help' in arguments:
        smaller = ''
    try:
        start(name, [*arguments, *smaller.split()])
    except SystemExit as end:
        if end.code not in (None, 0):
            pytest.fail(f'{command.document}: exit status {end.code} of\n{command}\n{HOW}')
    except Exception as error:
        raise AssertionError(f'{command.document}: {error!r} of\n{command}\n{HOW}') from error


def save_files(document: Path, place: Place) -> None:
    """The files that the document has its reader save."""
    for path, code in python_blocks(document):
        if path and not (ROOT / path).exists() and not path.startswith('mtpsl/'):
            (place.folder / path).parent.mkdir(parents=True, exist_ok=True)
            (place.folder / path).write_text(code)


@pytest.mark.parametrize('document', [one for one in DOCUMENTS if shell_text(one)], ids=str)
def test_commands(document: Path, place: Place) -> None:
    save_files(document, place)
    if document.name == 'own_data.md':
        doc_place.write_own_data(place.folder / 'data/mine')
    if document.name == 'new_dataset.md':
        doc_place.write_offices(place.folder / 'data/Offices')
    for command in commands(document, place.folder):
        if elsewhere(command):
            continue
        assert split(command), f'{document}: what is this?\n{command}\n{HOW}'
        run(command, place)


def test_what_is_not_run_is_covered_elsewhere_and_still_there(place: Place) -> None:
    for document in DOCUMENTS:
        save_files(document, place)
    found = [command for document in DOCUMENTS for command in commands(document, place.folder)]
    assert len(found) > 60
    stale = set(ELSEWHERE) - {elsewhere(command) for command in found}
    assert not stale, f'no document has {sorted(stale)} any more: take it out of ELSEWHERE'
    for words, (_, cover) in ELSEWHERE.items():
        assert (ROOT / cover).is_file(), f'{words}: {cover}'
    tools = [split(command) for command in found if split(command)]
    kinds = {name for name, _ in tools} | {' '.join((name, *rest[:1])) for name, rest in tools}
    assert set(SMALLER) <= kinds, f'no document has {sorted(set(SMALLER) - kinds)} any more'
    assert all(any(name in command.words for command in found) for name in WITHOUT)


def code_of(text: str) -> list[str]:
    """Lines without comments on lines of their own."""
    return [line for line in text.splitlines() if line.strip() and not line.startswith('#')]


@pytest.mark.parametrize('document', [one for one in DOCUMENTS if python_blocks(one)
                                      and str(one) not in PYTHON_ELSEWHERE], ids=str)
def test_python(document: Path, place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    """Files of the repository are shown as they are, others can be loaded, programs run."""
    save_files(document, place)
    if 'photo.jpg' in (ROOT / document).read_text():
        doc_place.photos(place.folder)
    for path, code in python_blocks(document):
        if path and (ROOT / path).exists():
            assert code_of(code) == code_of((ROOT / path).read_text()), f'{document}: {path}'
        elif path and path.startswith('configs/'):
            cfg = mtpsl.engine.config.load.load_config(path)
            assert next(build_without_values(cfg.model).parameters()).is_meta
        elif path:
            assert compile(code, path, 'exec')
        else:
            program = place.folder / 'program.py'
            program.write_text(code)
            try:
                runpy.run_path(str(program))
            except Exception as error:
                raise AssertionError(f'{document}: {error!r} in\n{code}\n{HOW}') from error


def test_python_of_other_tests_is_there() -> None:
    for document, cover in PYTHON_ELSEWHERE.items():
        assert python_blocks(Path(document)) and document in (ROOT / cover).read_text()
