"""Lazy imports of the contents of packages, so that ``--help`` of a tool does not load PyTorch.
"""

from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import Any


def contents_of(package: str) -> Callable[[str], Any]:
    """Return a package's ``__getattr__``, which takes names from its module ``contents``.

    Args:
        package: full name; no submodule may have the name of one of the contents.
    """
    def find(name: str) -> Any:
        if name == '__all__' or not name.startswith('__'):
            if find_spec(f'{package}.{name}') is not None:
                return import_module(f'{package}.{name}')
            contents = import_module(f'{package}.contents')
            if name in vars(contents):
                return getattr(contents, name)
        raise AttributeError(f'module {package!r} has no attribute {name!r}')
    return find
