"""The parts of a config against the signatures of what they build, before anything is built.

A part is a dict with a ``type``. Its entries must be arguments of the class, of the annotated
types; a dict with a ``type`` inside is a part again.
"""

import inspect
import math
import types
import typing
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import cache
from typing import Any, NamedTuple

from mmengine.config import Config
from mmengine.registry import FUNCTIONS, Registry
from mmengine.runner import Runner
from torch.utils.data import DataLoader

from mtpsl import registry as ours
from mtpsl.system.option_value import as_text

from .annotation import accepts, described

# Keys of a part that are read by who builds it, not by its class.
BUILDERS = {'type', '_scope_', '_delete_', 'priority', 'constructor', 'paramwise_cfg',
            'convert_to_iter_based'}
# Arguments whose parts are of another registry than the class that takes them.
INSIDE = {'optimizer': ours.OPTIMIZERS, 'pipeline': ours.TRANSFORMS, 'tasks': ours.TASKS,
          'vis_backends': ours.VISBACKENDS}
NO_PARTS = ('init_cfg', 'clip_grad')  # whose type is of no registry here
# Classes that build the parts in their arguments by a registry; others may mean other things by a
# dict with a type.
BUILDING = ('mtpsl.', 'mmengine.dataset', 'mmcv.transforms')
# Of a data loader, beside torch's: what mmengine builds or reads.
LOADER_PARTS = dict(dataset=ours.DATASETS, sampler=ours.DATA_SAMPLERS,
                    batch_sampler=ours.DATA_SAMPLERS)
FUNCTION_KEYS = {'worker_init_fn', 'collate_fn'}
LOADER_KEYS = {'num_batch_per_epoch'} | FUNCTION_KEYS


class Part(NamedTuple):
    """A part of a config.

    Attributes:
        path: its dotted key.
        value: what stands there.
        registry: of its class.
    """

    path: str
    value: Any
    registry: Registry


def check_kinds(cfg: Config) -> None:
    """Check that what a runner takes is of the kind that it takes.

    Raises:
        TypeError: a part of another type, or an entry of a data loader that it does not take.
        ValueError: a data loader without a dataset, or another library's default_scope.
    """
    if cfg.get('default_scope') not in (None, 'mtpsl'):
        raise ValueError(f"default_scope must be 'mtpsl', got {cfg.default_scope!r}: types without "
                         'a scope are those of mtpsl; of another library they have its name '
                         "before them, such as type='mmseg.ResNet'")
    for name, hint in _hints(Runner.__init__).items():
        if name in cfg and name != 'cfg' and not accepts(cfg[name], hint):
            raise TypeError(f'{name} must be {described(hint)}, got {cfg[name]!r}')
    for split in ('train', 'val', 'test'):
        loader = cfg.get(f'{split}_dataloader')
        if isinstance(loader, Mapping):
            _check_loader(f'{split}_dataloader', loader)
        elif loader is not None:
            raise TypeError(f'{split}_dataloader must be a dict, got {loader!r}')
    for name in ('tasks', 'default_hooks'):
        if cfg.get(name) is not None and not isinstance(cfg[name], Mapping):
            raise TypeError(f'{name} must be a dict of name -> dict(type=...), got {cfg[name]!r}')
        for key, value in (cfg.get(name) or {}).items():
            if value is not None and not isinstance(value, Mapping) and not hasattr(
                    value, 'priority'):  # a hook that is built
                raise TypeError(f'{name}.{key} must be a dict with a type, or None to leave it '
                                f'out, got {value!r}')
    if not isinstance(cfg.get('tta_model') or {}, Mapping):
        raise TypeError(f'tta_model must be a dict, got {cfg.tta_model!r}')
    for split in ('train', 'val', 'test'):
        evaluator = cfg.get(f'{split}_evaluator')
        listed = evaluator if isinstance(evaluator, (list, tuple)) else [evaluator or {}]
        if not all(isinstance(one, Mapping) for one in listed):
            raise TypeError(f'{split}_evaluator must be a dict or a list of dicts, got '
                            f'{evaluator!r}')


def check_parts(cfg: Config) -> None:
    """Check the parts of a loaded config, whose ``tasks`` are shared.

    Raises:
        KeyError: an unknown type.
        TypeError: an argument that a class does not take, or a value of another type.
        ValueError: a number that is not finite, or a part that its class refuses.
    """
    for part in parts(cfg):
        check_part(part)


