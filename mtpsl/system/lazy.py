"""Packages whose contents are imported when one of them is asked for.

``--help`` of a tool must not load PyTorch for what it does not use.
"""

from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import Any


def contents_of(package: str) -> Callable[[str], Any]:
    """The ``__getattr__`` of a package whose names are those of its module ``contents``.

    Args:
        package: its full name; no submodule may be called like one of the contents.
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
