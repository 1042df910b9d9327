"""Find random generators that transforms keep, which no seed of the run reaches."""

import dis
import random
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from types import BuiltinMethodType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np
import torch

from mtpsl.datasets.transforms.image_only import package_and_name

GENERATORS = (np.random.Generator, np.random.RandomState, random.Random, torch.Generator)
# Those behind np.random, random and torch, which are seeded for each sample.
GLOBAL = (np.random.mtrand._rand, random._inst, torch.default_generator)
CLOSED = (str, bytes, int, float, type(None), type, ModuleType, np.ndarray, torch.Tensor)
# Packages whose functions and classes draw from the global generators, or from none.
LIBRARIES = ('builtins', 'mtpsl', 'mmcv', 'mmengine', 'mmseg', 'torch', 'torchvision', 'numpy',
             'scipy', 'cv2', 'PIL', 'albumentations')


def refuse_own_generators(steps: Sequence[Callable]) -> None:
    """Raise ValueError if a transform, or what it holds or calls, keeps a random generator.

    Each worker process has a copy of it, so images repeat each other's draws, and ``--resume``
    does not put it back. One that is made within a call, of a seed drawn there, is no fault.

    Args:
        steps: the built transforms of a pipeline.
    """
    todo: list[tuple[Any, str, Any]] = [(step, '', step) for step in steps]
    seen: dict[int, object] = {}  # the objects too, so that no other gets the id of one
    while todo:
        owner, name, thing = todo.pop()
        if isinstance(thing, CLOSED) or id(thing) in seen:
            continue
        seen[id(thing)] = thing
        if isinstance(thing, GENERATORS):
            if any(thing is one for one in GLOBAL):
                continue
            raise ValueError(
                f'the transform {".".join(package_and_name(owner))} keeps a random generator of '
                f'its own, {name} ({type(thing).__name__}): worker processes would repeat its '
                'draws, and neither the seed nor --resume reaches it. Draw from np.random, random '
                'or torch, which are seeded by (seed, epoch, image)')
        todo += [(thing if inner else owner, inner or name, held) for inner, held in _held(thing)]


def _held(thing: object) -> Iterator[tuple[str, object]]:
    """What an object holds, by the name of its attribute or variable; '' for parts of it."""
    if isinstance(thing, dict):
        yield from (('', value) for value in thing.values())
    elif isinstance(thing, (list, tuple, set, frozenset)):
        yield from (('', value) for value in thing)
    elif isinstance(thing, partial):
        yield from (('an argument', value) for value in (thing.func, thing.args, thing.keywords))
    elif isinstance(thing, FunctionType):
        yield from _used(thing) if _is_own(thing) else ()
    elif isinstance(thing, (MethodType, BuiltinMethodType)):
        yield '', thing.__self__
        yield '', getattr(thing, '__func__', None)
    elif isinstance(thing, (staticmethod, classmethod)):
        yield '', thing.__func__
    elif not type(thing).__module__.startswith('albumentations'):
        for cls in filter(_is_own, type(thing).__mro__):
            yield from list(vars(cls).items())
        yield from list(getattr(thing, '__dict__', {}).items())


def _is_own(thing: type | FunctionType) -> bool:
    return str(thing.__module__).partition('.')[0] not in LIBRARIES


def _used(function: FunctionType) -> Iterator[tuple[str, object]]:
    """The variables of other scopes that a function reads, and its defaults."""
    yield from (('a default', value) for value in (function.__defaults__, function.__kwdefaults__))
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or ()):
        try:
            yield name, cell.cell_contents
        except ValueError:  # not set yet
            continue
    for step in dis.get_instructions(function):
        if step.opname == 'LOAD_GLOBAL' and step.argval in function.__globals__:
            yield step.argval, function.__globals__[step.argval]
