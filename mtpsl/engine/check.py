"""The ``check`` command of the data sets' tools."""

import argparse

from prettytable import PrettyTable

from mtpsl.datasets.check import Report, check_dataset
from mtpsl.registry import DATASETS

from .command import one_line_errors
from .config import load_config

SHOWN = 10  # problems written out in full


def add_check_parser(commands: argparse._SubParsersAction) -> None:
    """Add ``check ROOT`` to a tool's commands."""
    parser = commands.add_parser(
        'check', help='verify a data set on disk: files, counts, sizes, values, label mappings')
    parser.add_argument('root', help='the folder of the data set')
    parser.add_argument('--sample', type=_sample, default=20, metavar='N',
                        help="images of each split to open, or 'all' (default: 20)")


def _sample(text: str) -> int | None:
    if text == 'all':
        return None
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a number of at least 1, or 'all', got {text!r}")
    return int(text)


def run_check(tool: str, config: str, root: str, sample: int | None) -> None:
    """Check the data set of a config at another place and print the table.

    Args:
        tool: name of the command, for its errors.
        config: a config with ``train_dataloader``, such as ``_base_/datasets/nyud.py``.
        root: the folder of the data set.
        sample: images of a split to open, None for all.

    Raises:
        SystemExit: status 1 where something is broken or not as published.
    """
    with one_line_errors(tool):
        cfg = load_config(config)
        dataset = cfg.train_dataloader.dataset
        report = check_dataset(DATASETS.get(dataset.type), cfg.tasks, root, sample)
    print(format_report(root, report))
    if not report.sound:
        raise SystemExit(1)


def format_report(root: str, report: Report) -> str:
    """The table, the problems below it and a last line that sums up."""
    table = PrettyTable(['split', 'what', 'found', 'expected', 'verdict'], align='l')
    table.add_rows(report.findings)
    lines = [str(table), *report.problems[:SHOWN]]
    if len(report.problems) > SHOWN:
        lines.append(f'and {len(report.problems) - SHOWN} more')
    differing = sum(finding.verdict == 'differs' for finding in report.findings)
    state = 'is as it should be' if report.sound else (
        f'has problems: {len(report.problems)}' if report.problems else 'can be used')
    lines.append(f'{root} {state}' + (
        f'; lines that differ from what is published: {differing}' if differing else ''))
    return '\n'.join(lines)
