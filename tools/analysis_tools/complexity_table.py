"""Parameters and multiply-adds of the paper's Tables 2 and 3, ours beside the printed ones."""

import argparse
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from mtpsl.system.arguments import Parser
from mtpsl.system.config_arguments import check_json, one_line_errors
from mtpsl.system.files import to_json, write_keeping

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'
MAIN, ABLATION = 'pascal_onelabel', 'pascal_onelabel_ablation'  # settings of the paper's results
TASKS = ('semseg', 'parsing', 'saliency', 'normal', 'boundary')
IDLE = ', f_cond idle'  # ends the name of a row that counts the weights of an unused f_cond
VARIANTS = {'(Feature)': '_feature', '(Prediction)': '',
            '(Prediction) w/o Diffusion': '_wo-diffusion',
            '(Prediction) w/o Multi-Task Cond': '_wo-cond'}


class Row(NamedTuple):
    """A model of the table.

    Attributes:
        name: as it is shown.
        table: of the paper, '-' where it has no such row.
        setting: of the paper's results.
        method: the paper's row in it.
        configs: files below ``configs``, without suffix; the costs of several add up.
        note: letter of the note on it.
    """

    name: str
    table: str
    setting: str
    method: str
    configs: tuple[str, ...]
    note: str = ''


ROWS = [
    *(Row(f'{backbone} DiffusionMTL {variant}', '2', ABLATION,
          f'{backbone} DiffusionMTL {variant}',
          (f'diffusionmtl/pascal_onelabel_{backbone.lower()}{suffix}',),
          'a' if suffix == '_wo-cond' else '')
      for backbone in ('R18', 'R50') for variant, suffix in VARIANTS.items()),
    Row('Single-Task', '3', MAIN, 'Single-Task',
        tuple(f'single_task/pascal_onelabel_r18_{task}' for task in TASKS), 'b'),
    Row('MTL Baseline', '3', MAIN, 'MTL Baseline', ('mtl_baseline/pascal_onelabel_r18',)),
    Row('SS', '3', MAIN, 'SS', ('ss/pascal_onelabel_r18',), 'c'),
    Row('XTC', '3', MAIN, 'XTC*', ('xtc/pascal_onelabel_r18',), 'd'),
    Row('JTR', '-', MAIN, 'JTR', ('jtr/pascal_onelabel_r18',), 'e'),
    Row('HiTTs', '-', MAIN, 'HiTTs', ('hitts/pascal_onelabel_r18_stage2',), 'f'),
]
Counts = Mapping[str, Mapping[str, int]]  # what complexity returns


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = Parser(
        description="Parameters and multiply-adds of the rows of the paper's Tables 2 and 3 "
        '(PASCAL, 512x512, five tasks) beside the printed ones; see docs/complexity.md')
    parser.add_argument('--json', type=Path, metavar='FILE',
                        help='also write plain counts and notes to this file')
    args = parser.parse_args(argv)
    check_json(parser, args.json)
    return args


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    with one_line_errors('complexity_table.py'):
        counts = {name: count(name) for row in ROWS for name in row.configs}
        rows, notes = measured_rows(counts), make_notes(counts)
        print(as_table(rows))
        print('\nΔ: ours relative to the printed figure. '
              'Multiply-adds are those of one image at test time.')
        for letter, note in notes.items():
            print(textwrap.fill(f'{letter}: {note}', 100, subsequent_indent='   '))
        if args.json:
            write_keeping(args.json, to_json(dict(rows=rows, notes=notes)))
            print(f'counts: {args.json}')


def count(name: str) -> Counts:
    """The costs of a config's model by part, at its dataset's input size."""
    from mtpsl.analysis.complexity import (  # here: --help needs no PyTorch
        build_without_values,
        complexity,
    )
    from mtpsl.engine import load_config

    model = build_without_values(load_config(str(CONFIGS / f'{name}.py')).model)
    return complexity(model, model.data_preprocessor.size)


