"""Times training steps, from a batch on the host to the updated weights."""

import argparse
from collections.abc import Callable
from functools import partial
from itertools import cycle

import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper

from mtpsl.engine.hooks.compile_hook import compiled_graphs

from .matrix_rate import matrix_share
from .measure import measure
from .model import (
    Execution,
    build_model,
    describe,
    load,
    load_function,
    procedures,
)
from .random_batch import random_batch
from .speed_report import report

BATCHES = 8  # different batches in turns, since the number of labelled pairs varies


def run(args: argparse.Namespace) -> None:
    """Measure and report."""
    cfg = load(args, 'losses')
    if args.matrix_share and args.device != 'cuda':
        raise ValueError('--matrix-share needs a GPU: it sums the times of its kernels')
    size = tuple(args.size or cfg.model.data_preprocessor.size)
    batch = args.batch or cfg.train_dataloader.batch_size
    setups = {name: partial(prepare, cfg.to_dict(), size, batch, args.labels, execution)
              for name, execution in procedures(args).items()}
    setting = dict(command='train', **describe(args), size=size, batch=batch,
                   labels=args.labels)
    measured = measure(setups, args.repeats, args.warm_up, batch, args.device,
                       matrix_share if args.matrix_share else None, settle=1)
    report(measured, setting, args.json, args.device)


def prepare(config: dict, size: tuple[int, int], batch: int, labels: str,
            execution: Execution) -> Callable[[], dict[str, int]]:
    """Return the timed step: a step of mmengine's training loop.

    The plain procedure, ``losses(model, inputs, samples)`` of its file, uses torch's default
    implementation of the optimiser.

    Args:
        config: the loaded config.
        size: H and W of the images.
        batch: images per step.
        labels: see :func:`~mtpsl.analysis.profiling.random_batch.draw_labelled`.
        execution: how to run the model.
    """
    cfg = Config(config)
    model = build_model(cfg, execution)
    if execution.against:
        model.loss = partial(load_function(execution.against, 'losses'), model)
        cfg.optim_wrapper.type = 'OptimWrapper'
        cfg.optim_wrapper.optimizer.pop('fused', None)
    if execution.amp:
        cfg.optim_wrapper.type = 'AutocastOptimWrapper'
    model.train()
    optim_wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    batches = cycle([random_batch(model.tasks, batch, size, labels, seed)
                     for seed in range(BATCHES)])
    graphs: list[int] = []

    def step() -> dict[str, int]:
        model.train_step(next(batches), optim_wrapper)  # the host's samples are not changed
        if not execution.compile:
            return {}
        graphs.append(compiled_graphs())
        return {'compiled graphs': graphs[-1],
                'of them after one round of the batches': graphs[-1] - graphs[:BATCHES][-1]}

    torch.manual_seed(0)
    return step
