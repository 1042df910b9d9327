"""The command line that makes label mappings."""

import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from mtpsl.datasets.label_mapping import generate_mapping, load_mapping
from mtpsl.datasets.published_mapping import PASCAL_TASKS

from .conftest import EMPTY, IDS, PERSON, person_parts, write_parts

TOOL = Path(__file__).parents[2] / 'tools/dataset_converters/label_mapping.py'
NUMBERS = [f'{k:04d}' for k in range(100)]


@pytest.fixture(scope='module')
def tool():
    spec = importlib.util.spec_from_file_location('label_mapping_tool', TOOL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def ids_file(tmp_path):
    path = tmp_path / 'train.txt'
    path.write_text('\n'.join(NUMBERS) + '\n')
    return path


def test_generate_writes_prints_and_does_not_overwrite(tool, tmp_path, ids_file, capsys):
    out = tmp_path / 'onelabel.json'
    command = ['generate', '--ids', str(ids_file), '--setting', 'onelabel', '--tasks',
               *PASCAL_TASKS, '--seed', '3', '--out', str(out)]
    tool.main(command)
    expected = generate_mapping(NUMBERS, PASCAL_TASKS, 'onelabel', 3)
    assert load_mapping(str(out), NUMBERS, PASCAL_TASKS) == expected
    printed = dict(line.rsplit(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert printed == dict({'images': '100', '1 label': '100'}, **dict.fromkeys(PASCAL_TASKS, '20'))
    before = out.read_text()
    with pytest.raises(SystemExit):
        tool.main(command[:-4] + ['--seed', '4', '--out', str(out)])
    assert 'exists; give --force' in capsys.readouterr().err and out.read_text() == before
    tool.main(command[:-4] + ['--seed', '4', '--out', str(out), '--force'])
    assert out.read_text() != before


def test_generate_only(tool, tmp_path, ids_file, capsys):
    people = tmp_path / 'people.txt'
    people.write_text('\n'.join(NUMBERS[:30]))
    out = tmp_path / 'm.json'
    command = ['generate', '--ids', str(ids_file), '--setting', 'randomlabels', '--tasks',
               *PASCAL_TASKS, '--out', str(out)]
    tool.main([*command, '--only', f'parsing={people}'])
    mapping = json.loads(out.read_text())
    assert {i for i in mapping if 'parsing' in mapping[i]} < set(NUMBERS[:30])
    with pytest.raises(SystemExit):
        tool.main([*command, '--force', '--only', 'parsing'])
    assert '--only takes TASK=FILE, got parsing' in capsys.readouterr().err


def test_tasks_of_ones_own_are_drawn(tool, ids_file, tmp_path):
    out = tmp_path / 'own.json'
    tool.main(['generate', '--ids', str(ids_file), '--setting', 'full', '--tasks', 'semseg',
               'albedo', 'semseg2', '--out', str(out)])
    assert {tuple(names) for names in json.loads(out.read_text()).values()} == {
        ('semseg', 'albedo', 'semseg2')}


def test_ids_of_a_folder_are_names_in_natural_order(tool, tmp_path, capsys):
    folder = tmp_path / 'train/image'
    folder.mkdir(parents=True)
    for name in [*(f'{k}.npy' for k in range(12)), '.hidden.npy', 'notes.txt']:
        (folder / name).touch()
    ids, out = [str(k) for k in range(12)], tmp_path / 'm.json'
    command = ['generate', '--ids', str(folder), '--setting', 'onelabel', '--tasks', 'semseg',
               'depth', '--out', str(out)]
    tool.main(command)
    # The draw goes by the order of the ids: 0, 1, 2, 10 and not 0, 1, 10, 2.
    expected = generate_mapping(ids, ['semseg', 'depth'], 'onelabel', 0)
    assert load_mapping(str(out), ids, ['semseg', 'depth']) == expected
    assert expected != generate_mapping(sorted(ids), ['semseg', 'depth'], 'onelabel', 0)
    (folder / '7.png').touch()
    with pytest.raises(SystemExit):
        tool.main([*command, '--force'])
    assert re.search(r'several images with one id .*: 7\.npy, 7\.png ', capsys.readouterr().err)


def test_import_from_the_shell(tmp_path):
    source, out = tmp_path / 'm.pth', tmp_path / 'm.json'
    torch.save(dict(labels_weights=torch.tensor([[0., 1], [1, 0], [0, 1]])), source)
    done = subprocess.run(
        [sys.executable, str(TOOL), 'import', str(source), '--out', str(out)], text=True,
        capture_output=True, check=True, env=os.environ | dict(PYTHONPATH=str(TOOL.parents[2])))
    assert json.loads(out.read_text()) == {'0': ['depth'], '1': ['semseg'], '2': ['depth']}
    assert done.stdout.split() == ['images', '3', 'depth', '2', 'semseg', '1', '1', 'label', '3']


# ------------------------------------------------------------------ people


def test_images_with_people_are_listed_and_can_be_used(tool, pascal, tmp_path, capsys):
    write_parts(pascal / f'human_parts/{EMPTY}.mat', person_parts()[1:])
    out = tmp_path / 'new/people.txt'
    tool.main(['with-people', str(pascal), '--out', str(out)])
    assert out.read_text() == f'{PERSON}\n{EMPTY}\n'
    printed = capsys.readouterr()
    assert printed.out == '2 images with people\n' and not printed.err  # quiet off a terminal
    mapping = tmp_path / 'm.json'
    tool.main(['generate', '--ids', str(pascal / 'ImageSets/Context/train.txt'), '--tasks',
               'semseg', 'parsing', '--setting', 'randomlabels', '--only', f'parsing={out}',
               '--out', str(mapping)])
    assert list(json.loads(mapping.read_text())) == list(IDS)


def test_progress_is_shown_on_a_terminal(tool, pascal, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, 'isatty', lambda: True)
    tool.main(['with-people', str(pascal), '--out', str(tmp_path / 'people.txt')])
    assert '3/3' in capsys.readouterr().err


def test_broken_parts_file_is_named(tool, pascal, tmp_path, capsys):
    (pascal / f'human_parts/{PERSON}.mat').write_bytes(b'no')
    with pytest.raises(SystemExit):
        tool.main(['with-people', str(pascal), '--out', str(tmp_path / 'people.txt')])
    assert re.search(f'error: cannot read .*{PERSON}.mat: ', capsys.readouterr().err)
    assert not (tmp_path / 'people.txt').exists()


# ------------------------------------------------------------------ errors


@pytest.mark.parametrize('extra, message', [
    (['--tasks', 'semseg', 'depht'], "'depht' is no name of a task; did you mean depth"),
    (['--tasks', 'semseg', 'my task'], "'my task' is no name of a task"),
    (['--seed', '-1'], 'seed must be at least 0, got -1'),
    (['--ids', 'nothing.txt'], 'there is no id list nothing.txt'),
    (['--ids', '{tmp}'], 'the folder {tmp} holds no image'),
    (['--out', '{tmp}'], '--out must be a file, {tmp} is a folder'),
    (['--out', '{tmp}/train.txt/m.json'], '{tmp}/train.txt'),
    (['--only', 'parsing'], '--only takes TASK=FILE, got parsing'),
    (['--only', 'parsing='], '--only takes TASK=FILE, got parsing='),
    (['--only', 'depth=x'], '--only must name tasks of --tasks, each once, got depth'),
    (['--only', 'parsing=x', '--only', 'parsing=y'], 'each once, got parsing parsing'),
    (['--only', 'parsing=x', '--setting', 'full'], '--only does not go with --setting full'),
])
def test_wrong_command_line_is_one_line(tool, tmp_path, ids_file, capsys, extra, message):
    command = ['generate', '--ids', str(ids_file), '--setting', 'onelabel', '--tasks',
               *PASCAL_TASKS, '--out', str(tmp_path / 'm.json')]
    with pytest.raises(SystemExit) as error:
        tool.main(command + [part.format(tmp=tmp_path) for part in extra])
    line = capsys.readouterr().err.splitlines()[-1]
    assert error.value.code not in (0, None)
    assert line.startswith('label_mapping.py') and 'error: ' in line
    assert message.format(tmp=tmp_path) in line
    assert not (tmp_path / 'm.json').exists()


def test_only_of_other_ids_names_the_file_and_one_of_them(tool, tmp_path, ids_file, capsys):
    """Such as names of files with their suffix."""
    (tmp_path / 'p.txt').write_text(f'{NUMBERS[0]}\n{NUMBERS[1]}.png\n')
    with pytest.raises(SystemExit):
        tool.main(['generate', '--ids', str(ids_file), '--setting', 'onelabel', '--tasks',
                   *PASCAL_TASKS, '--out', str(tmp_path / 'm.json'),
                   '--only', f'parsing={tmp_path}/p.txt'])
    said = capsys.readouterr().err
    assert f'--only parsing={tmp_path}/p.txt: 1 of its 2 ids are' in said
    assert f"such as '{NUMBERS[1]}.png'; one there is '{NUMBERS[0]}'" in said


def test_only_can_be_given_again(tool, tmp_path, ids_file):
    for name, ids in (('p.txt', NUMBERS[:30]), ('n.txt', NUMBERS[30:60])):
        (tmp_path / name).write_text('\n'.join(ids))
    tool.main(['generate', '--ids', str(ids_file), '--setting', 'onelabel', '--tasks',
               *PASCAL_TASKS, '--out', str(tmp_path / 'm.json'), '--only',
               f'parsing={tmp_path}/p.txt', '--only', f'normal={tmp_path}/n.txt'])
    mapping = json.loads((tmp_path / 'm.json').read_text())
    assert {i for i in mapping if mapping[i] == ['parsing']} < set(NUMBERS[:30])
    assert {i for i in mapping if mapping[i] == ['normal']} < set(NUMBERS[30:60])


def test_import_errors_from_the_shell_have_no_traceback(tmp_path):
    (tmp_path / 'm.pth').write_bytes(b'hello world')
    for source, message in (('m.pth', 'is not a published mapping'), ('no.pth', 'No such file')):
        done = subprocess.run(
            [sys.executable, str(TOOL), 'import', source, '--out', 'm.json'], text=True,
            capture_output=True, cwd=tmp_path,
            env=os.environ | dict(PYTHONPATH=str(TOOL.parents[2])))
        assert done.returncode == 1
        (line,) = done.stderr.splitlines()
        assert line.startswith('label_mapping.py: error: ') and message in line and source in line
