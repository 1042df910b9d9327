"""READMEs and metafiles of the methods' configs: complete, true to the configs and the paper.

And configs by name.
"""

import re
import warnings
from functools import cache
from pathlib import Path

import pytest
from mmengine.config import Config
from mmengine.fileio import load
from mmengine.infer import BaseInferencer

from mtpsl.analysis.directions import metric_directions
from mtpsl.analysis.result_files import PAPER, paper_results
from mtpsl.analysis.results import Result
from mtpsl.engine import load_config
from mtpsl.engine.config import model_index
from mtpsl.engine.config.model_index import config_names, find_config, find_weights, models
from mtpsl.engine.launch import set_work_dir
from mtpsl.evaluation.table import ARROWS

ROOT = Path(__file__).parents[1]
OURS = ('joint', 'synthetic')  # nothing is published of these
FOLDERS = sorted(path.name for path in (ROOT / 'configs').iterdir()
                 if path.is_dir() and path.name not in ('_base_', '__pycache__', *OURS))
DATA = dict(pascal='PASCAL-Context', nyud='NYUD-v2', cityscapes='Cityscapes')
LABELS = dict(onelabel='one', random='random')
# The paper's row -> whose README shows it; the rest is DiffusionMTL's.
OWNERS = {'Single-Task': 'single_task', 'MTL Baseline': 'mtl_baseline', 'SS': 'ss', 'XTC': 'xtc',
          'XTC*': 'xtc'}
UNTRAINED = 'Nothing has been trained on the real datasets here yet'
METRIC = re.compile(r'(\w+) (\w+) ([↑↓])')


@cache
def readme(folder: str) -> str:
    return (ROOT / 'configs' / folder / 'README.md').read_text()


def configs(folder: str) -> set[str]:
    return {f'configs/{folder}/{path.name}' for path in (ROOT / 'configs' / folder).glob('*.py')}


def metafile(folder: str) -> dict:
    return load(str(ROOT / 'configs' / folder / 'metafile.yml'))


@pytest.fixture(scope='module')
def published() -> dict[tuple[str, str], Result]:
    """The paper's rows by setting and name; Table 2 repeats Table 3's single-task row."""
    settings = {entry['setting']: None for entry in load(str(PAPER))['results']}
    rows = {(setting, result.method): result
            for setting in settings for result in paper_results(setting)}
    del rows['pascal_onelabel_ablation', 'R18 Single-Task']
    return rows


# ---------------------------------------------------------------- metafiles

def test_the_index_names_the_metafile_of_every_method():
    assert {*OWNERS.values(), 'diffusionmtl', 'jtr', 'hitts'} == set(FOLDERS)
    index = load(str(ROOT / 'model-index.yml'))
    assert sorted(index['Import']) == [f'configs/{folder}/metafile.yml'
                                       for folder in sorted([*FOLDERS, *OURS])]
    assert list(index) == ['Import'] and all((ROOT / path).is_file() for path in index['Import'])


@pytest.mark.parametrize('folder', FOLDERS)
def test_a_metafile_describes_the_configs_of_its_folder(folder):
    content = metafile(folder)
    collection, = content['Collections']
    assert collection['README'] == f'configs/{folder}/README.md'
    assert (ROOT / collection['README']).is_file()
    assert set(collection['Metadata']) == {'Training Data', 'Architecture'}
    paper = collection['Paper']
    assert paper['URL'] in readme(folder)
    assert f'title={{{paper["Title"]}}}' in readme(folder)
    listed = [model['Config'] for model in content['Models']]
    assert sorted(listed) == sorted(configs(folder))  # each of them, and each once
    for model in content['Models']:
        assert model['In Collection'] == collection['Name']
        assert model['Name'] == f'{folder}_{Path(model["Config"]).stem}'
        assert model['Metadata']['Training Data'] in collection['Metadata']['Training Data']


