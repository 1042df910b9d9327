"""Figs. 5 and 9 of one's own run: ``plot_denoising.py CONFIG CHECKPOINT --out denoising.pdf``."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from mtpsl.system.arguments import at_least
from mtpsl.system.choices import MAX_SIDE
from mtpsl.system.config_arguments import add_cfg_options, one_line_errors
from mtpsl.system.figure_arguments import choose_named, picture_parser
from mtpsl.system.parallel import Progress

if TYPE_CHECKING:
    from mtpsl.analysis.figures import ImagePredictions, TrainedModel


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = picture_parser('Initial, noisy, each denoising step, truth: as in the paper\'s '
                            'Figs. 5 and 9; see docs/figures.md')
    parser.add_argument('config', help='config file of a DiffusionMTL')
    parser.add_argument('checkpoint', help='its weights')
    parser.add_argument('--files', nargs='+', metavar='FILE',
                        help="image files of one's own, without truth, in place of test images")
    parser.add_argument('--stages', nargs='+', metavar='STAGE',
                        help='the columns, such as initial denoised truth (default: all)')
    add_cfg_options(parser)
    parser.add_argument('--max-side', type=at_least(1), default=MAX_SIDE, metavar='PIXELS',
                        help='larger --files are shrunk to such a side '
                        f'(default: {MAX_SIDE})')
    args = parser.parse_args(argv)
    if args.files and args.images:
        parser.error('--files and --images exclude each other')
    for file in args.files or ():
        if not Path(file).is_file():
            parser.error(f'--files: there is no file {file}')
    return args


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    with one_line_errors('plot_denoising.py'):  # here: --help needs no PyTorch
        from mtpsl.analysis.figures import TrainedModel, draw_stages, save_figure
        from mtpsl.analysis.figures.image_predictions import TRUTH

        model = TrainedModel(args.config, args.checkpoint, args.cfg_options, args.device,
                             every_stage=True, max_side=args.max_side)
        tasks = choose_named(model.tasks, args.tasks)
        known = model.titles if args.files else [*model.titles, TRUTH]
        stages = choose_stages(known, args.stages)
        images = predict(model, args)
        save_figure(draw_stages(images, tasks, stages, args.width, args.number_classes), args.out)
        print(f'figure: {args.out}')


def predict(model: 'TrainedModel', args: argparse.Namespace) -> 'list[ImagePredictions]':
    """What the model says of the chosen images."""
    if args.files:
        todo, show = args.files, model.of_file
    else:
        from mtpsl.analysis.figures import choose_images

        dataset = model.dataset()
        todo = choose_images(dataset, args.images, args.num)

        def show(place: int) -> 'ImagePredictions':
            return model.of_dataset(dataset[place])
    progress, images = Progress(len(todo), 'images'), []
    for number, what in enumerate(todo, 1):
        images.append(show(what))
        progress.update(number)
    return images


def choose_stages(known: list[str], names: list[str] | None) -> list[str]:
    """The named stages, or all that there are."""
    unknown = [name for name in names or () if name not in known]
    if unknown:
        raise ValueError(f'--stages: there is no {", ".join(unknown)}, there are '
                         f'{", ".join(known)}')
    return names or known


if __name__ == '__main__':
    main()
