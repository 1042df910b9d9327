"""Parameters and multiply-adds of the full configs against the paper's Tables 2 and 3."""

import contextlib
import io
import json
import re
import runpy
from pathlib import Path

import pytest
import torch
from torch import nn

from mtpsl.analysis.complexity import build_without_values, complexity
from mtpsl.analysis.profiling.random_batch import random_batch
from mtpsl.analysis.result_files import paper_results
from mtpsl.analysis.training_memory import training_memory
from mtpsl.engine import load_config
from mtpsl.registry import MODELS

ROOT = Path(__file__).parents[1]
TOOLS = ROOT / 'tools/analysis_tools'
PREDICTION = 'DiffusionMTL (Prediction)'
NO_CONDITION = f'{PREDICTION} w/o Multi-Task Cond'
# Parameters and multiply-adds of each row: PASCAL's five tasks at 512x512.
OURS = {
    'R18 DiffusionMTL (Feature)': (132_913_284, 675_308_896_256),
    f'R18 {PREDICTION}': (133_072_516, 628_345_274_368),
    f'R18 {PREDICTION} w/o Diffusion': (133_072_516, 628_345_274_368),
    f'R18 {NO_CONDITION}': (112_709_252, 557_910_327_296),
    f'R18 {NO_CONDITION}, f_cond idle': (124_665_476, 557_910_327_296),
    'R50 DiffusionMTL (Feature)': (158_515_844, 741_545_345_024),
    f'R50 {PREDICTION}': (158_675_076, 694_581_723_136),
    f'R50 {PREDICTION} w/o Diffusion': (158_675_076, 694_581_723_136),
    f'R50 {NO_CONDITION}': (138_311_812, 624_146_776_064),
    f'R50 {NO_CONDITION}, f_cond idle': (150_268_036, 624_146_776_064),
    'Single-Task': (219_640_162, 717_863_518_208),
    'MTL Baseline': (157_237_346, 607_486_214_144),
    'SS': (157_237_346, 607_486_214_144),
    'XTC': (172_185_122, 607_486_214_144),
    'JTR': (182_237_636, 607_486_214_144), 'HiTTs': (62_101_948, 535_322_768_000)}
# What the paper prints otherwise, and the only rows of which it prints nothing.
DISAGREE = {(f'R18 {NO_CONDITION}', 'params'), (f'R50 {NO_CONDITION}', 'params'),
            ('Single-Task', 'macs')}
UNPRINTED = ['SS', 'JTR', 'HiTTs']


@pytest.fixture(scope='module')
def table(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, dict]:
    """What complexity_table.py prints, and its JSON file."""
    path = tmp_path_factory.mktemp('table') / 'counts.json'
    with contextlib.redirect_stdout(io.StringIO()) as out:
        runpy.run_path(str(TOOLS / 'complexity_table.py'))['main'](['--json', str(path)])
    return out.getvalue(), json.loads(path.read_text())


def test_the_paper_s_tables_are_matched_to_half_a_percent(table):
    rows = table[1]['rows']
    assert {row['name']: (row['params'], row['macs']) for row in rows} == OURS
    assert [row['name'] for row in rows if row['paper_params'] is None
            and row['paper_macs'] is None] == UNPRINTED
    apart = {(row['name'], what) for row in rows if row['name'] not in UNPRINTED
             for what in ('params', 'macs')
             if row[what] != pytest.approx(row[f'paper_{what}'], rel=5e-3)}
    assert apart == DISAGREE


def test_every_row_of_the_paper_with_a_size_is_in_the_table(table):
    rows = table[1]['rows']
    shown = {row['name']: (row['paper_params'], row['paper_macs']) for row in rows}
    for result in paper_results('pascal_onelabel_ablation')[1:]:  # the first is Table 3's
        assert shown[result.method] == (result.params, result.macs)
    for setting in ('pascal_onelabel', 'pascal_random'):
        for result in paper_results(setting):
            if result.params and not result.method.startswith('DiffusionMTL'):
                assert shown[result.method.rstrip('*')] == (result.params, result.macs)
    for row in rows:
        assert all((ROOT / f'configs/{name}.py').is_file() for name in row['configs'])
        assert len(row['configs']) == (5 if row['name'] == 'Single-Task' else 1)


