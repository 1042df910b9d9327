"""The import law: which package of mtpsl may import which."""

import ast
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / 'mtpsl'
# Package or module -> what of mtpsl it may import beside itself, the registry and the system.
ALLOWED = {
    '__init__': set(),
    '__main__': {'engine'},
    'registry': set(),
    'system': set(),
    'structures': set(),
    'tasks': {'structures'},  # names that no task may have
    'data_prep': {'tasks'},  # the palette of its preview
    'datasets': {'data_prep', 'tasks', 'structures'},  # the layouts of the files
    'models': {'tasks', 'structures'},
    'evaluation': {'tasks', 'structures'},
    'engine': {'datasets', 'evaluation', 'structures', 'tasks'},  # checks; pictures
    'apis': {'datasets', 'engine', 'models', 'structures', 'tasks'},
    'analysis': {'apis', 'datasets', 'engine', 'evaluation', 'models', 'structures', 'tasks'},
}
EVERYWHERE = {'registry', 'system'}


def imports(path: Path) -> set[str]:
    """First parts, below mtpsl, of what a file imports from mtpsl outside its own package."""
    found = set()
    inside = path.relative_to(PACKAGE).with_suffix('').parts
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name.split('.') for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names = [(node.module or '').split('.') + [alias.name for alias in node.names]]
        elif isinstance(node, ast.ImportFrom) and node.level >= len(inside):
            # A relative import that climbs to mtpsl itself.
            tail = node.module.split('.') if node.module else [a.name for a in node.names]
            names = [['mtpsl', *tail]]
        else:
            continue
        found |= {name[1] for name in names if name[0] == 'mtpsl' and len(name) > 1}
    return {name for name in found if not name.startswith('__')} - {inside[0]}


FILES = sorted(PACKAGE.rglob('*.py'))


def test_only_the_allowed_arrows():
    wrong = []
    for path in FILES:
        name = path.relative_to(PACKAGE)
        owner = name.with_suffix('').parts[0]
        assert owner in ALLOWED, f'{owner} has no place in the import law: give it one'
        own = EVERYWHERE - ({owner} if owner == 'system' else set())
        wrong += [f'{name} imports {part}' for part in imports(path) - ALLOWED[owner] - own]
    assert not wrong


def test_each_arrow_is_used():
    used = {owner: set() for owner in ALLOWED}
    for path in FILES:
        used[path.relative_to(PACKAGE).with_suffix('').parts[0]] |= imports(path)
    assert not {owner: unused for owner in ALLOWED if (unused := ALLOWED[owner] - used[owner])}


def test_the_law_sees_imports():
    assert imports(PACKAGE / 'models' / 'neck.py') == {'registry'}
    assert 'tasks' in imports(PACKAGE / 'models' / 'decoder.py')
    assert imports(PACKAGE / 'apis' / 'web_page.py') >= {'structures', 'system'}
    assert len(FILES) > 20


def test_there_is_no_utils():
    assert not [path for path in FILES if 'util' in path.stem or 'utils' in path.parts]
