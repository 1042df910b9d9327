"""What a config file assigns, read without running it."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from mmengine.config import Config
from mmengine.fileio import load

BASE = '_base_'


class ConfigFile(NamedTuple):
    """A config file, its bases, and its top-level assignments, name -> expressions.

    Attributes:
        imports: whether it inherits by imports, so that bases' variables are plain names in it.
    """

    path: str
    bases: list['ConfigFile']
    assigned: dict[str, list[ast.expr]]
    tree: ast.Module
    imports: bool = False

    def family(self) -> Iterator['ConfigFile']:
        """Yield the file and all its bases."""
        yield self
        for base in self.bases:
            yield from base.family()

    def changes_in_place(self) -> bool:
        """Whether some statement may change a value that it did not make: ``a.b = c``, ``a.b()``.
        """
        return any(
            isinstance(node, (ast.Attribute, ast.Subscript)) and not isinstance(node.ctx, ast.Load)
            or isinstance(node, ast.AugAssign)
            or isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
            for node in ast.walk(self.tree))


def parse_config(path: str) -> ConfigFile | None:
    """Parse a config file; None if it cannot be read without running it."""
    try:
        text = Path(path).read_text(encoding='utf-8')
        if not path.endswith('.py'):
            return ConfigFile(path, _bases(path), dict.fromkeys(load(path), []), ast.parse(''))
        tree = ast.parse(text)
        lazy = [_imported(path, line) for statement in tree.body if isinstance(statement, ast.With)
                for line in statement.body if isinstance(line, ast.ImportFrom)]
        bases = [base for base in map(parse_config, filter(None, lazy)) if base] or _bases(path)
    except Exception:  # such as {{$VARIABLE:3}}, which is no Python until mmengine replaces it
        return None
    assigned: dict[str, list[ast.expr]] = {}
    for statement in tree.body:
        targets = statement.targets if isinstance(statement, ast.Assign) else (
            [statement.target] if isinstance(statement, ast.AnnAssign) else [])
        for target in targets:
            if isinstance(target, ast.Name) and target.id != BASE and statement.value:  # type: ignore[attr-defined]
                assigned.setdefault(target.id, []).append(statement.value)  # type: ignore[attr-defined]
    return ConfigFile(path, bases, assigned, tree, bool(lazy))


def _bases(path: str) -> list[ConfigFile]:
    bases = [parse_config(Config._get_cfg_path(base, path)[0])
             for base in Config._get_base_files(path)]
    return [base for base in bases if base]


def _imported(path: str, line: ast.ImportFrom) -> str | None:
    """Return the file of ``from .a.b import c`` below mmengine's ``with read_base():``."""
    if not line.level or not line.module:
        return None
    folder = Path(path).resolve().parents[line.level - 1]
    return str(folder.joinpath(*line.module.split('.')).with_suffix('.py'))


def means(node: ast.AST, name: str, own: bool = True) -> bool:
    """Return whether an expression is the variable: ``name`` or, in children, ``_base_.name``."""
    if isinstance(node, ast.Name):
        return own and node.id == name and isinstance(node.ctx, ast.Load)
    if isinstance(node, ast.Attribute):
        return isinstance(node.value, ast.Name) and (node.value.id, node.attr) == (BASE, name)
    if isinstance(node, ast.Constant):  # '{{_base_.name}}' in a string
        return isinstance(node.value, str) and f'{BASE}.{name}' in node.value
    return (isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name)
            and node.value.id == BASE and isinstance(node.slice, ast.Constant)
            and node.slice.value == name)
