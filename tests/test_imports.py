"""The import law: which package of mtpsl may import which."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / 'mtpsl'
EVERYWHERE = {'registry', 'choices', 'lazy', 'arguments'}
# Package or module -> what of mtpsl it may import beside the registry and itself.
ALLOWED = {
    '__init__': {'version'},
    '__main__': {'engine'},
    'version': set(),
    'registry': set(),
    'choices': set(),
    'arguments': set(),
    'lazy': set(),
    'torchrun': set(),
    'complexity': set(),
    'structures': set(),
    'storage': set(),
    'tasks': set(),
    'synthetic': {'storage', 'tasks'},  # the palette of its preview
    'conversion': {'storage'},
    'datasets': {'storage', 'tasks', 'structures'},
    'models': {'tasks', 'structures'},
    'evaluation': {'storage', 'tasks', 'structures'},
    'visualization': {'storage', 'tasks', 'structures'},
    'engine': {'datasets', 'storage', 'structures', 'visualization'},  # the check command; curves
    'apis': {'datasets', 'engine', 'models', 'storage', 'structures', 'tasks', 'visualization'},
    'figures': {'apis', 'complexity', 'datasets', 'engine', 'evaluation', 'models', 'storage',
                'structures', 'tasks', 'visualization'},
    'benchmark': {'evaluation', 'storage', 'visualization'},
    'report': {'evaluation', 'storage', 'tasks', 'version', 'visualization'},
    'profiling': {'datasets', 'engine', 'evaluation', 'storage', 'structures', 'tasks'},
}


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
    return found - {inside[0]}


FILES = sorted(PACKAGE.rglob('*.py'))


@pytest.mark.parametrize('path', FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_only_the_allowed_arrows(path):
    owner = path.relative_to(PACKAGE).with_suffix('').parts[0]
    assert owner in ALLOWED, f'{owner} has no place in the import law: give it one'
    assert imports(path) <= ALLOWED[owner] | EVERYWHERE


def test_the_law_sees_imports():
    assert imports(PACKAGE / 'models' / 'neck.py') == {'registry'}
    assert 'tasks' in imports(PACKAGE / 'models' / 'decoder.py')
    assert imports(PACKAGE / '__init__.py') == {'version'}
    assert len(FILES) > 20


def test_there_is_no_utils():
    assert not [path for path in FILES if 'util' in path.stem or 'utils' in path.parts]
