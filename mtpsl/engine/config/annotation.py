"""Checks values of a config against the annotations of arguments."""

import types
from collections.abc import Iterable, Mapping
from numbers import Integral, Real
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

PLAIN = ('builtins', 'collections.abc', 'typing')  # where lists are of, not a loader or a tensor


def accepts(value: Any, hint: Any) -> bool:
    """Return whether a value of a config fits an annotated type; True where that is unclear."""
    origin, inside = get_origin(hint), get_args(hint)
    if hint is None or hint is type(None):
        return value is None
    if origin in (Union, types.UnionType):
        return any(accepts(value, one) for one in inside)
    if origin is Literal:
        return value in inside
    if origin is not None and not (isinstance(origin, type) and issubclass(origin, Iterable)):
        return True  # a Callable and the like
    kind = origin or hint
    if not isinstance(kind, type) or kind in (object, Any):
        return True
    return _accepts_kind(value, kind, inside)


def _accepts_kind(value: Any, kind: type, inside: tuple) -> bool:
    if kind is bool:
        return isinstance(value, bool)
    if kind is int:  # 1e2 is accepted as a number of epochs
        return _is_number(value) and (isinstance(value, Integral) or float(value).is_integer())
    if kind is float:
        return _is_number(value)
    if kind in (str, Path):
        return isinstance(value, (str, Path))
    if issubclass(kind, Mapping):
        return isinstance(value, Mapping)
    if issubclass(kind, Iterable) and kind.__module__ in PLAIN:
        if not isinstance(value, Iterable) or isinstance(value, (str, bytes)):
            return False
        if isinstance(value, Mapping):
            return kind not in (list, tuple)
        return _accepts_items(list(value), kind, inside)
    # An object, which a config describes by a dict.
    return isinstance(value, (kind, Mapping)) or not isinstance(
        value, (bool, int, float, str, list, tuple, type(None)))


def _accepts_items(values: list, kind: type, inside: tuple) -> bool:
    if not inside:
        return True
    if kind is tuple and inside[-1] is not Ellipsis:
        return len(values) == len(inside) and all(map(accepts, values, inside))
    return all(accepts(one, inside[0]) for one in values)


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def described(hint: Any) -> str:
    """Describe a type in words."""
    words = {int: 'a whole number', float: 'a number', bool: 'True or False', str: 'text',
             type(None): 'None', None: 'None'}
    origin, inside = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        found = dict.fromkeys(map(described, inside))
        return ' or '.join(one for one in found
                           if not ('a dict' in found and one.startswith('a dict with')))
    if origin is Literal:
        return 'one of ' + ', '.join(map(repr, inside))
    kind = origin or hint
    if hint in words:
        return words[hint]
    if isinstance(kind, type) and issubclass(kind, Mapping):
        return 'a dict'
    if isinstance(kind, type) and issubclass(kind, Iterable) and kind.__module__ in PLAIN:
        several = [one for one in inside if one is not Ellipsis]
        count = f' of {len(several)}' if kind is tuple and Ellipsis not in inside else ''
        return f'a list{count}' + (f' (of each: {described(several[0])})' if several else '')
    return f'a dict with the type of a {getattr(kind, "__name__", kind)}'
