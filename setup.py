"""Packaging. Tool settings live in pyproject.toml."""

import runpy
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).parent


def requirements(name: str) -> list[str]:
    """The lines of ``requirements/<name>.txt``."""
    return (ROOT / 'requirements' / f'{name}.txt').read_text().split()


setup(
    name='mtpsl',
    version=runpy.run_path(str(ROOT / 'mtpsl' / 'version.py'))['__version__'],
    description='Multi-task dense prediction from partially annotated data: DiffusionMTL and more',
    long_description=(ROOT / 'README.md').read_text(encoding='utf-8'),
    long_description_content_type='text/markdown',
    license='Apache-2.0',
    packages=find_packages(include=['mtpsl', 'mtpsl.*']),
    package_data={'mtpsl.evaluation': ['paper_results.json']},
    python_requires='>=3.10',
    # The OpenMMLab packages (requirements/mminstall.txt) are not listed: the maintained builds
    # and the upstream ones have different names and serve alike.
    install_requires=requirements('runtime'),
    extras_require={'mm': requirements('mminstall'), 'tests': requirements('tests')},
)
