"""``compare.py`` as a user calls it."""

import json
import runpy
from pathlib import Path

import pytest

TOOL = Path(__file__).parents[2] / 'tools/analysis_tools/compare.py'
MAIN = runpy.run_path(str(TOOL))['main']


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Results of two single-task models, two seeds of a model, and sets, in the current folder."""
    monkeypatch.chdir(tmp_path)
    for folder, metrics in dict(
            st_depth={'depth/absErr': 0.02}, st_semseg={'semseg/mIoU': 50},
            ours={'semseg/mIoU': 55, 'depth/absErr': 0.01},
            joint={'nyud/depth/absErr': 0.5, 'nyud/initial/depth/absErr': 1},
            zero={'semseg/mIoU': 50, 'depth/absErr': 0}).items():
        Path(folder).mkdir()
        Path(folder, 'metrics.json').write_text(json.dumps(metrics))
    seeds = [{'method': 'Seeds', 'params': 5e6, 'metrics': {'semseg/mIoU': value}}
             for value in (40, 60)]
    Path('seeds.json').write_text(json.dumps({'results': seeds}))
    Path('two.json').write_text(json.dumps({'results': [
        {'method': name, 'setting': 's', 'metrics': {'semseg/mIoU': 5}} for name in 'AB']}))


def rows(text: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.strip('|').split('|')] for line in text.splitlines()]


def table(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[list[str]]:
    MAIN(list(arguments))
    return rows(capsys.readouterr().out)


SEMSEG, DEPTH, OURS = 'st_semseg/metrics.json', 'st_depth/metrics.json', 'ours/metrics.json'


@pytest.mark.parametrize(('baseline', 'name'), [
    ([DEPTH, SEMSEG], 'Baseline'), ([f'ST={DEPTH},{SEMSEG}'], 'ST'),
    ([f'ST={DEPTH}', f'ST={SEMSEG}'], 'ST'), (['seeds.json', DEPTH], 'Baseline (2 runs)')])
@pytest.mark.usefixtures('files')
def test_baseline_of_several_files(baseline: list[str], name: str,
                                   capsys: pytest.CaptureFixture[str]) -> None:
    """50 and 0.02 in each case: +10 % and -50 % of the error make +30.

    The parameters of one of the models are not shown as those of them all.
    """
    printed = table(capsys, f'Mine={OURS}', '--baseline', *baseline)
    assert printed[0] == ['method', 'semseg mIoU ↑', 'depth absErr ↓', 'delta_m ↑']
    semseg = '50.00 ± 14.14' if 'seeds.json' in baseline else '50.00'
    assert printed[2:] == [[name, semseg, '0.0200', '-'],
                           ['Mine', '**55.00**', '**0.0100**', '+30.00%']]


@pytest.mark.usefixtures('files')
def test_baseline_is_a_row(capsys: pytest.CaptureFixture[str]) -> None:
    printed = table(capsys, OURS, f'ST={SEMSEG},{DEPTH}', '--baseline', 'ST')
    assert [line[0] for line in printed[2:]] == ['ours', 'ST']
    assert [line[-1] for line in printed[2:]] == ['+30.00%', '-']


@pytest.mark.usefixtures('files')
def test_one_file_gives_its_name_and_none_leaves_delta_out(
        capsys: pytest.CaptureFixture[str]) -> None:
    printed = table(capsys, 'seeds.json', '--baseline', SEMSEG)
    assert [line[:2] for line in printed[2:]] == [['st_semseg', '-'], ['Seeds (2 runs)', '5.00M']]
    assert table(capsys, OURS)[0][-1] == 'depth absErr ↓'


@pytest.mark.usefixtures('files')
def test_beside_the_paper(capsys: pytest.CaptureFixture[str]) -> None:
    """The paper's single-task row is the default: 55 and 0.01 to 75.82 and 0.0125 give -3.73."""
    printed = table(capsys, f'Single-Task={OURS}', '--paper', 'cityscapes_onelabel')
    assert [line[0] for line in printed[2:]] == [
        'Single-Task (paper)', 'MTL Baseline', 'SS', 'XTC', r'XTC\*', 'DiffusionMTL (Prediction)',
        'DiffusionMTL (Feature)', 'Single-Task']
    assert printed[2][-1] == '-' and printed[-1][-1] == '-3.73%'
    printed = table(capsys, f'ST={SEMSEG},{DEPTH}', '--paper', 'cityscapes_onelabel',
                    '--baseline', 'ST')
    assert printed[2][-1] == '**+44.57%**' and printed[-1][-1] == '-'


