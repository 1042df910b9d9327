"""Make a small file to share of a checkpoint: ``publish.py CHECKPOINT WEIGHTS.safetensors``.

Only the weights are kept, in half precision: without optimiser, curves and config a file is an
eighth as large. The tools and ``MultiTaskInferencer`` take it as any checkpoint; training cannot
be resumed from it.
"""

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from mtpsl.system.arguments import Parser, add_force, told_to_keep
from mtpsl.system.config_arguments import one_line_errors
from mtpsl.system.files import atomically

if TYPE_CHECKING:
    from torch import Tensor

LARGEST = 65504  # of half precision


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = Parser('publish.py', description='Make a small file to share of a '
                                     'checkpoint: its weights alone, in half precision')
    parser.add_argument('checkpoint', type=Path, help='checkpoint of tools/train.py')
    parser.add_argument('out', type=Path, help='the .safetensors file to write')
    add_force(parser, 'OUT')
    args = parser.parse_args(argv)
    if args.out.suffix != '.safetensors':
        parser.error(f'OUT must be a .safetensors file, got {args.out}')
    if told := told_to_keep('OUT ', [args.out], args.force):
        parser.error(told)
    return args


def halve(weights: 'Mapping[str, Tensor]') -> 'dict[str, Tensor]':
    """Floating point numbers as float16, whole ones as they are; each in memory of its own.

    Raises:
        ValueError: a number that float16 cannot hold, or that is not finite.
    """
    halved = {}
    for name, values in weights.items():
        if values.is_floating_point():
            if not (values.abs() <= LARGEST).all():
                raise ValueError(f'{name} holds numbers that are not finite or beyond the '
                                 f'{LARGEST:g} of half precision')
            values = values.half()
        halved[name] = values.contiguous().clone()
    return halved


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    with one_line_errors('publish.py'):
        from safetensors.torch import save_file  # here: --help needs no PyTorch
        from torch import Tensor

        from mtpsl.engine.checkpoints.content import (
            RUN_KEY,
            TASKS_KEY,
            check_whole,
            load_file,
            task_order,
        )
        from mtpsl.engine.checkpoints.trained_images import pipelines_only

        check_whole(str(args.checkpoint))
        content = load_file(str(args.checkpoint), 'cpu')
        weights = content.get('state_dict', content) if isinstance(content, Mapping) else None
        if not isinstance(weights, Mapping) or not weights or not all(
                isinstance(value, Tensor) for value in weights.values()):
            raise ValueError(f'{args.checkpoint} holds no weights by name')
        halved = halve(weights)
        order = task_order(content)
        told = {} if order is None else {TASKS_KEY: json.dumps(order)}
        run = (content.get('meta') or {}).get(RUN_KEY)
        if run:  # what a config that the weights fit may still have otherwise
            run = json.loads(run)
            told[RUN_KEY] = json.dumps(dict(model=run.get('model'), train_dataloader=(
                pipelines_only(run.get('train_dataloader')))))
        atomically(args.out, lambda name: save_file(halved, name, told))
        print(f'{args.out}: {len(halved)} tensors, {args.out.stat().st_size / 1e6:.2f} MB')


if __name__ == '__main__':
    main()