def test_notes_tell_what_differs(table):
    printed, content = table
    notes = content['notes']
    assert {row['note'] for row in content['rows']} == {'', *notes}
    text = ' '.join(printed.split())  # without the line breaks inside notes
    assert all(f' {letter}: {note}' in text for letter, note in notes.items())
    # f_cond: a 3x3 convolution of 34 channels to five times 512, one of these to 512.
    f_cond = 9 * 512 * (34 + 5 * 512) + 6 * 512
    assert f'{f_cond / 1e6:.2f}M' in notes['a']
    assert '717.9G' in notes['b'] and '14.95M' in notes['d'] and '25.00M' in notes['e']
    assert '473.5G' in notes['f']
    cells = [[cell.strip() for cell in line.split('|')] for line in printed.splitlines()]
    figures = {line[1]: line[2:-1] for line in cells if len(line) > 1}
    assert figures[f'R18 {NO_CONDITION} (a)'] == [
        '2', '112.71', '125', '-9.83%', '557.9', '558', '-0.02%']
    assert figures[f'R18 {NO_CONDITION}, f_cond idle (a)'][:4] == ['2', '124.67', '125', '-0.27%']
    assert figures['SS (c)'] == ['3', '157.24', '-', '-', '607.5', '-', '-']


def test_the_page_shows_what_the_tool_prints(table):
    page = (ROOT / 'docs/complexity.md').read_text()
    for line in table[0].splitlines():
        assert line.startswith('counts: ') or line in page.splitlines()


def test_a_folder_that_is_not_there_is_an_error_at_once(capsys, tmp_path):
    main = runpy.run_path(str(TOOLS / 'complexity_table.py'))['main']
    for path in (tmp_path / 'none/counts.json', tmp_path):
        with pytest.raises(SystemExit):
            main(['--json', str(path)])
        assert '--json' in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize('name', ['diffusionmtl', 'xtc', 'jtr', 'hitts'])
def test_models_without_values_count_alike(name):
    cfg = load_config(str(ROOT / f'configs/synthetic/{name}_onelabel.py')).model
    model, usual = build_without_values(cfg), MODELS.build(cfg)
    expected = {key: value.shape for key, value in usual.state_dict().items()}
    assert {key: value.shape for key, value in model.state_dict().items()} == expected
    assert sum(parameter.is_meta for parameter in model.parameters()) > len(expected) / 2
    if name == 'diffusionmtl':
        assert model.diffusion.schedule.beta == usual.diffusion.schedule.beta
    assert complexity(model, (64, 96)) == complexity(usual, (64, 96))
    assert not torch.empty(1).is_meta  # the switch is off again


def test_counts_by_hand_and_by_part():
    """A 3x3 convolution costs H W 9 C_in C_out, attention 2 L^2 C; a container its children."""

    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.parts = nn.ModuleDict(dict(conv=nn.Conv2d(3, 4, 3, padding=1)))

        def forward(self, x):
            tokens = self.parts['conv'](x).flatten(2).transpose(1, 2)[:, None]
            return nn.functional.scaled_dot_product_attention(tokens, tokens, tokens)

    counts = complexity(Model(), (8, 6))
    convolution, attention = 48 * 9 * 3 * 4, 2 * 48 ** 2 * 4
    assert counts[''] == dict(params=112, macs=convolution + attention)
    assert counts['parts'] == counts['parts.conv'] == dict(params=112, macs=convolution)


def test_command_line(capsys, tmp_path):
    main = runpy.run_path(str(ROOT / 'tools/analysis_tools/get_flops.py'))['main']
    out = tmp_path / 'flops.json'
    main([str(ROOT / 'configs/diffusionmtl/pascal_onelabel_r18.py'), '--shape', '128', '128',
          '--json', str(out)])
    counts = json.loads(out.read_text())
    assert sum(counts[part]['params'] for part in ('backbone', 'neck', 'decoders', 'diffusion')) \
        == counts['']['params']
    assert f'{counts[""]["macs"] / 1e9:.2f}' in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(['x.py', '--shape', '8', '8'])


@pytest.mark.parametrize('name', ['mtl_baseline', 'diffusionmtl'])
def test_memory_of_a_step_is_what_a_real_one_keeps(name):
    cfg = load_config(str(ROOT / f'configs/synthetic/{name}_onelabel.py')).model
    model, kept = MODELS.build(cfg), {}

    def keep(tensor):
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = tensor, storage.nbytes()
        return tensor

    samples = random_batch(model.tasks, 2, (64, 64), 'one')['data_samples']
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        sum(model(torch.randn(2, 3, 64, 64), samples, mode='loss').values())
    own = {p.untyped_storage().data_ptr() for p in (*model.parameters(), *model.buffers())}
    size = sum(size for pointer, (_, size) in kept.items() if pointer not in own)
    weights = sum(p.nbytes for p in model.parameters())
    counted = training_memory(model, 2, (64, 64))
    assert counted.kept == size
    assert counted.optimizer == 3 * weights and weights < counted.weights < 1.1 * weights