@pytest.mark.usefixtures('files')
def test_formats_and_out(capsys: pytest.CaptureFixture[str]) -> None:
    MAIN([OURS, '--format', 'csv', '--out', 'new/table.csv'])
    assert capsys.readouterr().out == 'table: new/table.csv\n'
    assert Path('new/table.csv').read_text() == (
        'method,runs,semseg/mIoU,semseg/mIoU std,depth/absErr,depth/absErr std\n'
        'ours,1,55.0,,0.01,\n')
    MAIN([OURS, '--format', 'tex'])
    assert r'\begin{tabular}{lrr}' in capsys.readouterr().out


def test_what_the_paper_prints_otherwise_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    MAIN(['--paper', 'pascal_onelabel_ablation'])
    notes = capsys.readouterr().err.splitlines()
    assert len(notes) == 5
    assert notes[1] == ('note: R50 DiffusionMTL (Feature): Delta_m +4.91% relative to R18 '
                        'Single-Task, but its source prints +0.77%')


@pytest.mark.parametrize(('arguments', 'message'), [
    ('', 'no results given: name result files or a setting of the paper'),
    ('none.json', 'there is no result file none.json'),
    ('--paper pascal', "has no setting 'pascal', choose one of ['cityscapes_onelabel', 'pascal_on"),
    ('two.json --setting t', "two.json has no setting 't', choose one of ['s']"),
    (f'{OURS} --baseline {SEMSEG}',
     "the baseline 'st_semseg' (st_semseg/metrics.json) must hold a non-zero figure of each "
     "column: 'depth/absErr' is missing, it holds ['semseg/mIoU']"),
    (f'{OURS} --baseline zero/metrics.json', "of each column: 'depth/absErr' is zero"),
    (f'{OURS} --baseline {SEMSEG} {OURS}',
     f"{SEMSEG} and {OURS} both hold 'semseg/mIoU'; files of one row must hold different tasks"),
    (f'{OURS} --baseline two.json', "a baseline is one method, two.json holds ['A', 'B']; give "),
    (f'{OURS} --baseline Theirs',
     "no result file Theirs; nor is 'Theirs' one of the methods ['ours']"),
    (f'A={SEMSEG} A={DEPTH}', "'A' names results of different tasks: st_semseg/metrics.json holds"),
    ('joint/metrics.json --paper nyud_onelabel',
     'joint/metrics.json holds nyud/depth/absErr: the figures of the paper are of one data set'),
    (f'{OURS} {OURS}', f'{OURS} is given twice'),
    (f'{OURS} --baseline ours={SEMSEG},{DEPTH}', "two rows are called 'ours', "),
])
@pytest.mark.usefixtures('files')
def test_errors_are_one_line(arguments: str, message: str,
                             capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as info:
        MAIN(arguments.split())
    assert info.value.code == 1
    printed = capsys.readouterr()
    assert printed.out == ''
    line, = printed.err.splitlines()
    assert line.startswith('compare.py: error: ') and message in line


def test_results_are_not_replaced_and_the_suffix_decides(tmp_path, capsys):
    results = tmp_path / 'metrics.json'
    results.write_text(json.dumps({'semseg/mIoU': 50.0}))
    before = results.read_text()
    for said in (results, tmp_path):  # also by its work dir
        with pytest.raises(SystemExit):
            MAIN([str(said), '--out', str(results)])
        assert 'is one of the results' in capsys.readouterr().err
    with pytest.raises(SystemExit):
        MAIN(['ours='])
    assert "a path is empty in ''" in capsys.readouterr().err
    assert results.read_text() == before
    (tmp_path / 'table.csv').write_text('mine')
    for _ in range(2):  # the second time it holds the same
        MAIN([str(results), '--out', str(tmp_path / 'table.csv')])
    assert 'earlier table.csv, which differs: ' in capsys.readouterr().out
    aside, = (path for path in tmp_path.glob('*.csv') if path.name != 'table.csv')
    assert aside.read_text() == 'mine' and '|' not in (tmp_path / 'table.csv').read_text()
