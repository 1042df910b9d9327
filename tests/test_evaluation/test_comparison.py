"""Tables of results: figures by hand, what is best, and the three formats."""

import csv
import io
import math
from dataclasses import replace

import pytest

from mtpsl.analysis.comparison import (
    Comparison,
    beside_paper,
    compare,
    disagreements,
    find_baseline,
)
from mtpsl.analysis.comparison_formats import FORMATS
from mtpsl.analysis.results import Method, Result


def method(name: str, *runs: tuple[float, ...], keys: tuple[str, ...] = (
        'semseg/mIoU', 'depth/absErr'), **more: float) -> Method:
    return Method(name, tuple(Result(name, dict(zip(keys, run)), f'{name}.json', number, **more)
                              for number, run in enumerate(runs)))


SINGLE = method('Single', (40, 0.5), (60, 0.3))  # means 50 and 0.4
# Per run +10 % and -25 % of the error: (10 + 25) / 2; then +20 % and the same: 10.
OURS = method('Ours_*', (55, 0.3), (60, 0.4), params=1.33e8, macs=6.28e9)


def scores(comparison: Comparison, name: str) -> dict[str, tuple[float, float | None]]:
    row, = [row for row in comparison.rows if row.method.name == name]
    return {key: (score.mean, score.std) for key, score in row.scores.items()}


def test_figures_by_hand() -> None:
    comparison = compare([SINGLE, OURS], SINGLE)
    assert comparison.columns == {'semseg/mIoU': True, 'depth/absErr': False, 'delta_m': True}
    ours = scores(comparison, 'Ours_*')
    assert ours['semseg/mIoU'] == pytest.approx((57.5, math.sqrt(12.5)))
    assert ours['depth/absErr'] == pytest.approx((0.35, math.sqrt(0.005)))
    assert ours['delta_m'] == pytest.approx((13.75, math.sqrt(2 * 3.75 ** 2)))
    assert 'delta_m' not in scores(comparison, 'Single')


def test_a_baseline_that_is_no_row_comes_first_and_keeps_the_order_of_columns() -> None:
    single = method('Single', (0.4, 50), keys=('depth/absErr', 'semseg/mIoU'))
    comparison = compare([OURS], single)
    assert [row.method.name for row in comparison.rows] == ['Single', 'Ours_*']
    assert list(comparison.columns) == ['semseg/mIoU', 'depth/absErr', 'delta_m']
    assert scores(comparison, 'Ours_*')['delta_m'][0] == pytest.approx(13.75)


def test_no_baseline_no_delta() -> None:
    assert list(compare([OURS]).columns) == ['semseg/mIoU', 'depth/absErr']


def test_a_row_that_lacks_a_task_has_no_delta() -> None:
    comparison = compare([SINGLE, method('Half', (55,))], SINGLE)
    assert scores(comparison, 'Half') == {'semseg/mIoU': (55, None)}
    assert FORMATS['md'](comparison).splitlines()[-1].split('|')[3:5] == [
        '               - ', '         - ']


def test_best() -> None:
    """By the mean, as shown: 57.504 and 57.5 look equal. The baseline takes part."""
    tie = method('Tie', (57.504, 0.4))
    comparison = compare([SINGLE, OURS, tie, method('Worse', (57.49, 0.9))], SINGLE)
    assert comparison.best('semseg/mIoU') == {'Ours_*', 'Tie'}
    assert comparison.best('depth/absErr') == {'Ours_*'}
    assert comparison.best('delta_m') == {'Ours_*'}
    assert compare([method('Single', (70, 0.1)), OURS]).best('semseg/mIoU') == {'Single'}
    assert compare([OURS, method('Half', (1,))], None).best('depth/absErr') == set()  # alone


def test_errors() -> None:
    with pytest.raises(ValueError, match='^no results given'):
        compare([])
    with pytest.raises(ValueError, match=r"^the baseline 'Half' \(Half.json: results\[0\]\) must "
                       r"hold a non-zero figure .* 'depth/absErr' is missing, it holds \['semseg"):
        compare([OURS], method('Half', (50,)))
    with pytest.raises(ValueError, match="of each column: 'depth/absErr' is zero$"):
        compare([OURS], method('Zero', (50, 0)))
    with pytest.raises(ValueError, match=r"two rows are called 'Ours_\*', Ours_\*.json: results\[0"
                       r"\] and Ours_\*.json: results\[0\]; NAME=FILE gives one another name"):
        compare([OURS], method('Ours_*', (50, 1)))


def test_a_name_that_the_paper_has_too() -> None:
    paper = [method('A', (1, 1)), method('B', (2, 2))]
    own = [method('B', (3, 3))]
    assert [m.name for m in beside_paper(paper, own)] == ['A', 'B (paper)', 'B']
    assert beside_paper(paper, own)[1].runs == paper[1].runs


def test_find_a_row() -> None:
    assert find_baseline(['Single'], [OURS, SINGLE]) is SINGLE
    with pytest.raises(FileNotFoundError, match=r"no result file Other; nor is 'Other' one of the "
                       r"methods \['Ours_\*', 'Single'\]"):
        find_baseline(['Other'], [OURS, SINGLE])


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip('|').split(' | ')]


