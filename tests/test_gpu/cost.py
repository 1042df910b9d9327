"""What a training step or a prediction takes at full width, counted on fake CUDA: no GPU is needed.

    python tests/test_gpu/cost.py CONFIG ... [KEY=VALUE ...] [--amp] [--batch 6 32] [--labels all]

One row each: multiply-adds, bytes, launches, peak memory of tensors (parameters, moments and
gradients with it, context and workspaces of CUDA without), and the time that ``count.py`` predicts
of an H100. Attention is counted in its explicit form.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

HERE = Path(__file__).resolve().parent


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('configs', nargs='+', metavar='CONFIG', help='of configs/, without .py; '
                        'KEY=VALUE changes those before it')
    parser.add_argument('--amp', action='store_true', help='bfloat16')
    parser.add_argument('--batch', type=int, nargs='+', default=[6], help='(default: 6)')
    parser.add_argument('--labels', choices=['one', 'all', 'none'], default='one')
    parser.add_argument('--predict', action='store_true', help='not a training step')
    parser.add_argument('--plain', action='store_true', help='the procedure of tests/plain')
    return parser.parse_args()


def main() -> None:
    from mmengine.config import DictAction
    from test_gpu.fake import set_up

    from mtpsl.engine import load_config

    args = parse_args()
    set_up()
    options = [part for part in args.configs if '=' in part]
    changes = {key: DictAction._parse_iterable(value)
               for key, value in (part.split('=', 1) for part in options)}
    print(f'{"":50s} batch      GMAC       GB launches  peak GiB        ms')
    for name in args.configs:
        if '=' not in name:
            for batch in args.batch:
                cfg = load_config(name, changes)
                counter = count(cfg, batch, args)
                print(f'{" ".join([name, *options]):50s} {batch:5d} {counter.macs / 1e9:9.0f} '
                      f'{counter.bytes / 1e9:8.1f} {counter.launches:8d} '
                      f'{counter.peak / 2**30:9.2f} {1e3 * counter.seconds:9.1f}', flush=True)


def count(cfg, batch: int, args: argparse.Namespace):  # noqa: ANN001, ANN201, after the start
    """A counter after the second step, whose first has made the optimiser's state."""
    import torch
    from mmengine.optim import build_optim_wrapper
    from test_gpu.count import Counter
    from test_gpu.fake import FAKE, REPO, to_fake

    from mtpsl.analysis.complexity import build_without_values
    from mtpsl.analysis.profiling.model import load_function

    cfg.model.backbone.init_cfg = None
    model = to_fake(build_without_values(cfg.model))
    if args.amp:
        cfg.optim_wrapper.type = 'AutocastOptimWrapper'
    if args.plain:
        model.loss = partial(load_function(f'{REPO}/tests/plain/training.py', 'losses'), model)
    model.train(not args.predict)
    optim_wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    counter = Counter()
    with FAKE, counter:
        for parameter in model.parameters():
            counter.see(parameter)
        for _ in range(2):
            data = drawn(model, cfg.model.data_preprocessor.size, batch, args.labels)
            counter.restart()
            if args.predict:
                with torch.no_grad(), torch.autocast('cuda', torch.bfloat16, enabled=args.amp):
                    model.test_step(data)
            else:
                model.train_step(data, optim_wrapper)
    return counter


def drawn(model, size: tuple[int, int], batch: int, labels: str) -> dict:  # noqa: ANN001
    """A batch without values; which tasks are labelled is drawn by a seed."""
    import torch
    from mmengine.structures import PixelData
    from torch.utils.data._utils.pin_memory import pin_memory

    from mtpsl.analysis.profiling.random_batch import draw_labelled
    from mtpsl.datasets import stack_alike
    from mtpsl.datasets.transforms.geometric import Zoom
    from mtpsl.structures import MultiTaskSample

    views = getattr(getattr(model, 'regularizer', None), 'num_views', 0) if model.training else 0
    whole, items = Zoom(0, size[0], 0, size[1], 1.0), []
    with torch._subclasses.fake_tensor.unset_fake_temporarily():
        generator = torch.Generator().manual_seed(0)
        names = [draw_labelled(list(model.tasks), labels, generator) if labels != 'none' else []
                 for _ in range(batch)]
    for row in range(batch):
        samples = []
        for view in range(views or 1):
            maps = {name: torch.empty(model.tasks[name].label_channels, *size, dtype=getattr(
                torch, str(model.tasks[name].label_dtype().dtype))) for name in names[row]}
            samples.append(MultiTaskSample(metainfo=dict(
                img_id=str(row), img_shape=size, view=view, zoom=whole),
                                           gt=PixelData(**maps)))
        images = [torch.empty(3, *size, dtype=torch.uint8) for _ in samples]
        items.append(dict(inputs=images, data_samples=samples) if views else
                     dict(inputs=images[0], data_samples=samples[0]))
    return pin_memory(stack_alike(items))


def restart() -> None:
    """Start again with the stub in CUDA's place, and leave with its exit status."""
    sys.path.insert(0, str(HERE.parent))
    from test_gpu.stub import environment

    with tempfile.TemporaryDirectory() as folder:
        sys.exit(subprocess.run([sys.executable, __file__, *sys.argv[1:]],
                                env=environment(Path(folder))).returncode)


if __name__ == '__main__':
    if 'libfakecuda' in os.environ.get('LD_PRELOAD', ''):
        main()
    else:
        parse_args()
        restart()
