"""Named parameter groups, each with its own learning rate and schedule."""

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

from mmengine.optim import DefaultOptimWrapperConstructor, OptimWrapper, PolyLR, StepLR
from mmengine.optim.scheduler.param_scheduler import INF
from torch import nn
from torch.optim import Optimizer

from mtpsl.registry import OPTIM_WRAPPER_CONSTRUCTORS, OPTIMIZERS, PARAM_SCHEDULERS, class_of

REST = 'main'  # the group of all parameters that are in no other group


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class GroupedOptimWrapperConstructor(DefaultOptimWrapperConstructor):
    """One optimizer whose parameter groups have names, for schedules of their own.

    ``paramwise_cfg`` is ``{group name: options of the group}``. A group holds the parameters whose
    path in the model has its name as a part (``film`` takes ``regularizer.mapping.film.0.gamma``);
    of several names in a path the last one counts. All other parameters are the group 'main', which
    comes first and has the optimizer's own options; the others follow in the order of the model.
    The order of ``paramwise_cfg`` has no effect.

    Args:
        optim_wrapper_cfg: config of the optim wrapper, see mmengine.
        paramwise_cfg: options by group, such as ``dict(film=dict(lr=1e-3))``.

    Raises:
        ValueError: options are not a dict, are for 'main', or are unknown to the optimizer; at
            building, a group holds no trained parameter of the model.
    """

    def _validate_cfg(self) -> None:
        if REST in self.paramwise_cfg:
            raise ValueError(f"paramwise_cfg: {REST!r} is the group of all other parameters, whose "
                             "options are the optimizer's")
        for name, options in self.paramwise_cfg.items():
            if not isinstance(options, Mapping):
                raise ValueError('paramwise_cfg must hold the options of each group, such as '
                                 f'film=dict(lr=1e-3), got {name}={options!r}')
            kind = self.optimizer_cfg['type']
            cls = class_of(kind, OPTIMIZERS)
            known = sorted(set(inspect.signature(cls).parameters) - {'params'})
            unknown = [option for option in options if option not in known]
            if unknown:  # torch would keep it, but never read it
                raise ValueError(f'paramwise_cfg.{name} has no option {unknown[0]!r}; it has '
                                 f'{", ".join(known)}')

    def add_params(self, params: list[dict], module: nn.Module, prefix: str = '',
                   is_dcn_module: bool | None = None) -> None:
        """Add the model's parameter groups to ``params``; called by mmengine's constructor."""
        members: dict[str, list] = {REST: []}
        for path, parameter in module.named_parameters():
            if parameter.requires_grad:
                owners = [name for name in path.split('.') if name in self.paramwise_cfg]
                members.setdefault(owners[-1] if owners else REST, []).append(parameter)
        empty = [name for name in self.paramwise_cfg if name not in members]
        if empty:
            raise ValueError(f'paramwise_cfg names the group {empty[0]!r}, but no trained '
                             'parameter of the model has that as a part of its path and is not '
                             'taken by a group whose name comes later in it')
        params += [dict(params=parameters, name=name, **self.paramwise_cfg.get(name, {}))
                   for name, parameters in members.items()]


class _OnGroups:
    """Mixin that limits a schedule to some parameter groups; mmengine's act on all of them."""

    groups: tuple[str, ...]
    optimizer: Any  # set by mmengine's schedule, as the next
    param_name: str

    def _get_value(self) -> list[float]:
        known = [group.get('name', REST) for group in self.optimizer.param_groups]
        unknown = [name for name in self.groups if name not in known]
        if unknown:
            raise ValueError(f'{type(self).__name__}: groups names {unknown[0]!r}, the optimizer '
                             f'has {list(dict.fromkeys(known))}')
        return [value if name in self.groups else group[self.param_name]
                for name, group, value in zip(known, self.optimizer.param_groups,
                                              super()._get_value())]  # type: ignore[misc]  # the scheduler's


@PARAM_SCHEDULERS.register_module()
class GroupPolyLR(_OnGroups, PolyLR):
    """mmengine's ``PolyLR`` on some parameter groups.

    Args:
        optimizer: the optimizer or its wrapper.
        groups: names of the groups, see :class:`GroupedOptimWrapperConstructor`.
        power: of the polynomial.
        eta_min: learning rate at the end.
        begin: first step.
        end: the step at which it stops.
        last_step: see mmengine.
        by_epoch: whether a step is an epoch.
    """

    def __init__(self, optimizer: Optimizer | OptimWrapper, groups: Sequence[str],
                 power: float = 1.0, eta_min: float = 0, begin: int = 0, end: int = INF,
                 last_step: int = -1, by_epoch: bool = True) -> None:
        self.groups = tuple(groups)
        super().__init__(optimizer, eta_min=eta_min, power=power, begin=begin, end=end,
                         last_step=last_step, by_epoch=by_epoch)


@PARAM_SCHEDULERS.register_module()
class GroupStepLR(_OnGroups, StepLR):
    """mmengine's ``StepLR`` on some parameter groups.

    Args:
        optimizer: the optimizer or its wrapper.
        groups: names of the groups, see :class:`GroupedOptimWrapperConstructor`.
        step_size: steps between two decays.
        gamma: factor of a decay.
        begin: first step.
        end: the step at which it stops.
        last_step: see mmengine.
        by_epoch: whether a step is an epoch.
    """

    def __init__(self, optimizer: Optimizer | OptimWrapper, groups: Sequence[str], step_size: int,
                 gamma: float = 0.1, begin: int = 0, end: int = INF, last_step: int = -1,
                 by_epoch: bool = True) -> None:
        self.groups = tuple(groups)
        super().__init__(optimizer, step_size=step_size, gamma=gamma, begin=begin, end=end,
                         last_step=last_step, by_epoch=by_epoch)