def test_collections_and_models_are_told_apart_by_name():
    """mmengine looks a model up by its name in lower case."""
    names = [collection['Name'].lower() for folder in FOLDERS
             for collection in metafile(folder)['Collections']]
    names += [model['Name'].lower() for folder in FOLDERS for model in metafile(folder)['Models']]
    assert len(names) == len(set(names))


def test_mmengine_finds_the_models():
    found = {model['Name']: model for model in BaseInferencer._get_models_from_metafile(str(ROOT))}
    assert len(found) == 1 + sum(  # and the one of the synthetic folder
        len(configs(folder)) for folder in [*FOLDERS, 'joint'])
    assert {entry['Config'] for entry in found.values()} >= configs('joint')
    entry = found['xtc_pascal_random_r18']
    model = Config.fromfile(ROOT / entry['Config']).model
    assert model.regularizer.type == 'CrossTaskConsistency'


@pytest.mark.parametrize('folder', FOLDERS)
def test_metadata_are_those_of_the_config(folder):
    for model in metafile(folder)['Models']:
        data, labels = Path(model['Config']).stem.split('_')[:2]
        cfg = load_config(str(ROOT / model['Config']))
        dataset = cfg.train_dataloader.dataset
        assert dataset.data_root.lower().endswith(f'/{data}{"context" * (data == "pascal")}')
        assert dataset.label_mapping.startswith(f'label_mappings/{labels}')
        assert model['Metadata'] == {
            'Training Data': DATA[data], 'Labels': LABELS[labels],
            'Epochs': cfg.train_cfg.max_epochs, 'Batch Size': cfg.train_dataloader.batch_size}


def test_the_model_that_ships_is_described_as_its_config_has_it():
    model, = metafile('synthetic')['Models']
    cfg = load_config(model['Name'])
    assert model['Config'] == 'configs/synthetic/pretrained.py'
    assert model['Metadata'] == {
        'Training Data': 'Rendered scenes', 'Labels': 'random',
        'Epochs': cfg.train_cfg.max_epochs, 'Batch Size': cfg.train_dataloader.batch_size}
    assert cfg.train_dataloader.dataset.label_mapping == 'label_mappings/randomlabels.json'
    assert 'not photographs' in model['Note'] and len(list((ROOT / model['Samples']).glob('*.png')))
    assert find_weights('synthetic') == str(ROOT / 'mtpsl' / model['Weights'])


@pytest.mark.parametrize('folder', FOLDERS)
def test_results_and_weights_are_measured_ones(folder):
    """None yet: whoever adds some must take back what the README says."""
    measured = [model['Name'] for model in metafile(folder)['Models']
                if {'Results', 'Weights'} & set(model)]
    assert bool(measured) != (UNTRAINED in ' '.join(readme(folder).split()))


# ---------------------------------------------------------------- READMEs

def tables(text: str) -> list[tuple[list[str], list[list[str]]]]:
    """Header and rows of each Markdown table, emphasis and escapes taken off."""
    blocks = re.findall(r'(?:^\|.*\n)+', text, re.MULTILINE)
    cells = [[[cell.strip().replace('\\*', '*') for cell in re.split(r'(?<!\\)\|', line)[1:-1]]
              for line in block.splitlines()] for block in blocks]
    return [(table[0], table[2:]) for table in cells]


def paper_tables() -> list[tuple[str, dict[str, str]]]:
    """Folder, and cell by column, of all rows of the READMEs' tables of the paper's figures."""
    return [(folder, dict(zip(header, row))) for folder in FOLDERS
            for header, rows in tables(readme(folder)) if header[:2] == ['setting',
                                                                         'row of the paper']
            for row in rows]


def test_every_row_of_the_paper_is_in_its_method_s_readme(published):
    shown = [(folder, row['setting'], row['row of the paper']) for folder, row in paper_tables()]
    assert sorted(shown) == sorted((OWNERS.get(method, 'diffusionmtl'), setting, method)
                                   for setting, method in published)