def test_markdown() -> None:
    lines = FORMATS['md'](compare([SINGLE, OURS], SINGLE)).splitlines()
    assert len({len(line) for line in lines}) == 1  # aligned
    header, rule, single, ours = map(cells, lines)
    assert header == ['method', '#params', 'FLOPs', 'semseg mIoU ↑', 'depth absErr ↓', 'delta_m ↑']
    assert single == ['Single (2 runs)', '-', '-', '50.00 ± 14.14', '0.4000 ± 0.1414', '-']
    assert ours == [r'Ours_\* (2 runs)', '133M', '6.28G', '**57.50 ± 3.54**',
                    '**0.3500 ± 0.0707**', '+13.75 ± 5.30%']


def test_markdown_of_single_runs() -> None:
    single, flat, worse = method('S', (50, 2)), method('F', (50, 2)), method('W|', (45, 2.5))
    lines = FORMATS['md'](compare([flat, worse], single)).splitlines()
    assert cells(lines[3]) == ['F', '**50.00**', '**2.00**', '**+0.00%**']
    assert cells(lines[4]) == [r'W\|', '45.00', '2.50', '-17.50%']
    seeds = compare([method('S', (50, 0.4), (51, 0.4))])
    assert cells(FORMATS['md'](seeds).splitlines()[2])[1:] == ['50.50 ± 0.71', '0.4000 ± 0.0000']


def test_latex() -> None:
    lines = FORMATS['tex'](compare([SINGLE, OURS, method('[6] a&b', (45, 0.5))],
                                   SINGLE)).splitlines()
    assert lines == [
        r'% \usepackage{booktabs}', r'\begin{tabular}{lrrrrr}', r'\toprule',
        r'method & \#params & FLOPs & semseg mIoU $\uparrow$ & depth absErr $\downarrow$ '
        r'& $\Delta_m$ $\uparrow$ \\', r'\midrule',
        r'Single (2 runs) & - & - & 50.00 $\pm$ 14.14 & 0.4000 $\pm$ 0.1414 & - \\',
        r'Ours\_* (2 runs) & 133M & 6.28G & \textbf{57.50 $\pm$ 3.54} '
        r'& \textbf{0.3500 $\pm$ 0.0707} & \textbf{+13.75 $\pm$ 5.30\%} \\',
        r'{}[6] a\&b & - & - & 45.00 & 0.5000 & -17.50\% \\', r'\bottomrule', r'\end{tabular}']


def test_latex_escapes() -> None:
    text = FORMATS['tex'](compare([method('\\ ~ ^ < > | & % $ # _ { }', (1, 1))]))
    assert text.splitlines()[5].split(' & 1')[0] == (
        r'\textbackslash{} \textasciitilde{} \textasciicircum{} \textless{} \textgreater{} '
        r'\textbar{} \& \% \$ \# \_ \{ \}')


@pytest.mark.parametrize('name', ['=1+1', '+x', '-x', '@x', ' =x', '\tx'])
def test_csv_holds_no_formula(name: str) -> None:
    _, row = csv.reader(io.StringIO(FORMATS['csv'](compare([method(name, (1.0, 2))]))))
    assert row[0] == f"'{name}"
    assert float(row[2]) == 1.0


def test_csv() -> None:
    text = FORMATS['csv'](compare([SINGLE, OURS, method('a,b', (1 / 3, 2))], SINGLE))
    header, single, ours, other = csv.reader(io.StringIO(text))
    assert header == ['method', 'runs', 'params', 'macs', 'semseg/mIoU', 'semseg/mIoU std',
                      'depth/absErr', 'depth/absErr std', 'delta_m', 'delta_m std']
    assert single[:4] == ['Single', '2', '', ''] and single[8:] == ['', '']
    assert ours[:4] == ['Ours_*', '2', '133000000.0', '6280000000.0']
    assert [float(cell) for cell in ours[4:]] == pytest.approx(
        [57.5, math.sqrt(12.5), 0.35, math.sqrt(0.005), 13.75, math.sqrt(2 * 3.75 ** 2)], rel=1e-12)
    assert other[:1] + other[4:8] == ['a,b', '0.3333333333333333', '', '2.0', '']


def test_what_a_source_prints_otherwise() -> None:
    """45 and 2.5 to 50 and 2 give -17.5, with inputs that are good for 0.33 (and the print 0.005).

    100 / 2 * (0.005 / 50 * (1 + 0.9) + 0.005 / 2 * (1 + 1.25)) = 0.29075.
    """
    base = method('S', (50, 2))

    def noted(printed: float, file: str = 'S.json') -> list[str]:
        row = method('R', (45, 2.5), printed_delta_m=printed)
        row = replace(row, runs=(replace(row.runs[0], file=file),))
        return disagreements(compare([base, row], base))
    assert noted(-17.5) == noted(-17.79) == noted(-17.21) == noted(-17.793) == []
    assert noted(-17.8) == ['R: Delta_m -17.50% relative to S, but its source prints -17.80%']
    assert len(noted(-17.2)) == 1
    assert noted(3.0, file='other.json') == []  # relative to something else, no wonder
    assert disagreements(compare([base])) == []
