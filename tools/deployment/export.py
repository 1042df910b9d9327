"""Export a model: ``python tools/deployment/export.py CONFIG CHECKPOINT --out model.onnx``."""

import argparse
import importlib.util
import logging
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mtpsl.system.arguments import add_force, at_least, told_to_keep
from mtpsl.system.config_arguments import config_parser, one_line_errors
from mtpsl.system.files import atomically, write_json

if TYPE_CHECKING:
    from mtpsl.apis.deployment import Deployed

NEEDED = {'.pt2': (), '.onnx': ('onnx', 'onnxscript', 'onnxruntime')}


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = config_parser('Export a model by torch.export or to ONNX, and compare it with PyTorch')
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument('--out', nargs='+', required=True, metavar='FILE',
                        help='files to write, .pt2 (torch.export) or .onnx; FILE.json beside each '
                        'says what goes in and comes out')
    parser.add_argument('--size', nargs=2, type=at_least(1), metavar=('HEIGHT', 'WIDTH'),
                        help='of the images (default: data_preprocessor.size)')
    parser.add_argument('--batch', type=at_least(1), default=1, metavar='B',
                        help='images at a time (default: 1)')
    add_force(parser, '--out and its .json')
    parser.add_argument('--device', default='cpu', help='where a .pt2 will run, such as cuda '
                        '(default: cpu); an .onnx runs anywhere')
    args = parser.parse_args(argv)
    for out in map(Path, args.out):
        if out.suffix not in NEEDED:
            parser.error(f'--out must end in {" or ".join(NEEDED)}, got {out}')
        if not out.absolute().parent.is_dir():
            parser.error(f'--out: there is no folder {out.parent}')
        if told := told_to_keep('--out: ', (out, beside(out)), args.force):
            parser.error(told)
        missing = [name for name in NEEDED[out.suffix] if not importlib.util.find_spec(name)]
        if missing:
            parser.error(f'--out {out} needs {", ".join(missing)}: pip install '
                         f'{" ".join(missing)}')
    return args


def beside(out: Path) -> Path:
    """The file that says what goes into an exported one and comes out."""
    return out.with_name(f'{out.name}.json')


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    logging.getLogger('torch.onnx').setLevel(logging.ERROR)  # torchvision is not needed
    with one_line_errors('export.py'):  # here: --help needs no PyTorch
        from mtpsl.apis.deployment import (
            TOLERANCE,
            Deployed,
            describe,
            draws_of,
            prepared_by,
        )
        from mtpsl.apis.load_model import find_model, load_model

        cfg, weights = find_model(args.config, args.checkpoint, args.cfg_options)
        model = load_model(cfg, weights, args.device)
        if prepared := prepared_by(cfg):
            print(f'note: the graph takes images after {prepared} of the test pipeline: it does '
                  'not do that itself', file=sys.stderr)
        if averaged := draws_of(model):
            print(f'note: the graph takes one draw of noise: {averaged}', file=sys.stderr)
        size = args.size or model.data_preprocessor.size
        divisor = model.data_preprocessor.size_divisor
        if any(side % divisor for side in size):
            raise ValueError(f'--size must be multiples of data_preprocessor.size_divisor, '
                             f'{divisor}, got {tuple(size)}')
        module = Deployed(model)
        description = describe(module, module.example(args.batch, size), prepared)
        for out in map(Path, args.out):
            print(f'{out}: exporting ...', flush=True)
            atomically(out, lambda name: _write(module, args.batch, size, Path(name)))
            write_json(beside(out), description)
            print(f'{out}: {out.stat().st_size / 2**20:.1f} MB, inputs '
                  f'{", ".join(module.input_names)}; equal to PyTorch within {TOLERANCE:g}')


def _write(module: 'Deployed', batch: int, size: Sequence[int], path: Path) -> None:
    """Export, and refuse what is not equal on inputs that the export has not seen."""
    from mtpsl.apis.deployment import TOLERANCE, differences, export

    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # torch's, of its own parts
        export(module, module.example(batch, size), path)
        found = differences(module, path, module.example(batch, size, seed=1))
    unequal = {name: value for name, value in found.items() if not value <= TOLERANCE}
    if unequal:
        raise ValueError(f'the exported graph differs from PyTorch by more than {TOLERANCE:g}: '
                         f'{unequal}')


if __name__ == '__main__':
    main()
