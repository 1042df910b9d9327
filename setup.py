"""Packaging. Tool settings live in pyproject.toml."""

import runpy
import shutil
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).parent
SHIPPED = ('configs', 'tools', 'demo', 'model-index.yml')  # inside of the wheel: mtpsl/.mim
EXTRAS = ('webapp', 'deployment', 'labels', 'docs', 'tests')


def requirements(name: str) -> list[str]:
    """The lines of ``requirements/<name>.txt``, those of files that it names by ``-r`` in place."""
    found = []
    for line in (ROOT / 'requirements' / f'{name}.txt').read_text().splitlines():
        line = line.partition('#')[0].strip()
        if line.startswith('-r '):
            found += requirements(Path(line[3:].strip()).stem)
        elif line:
            found.append(line)
    return found


class BuildWithConfigs(build_py):
    """Puts what OpenMMLab's tools look for in a package's ``.mim`` into the build, not the source.

    An editable install reads these files where they lie (``mtpsl.engine.config.model_index.home``).
    """

    def run(self) -> None:
        if not self.editable_mode:  # what an earlier build left would be shipped too
            shutil.rmtree(Path(self.build_lib, 'mtpsl'), ignore_errors=True)
        super().run()
        if not self.editable_mode:
            for name in SHIPPED:
                self._ship(ROOT / name, Path(self.build_lib, 'mtpsl', '.mim', name))

    @staticmethod
    def _ship(source: Path, target: Path) -> None:
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns('__pycache__', '.*'))
        elif source.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)


extras = {name: requirements(name) for name in EXTRAS}
setup(
    name='mtpsl',
    version=runpy.run_path(str(ROOT / 'mtpsl' / '__init__.py'))['__version__'],
    description='Multi-task dense prediction from partially annotated data: DiffusionMTL and more',
    long_description=(ROOT / 'README.md').read_text(encoding='utf-8'),
    long_description_content_type='text/markdown',
    license='Apache-2.0',
    packages=find_packages(include=['mtpsl', 'mtpsl.*']),
    package_data={'mtpsl': ['py.typed', 'apis/weights/*.safetensors'], '': ['*.json', '**/*.j2']},
    python_requires='>=3.10',
    # With upstream's builds of the OpenMMLab packages, of other names: pip install --no-deps.
    install_requires=requirements('runtime') + requirements('mminstall'),
    extras_require=extras | {'all': sorted({line for lines in extras.values() for line in lines})},
    entry_points={'console_scripts': ['mtpsl = mtpsl.__main__:main']},
    cmdclass={'build_py': BuildWithConfigs},
)