def parts(cfg: Mapping) -> Iterator[Part]:
    """The parts that a runner builds, and the tasks."""
    for name, registry in (('tasks', ours.TASKS), ('default_hooks', ours.HOOKS)):
        for key, value in (cfg.get(name) or {}).items():
            yield from _listed(f'{name}.{key}', value, registry)
    model = cfg.get('model') or {}
    own = model.get('data_preprocessor')
    if isinstance(own, Mapping) and 'type' not in own and str(model.get('type')) in ours.MODELS:
        own = dict(own, type='MultiTaskDataPreprocessor', tasks=model.get('tasks', {}))
        yield Part('model.data_preprocessor', own, ours.MODELS)
    tta = cfg.get('tta_model')
    if isinstance(tta, Mapping):
        yield Part('tta_model', dict(type='MultiTaskTTA') | dict(tta), ours.MODELS)
    for name, registry in (('model', ours.MODELS), ('visualizer', ours.VISUALIZERS),
                           ('optim_wrapper', ours.OPTIM_WRAPPERS),
                           ('log_processor', ours.LOG_PROCESSORS), ('train_cfg', ours.LOOPS),
                           ('val_cfg', ours.LOOPS), ('test_cfg', ours.LOOPS),
                           ('param_scheduler', ours.PARAM_SCHEDULERS),
                           ('custom_hooks', ours.HOOKS)):
        yield from _listed(name, cfg.get(name), registry)
    for split in ('train', 'val', 'test'):
        loader, evaluator = cfg.get(f'{split}_dataloader'), cfg.get(f'{split}_evaluator')
        for name, registry in LOADER_PARTS.items():
            if isinstance(loader, Mapping):
                yield from _listed(f'{split}_dataloader.{name}', loader.get(name), registry)
        inside = 'metrics' if isinstance(evaluator, Mapping) and 'metrics' in evaluator else ''
        yield from _listed(f'{split}_evaluator' + (inside and '.metrics'),
                           (evaluator or {})[inside] if inside else evaluator, ours.METRICS)


def _listed(path: str, value: Any, registry: Registry) -> Iterator[Part]:
    """A part, or those of a list, of lists too; what has no type is no part."""
    if isinstance(value, (list, tuple)):
        for place, one in enumerate(value):
            yield from _listed(f'{path}.{place}', one, registry)
    elif isinstance(value, Mapping) and 'type' in value:
        yield Part(path, value, registry)


def check_part(part: Part) -> None:
    """Check a part and those inside; see :func:`check_schema`."""
    kind = part.value['type']
    cls = ours.class_of(kind, part.registry)
    if str(kind).endswith('TestTimeAug'):
        raise ValueError(f'{part.path}.type: {kind} gives several views of an image, which no '
                         'model here merges; leave its transforms out of the pipeline: test.py '
                         '--tta makes views of the batch')
    if cls is None:
        raise KeyError(f'{part.path}.type: {kind} is not in the mtpsl::{part.registry.name} '
                       'registry; is it misspelt, or is the module that registers it not in '
                       'custom_imports?')
    if not callable(cls):
        raise TypeError(f'{part.path}.type must be a name or a class, got {kind!r}')
    if part.registry is ours.METRICS and cls.__module__.startswith('mmseg.'):
        raise ValueError(f'{part.path}.type: {kind} reads the samples of mmseg, which have one '
                         'task; MultiTaskMetric measures every task of a model')
    hints, names = _hints(cls), _arguments(cls)
    for name, value in part.value.items():
        path = f'{part.path}.{name}'
        if name in BUILDERS:
            continue
        # A wrapper may have entries of what it wraps from its base; checking those is another's.
        wraps = cls.__module__.startswith('mmengine.dataset')
        if names is not None and name not in names and not wraps:
            raise TypeError(f'{part.path}: {cls.__name__}.__init__() got an unexpected keyword '
                            f'argument {name!r}; it takes {", ".join(sorted(names))}')
        hint = hints.get(name, Any)
        if not accepts(value, hint) and not _is_part(value):
            _construct(part.path, cls, part.value)  # whose own words are better
            quotes = as_text(value) if accepts('', hint) else ''
            raise TypeError(f'{path} of {cls.__name__} must be {described(hint)}, got {value!r}'
                            f'{quotes}')
        default = _default(cls, name)
        if cls.__module__.startswith('mtpsl.') and _is_count(default) and _is_below_zero(value):
            _construct(part.path, cls, part.value)
            raise ValueError(f'{path} of {cls.__name__} must not be negative, got {value!r}')
        if _is_infinite(value) and not _is_infinite(default):
            raise ValueError(f'{path} must be finite, got {value!r}')
        if name in INSIDE or cls.__module__.startswith(BUILDING) and name not in NO_PARTS:
            values = value.values() if name == 'tasks' and isinstance(value, Mapping) else value
            listed = list(values) if name == 'tasks' else values
            for key, one in value.items() if name == 'tasks' and isinstance(value, Mapping) else ():
                if isinstance(one, Mapping) and 'type' not in one:
                    raise KeyError(f'{path}.{key} has no type: tasks of a part of its own take '
                                   f'the place of the shared ones as a whole; tasks.{key} at the '
                                   'top changes an entry for all parts')
            for inner in _listed(path, listed, INSIDE.get(name, part.registry)):
                check_part(inner)