def test_numbers_do_not_replace_another_file(tmp_path):
    main = runpy.run_path(str(ROOT / 'tools/analysis_tools/get_flops.py'))['main']
    (tmp_path / 'a.json').write_text('mine')
    for _ in range(2):
        main(['synthetic/mtl_baseline_onelabel', '--json', str(tmp_path / 'a.json')])
    assert sorted(path.read_text()[0] for path in tmp_path.iterdir()) == ['m', '{']


def test_memory_on_the_command_line(capsys):
    main = runpy.run_path(str(ROOT / 'tools/analysis_tools/get_flops.py'))['main']
    shown = []
    for batch in ('2', '4'):
        main(['synthetic/mtl_baseline_onelabel', '--train-memory', batch, '--depth', '1'])
        shown.append(re.search(r'of (\d) x 3 x 96 x 96: .* backward pass ([\d.]+)',
                               capsys.readouterr().out).groups())
    assert [batch for batch, _ in shown] == ['2', '4']
    assert float(shown[1][1]) == pytest.approx(2 * float(shown[0][1]), abs=0.02)


def test_chosen_tasks_cost_their_share(capsys):
    """Without a condition a decoder, its denoising and its head more for each task."""
    main = runpy.run_path(str(ROOT / 'tools/analysis_tools/get_flops.py'))['main']
    config = str(ROOT / 'configs/diffusionmtl/pascal_onelabel_r18_wo-cond.py')
    costs = []
    for tasks in (['--tasks', 'saliency'], ['--tasks', 'saliency', 'normal'], []):
        main([config, '--shape', '128', '128', '--depth', '1', *tasks])
        shown = capsys.readouterr().out
        assert ('of saliency' in shown) == bool(tasks)
        costs.append({row[1].strip(): float(row[3]) for row in (
            line.split('|') for line in shown.splitlines()) if len(row) == 5 and 'G' not in row[3]})
    one, two, five = costs
    assert one['backbone'] == two['backbone'] == five['backbone'] > 0
    assert two['decoders'] == pytest.approx(2 * one['decoders'], abs=0.02)
    assert five['decoders'] == pytest.approx(5 * one['decoders'], rel=0.01)
    assert five['diffusion'] == pytest.approx(5 * one['diffusion'], rel=0.01)
    with pytest.raises(SystemExit):
        main([config, '--tasks', 'deep'])
    assert "got ['deep']" in capsys.readouterr().err


@pytest.mark.parametrize('options', [{}, {'model.diffusion.condition': None}])
def test_draws_of_noise_cost_the_denoising_each(options, capsys):
    """Encoder, decoders and condition run once."""
    config, tasks = str(ROOT / 'configs/synthetic/diffusionmtl_onelabel.py'), ['depth', 'normal']
    counts = {k: complexity(build_without_values(load_config(
        config, {**options, 'model.num_samples': k}).model), (64, 64), 2, tasks) for k in (1, 2, 5)}
    cost = {k: {part: one['macs'] for part, one in parts.items()} for k, parts in counts.items()}
    assert cost[5]['backbone'] == cost[1]['backbone'] and cost[5]['decoders'] == cost[1]['decoders']
    assert cost[2][''] - cost[1][''] == cost[2]['diffusion'] - cost[1]['diffusion'] > 0
    assert cost[5][''] - cost[1][''] == 4 * (cost[2][''] - cost[1][''])
    steps = complexity(build_without_values(load_config(config, {
        **options, 'model.diffusion.schedule.num_steps': 4}).model), (64, 64), 2, tasks)
    part = 'diffusion.denoiser'  # two steps, drawn twice, are as many calls as four steps
    assert cost[2][part] == steps[part]['macs'] == 2 * cost[1][part]
    main = runpy.run_path(str(ROOT / 'tools/analysis_tools/get_flops.py'))['main']
    main([config, '--shape', '64', '64', '--cfg-options', 'model.num_samples=5'])
    assert 'of 5 draws of noise' in capsys.readouterr().out


def test_what_another_library_calls_a_shortcut_is_left_alone():
    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.shortcut = nn.Conv2d(3, 2, 1)

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return self.shortcut(images)

    assert complexity(Block(), (8, 8))['']['macs'] == 8 * 8 * 3 * 2
