"""Whether a checkpoint fits a model: names and shapes of its weights, and its order of tasks."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from .content import SHOWN, read_content, read_shapes, task_order, weights_of

OTHER_MODEL = "is of another model than the config's"


def check_checkpoint(path: str, model: nn.Module) -> None:
    """Raise unless a checkpoint holds exactly the model's weights. Compares names and shapes only.

    Args:
        path: a checkpoint of a runner, or a plain state dict.
        model: the model to load it into, not wrapped.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not a checkpoint, or one of another model (the message lists what differs); or
            the order of its tasks matters and is unknown.
    """
    content = read_content(path)
    weights = weights_of(content)
    _compare(path, {key: value.shape for key, value in weights.items()}, model.state_dict(),
             extra_allowed=False)
    rearrangement = getattr(model, 'rearrangement', None)
    if rearrangement is not None:
        try:
            rearrangement(weights, task_order(content))
        except ValueError as error:
            raise ValueError(f'{path}: {error}') from error


def check_pretrained(path: str, part: nn.Module, prefix: str | None = None,
                     name: str = 'backbone') -> None:
    """Raise unless a file of pretrained weights holds all of a part's; it may hold more.

    Args:
        path: the file.
        part: the part of the model, such as the backbone.
        prefix: of the weights in the file that are the part's; None for none, as mmengine has it.
        name: of the part.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not a checkpoint, or one of another backbone.
    """
    shapes, start = read_shapes(path), f'{(prefix or "").rstrip(".")}.'.lstrip('.')
    # ImageNet files may be older than BatchNorm's counter.
    expected = {key: value for key, value in part.state_dict().items()
                if not key.endswith('num_batches_tracked')}
    inside = {key.removeprefix(start): shape for key, shape in shapes.items()
              if key.startswith(start)}
    if not set(expected) & set(inside):  # or some of another shape, which is told
        where = f'{name}.{next(iter(expected), "")}'
        if where in shapes:
            raise ValueError(f"{path}: the weights of the {name} are called '{name}....' there: "
                             f"init_cfg of the {name} needs prefix='{name}'")
    _compare(path, inside, expected, extra_allowed=True)


def _compare(path: str, found: Mapping[str, torch.Size], expected: Mapping[str, Tensor],
             extra_allowed: bool) -> None:
    missing = [key for key in expected if key not in found]
    extra = [] if extra_allowed else [key for key in found if key not in expected]
    shapes = [f'{key} {tuple(found[key])} for {tuple(value.shape)}'
              for key, value in expected.items() if key in found and found[key] != value.shape]
    differences = [f'{len(names)} {title}: {", ".join(names[:SHOWN])}'
                   + (' ...' if len(names) > SHOWN else '')
                   for title, names in (('missing', missing), ('not of the model', extra),
                                        ('of another shape', shapes)) if names]
    if differences:
        raise ValueError(f'{path} {OTHER_MODEL}; weights '
                         + '; '.join(differences))