def test_figures_in_the_readmes_are_the_paper_s(published):
    directions = metric_directions()
    for folder, row in paper_tables():
        result = published[row.pop('setting'), row.pop('row of the paper')]
        metrics = {}
        for column in [column for column in row if METRIC.fullmatch(column)]:
            task, metric, arrow = METRIC.fullmatch(column).groups()
            assert arrow == ARROWS[directions[metric]], (folder, column)
            metrics[f'{task}/{metric}'] = float(row.pop(column))
        assert metrics == result.metrics, (folder, result)
        sizes = {'#params': (result.params, 1e6, 'M'), 'FLOPs': (result.macs, 1e9, 'G'),
                 'delta_m ↑': (result.printed_delta_m, 1, '%')}
        for column, (value, unit, letter) in sizes.items():
            cell = row.pop(column, '-')
            assert (value is None) == (cell == '-'), (folder, result, column)
            assert value is None or float(cell.removesuffix(letter)) * unit == value
        assert not row, f'{folder}: columns that nothing is known of, {list(row)}'


@pytest.mark.parametrize('folder', FOLDERS)
def test_a_readme_links_to_every_config_of_its_folder(folder):
    links = re.findall(r'\]\((\w[\w-]*\.py)\)', readme(folder))
    assert sorted(f'configs/{folder}/{link}' for link in links) == sorted(configs(folder))


@pytest.mark.parametrize('folder', [*FOLDERS, 'synthetic'])
def test_commands_name_what_is_there(folder):
    """Also in work_dirs, as train.py fills it: ``<folder>/<config>/epoch_<last>.pth``."""
    blocks = '\n'.join(re.findall(r'```bash\n(.*?)```', readme(folder), re.DOTALL))
    for command in ('train', 'test'):
        assert f'python tools/{command}.py configs/{folder}/' in blocks
    checkpoints = 0
    for name in re.findall(r'\b(?:configs|tools|work_dirs)/[\w/.${},-]+', blocks):
        pattern = re.sub(r'\$task|\{[\w,]+\}', '*', name)  # of a loop, or of the shell
        if not pattern.startswith('work_dirs/'):
            assert any(path.is_file() for path in ROOT.glob(pattern)), f'{folder} names {name}'
            continue
        method, stem, file = pattern.split('/')[1:]
        named = list(ROOT.glob(f'configs/{method}/{stem}.py'))
        assert named, f'{folder} names {name}'
        if file != 'metrics.json':
            checkpoints += 1
            assert {file} == {f'epoch_{load_config(str(path)).train_cfg.max_epochs}.pth'
                              for path in named}
    assert checkpoints