def _check_loader(path: str, loader: Mapping) -> None:
    known = set(inspect.signature(DataLoader.__init__).parameters) - {'self'}
    hints = _hints(DataLoader.__init__)
    for name, value in loader.items():
        if name not in known | set(LOADER_PARTS) | LOADER_KEYS:
            raise TypeError(f'{path} has no entry {name!r}; it takes {", ".join(sorted(known))}')
        hint = hints.get(name, Any)
        if name not in LOADER_PARTS and name not in LOADER_KEYS and not accepts(value, hint):
            raise TypeError(f'{path}.{name} must be {described(hint)}, got {value!r}')
    if not loader.get('dataset'):
        raise ValueError(f'{path} has no dataset')
    for name in LOADER_PARTS:
        if isinstance(loader.get(name), Mapping) and 'type' not in loader[name]:
            raise ValueError(f'{path}.{name} has no type')
        if isinstance(loader.get(name), (str, int, float, list, tuple)):
            raise TypeError(f'{path}.{name} must be a dict with a type, got {loader[name]!r}')
    for name in FUNCTION_KEYS & set(loader):
        value = loader[name]
        kind = value.get('type') if isinstance(value, Mapping) else (
            value if name == 'collate_fn' else None)  # which may be a function too
        if not callable(FUNCTIONS.get(kind) if isinstance(kind, str) else kind):
            hint = (f'write mtpsl.{kind}' if isinstance(kind, str) and ours.FUNCTIONS.get(kind)
                    else 'left out, it is that of mmengine')
            raise TypeError(f'{path}.{name} must be a dict whose type is a function, or the name '
                            f'of one in the FUNCTIONS registry ({", ".join(FUNCTIONS.module_dict)}'
                            f'), got {value!r}; {hint}')


# ------------------------------------------------------------------ signatures

def _callees(cls: Callable) -> list[Callable]:
    """What takes the arguments, and what it may pass others on to: the classes above."""
    if not inspect.isclass(cls):
        return [cls]
    return [one.__dict__['__init__'] for one in cls.__mro__[:-1] if '__init__' in one.__dict__]


@cache
def _hints(cls: Callable) -> dict[str, Any]:
    """The annotations of the arguments; what cannot be resolved has none."""
    found: dict[str, Any] = {}
    for callee in _callees(cls)[::-1]:
        for name, hint in getattr(callee, '__annotations__', {}).items():
            stub = types.SimpleNamespace(__annotations__={name: hint})
            try:
                found |= typing.get_type_hints(stub, getattr(callee, '__globals__', None))
            except Exception:  # a name that only a type checker imports
                continue
    return found


@cache
def _arguments(cls: Callable) -> Collection[str] | None:
    """The names of the arguments; None where any is taken."""
    names: dict[str, None] = {}
    passing_on = cls.__module__.startswith(('mmengine.', 'mtpsl.'))  # others may use any themselves
    for callee in _callees(cls)[:None if passing_on else 1]:
        try:
            parameters = inspect.signature(callee).parameters
        except (TypeError, ValueError):
            return None
        names |= {name: None for name, one in parameters.items()
                  if name != 'self' and one.kind not in (one.VAR_KEYWORD, one.VAR_POSITIONAL)}
        if not any(one.kind is one.VAR_KEYWORD for one in parameters.values()):
            return list(names)
    return None


def _default(cls: Callable, name: str) -> Any:
    parameter = inspect.signature(cls).parameters.get(name)
    return parameter.default if parameter is not None else None


def _construct(path: str, cls: Callable, value: Mapping) -> None:
    """Raise what a class itself says of arguments that it refuses."""
    try:
        cls(**{name: one for name, one in value.items() if name not in BUILDERS})
    except ValueError as error:
        raise ValueError(f'{path}: {error}') from error
    except Exception:  # nothing that says more than a type does
        return


def _is_infinite(value: Any) -> bool:
    return isinstance(value, float) and not math.isfinite(value)


def _is_count(default: Any) -> bool:
    """Whether a default says that what it stands for is no signed number."""
    return isinstance(default, (int, float)) and not isinstance(default, bool) and default > 0


def _is_below_zero(value: Any) -> bool:
    return isinstance(value, (int, float)) and value < 0


def _is_part(value: Any) -> bool:
    return isinstance(value, Mapping) and 'type' in value
