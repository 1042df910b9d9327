"""Make labels of a task from what labelme, CVAT or a COCO JSON says."""

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mtpsl.system.arguments import Parser, at_least, exit_with_one_line

if TYPE_CHECKING:
    from mtpsl.data_prep.annotations.sources import Annotations

PROG = 'labels.py'
MASK = ('no', 'yes')  # the classes of a task of masks
EPILOG = """\
labels are the names that annotators gave; they are taken for the classes of the task of that name
in the config. --map, --ignore and --skip say what others mean; '*' is all that are not named. Of
a task of masks, such as saliency, the classes are no and yes: --map person=yes.

An interrupted conversion is taken up by the same command. Nothing is ever overwritten.
"""


def make_parser() -> argparse.ArgumentParser:
    """The parser."""
    parser = Parser(PROG, description=__doc__, epilog=EPILOG,
                    formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('source', type=Path, help='labelme: the folder of JSON files; cvat: '
                        'annotations.xml, or the unpacked export; coco: the JSON file')
    parser.add_argument('root', type=Path, help='the folder to fill, such as data/mine/train: its '
                        "images are copied, the labels go into the task's folder")
    parser.add_argument('--from', dest='kind', required=True, choices=('labelme', 'cvat', 'coco'))
    parser.add_argument('--config', required=True, help='config that says what the classes of the '
                        'task are')
    parser.add_argument('--task', required=True, help='name of the task in the config')
    parser.add_argument('--images', type=Path, help='folder of the images (default: where the '
                        'annotations say, or in images beside them)')
    parser.add_argument('--map', nargs='+', default=[], metavar='LABEL=CLASS',
                        help='take a label for a class of another name')
    parser.add_argument('--ignore', nargs='+', default=[], metavar='LABEL',
                        help='pixels of these labels are unknown')
    parser.add_argument('--skip', nargs='+', default=[], metavar='LABEL',
                        help='these labels are not drawn: what lies beneath counts')
    parser.add_argument('--outside', metavar='CLASS', help='what pixels outside of all shapes are, '
                        'or unknown (default: background, or no, where the task has it)')
    parser.add_argument('--empty', choices=('unlabelled', 'background'), default='unlabelled',
                        help='what images are that are listed without a shape: unlabelled, or '
                        'background all over (default: unlabelled)')
    parser.add_argument('--order', choices=('file', 'area'), help='of shapes that overlap, which '
                        'lies on top: the later in the file, or the smaller (default: file, of '
                        'cvat by its z_order; area of coco)')
    parser.add_argument('--line-width', type=at_least(1), default=3, metavar='PIXELS',
                        help='of lines (default: 3)')
    parser.add_argument('--allow-missing', action='store_true',
                        help='leave out images that are listed but not there')
    parser.add_argument('--workers', type=at_least(1), default=os.cpu_count(), metavar='N',
                        help='processes (default: one per core)')
    return parser


def read_task(config: str, name: str) -> tuple[Any, dict[str, str]]:
    """A task of a config, and its folders: 'images' and 'labels' -> name of the folder.

    Raises:
        ValueError: there is no such task, it takes no classes, or reads numbers of its own.
    """
    from mtpsl.engine import load_config  # here: --help needs no PyTorch
    from mtpsl.tasks import build_tasks
    from mtpsl.tasks.binary import BinaryTask
    from mtpsl.tasks.categorical import CategoricalTask

    cfg = load_config(config)
    tasks = build_tasks(cfg.get('tasks') or {})
    if name not in tasks:
        raise ValueError(f'--task: {config} has no task {name!r}, its tasks are {", ".join(tasks)}')
    task = tasks[name]
    if not isinstance(task, (BinaryTask, CategoricalTask)):
        raise ValueError(f'--task: {name} is {type(task).__name__}, which takes no classes that '
                         'could be drawn')
    ids = range(len(getattr(task, 'class_names', MASK)))
    if (getattr(task, 'colour_coded', False) or task.stored.values is not None
            or set(task.stored.ignore) & set(ids)):
        raise ValueError(f'--task: in {config} {name} reads numbers of its own (values, ignore or '
                         'colour_coded): leave these out, since the labels will be class ids')
    dataset = (cfg.get('train_dataloader') or {}).get('dataset') or {}
    return task, dict(images=dataset.get('images', 'images'),
                      labels=(dataset.get('folders') or {}).get(name, name))


def outside_id(said: str | None, classes: tuple[str, ...]) -> int:
    """The id of what no shape covers.

    Raises:
        ValueError: a class that there is not, or none is said and none is a background.
    """
    from mtpsl.data_prep.annotations import UNKNOWN

    default = next((name for name in ('background', 'no') if name in classes), None)
    if said is None and default is None:
        raise ValueError('--outside CLASS must say what the pixels outside of all shapes are, or '
                         f'unknown: the classes have no background, they are {", ".join(classes)}')
    name = said or default
    if name in classes:
        return classes.index(name)
    if name != 'unknown':
        raise ValueError(f'--outside must be unknown or one of {", ".join(classes)}, got {name}')
    return UNKNOWN


def find_images(args: argparse.Namespace, found: 'Annotations') -> tuple[Path, dict[str, str]]:
    """The folder of the images, and those directly in it, id -> file name."""
    from mtpsl.datasets.folder import list_images

    first = found.images[0].name
    folder = args.images or next(
        (folder for folder in found.folders if (folder / first).is_file()
         or folder.name in ('images', 'JPEGImages') and folder.is_dir()), found.folders[-1])
    if not folder.is_dir():
        raise FileNotFoundError(f'--images: there is no folder {folder}')
    try:
        return folder, list_images(str(folder))
    except FileNotFoundError:  # those of a tree of folders are found by their names
        return folder, {}


def convert(args: argparse.Namespace) -> None:
    """What the command line asks for."""
    from mtpsl.data_prep import annotations

    renamed = dict(pair.rpartition('=')[::2] for pair in args.map)
    if not all('=' in pair for pair in args.map):
        raise ValueError(f'--map takes LABEL=CLASS, got {" ".join(args.map)}')
    task, folders = read_task(args.config, args.task)
    mask = not hasattr(task, 'class_names')
    classes = MASK if mask else task.class_names
    meanings = annotations.meanings(classes, renamed, args.ignore, args.skip)
    outside = outside_id(args.outside, classes)
    if args.empty == 'background' and outside == annotations.UNKNOWN:
        raise ValueError('--empty background and --outside unknown would make labels of which '
                         'nothing is known')
    # In a picture of a mask 255 is a yes, unless the config says that it is unknown.
    array = mask and (task.stored.said or annotations.UNKNOWN in (outside, *meanings.values()))
    found = annotations.read_annotations(args.kind, args.source)
    annotations.check_names(found, meanings, classes)
    images, listed = find_images(args, found)
    rules = annotations.Rules(meanings, outside, (args.order or _order(args.kind)) == 'area',
                              args.line_width)
    target = annotations.Target(args.root / folders['images'], args.root / folders['labels'],
                                classes, mask, array)
    annotations.convert_annotations(
        found, images, listed, target, rules, dict(tool=args.kind, task=args.task), args.workers,
        args.empty == 'background', args.allow_missing)


def _order(kind: str) -> str:
    return 'area' if kind == 'coco' else 'file'


def main(argv: list[str] | None = None) -> None:
    """Entry point; exits with status 1 and one line where something cannot be used."""
    args = make_parser().parse_args(argv)
    exit_with_one_line(PROG, lambda: convert(args))


if __name__ == '__main__':
    main()
