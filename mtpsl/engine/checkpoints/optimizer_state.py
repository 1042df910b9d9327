"""Reorders an optimiser's state, which a checkpoint keeps by position, by parameter name."""

from collections.abc import Callable, Mapping, Sequence

from torch import Tensor, nn
from torch.optim import Optimizer


def arrange(saved: Mapping, optimizer: Optimizer, model: nn.Module,
            names: Callable[[Sequence[str]], list[str]],
            values: Callable[[str, Tensor], Tensor]) -> dict:
    """Reorder the state of an optimiser whose parameters are the same in another order.

    Args:
        saved: ``optimizer.state_dict()`` of the other; named groups may be in another order.
        optimizer: that of ``model``.
        model: gives the names of the parameters.
        names: names of a group's parameters in the model's order -> in the other one's.
        values: a parameter's name and a tensor of its shape -> with its channels in order.

    Returns:
        A state dict for ``optimizer``.

    Raises:
        ValueError: the groups or their numbers of parameters differ.
    """
    name_of = {parameter: name for name, parameter in model.named_parameters()}
    groups = [[name_of[parameter] for parameter in group['params']]
              for group in optimizer.param_groups]
    theirs = _matched(saved['param_groups'], optimizer.param_groups)
    if len(theirs) > 1 and all(len(group) == 1 for group in groups):  # one for each parameter
        before = names([name for name, in groups])
        place = dict(zip(before, saved['param_groups']))
        theirs = [place[name] for name, in groups]
        where = {name: place[name]['params'][0] for name in before}
    else:
        where = {name: number for group, other in zip(groups, theirs)
                 for name, number in zip(names(group), other['params'])}
    if [len(group) for group in groups] != [len(group['params']) for group in theirs]:
        raise ValueError('the optimiser of the checkpoint has groups of '
                         f'{[len(group["params"]) for group in theirs]} parameters, this one of '
                         f'{[len(group) for group in groups]}')
    own = {name: number for number, name in enumerate(name for group in groups for name in group)}
    shapes = {name: parameter.shape for parameter, name in name_of.items()}
    state = {own[name]: {
        key: values(name, value) if isinstance(value, Tensor) and value.shape == shapes[name]
        else value for key, value in saved['state'][number].items()}
        for name, number in where.items() if number in saved['state']}
    return {**saved, 'state': state, 'param_groups': [
        {**other, 'params': [own[name] for name in group]}
        for group, other in zip(groups, theirs)]}


def _matched(saved: Sequence[Mapping], own: Sequence[Mapping]) -> list[Mapping]:
    """Return the saved groups in the order of the optimiser's groups, by name if they have any."""
    if len(saved) != len(own):
        raise ValueError(f'the optimiser of the checkpoint has {len(saved)} groups of parameters, '
                         f'this one {len(own)}')
    if not all('name' in group for group in (*saved, *own)):
        return list(saved)
    named = {group['name']: group for group in saved}
    missing = [group['name'] for group in own if group['name'] not in named]
    if missing:
        raise ValueError(f'the optimiser of the checkpoint has no group {missing[0]!r}, only '
                         f'{", ".join(named)}')
    return [named[group['name']] for group in own]
