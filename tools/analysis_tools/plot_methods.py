"""Fig. 7 of one's own runs: ``plot_methods.py NAME=WORK_DIR ... --out methods.pdf``."""

import argparse

from mtpsl.system.config_arguments import add_cfg_options, one_line_errors
from mtpsl.system.figure_arguments import choose_named, picture_parser
from mtpsl.system.parallel import Progress


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = picture_parser("Methods side by side on test images, as in the paper's Fig. 7; see "
                            'docs/figures.md')
    parser.add_argument('methods', nargs='+', metavar='METHOD',
                        help='NAME=CONFIG:CHECKPOINT or NAME=WORK_DIR, a column; several models, '
                        'comma-separated, are one column of single-task models')
    add_cfg_options(parser, 'all configs')
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    with one_line_errors('plot_methods.py'):  # here: --help needs no PyTorch
        from mtpsl.analysis.figures import (
            ImagePredictions,
            TrainedModel,
            choose_images,
            draw_stages,
            merge_methods,
            save_figure,
        )
        from mtpsl.analysis.figures.image_predictions import TRUTH, read_tasks
        from mtpsl.analysis.figures.runs import parse_method

        methods = dict(map(parse_method, args.methods))
        if len(methods) < len(args.methods):
            raise ValueError(f'two methods have the same name among {args.methods}')
        configs = [config for pairs in methods.values() for config, _ in pairs]
        tasks = choose_named(read_tasks(configs, args.cfg_options), args.tasks)
        said: dict[str, list[ImagePredictions]] = {}
        images = args.images
        for name, pairs in methods.items():
            said[name] = []
            for config, checkpoint in pairs:
                model = TrainedModel(config, checkpoint, args.cfg_options, args.device)
                dataset = model.dataset()
                places = choose_images(dataset, images, args.num)
                progress = Progress(len(places), f'images of {name}')
                for number, place in enumerate(places, 1):
                    said[name].append(model.of_dataset(dataset[place]))
                    progress.update(number)
                images = images or [shown.name for shown in said[name]]  # the others show the same
        figure = draw_stages(merge_methods(said), tasks, [*methods, TRUTH], args.width,
                             args.number_classes)
        save_figure(figure, args.out)
        print(f'figure: {args.out}')


if __name__ == '__main__':
    main()
