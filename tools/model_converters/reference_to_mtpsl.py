"""Convert a checkpoint of the published implementation of DiffusionMTL (Feature Diffusion)."""

import argparse
import os
import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from mtpsl import __version__
from mtpsl.system.arguments import Parser, add_force, told_to_keep
from mtpsl.system.config_arguments import one_line_errors
from mtpsl.system.files import atomically

if TYPE_CHECKING:
    from torch import Tensor, nn

PROG = 'reference_to_mtpsl.py'
ROOT = Path(__file__).parents[2]
CONFIG = ROOT / 'configs/diffusionmtl/pascal_onelabel_r18_feature.py'


class _Ignored:
    """Stands for NumPy's numbers beside the weights (best scores): nothing looks at them."""

    def __init__(self, *arguments: object) -> None:
        pass

    def __setstate__(self, state: object) -> None:
        pass


# NumPy 2 renamed the package; files carry the name of their time.
IGNORED = [(_Ignored, name) for name in (
    'numpy.dtype', 'numpy.ndarray', *(
        f'numpy.{package}.multiarray.{function}' for package in ('core', '_core')
        for function in ('scalar', '_reconstruct')))]


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """The command line, not yet checked."""
    parser = Parser(PROG, description=__doc__)
    parser.add_argument('src', type=Path, help='the published checkpoint; no code in it is run')
    parser.add_argument('dst', type=Path, help='the .pth file to write')
    parser.add_argument('--config', default=os.path.relpath(CONFIG),
                        help='config of a Feature Diffusion model (default: %(default)s)')
    add_force(parser, 'DST')
    return parser.parse_args(argv)


def check_paths(src: Path, dst: Path, force: bool) -> None:
    """Raise before any work where SRC cannot be read or DST must not be written."""
    if not src.is_file():
        raise FileNotFoundError(f'SRC {src} ' + ('is a folder, not a checkpoint file'
                                                 if src.is_dir() else 'does not exist'))
    if dst.suffix != '.pth':
        raise ValueError(f'DST must be a .pth file, got {dst}')
    if not dst.parent.is_dir():
        raise FileNotFoundError(f'DST {dst}: there is no folder {dst.parent}')
    if dst.is_dir():
        raise ValueError(f'DST must be a file, {dst} is a folder')
    if dst.exists() and dst.samefile(src):
        raise ValueError(f'DST {dst} is SRC itself')
    if told := told_to_keep('DST ', [dst], force):
        raise FileExistsError(told)


def read_weights(path: Path) -> 'dict[str, Tensor]':
    """The weights of a published checkpoint, ``{'model': {name: tensor}, ...}``, on the CPU.

    Raises:
        ValueError: no such checkpoint, or one that holds more than data: nothing of it is run.
    """
    import torch  # here: --help needs no PyTorch
    from torch import Tensor

    try:
        with torch.serialization.safe_globals(IGNORED):
            content = torch.load(path, map_location='cpu', weights_only=True)
    except Exception as error:  # a damaged file can raise anything
        # Torch's own message advises to run the file's code.
        code = re.search(r'GLOBAL (\S+)', str(error))
        if code:
            raise ValueError(f'{path} is refused: it holds {code[1]}, which could run code; only '
                             'tensors, numbers, text and containers of them are read') from error
        cause = str(error).partition('\n')[0].partition('. ')[0]
        raise ValueError(f'{path} is not a checkpoint, or it is damaged '
                         f'({type(error).__name__}: {cause})') from error
    if not isinstance(content, Mapping):
        raise ValueError(f"{path} must hold a dict with 'model', got a {type(content).__name__}")
    if 'model' not in content:
        raise ValueError(f"{path} has no 'model', where the published implementation keeps the "
                         f'weights; it has {", ".join(sorted(map(str, content))[:5]) or "nothing"}')
    weights = content['model']
    if not isinstance(weights, Mapping):
        raise ValueError(f"{path}: 'model' must be a dict of tensors, got a "
                         f'{type(weights).__name__}')
    for key, value in weights.items():
        if not isinstance(key, str) or not isinstance(value, Tensor):
            raise ValueError(f"{path}: 'model' must hold tensors by name, {key!r} is a "
                             f'{type(value).__name__}')
    return dict(weights)


def build_model(config: str) -> 'nn.Module':
    """The config's model, without pretrained weights.

    Raises:
        ValueError: it is not Feature Diffusion as released.
    """
    from mtpsl.engine import load_config
    from mtpsl.models import ConcatenatedCondition, FeatureDiffusion
    from mtpsl.registry import MODELS

    cfg = load_config(config)
    if 'model' not in cfg:
        raise ValueError(f'{config} has no model')
    model = MODELS.build(cfg.model)
    diffusion = getattr(model, 'diffusion', None)
    condition = getattr(diffusion, 'condition', None)
    if not (isinstance(diffusion, FeatureDiffusion)
            and isinstance(condition, ConcatenatedCondition)):
        got = type(model).__name__ if diffusion is None else (
            f'{type(diffusion).__name__} with {type(condition).__name__}')
        raise ValueError(f'{config} must have model.diffusion of FeatureDiffusion with a '
                         f'ConcatenatedCondition, got {got}')
    return model


def convert(src: Path, dst: Path, config: str) -> None:
    """Write DST and say what was done.

    Raises:
        ValueError: SRC and the config's model do not fit.
    """
    import torch

    from mtpsl.data_prep.conversion.reference import check_model, convert_weights
    from mtpsl.engine.checkpoints.content import TASKS_KEY, refuse_not_finite

    model = build_model(config)
    expected = model.state_dict()
    try:
        check_model(expected, list(model.tasks))
    except ValueError as error:
        raise ValueError(f'{config}: {error}') from error
    published = read_weights(src)
    refuse_not_finite(str(src), published)
    try:
        weights, dropped = convert_weights(published, expected)
    except ValueError as error:
        raise ValueError(f'{src} does not fit the model of {config}: {error}') from error
    content = dict(state_dict=weights, meta=dict(
        converted_from=src.name, converted_for=Path(config).name, mtpsl_version=__version__,
        **{TASKS_KEY: list(model.tasks)}))
    atomically(dst, lambda name: torch.save(content, name))
    test = [os.path.relpath(ROOT / 'tools/test.py'), config, str(dst)]
    print(f'{len(weights)} weights converted, {len(dropped)} schedule buffers dropped\n'
          f'written: {dst}\n'
          f'test it: python {shlex.join(test)}')


def main(argv: list[str] | None = None) -> None:
    """Entry point; exits with status 1 and one line where it cannot be done."""
    args = parse_args(argv)
    with one_line_errors(PROG):
        check_paths(args.src, args.dst, args.force)
        convert(args.src, args.dst, args.config)


if __name__ == '__main__':
    main()
