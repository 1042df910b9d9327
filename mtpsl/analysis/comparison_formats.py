"""Writes a comparison as Markdown, LaTeX or CSV."""

import csv
import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from mtpsl.evaluation.table import ARROWS, decimals, figure, markdown_table, signed
from mtpsl.system.choices import TABLE_FORMATS

from .comparison import DELTA, Comparison
from .results import Score


@dataclass(frozen=True)
class Style:
    """The notation of a format."""

    escape: Callable[[str], str]
    bold: str
    plus_minus: str
    percent: str
    delta: str
    arrows: Mapping[bool, str]


TEX_ESCAPES = str.maketrans({
    '\\': r'\textbackslash{}', '~': r'\textasciitilde{}', '^': r'\textasciicircum{}',
    '<': r'\textless{}', '>': r'\textgreater{}', '|': r'\textbar{}',
    **{letter: f'\\{letter}' for letter in '&%$#_{}'}})
MARKDOWN = Style(lambda text: text.replace('|', r'\|').replace('*', r'\*'),
                 '**{}**', ' ± ', '%', DELTA, ARROWS)
LATEX = Style(lambda text: text.translate(TEX_ESCAPES), r'\textbf{{{}}}', r' $\pm$ ', r'\%',
              r'$\Delta_m$', {True: r'$\uparrow$', False: r'$\downarrow$'})
# Size -> title of its column, unit and the unit's letter.
SIZES = {'params': ('#params', 1e6, 'M'), 'macs': ('FLOPs', 1e9, 'G')}


def to_markdown(comparison: Comparison) -> str:
    """Format as aligned Markdown."""
    return markdown_table(*_cells(comparison, MARKDOWN)) + '\n'


def to_latex(comparison: Comparison) -> str:
    """Format as a LaTeX ``tabular`` with the package booktabs."""
    header, rows = _cells(comparison, LATEX)
    # After the \\ of the row before, LaTeX would read a leading [ or * as its argument.
    rows = [['{}' + row[0] if row[0][:1] in '[*' else row[0], *row[1:]] for row in rows]
    lines = [r'% \usepackage{booktabs}', f'\\begin{{tabular}}{{l{"r" * (len(header) - 1)}}}',
             r'\toprule', ' & '.join(header) + r' \\', r'\midrule',
             *(' & '.join(row) + r' \\' for row in rows), r'\bottomrule', r'\end{tabular}']
    return '\n'.join(lines) + '\n'


def to_csv(comparison: Comparison) -> str:
    """Format as CSV with unrounded means and deviations, and the number of runs."""
    sizes = _sizes(comparison)
    out = io.StringIO()
    writer = csv.writer(out, lineterminator='\n')
    writer.writerow(['method', 'runs', *sizes, *(
        _plain(title) for column in comparison.columns for title in (column, f'{column} std'))])
    for number, row in enumerate(comparison.rows):
        scores = [row.scores.get(column) for column in comparison.columns]
        writer.writerow([_plain(row.method.name), row.method.most_runs, *(
            values[number] for values in sizes.values()), *(
            value for score in scores
            for value in ((score.mean, score.std) if score else (None, None)))])
    return out.getvalue()


def _plain(text: str) -> str:
    """Quote a cell that spreadsheets would run as a formula."""
    return f"'{text}" if text.lstrip()[:1] in tuple('=+-@') or text[:1] in '\t\r' and text else text


FORMATS = dict(zip(TABLE_FORMATS, (to_markdown, to_latex, to_csv), strict=True))


def _sizes(comparison: Comparison) -> dict[str, list[float | None]]:
    """Return ``params`` and ``macs`` of each row, if any row has them."""
    sizes = {}
    for column in SIZES:
        values = [next((size for run in row.method.runs
                        if (size := getattr(run, column)) is not None), None)
                  for row in comparison.rows]
        if any(value is not None for value in values):
            sizes[column] = values
    return sizes


def _cells(comparison: Comparison, style: Style) -> tuple[list[str], list[list[str]]]:
    """Return the header and rows as text."""
    sizes = _sizes(comparison)
    header = ['method', *(style.escape(SIZES[column][0]) for column in sizes)]
    for column, better in comparison.columns.items():
        title = style.delta if column == DELTA else style.escape(column.replace('/', ' '))
        header.append(f'{title} {style.arrows[better]}')
    best = {column: comparison.best(column) for column in comparison.columns}
    rows = []
    for number, row in enumerate(comparison.rows):
        name, runs = row.method.name, row.method.most_runs
        cells = [style.escape(name) + (f' ({runs} runs)' if runs > 1 else '')]
        cells += [_size(values[number], column) for column, values in sizes.items()]
        for column in comparison.columns:
            text = _score(row.scores.get(column), column, style)
            cells.append(style.bold.format(text) if name in best[column] else text)
        rows.append(cells)
    return header, rows


def _size(value: float | None, column: str) -> str:
    _, unit, letter = SIZES[column]
    return '-' if value is None else f'{value / unit:.{0 if value >= 100 * unit else 2}f}{letter}'


def _score(score: Score | None, column: str, style: Style) -> str:
    if score is None:
        return '-'
    delta = column == DELTA
    text = signed(score.mean) if delta else figure(score.mean)
    if score.std is not None:
        text += f'{style.plus_minus}{score.std:.{2 if delta else decimals(score.mean)}f}'
    return text + style.percent if delta else text
