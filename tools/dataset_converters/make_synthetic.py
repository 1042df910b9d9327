"""Make a data set of rendered scenes in the PASCAL-Context multi-task layout.

Example:
    python tools/dataset_converters/make_synthetic.py data/synthetic/PASCALContext
"""
import argparse
import os
import time
from collections.abc import Callable
from pathlib import Path

import cv2

from mtpsl.synthetic import contact_sheet, render_scene, write_pascal_layout
from mtpsl.synthetic.pascal_layout import scene_id, scene_seed

PREVIEW_SCENES = 8


def at_least(least: int) -> Callable[[str], int]:
    """An argparse type: an integer not below ``least``."""
    def parse(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f'expected an integer, got {text!r}') from None
        if value < least:
            raise argparse.ArgumentTypeError(f'must be at least {least}, got {value}')
        return value
    return parse


def parse_args() -> tuple[argparse.ArgumentParser, argparse.Namespace]:
    """The parser, for its error message, and the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('root', type=Path, help='the PASCALContext folder to make')
    parser.add_argument('--train', type=at_least(0), default=600, help='training scenes')
    parser.add_argument('--val', type=at_least(0), default=100, help='validation scenes')
    parser.add_argument('--height', type=at_least(32), default=128, help='rows of an image')
    parser.add_argument('--width', type=at_least(32), default=128, help='columns of an image')
    parser.add_argument('--seed', type=at_least(0), default=0, help='seed of the data set')
    parser.add_argument('--workers', type=at_least(1), default=os.cpu_count(),
                        help='processes (default: one per core)')
    parser.add_argument('--overwrite', action='store_true',
                        help='replace another synthetic data set at ROOT')
    parser.add_argument('--preview', type=Path, metavar='FILE.png',
                        help='also write a contact sheet of the first scenes and their labels')
    return parser, parser.parse_args()


def write_preview(path: Path, height: int, width: int, seed: int) -> None:
    """Contact sheet: image, classes, body parts, saliency, normals, instances, depth."""
    scenes = [render_scene(scene_seed(seed, scene_id('train', number)), height, width)
              for number in range(PREVIEW_SCENES)]
    path.parent.mkdir(parents=True, exist_ok=True)
    if not cv2.imwrite(str(path), contact_sheet(scenes)[..., ::-1]):
        raise ValueError(f'cannot write the preview to {path}')


def main() -> None:
    """Entry point."""
    parser, args = parse_args()
    if args.preview is not None and args.preview.suffix.lower() not in ('.png', '.jpg'):
        parser.error(f'--preview must end in .png or .jpg, got {args.preview}')
    start = time.perf_counter()
    try:
        count = write_pascal_layout(args.root, args.train, args.val, args.height, args.width,
                                    args.seed, args.workers, args.overwrite)
        seconds = time.perf_counter() - start
        if args.preview is not None:
            write_preview(args.preview, args.height, args.width, args.seed)
            print(f'preview: {args.preview}')
    except ValueError as error:
        parser.error(str(error))
    if count:
        print(f'wrote {args.train} training and {args.val} validation scenes of '
              f'{args.height}x{args.width} to {args.root} in {seconds:.1f} s '
              f'({count / seconds:.1f} images/s)')


if __name__ == '__main__':
    main()
