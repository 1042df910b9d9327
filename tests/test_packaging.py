"""A wheel is built of the sources, looked into, installed, and used from an empty folder."""

import os
import re
import shutil
import stat
import subprocess
import sys
import zipfile
from configparser import ConfigParser
from email import message_from_bytes
from email.message import Message
from importlib.metadata import version
from pathlib import Path

import pytest
import torch
from packaging.requirements import Requirement
from PIL import Image

from mtpsl.engine import load_config
from mtpsl.registry import MODELS

ROOT = Path(__file__).parents[1]
SHIPPED = ('configs', 'tools', 'demo', 'model-index.yml')
SOURCES = ('setup.py', 'pyproject.toml', 'MANIFEST.in', 'README.md', 'LICENSE', 'requirements',
           'mtpsl', *SHIPPED)
CACHES = shutil.ignore_patterns('__pycache__')


def run(*command: str, cwd: Path, **variables: str) -> str:
    """Standard output of a command of this Python, whose environment names no other package."""
    clean = {key: value for key, value in os.environ.items() if key != 'PYTHONPATH'}
    done = subprocess.run([sys.executable, *command], cwd=cwd, env=clean | variables, text=True,
                          capture_output=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def copy_sources(folder: Path) -> Path:
    folder.mkdir()
    for name in SOURCES:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=CACHES)
        else:
            shutil.copy2(source, folder)
    return folder


@pytest.fixture(scope='module')
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """Built twice, the second time without a config that the first one's leftovers still have."""
    tmp = tmp_path_factory.mktemp('wheel')
    sources = copy_sources(tmp / 'sources')
    extra = sources / 'configs/ss/only_once.py'
    extra.write_text('x = 1\n')
    before = {path for path in sources.rglob('*') if not path.match('build/**')}
    for _ in range(2):
        run('-m', 'pip', 'wheel', '--quiet', '--no-deps', '--no-build-isolation', '--no-index',
            '--wheel-dir', str(tmp / 'dist'), '.', cwd=sources)
        extra.unlink(missing_ok=True)
    after = {path for path in sources.rglob('*') if path.relative_to(sources).parts[0]
             not in ('build', 'mtpsl.egg-info')}
    assert after == before - {extra}  # nothing is generated beside the sources
    file, = (tmp / 'dist').iterdir()
    return zipfile.ZipFile(file)


@pytest.fixture(scope='module')
def metadata(wheel: zipfile.ZipFile) -> Message:
    name, = (name for name in wheel.namelist() if name.endswith('.dist-info/METADATA'))
    return message_from_bytes(wheel.read(name))


