"""What the pipeline feeds the model, as pictures: ``browse_dataset.py CONFIG --out-dir FOLDER``."""

import argparse
from itertools import islice
from pathlib import Path

from mtpsl.system.arguments import at_least
from mtpsl.system.choices import FIGURE_SUFFIXES
from mtpsl.system.config_arguments import config_parser, one_line_errors
from mtpsl.system.parallel import Progress


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = config_parser('Draw samples as the model gets them, augmentation included; labels '
                           'that are withheld are shown as missing. See docs/figures.md')
    parser.add_argument('--out-dir', required=True, metavar='FOLDER',
                        help='where the pictures go, <number>_<image id>.<format>')
    parser.add_argument('--split', choices=['train', 'val', 'test'], default='train')
    parser.add_argument('--num', type=at_least(1), default=10, metavar='N',
                        help='without --images: samples at most (default: 10)')
    parser.add_argument('--images', nargs='+', metavar='ID', help='only these images')
    parser.add_argument('--seed', type=at_least(0), help="the run's (default: the config's)")
    parser.add_argument('--epoch', type=at_least(1), default=1,
                        help='whose order and augmentation (default: 1, the first)')
    parser.add_argument('--padded', action='store_true',
                        help="after the model's data preprocessor")
    parser.add_argument('--format', choices=[suffix[1:] for suffix in FIGURE_SUFFIXES],
                        default='png')
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    with one_line_errors('browse_dataset.py'):  # here: --help needs no PyTorch
        from mtpsl.analysis.figures import LoaderPreview, draw_views, save_figure
        from mtpsl.engine import load_config
        from mtpsl.engine.config.precheck import paths_of
        from mtpsl.system.results_folder import refuse_among

        folder = Path(args.out_dir)
        folder.mkdir(parents=True, exist_ok=True)
        feed = LoaderPreview(load_config(args.config, args.cfg_options), args.split, args.seed,
                    args.epoch - 1, args.padded)
        refuse_among(paths_of(feed.dataset), folder, '--out-dir')
        draws = list(islice(feed.draws(args.images), None if args.images else args.num))
        progress, written = Progress(len(draws), 'samples'), set()
        for number, draw in enumerate(draws, 1):
            name, views = feed.views(draw)
            file = f'{number:04d}_{name.replace("/", "_")}.{args.format}'
            save_figure(draw_views(name, views, feed.tasks), folder / file)
            written.add(file)
            progress.update(number)
        others = sum(path.suffix in FIGURE_SUFFIXES and path.name not in written
                     for path in folder.iterdir())
        print(f'pictures: {folder}' + f' ({others} others are there too)' * bool(others))


if __name__ == '__main__':
    main()
