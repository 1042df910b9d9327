"""Shared parts of measurements of a model: options, building, the plain procedure."""

import argparse
import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch
from mmengine.config import Config
from mmengine.model import BaseModel
from mmengine.registry import init_default_scope

from mtpsl.engine import load_config
from mtpsl.engine.hooks.compile_hook import CompileHook
from mtpsl.engine.quiet import quieten
from mtpsl.registry import MODELS


def load(args: argparse.Namespace, function: str) -> Config:
    """Load the config without pretrained weights, which do not change the speed.

    Args:
        args: arguments of ``tools/analysis_tools/benchmark.py``; a missing device is filled in.
        function: name of a function that the file of ``--against`` must have.

    Raises:
        ValueError: incompatible options.
    """
    args.device = args.device or ('cuda' if torch.cuda.is_available() else 'cpu')
    if args.device == 'cuda' and not torch.cuda.is_available():
        raise ValueError('--device cuda: PyTorch finds no GPU')
    cfg = load_config(args.config, args.cfg_options)
    if 'model' not in cfg:
        raise ValueError(f'{args.config} has no model')
    if cfg.model.get('regularizer'):
        raise ValueError(f'{args.config}: a model that is trained on several views of an image '
                         'cannot be measured')
    cfg.model.backbone.init_cfg = None
    if args.against:
        load_function(args.against, function)  # fail before anything is built
        if 'diffusion' not in cfg.model:
            raise ValueError(f'--against needs a model with a denoiser, that of {args.config} is '
                             f'{cfg.model.type}')
    return cfg


class Execution(NamedTuple):
    """The way to run a model, which changes its values by rounding only.

    Attributes:
        device: 'cpu' or 'cuda'.
        amp: whether to use bfloat16.
        compile: whether to compile the parts of :class:`~mtpsl.engine.CompileHook`.
        against: a file whose function replaces the model's own; excludes the other options.
    """

    device: str
    amp: bool = False
    compile: bool = False
    against: str | None = None


def describe(args: argparse.Namespace) -> dict[str, object]:
    """Describe the measurement for the report."""
    return dict(config=args.config, device=args.device, amp=args.amp, compile=args.compile,
                against=args.against, options=args.cfg_options or {})


def procedures(args: argparse.Namespace) -> dict[str, Execution]:
    """Return the measured procedures by name, ours first, the plain one last."""
    ours = Execution(args.device, args.amp, args.compile)
    if not args.against:
        return {'ours': ours}
    return {'ours': ours, 'plain': Execution(args.device, against=args.against)}


def build_model(cfg: Config, execution: Execution) -> BaseModel:
    """Build the model with the same random weights in each process; cuDNN as the config trains."""
    quieten()  # in each process
    torch.backends.cudnn.benchmark = bool((cfg.get('env_cfg') or {}).get('cudnn_benchmark'))
    init_default_scope('mtpsl')
    torch.manual_seed(0)
    model = MODELS.build(cfg.model).to(execution.device)
    if execution.compile:
        CompileHook().compile(model)
    return model


def load_function(path: str, name: str) -> Callable:
    """Load a function of a Python file, which may import neighbours (``from .other import x``).

    Raises:
        FileNotFoundError: no such file.
        ValueError: the file has no such function.
    """
    file = Path(path).resolve()
    if not file.is_file() or file.suffix != '.py':
        raise FileNotFoundError(f'--against must be a Python file, got {path}')
    above = str(file.parents[1])
    if above not in sys.path:
        sys.path.insert(0, above)
    function = getattr(importlib.import_module(f'{file.parent.name}.{file.stem}'), name, None)
    if function is None:
        raise ValueError(f'--against: {path} has no function {name}')
    return function