@pytest.mark.parametrize('folder', ['xtc', 'jtr'])
def test_readmes_state_the_options_of_the_configs(folder):
    (header, rows), = [table for table in tables(readme(folder)) if table[0][0] == 'data']
    assert len(rows) == len(DATA)
    for row in rows:
        cells = dict(zip(header, row))
        for link in re.findall(r'\((\w+\.py)\)', ' '.join(row)):
            cfg = load_config(str(ROOT / 'configs' / folder / link))
            stride = cfg.model.regularizer.map_stride
            height, width = (side // stride for side in cfg.data_preprocessor.size)
            assert cells['maps'].split(' (')[0] == f'1/{stride}: {height}x{width}'
            if folder == 'xtc':
                assert float(cells['weight'].split()[0]) == cfg.model.regularizer.weight
                rate = float(cells['learning rate of FiLM'].split()[0])
                assert rate == cfg.optim_wrapper.paramwise_cfg.film.lr
            elif 'nyud' in link:
                assert f'`aux_normal={tuple(cfg.tasks.depth.aux_normal)}`' in readme(folder)


# ---------------------------------------------------------------- configs by name

XTC = ROOT / 'configs/xtc/nyud_random_r18.py'


@pytest.mark.parametrize('name', ['xtc/nyud_random_r18', 'xtc/nyud_random_r18.py',
                                  'configs/xtc/nyud_random_r18', 'configs/xtc/nyud_random_r18.py',
                                  'xtc_nyud_random_r18'])
def test_a_config_is_found_by_its_names_from_anywhere(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'xtc').mkdir()  # a folder is in nobody's way
    (tmp_path / 'xtc_nyud_random_r18').mkdir()
    assert find_config(name) == str(XTC)
    cfg = load_config(name)
    set_work_dir(cfg, None)
    assert cfg.work_dir == 'work_dirs/xtc/nyud_random_r18'
    assert cfg.model.regularizer.type == 'CrossTaskConsistency'


def test_all_that_ship_are_found():
    names = config_names()
    assert {f'{folder}/{Path(path).stem}' for folder in FOLDERS for path in configs(folder)} < set(
        names)
    assert 'synthetic/jtr_random' in names  # is in no metafile
    assert not [name for name in names if name.startswith('_base_')]
    for name in names:
        assert find_config(name) == f'{ROOT}/configs/{name}.py'
    for name, model in models().items():
        assert find_config(name) == str(ROOT / model['Config'])
    assert find_config('_base_/datasets/nyud.py') == f'{ROOT}/configs/_base_/datasets/nyud.py'


def test_a_file_comes_before_a_name_and_stays_as_it_was_given(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'xtc').mkdir()
    (tmp_path / 'xtc/nyud_random_r18.py').write_text('x = 1')
    assert find_config('xtc/nyud_random_r18.py') == 'xtc/nyud_random_r18.py'
    assert load_config('xtc/nyud_random_r18.py').x == 1


@pytest.mark.parametrize(('name', 'message'), [
    ('xtc/nyud_radom_r18', 'does not exist, .* called so; near: xtc/nyud_random_r18'),
    ('configs/xtc/nyud_radom_r18.py', 'does not exist, .* called so; near: xtc/nyud_random_r18'),
    ('?', 'does not exist, .* called so; `mtpsl list` shows them'),
    ('.', r'the config file \. is a folder'),
    ('/xtc/nyud_random_r18', 'does not exist'),
    ('../setup.py', 'does not exist'),
    ('xtc/README.md', 'does not exist')])
def test_what_is_no_config(name, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match=message) as error:
        find_config(name)
    assert '\n' not in str(error.value)


def test_weights_by_name(tmp_path, monkeypatch):
    entry = {**models()['xtc_nyud_random_r18'], 'Weights': 'https://example.org/xtc.pth'}
    monkeypatch.setattr(model_index, 'models', lambda: {**models(), entry['Name']: entry})
    for name in ('xtc_nyud_random_r18', 'xtc/nyud_random_r18', str(XTC)):
        assert find_weights(name) == 'https://example.org/xtc.pth'
    own = tmp_path / 'nyud_random_r18.py'
    own.write_text('x = 1')
    assert find_weights(str(own)) is None
    assert find_weights('xtc/nyud_onelabel_r18') is None
    assert find_weights('synthetic/jtr_random') is None


def test_a_config_of_the_folder_that_is_another_is_told(tmp_path, monkeypatch):
    """A name is that of the installed one."""
    shipped = Path(find_config('synthetic/demo'))
    (tmp_path / 'configs/synthetic').mkdir(parents=True)
    mine = tmp_path / 'configs/synthetic/demo.py'
    mine.write_text(shipped.read_text())
    monkeypatch.chdir(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        assert find_config('synthetic/demo') == str(shipped)
        mine.write_text('edited')
        assert find_config('configs/synthetic/demo.py') == 'configs/synthetic/demo.py'
    with pytest.warns(UserWarning, match='demo.py of this folder, which is read by its path, has'):
        assert find_config('synthetic/demo') == str(shipped)
