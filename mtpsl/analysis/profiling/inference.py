"""Times inference, from a batch on the host to the predictions of all tasks."""

import argparse
from collections.abc import Callable
from functools import partial

import torch
from mmengine.config import Config

from mtpsl.structures.outputs import FINAL

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


def run(args: argparse.Namespace) -> None:
    """Measure and report each batch size."""
    cfg = load(args, 'predict')
    size = tuple(args.size or cfg.model.data_preprocessor.size)
    setting = dict(command='inference', **describe(args), size=size)
    for batch in args.batch:
        setups = {name: partial(prepare, cfg.to_dict(), size, batch, execution)
                  for name, execution in procedures(args).items()}
        measured = measure(setups, args.repeats, args.warm_up, batch, args.device, settle=1)
        json = args.json and args.json.with_name(f'{args.json.stem}_batch{batch}{args.json.suffix}')
        report(measured, setting | dict(batch=batch), json, args.device)


def prepare(config: dict, size: tuple[int, int], batch: int,
            execution: Execution) -> Callable[[], None]:
    """Return the timed step: a step of mmengine's test loop, for final predictions only.

    Args:
        config: the loaded config.
        size: H and W of the images.
        batch: images per batch.
        execution: how to run the model; a plain procedure is ``predict(model, inputs, samples)``.
    """
    cfg = Config(config)
    model = build_model(cfg, execution)
    if model.num_steps:
        model.outputs = (FINAL,)
    if execution.against:
        model.predict = partial(load_function(execution.against, 'predict'), model)
    model.eval()
    data = random_batch(model.tasks, batch, size, 'one')

    @torch.inference_mode()
    def step() -> None:
        with torch.autocast(execution.device, torch.bfloat16, enabled=execution.amp):
            model.test_step(data)

    return step