def measured_rows(counts: Mapping[str, Counts]) -> list[dict[str, object]]:
    """What ``--json`` writes of each row: plain counts, None for what the paper does not print.

    A model without conditioning is followed by the same with the weights of its idle f_cond.
    """
    from mtpsl.analysis.result_files import paper_results

    results = {(setting, result.method): result
               for setting in (MAIN, ABLATION) for result in paper_results(setting)}
    rows = []
    for row in ROWS:
        paper = results.get((row.setting, row.method))
        totals = [counts[name][''] for name in row.configs]
        rows.append(dict(
            name=row.name, table=row.table, note=row.note, configs=list(row.configs),
            params=sum(total['params'] for total in totals),
            macs=sum(total['macs'] for total in totals),
            paper_params=paper and paper.params, paper_macs=paper and paper.macs))
        if row.name.endswith('w/o Multi-Task Cond'):
            conditioned = counts[row.configs[0].removesuffix('_wo-cond')]
            idle = conditioned['diffusion.condition']['params']
            rows.append(rows[-1] | dict(name=row.name + IDLE, params=rows[-1]['params'] + idle))
    return rows


def make_notes(counts: Mapping[str, Counts]) -> dict[str, str]:
    """Letter -> what is to be said of the rows that bear it."""
    def part(config: str, *names: str, of: str = 'params') -> int:
        return sum(counts[config][name][of] for name in names)

    baseline = 'mtl_baseline/pascal_onelabel_r18'
    encoder = part(baseline, 'backbone', 'neck', of='macs')
    decoders = part(baseline, 'decoders', of='macs')
    idle = part('diffusionmtl/pascal_onelabel_r18', 'diffusion.condition')
    own = {name: part(f'{name}/pascal_onelabel_r18', 'regularizer') for name in ('xtc', 'jtr')}
    heads = part('hitts/pascal_onelabel_r18_stage2', 'decoders.heads', of='macs')
    five = len(TASKS) * encoder + decoders
    return {
        'a': f'without conditioning nothing uses f_cond, and our model does not have it. With its '
             f'{mega(idle)}M weights kept and idle the parameters are the printed ones: the row '
             'below.',
        'b': f'the sum of five models. Their multiply-adds are five encoders of {giga(encoder)}G '
             f"and the MTL Baseline's decoders of {giga(decoders)}G, "
             f'{giga(five)}G in all: the printed figure cannot be their sum.',
        'c': 'no parameters of its own; the paper prints no sizes. Tested, it is the MTL Baseline.',
        'd': f'the row XTC* of the paper. {mega(own["xtc"])}M parameters are those of the mapping '
             'network, used in training only. Tested, it is the MTL Baseline.',
        'e': f'not in the paper. {mega(own["jtr"])}M parameters are those of the joint network, '
             'used in training only. Tested, it is the MTL Baseline.',
        'f': f'not in the paper. {giga(heads)}G are those of five heads on maps at stride 4, '
             'without a neck. Both stages have this model; training the second adds one forward '
             'pass of the first.'}


def as_table(rows: Sequence[Mapping[str, object]]) -> str:
    """Markdown."""
    from mtpsl.evaluation.table import markdown_table

    cells = [[f'{row["name"]} ({row["note"]})' if row['note'] else row['name'], row['table'],
              mega(row['params']), printed(row['paper_params'], 1e6),
              difference(row['params'], row['paper_params']),
              giga(row['macs']), printed(row['paper_macs'], 1e9),
              difference(row['macs'], row['paper_macs'])] for row in rows]
    return markdown_table(['model', 'table', 'params (M)', 'printed (M)', 'Δ params',
                           'multiply-adds (G)', 'printed (G)', 'Δ multiply-adds'], cells)


def mega(count: int) -> str:
    return f'{count / 1e6:.2f}'


def giga(count: int) -> str:
    return f'{count / 1e9:.1f}'


def printed(count: float | None, unit: float) -> str:
    """A figure of the paper, which gives whole units."""
    return '-' if count is None else f'{count / unit:g}'


def difference(ours: int, paper: float | None) -> str:
    """Percent of the paper's figure."""
    return '-' if paper is None else f'{100 * (ours / paper - 1):+.2f}%'


if __name__ == '__main__':
    main()
