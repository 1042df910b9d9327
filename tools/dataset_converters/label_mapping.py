"""Make the JSON file of a partial-label setting: draw one, or import a published one."""

import argparse
import os

from mtpsl.datasets.label_mapping import (
    SETTINGS,
    LabelMapping,
    count_labels,
    generate_mapping,
    save_mapping,
)
from mtpsl.datasets.published_mapping import import_published


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest='command', required=True)
    generate = commands.add_parser('generate', help='draw a setting (seeded)')
    generate.add_argument('--ids', required=True, help='text file, one image id a line')
    generate.add_argument('--tasks', required=True, nargs='+', help='task names')
    generate.add_argument('--setting', required=True, choices=SETTINGS)
    generate.add_argument('--seed', type=int, default=0)
    generate.add_argument(
        '--only', nargs='*', default=[], metavar='TASK=FILE',
        help='label TASK only on the images listed in FILE, as published for parsing (images '
        'that show human parts)')
    published = commands.add_parser('import', help='convert a published .npy or .pth file')
    published.add_argument('source', help='the file; read without running code in it')
    for command in (generate, published):
        command.add_argument('--out', required=True, help='JSON file to write, e.g. '
                             'data/PASCALContext/label_mappings/onelabel.json')
        command.add_argument('--force', action='store_true', help='overwrite --out')
    args = parser.parse_args(argv)
    if os.path.exists(args.out) and not args.force:
        parser.error(f'{args.out} exists; give --force to overwrite it')
    if args.command == 'generate' and not all('=' in item for item in args.only):
        parser.error(f'--only takes TASK=FILE, got {" ".join(args.only)}')
    return args


def read_ids(path: str) -> list[str]:
    with open(path, encoding='utf-8') as file:
        return file.read().split()


def format_counts(mapping: LabelMapping) -> str:
    """The statistics of a mapping as a table."""
    per_task, per_number = count_labels(mapping)
    rows = [('images', len(mapping)), *per_task.items(),
            *((f'{n} label{"s" * (n != 1)}', per_number[n]) for n in sorted(per_number))]
    return '\n'.join(f'{name:<12}{count:>8}' for name, count in rows)


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    if args.command == 'import':
        mapping = import_published(args.source)
    else:
        only = dict(item.split('=', 1) for item in args.only)
        mapping = generate_mapping(read_ids(args.ids), args.tasks, args.setting, args.seed,
                                   {task: read_ids(path) for task, path in only.items()})
    save_mapping(mapping, args.out)
    print(format_counts(mapping))


if __name__ == '__main__':
    main()
