"""What the documents show is run as it stands there."""

import doctest
import importlib
import re
import sys
import types
from pathlib import Path

import pytest
import torch

from mtpsl.engine import load_config
from mtpsl.registry import TASKS
from mtpsl.tasks import build_tasks

ROOT = Path(__file__).parents[1]


def code_blocks(document: str) -> list[str]:
    return re.findall(r'```python\n(.*?)```', (ROOT / document).read_text(), re.DOTALL)


def test_the_new_task_of_the_docs(tmp_path):
    task_code, config = code_blocks('docs/new_task.md')
    module = types.ModuleType('mtpsl.tasks.albedo')  # what importing the file would make
    sys.modules[module.__name__] = module
    module.__package__ = 'mtpsl.tasks'
    try:
        exec(compile(task_code, 'docs/new_task.md', 'exec'), module.__dict__)
        path = tmp_path / 'config.py'
        base = ROOT / 'configs/diffusionmtl/pascal_onelabel_r18.py'
        path.write_text(config.replace('../diffusionmtl/pascal_onelabel_r18.py', str(base)))
        cfg = load_config(str(path))
        assert 'albedo' in cfg.model.tasks and cfg.test_evaluator.single_task is None
        task = build_tasks(cfg.model.tasks)['albedo']
        label = torch.tensor([0.5, 0.25, 1.0]).view(1, 3, 1, 1).repeat(1, 1, 2, 2)
        label[..., 0, 0] = 0  # unknown
        logits = torch.zeros(1, 3, 2, 2)  # 0.5 everywhere: errors 0, 0.25 and 0.5
        assert task.loss(logits, label).item() == 0.75
        stats = task.stats(task.activate(logits), label)
        assert task.score(stats) == {'absErr': 0.75} and stats[0, 0] == 3
    finally:
        TASKS.module_dict.pop('Albedo', None)
        del sys.modules[module.__name__]


def test_every_task_file_is_found_by_itself():
    files = {path.stem for path in (ROOT / 'mtpsl/tasks').glob('*.py')} - {'__init__'}
    assert files <= {name.rpartition('.')[2] for name in sys.modules if 'mtpsl.tasks.' in name}


def test_commands_in_the_documents_name_files_that_are_there():
    documents = [ROOT / 'README.md', ROOT / 'data/README.md', *(ROOT / 'docs').glob('*.md'),
                 *(ROOT / 'configs').glob('*/README.md')]
    assert len(documents) > 10
    folders = '|'.join(path.name for path in (ROOT / 'configs').iterdir())
    for document in documents:
        text = document.read_text()
        rest = re.sub(r'@inproceedings|@property|@[A-Z]+\.register', '', text)
        assert '@' not in rest, f'{document}: a placeholder'
        for name in re.findall(r'(?:tools|configs|tests|docs)/[\w/.-]+\.(?:py|sh|md|png)', text):
            # docs/own_data.md has the reader write configs/mine/rooms.py.
            assert (ROOT / name).is_file() or name.startswith('configs/mine/'), (
                f'{document} names {name}')
        for name in re.findall(rf'`((?:{folders})/[\w-]+\.py)`', text):
            assert (ROOT / 'configs' / name).is_file(), f'{document} names {name}'
        prose = re.sub(r'```.*?```', '', text, flags=re.DOTALL)
        for link in re.findall(r'\]\((?!http)([^)#]+)', prose):
            assert (document.parent / link).exists(), f'{document} links to {link}'


def test_the_code_map_names_what_is_there():
    text = ' '.join((ROOT / 'docs/code_map.md').read_text().split())
    named = re.findall(r'`(mtpsl/[\w/]+\.py)` \(((?:`\w+`(?:, )?)+)\)', text)
    assert len(named) > 25 and len(re.findall(r'`mtpsl/[\w/]+\.py`', text)) == len(named)
    for path, names in named:
        there = re.findall(r'(?:def|class) (\w+)', (ROOT / path).read_text())
        assert set(re.findall(r'\w+', names)) <= set(there), f'{path} has no {names}'


@pytest.mark.parametrize('module', [
    'mtpsl.apis.inferencer', 'mtpsl.datasets.folder', 'mtpsl.datasets.joint',
    'mtpsl.evaluation.delta_m', 'mtpsl.models.diffusion.schedule', 'mtpsl.tasks'])
def test_the_examples_of_the_docstrings(module):
    failed, tried = doctest.testmod(importlib.import_module(module))
    assert tried and not failed


def test_every_example_is_run():
    marked = test_the_examples_of_the_docstrings.pytestmark[0].args[1]
    found = {'.'.join(path.relative_to(ROOT).with_suffix('').parts).removesuffix('.__init__')
             for path in (ROOT / 'mtpsl').rglob('*.py') if '>>> ' in path.read_text()}
    assert found == set(marked)
