"""Predict all tasks of images or a video: ``image_demo.py IMAGES [MODEL --weights CHECKPOINT]``."""

import argparse
from pathlib import Path

from mtpsl.structures.outputs import INTERMEDIATE
from mtpsl.system.arguments import Parser, at_least
from mtpsl.system.choices import PREDICTION_FORMATS
from mtpsl.system.config_arguments import add_max_side, add_model, one_line_errors


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = Parser(description='Predict all tasks of an image, of a '
                                     'folder or of a video')
    parser.add_argument('input', help='image file, a folder of images, or a video file')
    add_model(parser)
    parser.add_argument('--out-dir', default='predictions',
                        help='folder for the results (default: predictions)')
    parser.add_argument('--formats', nargs='+', choices=PREDICTION_FORMATS, default=['png'],
                        help='pictures (png), arrays (npy) or both (default: png); of a video a '
                        'video')
    parser.add_argument('--tasks', nargs='+', metavar='TASK',
                        help='predict these tasks only (default: all)')
    parser.add_argument('--num-samples', type=at_least(1), metavar='K',
                        help='average K draws of noise; above 1 gives uncertainty maps too '
                        "(default: the config's model.num_samples, 1)")
    parser.add_argument('--stages', nargs='+', choices=INTERMEDIATE, default=[],
                        help='also the initial and noisy predictions and the denoising steps')
    parser.add_argument('--window', nargs=2, type=at_least(1), metavar=('HEIGHT', 'WIDTH'),
                        help='larger images go through in windows of this size (default: twice '
                        'the size of the training, at least 512 512)')
    add_max_side(parser)
    parser.add_argument('--batch-size', type=at_least(1), default=1, metavar='N',
                        help='images of one size, or windows, at a time (default: 1)')
    parser.add_argument('--tta', action='store_true', help='average over scales and mirror images, '
                        "those of the config's tta_model (default: scales 0.75, 1 and 1.25)")
    parser.add_argument('--skip-unreadable', action='store_true',
                        help='go on with the next image of a folder after an unreadable one')
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    with one_line_errors('image_demo.py'):  # here: --help needs no PyTorch
        from mtpsl.apis import MultiTaskInferencer, Video, predict_video
        from mtpsl.apis.sources import collect, is_video

        video = is_video(args.input) and not Path(args.input).is_dir()
        if video and args.formats != ['png']:
            raise ValueError('--formats: a video becomes videos; arrays of its frames are given by '
                             'MultiTaskInferencer.stream(Video(path))')
        # Is it there? Now, not after the model.
        Video(args.input) if video else collect(args.input)
        infer = MultiTaskInferencer(args.model, args.weights, args.device, args.cfg_options,
                                    window=args.window, max_side=args.max_side,
                                    batch_size=args.batch_size, tta=args.tta,
                                    amp=args.amp)
        if video:
            files = predict_video(infer, args.input, args.out_dir, tasks=args.tasks,
                                  num_samples=args.num_samples, stages=args.stages)
            print('\n'.join(map(str, files)))
            return
        count = 0
        for result in infer.stream(
                args.input, tasks=args.tasks, num_samples=args.num_samples, stages=args.stages,
                out_dir=args.out_dir, formats=args.formats,
                on_error='skip' if args.skip_unreadable else 'raise'):
            count += 1
            last = result
    if not count:
        raise SystemExit('image_demo.py: error: none of the images could be read')
    print(f'{count} image{"s" * (count > 1)}: {", ".join(last.maps)} in {args.out_dir}/<task>/'
          + (f', panels in {args.out_dir}/panels/' if 'png' in args.formats else ''))


if __name__ == '__main__':
    main()
