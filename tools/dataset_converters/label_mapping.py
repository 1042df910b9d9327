"""Make the JSON file of a partial-label setting: draw one, or import a published one."""

import argparse
import difflib
import os
import sys
from typing import TYPE_CHECKING

from mtpsl.system.arguments import Parser, add_force, told_to_keep
from mtpsl.system.choices import PASCAL_TASKS, SETTINGS
from mtpsl.system.config_arguments import one_line_errors

if TYPE_CHECKING:
    from mtpsl.datasets.label_mapping import LabelMapping

PROG = 'label_mapping.py'
TASK_NAMES = (*PASCAL_TASKS, 'depth')


def make_parser() -> argparse.ArgumentParser:
    parser = Parser(PROG, description=__doc__)
    commands = parser.add_subparsers(dest='command', required=True)
    generate = commands.add_parser('generate', help='draw a setting (seeded)')
    generate.add_argument('--ids', required=True, help='text file, one image id a line, or a '
                          'folder of images or arrays, named ID.jpg, ID.npy, ...')
    generate.add_argument('--tasks', required=True, nargs='+', metavar='TASK',
                          help=f'names as in the config: {", ".join(TASK_NAMES)}, or your own')
    generate.add_argument('--setting', required=True, choices=SETTINGS)
    generate.add_argument('--seed', type=int, default=0, help='at least 0 (default: 0); it '
                          'gives the same draw for the same --ids and --tasks in the same order')
    generate.add_argument(
        '--only', nargs='+', action='extend', default=[], metavar='TASK=FILE',
        help='label TASK only on the images listed in FILE, as published for parsing (images '
        'that show people, see with-people)')
    published = commands.add_parser('import', help='convert a published .npy or .pth file')
    published.add_argument('source', help='the file; read without running code in it')
    people = commands.add_parser(
        'with-people', help='list the training images that show body parts, for --only parsing=')
    people.add_argument('root', help='the PASCALContext folder')
    for command, kind in ((generate, 'JSON'), (published, 'JSON'), (people, 'text')):
        command.add_argument('--out', required=True, help=f'{kind} file to write')
        add_force(command, '--out')
    return parser


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """The checked command line; ``only`` becomes a dict of task -> file."""
    parser = make_parser()
    args = parser.parse_args(argv)
    if os.path.isdir(args.out):
        parser.error(f'--out must be a file, {args.out} is a folder')
    if told := told_to_keep('', [args.out], args.force):
        parser.error(told)
    if args.command == 'generate':
        for name in args.tasks:
            close = difflib.get_close_matches(name, TASK_NAMES, 1, 0.75)
            if not name.isidentifier() or close and not name.startswith(close[0]):
                parser.error(f'--tasks: {name!r} is no name of a task'
                             + (f'; did you mean {close[0]}?' if close else ''))
        pairs = [item.partition('=') for item in args.only]
        if not all(file for _, _, file in pairs):
            parser.error(f'--only takes TASK=FILE, got {" ".join(args.only)}')
        if pairs and args.setting == 'full':
            parser.error('--only does not go with --setting full, which labels every image for '
                         'every task')
        args.only = {task: file for task, _, file in pairs}
        if len(args.only) < len(pairs) or not set(args.only) <= set(args.tasks):
            parser.error(f'--only must name tasks of --tasks, each once, got '
                         f'{" ".join(task for task, _, _ in pairs)}')
    return args


def ids_with_people(root: str) -> list[str]:
    """Training images whose ``human_parts`` file shows a body part, in the order of the list.

    Raises:
        ValueError, FileNotFoundError: see :class:`PASCALContext`; a file that cannot be read.
    """
    from mmengine.utils import track_iter_progress  # here: --help needs no PyTorch
    from scipy.io import loadmat

    from mtpsl.datasets import PASCALContext

    dataset = PASCALContext(tasks=dict(parsing=dict(type='Parsing')), data_root=root,
                            split='train')
    images = [dataset.get_data_info(index) for index in range(len(dataset))]
    found = []
    for image in track_iter_progress(images, file=sys.stderr) if sys.stderr.isatty() else images:
        (path,), decode = dataset.label_files('parsing', image['labels']['parsing'])
        try:
            # The size is that of the map of an image without people, which is not looked at.
            shows_people = decode((1, 1), loadmat(path)).any()
        except Exception as error:  # a damaged file can raise anything
            raise ValueError(f'cannot read {path}: {error}') from error
        if shows_people:
            found.append(image['img_id'])
    return found


def format_counts(mapping: 'LabelMapping') -> str:
    """The statistics of a mapping as a table."""
    from mtpsl.datasets.label_mapping import count_labels

    per_task, per_number = count_labels(mapping)
    rows = [('images', len(mapping)), *per_task.items(),
            *((f'{n} label{"s" * (n != 1)}', per_number[n]) for n in sorted(per_number))]
    return '\n'.join(f'{name:<12}{count:>8}' for name, count in rows)


def run(args: argparse.Namespace) -> None:
    """What the command line asks for."""
    from mtpsl.datasets.folder import list_images
    from mtpsl.datasets.id_list import read_id_list
    from mtpsl.datasets.label_mapping import generate_mapping, save_mapping
    from mtpsl.datasets.published_mapping import import_published

    if args.command == 'with-people':
        found = ids_with_people(args.root)
        os.makedirs(os.path.dirname(os.path.abspath(args.out)), exist_ok=True)
        with open(args.out, 'w', encoding='utf-8') as file:
            file.writelines(f'{image_id}\n' for image_id in found)
        print(f'{len(found)} images with people')
        return
    if args.command == 'import':
        mapping = import_published(args.source)
    else:
        only = {task: read_id_list(path) for task, path in args.only.items()}
        ids = list(list_images(args.ids)) if os.path.isdir(args.ids) else read_id_list(args.ids)
        for task, listed in only.items():
            if others := set(listed).difference(ids):
                raise ValueError(
                    f'--only {task}={args.only[task]}: {len(others)} of its {len(listed)} ids are '
                    f'none of {args.ids}, such as {min(others)!r}; one there is {ids[0]!r}')
        mapping = generate_mapping(ids, args.tasks, args.setting, args.seed, only)
    save_mapping(mapping, args.out)
    print(format_counts(mapping))


def main(argv: list[str] | None = None) -> None:
    """Entry point; exits with status 1 and one line where a file cannot be used."""
    args = parse_args(argv)
    with one_line_errors(PROG):
        run(args)


if __name__ == '__main__':
    main()
