"""Results side by side, with Delta_m: ``compare.py RESULT.json ... --baseline RESULT.json ...``."""

import argparse
import sys
from pathlib import Path

from mtpsl.system.arguments import Parser, split_name, split_paths
from mtpsl.system.choices import TABLE_FORMATS
from mtpsl.system.config_arguments import one_line_errors
from mtpsl.system.files import write_keeping


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = Parser(
        description='A table of results side by side, with Delta_m; see docs/compare.md')
    parser.add_argument('results', nargs='*', metavar='RESULT',
                        help='a metrics.json, its work dir or a set of results; NAME=FILE names '
                        'the row, NAME=FILE,FILE makes one row of files of different tasks')
    parser.add_argument('--baseline', nargs='+', metavar='RESULT',
                        help='what Delta_m is relative to: files, one a task or one for all, or '
                        "the name of a row (default: the paper's Single-Task with --paper)")
    parser.add_argument('--paper', metavar='SETTING',
                        help="put the paper's rows in front, e.g. pascal_onelabel")
    parser.add_argument('--setting', help='which setting of a file that has several')
    parser.add_argument('--format', choices=TABLE_FORMATS,
                        help="default: that of --out's suffix, else md")
    parser.add_argument('--out', help='write the table to this file instead of printing it')
    args = parser.parse_intermixed_args(argv)
    if args.out and Path(args.out).is_dir():
        parser.error(f'--out must be a file, got the folder {args.out}')
    suffix = Path(args.out or '').suffix[1:]
    args.format = args.format or (suffix if suffix in TABLE_FORMATS else 'md')
    return args


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    with one_line_errors('compare.py'):  # here: --help needs no PyTorch
        from mtpsl.analysis.comparison import (
            beside_paper,
            compare,
            copies,
            disagreements,
            find_baseline,
            other_classes,
        )
        from mtpsl.analysis.comparison_formats import FORMATS
        from mtpsl.analysis.result_files import paper_results, read_argument, result_file
        from mtpsl.analysis.results import group_by_method
        from mtpsl.analysis.task_options import other_options, other_tests

        files = [result_file(file).resolve() for text in args.results
                 for file in split_paths(split_name(text)[1])]
        if args.out and Path(args.out).resolve() in files:
            raise ValueError(f'--out {args.out} is one of the results, which it would replace')
        own = [result for text in args.results for result in read_argument(text, args.setting)]
        methods = group_by_method(own) if own or args.paper is None else []
        if args.paper is not None:
            methods = beside_paper(group_by_method(paper_results(args.paper)), methods)
        if args.baseline:
            baseline = find_baseline(args.baseline, methods, args.setting)
        else:  # each of the paper's settings begins with its single-task row
            baseline = None if args.paper is None else methods[0]
        comparison = compare(methods, baseline)
        table = FORMATS[args.format](comparison)
        if args.out:
            write_keeping(Path(args.out), table)
            print(f'table: {args.out}')
        else:
            print(table, end='')
        # Beside the table, which may go to a file.
        shown = [*methods, *([baseline] if baseline else [])]
        skipped = [run.note for method in shown for run in method.runs if run.note]
        for line in (*dict.fromkeys(skipped), *copies(methods), *other_classes(shown),
                     *other_options(shown), *other_tests(shown), *disagreements(comparison)):
            print(f'note: {line}', file=sys.stderr)


if __name__ == '__main__':
    main()
