"""Open a page that predicts one's images: ``webapp.py [MODEL --weights CHECKPOINT]``."""

import argparse
import importlib.util
from pathlib import Path

from mtpsl.system.arguments import Parser, at_least
from mtpsl.system.config_arguments import add_max_side, add_model, one_line_errors


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = Parser(description='Open a page that predicts images')
    add_model(parser)
    parser.add_argument('--host', default='127.0.0.1',
                        help='address to listen at; 0.0.0.0 lets other machines in '
                        '(default: 127.0.0.1)')
    parser.add_argument('--port', type=at_least(1), default=7860, help='(default: 7860)')
    add_max_side(parser)
    parser.add_argument('--max-upload', type=at_least(1), default=50, metavar='MB',
                        help='refuse larger files (default: 50)')
    args = parser.parse_args(argv)
    if args.port > 65535:
        parser.error(f'--port must be at most 65535, got {args.port}')
    if not importlib.util.find_spec('gradio'):
        parser.error("the page needs gradio: pip install 'gradio>=6'")
    return args


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    with one_line_errors('webapp.py'):  # here: --help needs no PyTorch
        from mtpsl.apis import MultiTaskInferencer
        from mtpsl.engine.config.model_index import find_entry, home

        infer = MultiTaskInferencer(args.model, args.weights, args.device, args.cfg_options,
                                    max_side=args.max_side, amp=args.amp)
        from mtpsl.apis.web_page import serve  # gradio takes seconds: after what may be wrong
        entry = {} if args.weights else find_entry(args.model)  # tells of the weights that ship
        samples = sorted(map(str, (home() / entry['Samples']).glob('*.png'))
                         ) if 'Samples' in entry else []
        serve(infer, Path(args.model).stem, args.host, args.port, args.max_upload,
              entry.get('Note', ''), samples)


if __name__ == '__main__':
    main()
