"""Registries of the ``mtpsl`` scope: a child of each of mmengine's, and one of our own for tasks.

``locations`` name the packages whose import registers the components, so that a config is
enough to build anything: nothing has to be imported for its side effect.
"""

from typing import Any

import mmengine.registry as root
from mmengine.registry import Registry

_LOCATIONS = {
    'DATASETS': ['mtpsl.datasets'],
    'DATA_SAMPLERS': ['mtpsl.datasets'],
    'FUNCTIONS': ['mtpsl.datasets'],
    'TRANSFORMS': ['mtpsl.datasets.transforms'],
    'MODELS': ['mtpsl.models'],
    'METRICS': ['mtpsl.evaluation'],
    'HOOKS': ['mtpsl.engine.contents'],
    'OPTIM_WRAPPERS': ['mtpsl.engine.contents'],
    'OPTIM_WRAPPER_CONSTRUCTORS': ['mtpsl.engine.contents'],
    'PARAM_SCHEDULERS': ['mtpsl.engine.contents'],
    'VISUALIZERS': ['mtpsl.engine.visualization'],
    'VISBACKENDS': ['mtpsl.engine.visualization'],
}

# Every root registry gets a child, else mmengine warns of each missing one at start.
_CHILDREN = {
    name: Registry(getattr(root, name).name, parent=getattr(root, name), scope='mtpsl',
                   locations=_LOCATIONS.get(name, ['mtpsl']))
    for name in root.__all__ if isinstance(getattr(root, name), Registry)
}

DATASETS = _CHILDREN['DATASETS']
DATA_SAMPLERS = _CHILDREN['DATA_SAMPLERS']
FUNCTIONS = _CHILDREN['FUNCTIONS']
TRANSFORMS = _CHILDREN['TRANSFORMS']
MODELS = _CHILDREN['MODELS']
METRICS = _CHILDREN['METRICS']
HOOKS = _CHILDREN['HOOKS']
OPTIMIZERS = _CHILDREN['OPTIMIZERS']
OPTIM_WRAPPERS = _CHILDREN['OPTIM_WRAPPERS']
OPTIM_WRAPPER_CONSTRUCTORS = _CHILDREN['OPTIM_WRAPPER_CONSTRUCTORS']
PARAM_SCHEDULERS = _CHILDREN['PARAM_SCHEDULERS']
LOOPS = _CHILDREN['LOOPS']
LOG_PROCESSORS = _CHILDREN['LOG_PROCESSORS']
VISUALIZERS = _CHILDREN['VISUALIZERS']
VISBACKENDS = _CHILDREN['VISBACKENDS']
TASKS = Registry('task', scope='mtpsl', locations=['mtpsl.tasks'])


def class_of(kind: Any, registry: Registry) -> Any:
    """What ``type`` of a config names: the registered class, None of an unknown name; or itself."""
    return registry.get(kind) if isinstance(kind, str) else kind
