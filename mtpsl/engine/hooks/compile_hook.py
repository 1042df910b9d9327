"""Regional ``torch.compile``."""

from collections.abc import Iterator, Sequence

from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import nn

from mtpsl.engine.ranks import bare_model
from mtpsl.registry import HOOKS

# Shapes that change from step to step meet the denoiser only.
DYNAMIC_PARTS = ('diffusion.denoiser.embed', 'diffusion.denoiser.blocks',
                 'diffusion.denoiser.heads')
PARTS = ('backbone', 'neck', 'decoders.decode', *DYNAMIC_PARTS)
# Torch counts the graphs of all tasks' heads together, and runs what is beyond uncompiled: tasks x
# (training, prediction) x (one pair, several) are 20 of five tasks; its default is 8.
RECOMPILE_LIMIT = 64


@HOOKS.register_module()
class CompileHook(Hook):
    """Compiles parts of the model in place, so that keys of checkpoints do not change.

    mmengine's top-level ``compile`` compiles the whole training step, whose logging cannot be
    compiled. After each epoch the log gives the number of compiled graphs, which must not grow
    once all shapes have been seen.

    Args:
        parts: paths of modules. Each child of a ModuleList or ModuleDict is compiled by itself.
            None: those of ``PARTS`` that the model has.
        backend: see :func:`torch.compile`.
        dynamic_parts: parts with one graph for all numbers of labelled pairs. Torch still makes a
            separate graph for a single pair.

    Raises:
        ValueError: ``dynamic_parts`` are not among ``parts``; in ``before_run``, the model lacks a
            part.
    """

    def __init__(self, parts: Sequence[str] | None = None, backend: str = 'inductor',
                 dynamic_parts: Sequence[str] = DYNAMIC_PARTS) -> None:
        unknown = sorted(set(dynamic_parts) - set(PARTS if parts is None else parts))
        if unknown and tuple(dynamic_parts) != DYNAMIC_PARTS:
            raise ValueError(f'CompileHook: dynamic_parts has {unknown[0]!r}, which is not among '
                             'the parts')
        self.parts = None if parts is None else tuple(parts)
        self.backend = backend
        self.dynamic_parts = tuple(dynamic_parts)

    def before_run(self, runner: Runner) -> None:
        """Compile before anything runs."""
        model = bare_model(runner)
        parts = self.compile(model)
        runner.logger.info(f'compiled with {self.backend}: {", ".join(parts)}')

    def after_train_epoch(self, runner: Runner) -> None:
        runner.logger.info(f'compiled graphs: {compiled_graphs()}')

    def compile(self, model: nn.Module) -> list[str]:
        """Mark the parts of a model for compilation at their first call.

        Returns:
            The paths of the parts.

        Raises:
            ValueError: the model has no such part.
        """
        import torch._dynamo  # takes seconds: not for who compiles nothing

        torch._dynamo.config.recompile_limit = max(torch._dynamo.config.recompile_limit,
                                                   RECOMPILE_LIMIT)
        there = {path for path, _ in model.named_modules()}
        parts = [path for path in PARTS if path in there] if self.parts is None else [*self.parts]
        for path in parts:
            dynamic = True if path in self.dynamic_parts else None
            for module in _units(model, path):
                module.compile(backend=self.backend, dynamic=dynamic)
        return parts


def compiled_graphs() -> int:
    """Return the number of graphs that this process has compiled, recompilations included."""
    from torch._dynamo.utils import counters  # takes seconds: import only where needed
    return counters['stats']['unique_graphs']


def _units(model: nn.Module, path: str) -> Iterator[nn.Module]:
    try:
        part = model.get_submodule(path)
    except AttributeError as error:
        raise ValueError(f'CompileHook: the model has no part {path!r}: {error}') from error
    if isinstance(part, nn.ModuleList):
        yield from part
    elif isinstance(part, nn.ModuleDict):
        yield from part.values()
    else:
        yield part
