"""Make a dataset of rendered scenes in the layout of PASCAL-Context, NYUD or Cityscapes.

Examples:
    python tools/dataset_converters/make_synthetic.py data/synthetic/PASCALContext
    python tools/dataset_converters/make_synthetic.py data/synthetic/nyud --layout nyud
"""
import argparse
import os
import sys
import time
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

from mtpsl.system.arguments import Parser, at_least
from mtpsl.system.choices import SCENE_SIZES

PREVIEW_SCENES = 8


def parse_args() -> tuple[argparse.ArgumentParser, argparse.Namespace]:
    """The parser, for its error message, and the command line."""
    parser = Parser(description=__doc__.splitlines()[0])
    rows, columns = (', '.join(f'{layout} {size[axis]}' for layout, size in SCENE_SIZES.items())
                     for axis in (0, 1))
    parser.add_argument('root', type=Path, help='the folder to make; in the layout pascal, the '
                                                'PASCALContext folder')
    parser.add_argument('--layout', choices=list(SCENE_SIZES), default='pascal',
                        help='the dataset whose files to imitate (default: pascal)')
    parser.add_argument('--train', type=at_least(0), default=600,
                        help='training scenes (default: 600)')
    parser.add_argument('--val', type=at_least(0), default=100,
                        help='validation scenes (default: 100)')
    parser.add_argument('--height', type=at_least(32), help=f'rows of an image (default: {rows})')
    parser.add_argument('--width', type=at_least(32),
                        help=f'columns of an image (default: {columns})')
    parser.add_argument('--seed', type=at_least(0), default=0,
                        help='seed of the dataset (default: 0)')
    parser.add_argument('--workers', type=at_least(1), default=os.cpu_count(),
                        help='processes (default: one per core)')
    parser.add_argument('--preview', type=Path, metavar='FILE.png',
                        help='also write a contact sheet of the first scenes and their labels')
    args = parser.parse_args()
    height, width = SCENE_SIZES[args.layout]
    args.height = height if args.height is None else args.height
    args.width = width if args.width is None else args.width
    return parser, args


def check_preview(path: Path, scenes: int) -> None:
    """Refuse, before anything is rendered, a preview that could not be written."""
    if path.suffix.lower() not in ('.png', '.jpg'):
        raise ValueError(f'--preview must end in .png or .jpg, got {path}')
    if not scenes:
        raise ValueError('--preview needs at least one scene, got --train 0 --val 0')
    folder = next(parent for parent in path.absolute().parents if parent.exists())
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        raise ValueError(f'cannot write the preview {path}: {folder} is not a folder that can be '
                         'written to')
    if path.is_dir():
        raise ValueError(f'cannot write the preview {path}: it is a folder')


def write_preview(args: argparse.Namespace) -> None:
    """Contact sheet: image, classes, body parts, saliency, normals, instances, depth."""
    import cv2  # here: --help needs none of it

    from mtpsl.data_prep.synthetic import contact_sheet, render_scene
    from mtpsl.data_prep.synthetic.layout import scene_id, scene_seed

    identifiers = [scene_id(split, number)
                   for split, count in (('train', args.train), ('val', args.val))
                   for number in range(min(count, PREVIEW_SCENES))][:PREVIEW_SCENES]
    scenes = [render_scene(scene_seed(args.seed, identifier), args.height, args.width)
              for identifier in identifiers]
    args.preview.parent.mkdir(parents=True, exist_ok=True)
    if not cv2.imwrite(str(args.preview), contact_sheet(scenes)[..., ::-1]):
        raise OSError(f'cannot write the preview to {args.preview}')
    print(f'preview: {args.preview}')


def make(args: argparse.Namespace) -> None:
    """Write the dataset and its preview."""
    from mtpsl.data_prep.synthetic import write_scenes

    if args.preview is not None:
        check_preview(args.preview, args.train + args.val)
    start = time.perf_counter()
    count = write_scenes(args.root, args.layout, args.train, args.val, args.height, args.width,
                         args.seed, args.workers)
    seconds = time.perf_counter() - start
    if count:
        print(f'{args.root}: {args.train} training and {args.val} validation scenes of '
              f'{args.height}x{args.width}, {count} of them written in {seconds:.1f} s '
              f'({count / seconds:.1f} images/s)')
    if args.preview is not None:
        write_preview(args)


def main() -> None:
    """Entry point."""
    parser, args = parse_args()
    try:
        make(args)
    except KeyboardInterrupt:
        # Below the live line of the progress.
        gap = '\n' if sys.stdout.isatty() else ''
        parser.exit(130, f'{gap}{parser.prog}: interrupted; the same command goes on '
                         'where it stopped\n')
    except BrokenProcessPool:
        parser.exit(1, f'{parser.prog}: error: a worker process died, perhaps for lack of memory; '
                       'the same command goes on where it stopped\n')
    except Exception as error:  # a disk or a library can raise anything
        if os.environ.get('MTPSL_TRACEBACK'):
            raise
        kind = '' if isinstance(error, (ValueError, OSError)) else f'{type(error).__name__}: '
        parser.exit(2, f'{parser.prog}: error: {kind}{" ".join(str(error).split())}\n')


if __name__ == '__main__':
    main()