@pytest.fixture(scope='module')
def installed(wheel: zipfile.ZipFile, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for PYTHONPATH that the wheel is installed into."""
    folder = tmp_path_factory.mktemp('installed')
    run('-m', 'pip', 'install', '--quiet', '--no-deps', '--no-index', '--target', str(folder),
        wheel.filename, cwd=folder)
    return folder


def test_the_wheel_has_every_file_that_ships(wheel: zipfile.ZipFile) -> None:
    names = set(wheel.namelist())
    files = [path for name in SHIPPED for path in [ROOT / name, *(ROOT / name).rglob('*')]
             if path.is_file() and '__pycache__' not in path.parts]
    assert len(files) > 150
    assert {name for name in names if name.startswith('mtpsl/.mim/')} == {
        f'mtpsl/.mim/{path.relative_to(ROOT)}' for path in files}
    package = {str(path.relative_to(ROOT)) for path in (ROOT / 'mtpsl').rglob('*')
               if path.is_file() and '__pycache__' not in path.parts}
    assert {'mtpsl/py.typed', 'mtpsl/analysis/paper_results.json'} <= package
    assert package <= names
    for name in ('tools/dist_train.sh', 'configs/ss/nyud_random_r18.py'):
        assert wheel.read(f'mtpsl/.mim/{name}') == (ROOT / name).read_bytes()
    script = wheel.getinfo('mtpsl/.mim/tools/dist_train.sh')
    assert script.external_attr >> 16 & stat.S_IXUSR


def test_the_wheel_has_nothing_else(wheel: zipfile.ZipFile) -> None:
    tops = {name.split('/')[0] for name in wheel.namelist()}
    assert {top for top in tops if not top.endswith('.dist-info')} == {'mtpsl'}
    assert not [name for name in wheel.namelist() if '__pycache__' in name]


def test_entry_point(wheel: zipfile.ZipFile) -> None:
    name, = (name for name in wheel.namelist() if name.endswith('entry_points.txt'))
    parser = ConfigParser()
    parser.read_string(wheel.read(name).decode())
    assert dict(parser['console_scripts']) == {'mtpsl': 'mtpsl.__main__:main'}


def test_requirements_are_those_of_the_files_and_are_met_here(metadata: Message) -> None:
    """The environment of the tests is that of a user with the extra ``all``."""
    requirements = [Requirement(line) for line in metadata.get_all('Requires-Dist')]
    plain = {requirement.name for requirement in requirements if not requirement.marker}
    assert {'torch', 'numpy', 'onedl-mmengine', 'onedl-mmcv', 'onedl-mmsegmentation'} <= plain
    files = {}
    for path in (ROOT / 'requirements').glob('*.txt'):
        lines = [line for line in path.read_text().splitlines() if not line.startswith('-r ')]
        files[path.stem] = {Requirement(line).name for line in lines}
    assert plain == files.pop('runtime') | files.pop('mminstall')
    extras = {extra: {requirement.name for requirement in requirements if requirement.marker
                      and requirement.marker.evaluate({'extra': extra})}
              for extra in metadata.get_all('Provides-Extra')}
    everything = {name for names in files.values() for name in names}
    assert extras.pop('all') == extras.pop('tests') == everything
    assert extras == {name: files[name] for name in ('webapp', 'deployment', 'labels', 'docs')}
    for requirement in requirements:
        found = version(requirement.name)
        assert requirement.specifier.contains(found, prereleases=True), (requirement, found)


def test_the_source_distribution_builds_the_same_wheel(wheel: zipfile.ZipFile,
                                                       tmp_path: Path) -> None:
    sources = copy_sources(tmp_path / 'sources')
    run('-c', 'from setuptools.build_meta import build_sdist; build_sdist("dist")', cwd=sources)
    archive, = (sources / 'dist').iterdir()
    shutil.unpack_archive(archive, tmp_path / 'unpacked', filter='data')
    unpacked, = (tmp_path / 'unpacked').iterdir()
    run('-c', 'from setuptools.build_meta import build_wheel; build_wheel("dist")', cwd=unpacked)
    built, = (unpacked / 'dist').iterdir()
    assert sorted(zipfile.ZipFile(built).namelist()) == sorted(wheel.namelist())


USE = """
import mmengine.hub
import mtpsl
from mtpsl.engine import load_config
from mtpsl.engine.config.model_index import home
cfg = load_config('diffusionmtl_pascal_random_r18')
hub = mmengine.hub.get_config('mtpsl::diffusionmtl/pascal_random_r18.py')
open('mine.py', 'w').write("_base_ = 'mtpsl::ss/nyud_random_r18.py'\\n"
                           'model = dict(channels_last=False)')
mine = load_config('mine.py')
print(mtpsl.__file__, home(), cfg.filename, hub.filename, sep='\\n')
print(cfg.model.type, hub.model.type, mine.model.regularizer.type,
      mine.model.channels_last)
"""


def test_configs_by_name_from_an_empty_folder(installed: Path, tmp_path: Path) -> None:
    printed = run('-c', USE, cwd=tmp_path, PYTHONPATH=str(installed)).splitlines()
    package = installed / 'mtpsl'
    config = package / '.mim/configs/diffusionmtl/pascal_random_r18.py'
    assert [Path(line) for line in printed[:4]] == [package / '__init__.py', package / '.mim',
                                                    config, config]
    assert printed[4] == 'DiffusionMTL DiffusionMTL ViewConsistency False'


def python_lines(document: str) -> list[str]:
    return re.findall(r'```python\n(.*?)```', (ROOT / document).read_text(), re.DOTALL)


def test_three_lines_predict_the_sample_images(installed: Path, tmp_path: Path) -> None:
    """The README's first, word for word: nothing is trained, loaded or lies in the folder."""
    code, = python_lines('README.md')[:1]
    assert code == python_lines('docs/inference.md')[0] and len(code.splitlines()) == 3
    run('-W', 'error::UserWarning', '-c', code, cwd=tmp_path, PYTHONPATH=str(installed))
    assert [path.name for path in tmp_path.iterdir()] == ['predictions']
    for task in ('semseg', 'parsing', 'saliency', 'normal', 'boundary', 'panels'):
        assert len(list((tmp_path / 'predictions' / task).iterdir())) == 6


def test_three_lines_predict_a_photo(installed: Path, tmp_path: Path) -> None:
    """docs/inference.md's next, with the demo's small model and a checkpoint of it."""
    code = python_lines('docs/inference.md')[1]
    assert len(code.splitlines()) == 3
    config = 'synthetic/diffusionmtl_onelabel'
    torch.save(MODELS.build(load_config(config).model).state_dict(), tmp_path / 'epoch_100.pth')
    Image.new('RGB', (90, 70), 'olive').save(tmp_path / 'photo.jpg')
    run('-c', code.replace('diffusionmtl/pascal_random_r18', config), cwd=tmp_path,
        PYTHONPATH=str(installed))
    for task in ('semseg', 'parsing', 'saliency', 'normal', 'boundary'):
        assert Image.open(tmp_path / f'predictions/{task}/photo.png').size == (90, 70)
    assert (tmp_path / 'predictions/panels/photo.png').is_file()


def test_the_command_lists_and_runs_the_installed_tools(installed: Path, tmp_path: Path) -> None:
    def mtpsl(*arguments: str) -> str:
        return run('-m', 'mtpsl', *arguments, cwd=tmp_path, PYTHONPATH=str(installed))

    listing = mtpsl('list')
    assert str(installed / 'mtpsl/.mim') in listing and str(ROOT) not in listing
    assert '\n  train ' in listing and '\n  xtc/nyud_random_r18\n' in listing
    printed = mtpsl('get_flops', 'synthetic/mtl_baseline_onelabel', '--shape', '64', '64',
                    '--json', 'costs.json')
    assert printed and (tmp_path / 'costs.json').is_file()
    assert sorted(path.name for path in tmp_path.iterdir()) == ['costs.json']
