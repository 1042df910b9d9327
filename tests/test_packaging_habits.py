"""Files that a repository is expected to have: hooks, citation, issue forms, how to contribute."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

from mtpsl import __version__
from mtpsl.system.arguments import other_package

ROOT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent
# Hook -> a file that it must refuse; mypy, which looks at the whole package, comes in make lint.
BAD = {
    'ruff': ('bad.py', 'import os\n'),
    'codespell': ('bad.md', 'recieve\n'),
    'trailing-whitespace': ('bad.txt', 'x \n'),
    'end-of-file': ('end.txt', 'x'),
    'yaml': ('bad.yml', 'x: [1\n'),
    'toml': ('bad.toml', 'x = \n'),
    'merge-conflict': ('conflict.txt', '<<<<<<< a\nx\n=======\ny\n>>>>>>> b\n'),
    'large-files': ('large.bin', 'x' * 700_000),
    'shell': ('b.sh', '#!/bin/bash\nif x\n'),
}


def yaml_file(name: str) -> dict:
    return yaml.safe_load((ROOT / name).read_text())


@pytest.fixture(scope='module')
def hooks() -> dict[str, dict]:
    repo, = yaml_file('.pre-commit-config.yaml')['repos']
    assert repo['repo'] == 'local'  # nothing is fetched
    return {hook['id']: hook for hook in repo['hooks']}


def test_hooks_are_those_of_the_environment(hooks):
    assert set(hooks) == {*BAD, 'mypy'}
    assert {hook['language'] for hook in hooks.values()} == {'system'}
    pinned = {requirement.name for requirement in map(Requirement, (
        ROOT / 'requirements/tests.txt').read_text().replace('-r ', '').split())
        if any(part.operator == '==' for part in requirement.specifier)}
    assert pinned == {'ruff', 'codespell', 'mypy', 'pre-commit-hooks'}


def test_a_tool_of_another_checkout_is_refused_unless_its_code_is_the_same(tmp_path):
    """As where the first of two clones is installed, or a copy before its files were edited."""
    tool = tmp_path / 'tools/analysis_tools/get_flops.py'
    tool.parent.mkdir(parents=True)
    shutil.copy(ROOT / 'tools/analysis_tools/get_flops.py', tool)
    assert other_package(str(tool)) == other_package(str(ROOT / 'tools/train.py')) == ''
    shutil.copytree(ROOT / 'mtpsl', tmp_path / 'mtpsl',
                    ignore=shutil.ignore_patterns('weights', '__pycache__'))
    assert other_package(str(tool)) == ''
    with (tmp_path / 'mtpsl/tasks/depth.py').open('a') as file:
        file.write('# edited')
    done = subprocess.run([sys.executable, str(tool), 'synthetic'], text=True, check=False,
                          stderr=subprocess.PIPE, env=os.environ | dict(PYTHONPATH=str(ROOT)))
    assert done.returncode == 2 and done.stderr.splitlines()[-1] == (
        f'get_flops.py: error: {tool} is of {tmp_path}, and Python finds mtpsl in {ROOT}, which '
        f'is other code: pip install -e {tmp_path}, or PYTHONPATH={tmp_path}, takes that of the '
        'folder')


def test_lint_runs_the_hooks_that_read_code_and_prose(hooks):
    done = subprocess.run(['make', '-n', 'lint', f'VENV={BIN.parent}'], cwd=ROOT, text=True,
                          capture_output=True, check=True)
    for name in ('ruff', 'codespell', 'mypy'):
        command = ' '.join(part for part in shlex.split(hooks[name]['entry'])
                           if part != '--force-exclude')
        assert re.search(rf'(-m |/){command}\b', done.stdout), name


@pytest.mark.skipif(not shutil.which('git'), reason='git is not there')
def test_each_hook_refuses_what_it_is_for(hooks, tmp_path):
    clean = {key: value for key, value in os.environ.items() if not key.startswith('GIT_')}
    env = clean | dict(PATH=f'{BIN}{os.pathsep}{os.environ["PATH"]}', SKIP='mypy',
                       PRE_COMMIT_HOME=str(tmp_path / 'cache'), HOME=str(tmp_path))
    folder = tmp_path / 'repository'
    folder.mkdir()

    def run(*command: str) -> str:
        return subprocess.run(command, cwd=folder, env=env, text=True, check=False,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT).stdout

    def verdicts() -> dict[str, str]:
        run('git', 'add', '--all')
        found = re.findall(r'^(.+?)\.{3,}.*?(Passed|Failed|Skipped)$',
                           run('pre-commit', 'run', '--all-files'), re.MULTILINE)
        names = {hook['name']: id for id, hook in hooks.items()}
        return {names[name]: verdict for name, verdict in found}

    run('git', 'init', '--quiet')
    for name in ('.pre-commit-config.yaml', 'pyproject.toml', 'tools/train.py',
                 'tools/dist_train.sh', 'README.md'):
        shutil.copy2(ROOT / name, folder)
    assert set(verdicts().values()) == {'Passed', 'Skipped'}
    for file, text in BAD.values():
        (folder / file).write_text(text)
    (folder / 'a.sh').write_text('#!/bin/bash\n')  # not only the first is read
    assert verdicts() == dict.fromkeys(BAD, 'Failed') | {'mypy': 'Skipped'}


def test_citation():
    """Of this version, and of the paper as the README cites it."""
    citation = yaml_file('CITATION.cff')
    assert citation['version'] == __version__
    assert f'## {__version__} ({citation["date-released"]})' in (ROOT / 'CHANGELOG.md').read_text()
    paper = citation['preferred-citation']
    readme = (ROOT / 'README.md').read_text()
    assert f'title={{{paper["title"]}}}' in readme and f'year={{{paper["year"]}}}' in readme
    authors = ' and '.join(f'{person["family-names"]}, {person["given-names"]}'
                           for person in paper['authors'])
    assert f'author={{{authors}}}' in readme
    index = yaml_file('configs/diffusionmtl/metafile.yml')
    assert paper['url'] == index['Collections'][0]['Paper']['URL']


def test_issue_forms():
    forms = sorted((ROOT / '.github/ISSUE_TEMPLATE').glob('*.yml'))
    assert [form.stem for form in forms] == ['bug', 'config', 'feature', 'reproduction']
    for form in forms:
        content = yaml.safe_load(form.read_text())
        if form.stem == 'config':
            continue
        assert {'name', 'description', 'labels', 'body'} == set(content)
        ids = [field['id'] for field in content['body']]
        assert len(set(ids)) == len(ids) >= 3
        for field in content['body']:
            assert field['type'] in ('textarea', 'input', 'checkboxes') and field['attributes'][
                'label']
        assert any(field.get('validations', {}).get('required') for field in content['body'])


def test_links_of_contributing():
    text = (ROOT / 'CONTRIBUTING.md').read_text()
    links = re.findall(r'\]\((?!http)([^)#]+)', text)
    assert links and all((ROOT / link).is_file() for link in links)
    named = set(re.findall(r'`((?:tests|tools|mtpsl|configs)/[\w/.]+)`', text))
    for name in named - {'mtpsl/.mim'}:  # of a wheel
        assert (ROOT / name).exists(), name
    for target in re.findall(r'^make (\w+)', text, re.MULTILINE):
        assert f'\n{target}:' in (ROOT / 'Makefile').read_text()
