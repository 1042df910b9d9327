"""What a config file assigns, read without running it."""

import ast
import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from mmengine.config import Config
from mmengine.fileio import load

BASE = '_base_'
IN_TEXT = re.compile(rf'{BASE}\.(\w+)')  # '{{_base_.name}}' in a string


class Uses(NamedTuple):
    """The variables that an expression reads: by ``name``, and by ``_base_.name``."""

    by_name: frozenset[str]
    of_bases: frozenset[str]

    def has(self, name: str, of_base_only: bool = False) -> bool:
        """Return whether it reads a variable."""
        return name in self.of_bases or not of_base_only and name in self.by_name


class ConfigFile(NamedTuple):
    """A config file, its bases, and what it says.

    Attributes:
        assigned: its top-level assignments, name -> expressions.
        tree: all of it.
        places: name -> the dotted keys of its values, and what each of them reads.
        uses: what all of it reads.
        changes_in_place: whether some statement may change a value that it did not make:
            ``a.b = c``, ``a.b()``.
        imports: the statements by which it inherits, if by imports: bases' variables are plain
            names in it then.
    """

    assigned: dict[str, list[ast.expr]]
    tree: ast.Module
    places: dict[str, list[tuple[str, Uses]]]
    uses: Uses
    changes_in_place: bool
    imports: list[ast.ImportFrom]
    path: str = ''
    bases: tuple['ConfigFile', ...] = ()

    def family(self) -> Iterator['ConfigFile']:
        """Yield the file and all its bases."""
        yield self
        for base in self.bases:
            yield from base.family()


def parse_config(path: str) -> ConfigFile | None:
    """Parse a config file; None if it cannot be read without running it."""
    try:
        if path.endswith('.py'):
            file = _parsed(Path(path).read_text(encoding='utf-8'))
        else:
            file = _parsed('')._replace(assigned=dict.fromkeys(load(path), []))
        paths = [base for base in (_imported(path, line) for line in file.imports) if base] or [
            Config._get_cfg_path(base, path)[0] for base in Config._get_base_files(path)]
        return file._replace(path=path, bases=tuple(filter(None, map(parse_config, paths))))
    except Exception:  # such as {{$VARIABLE:3}}, which is no Python until mmengine replaces it
        return None


@lru_cache(maxsize=256)  # the files of some configs, each of which is asked for many times
def _parsed(text: str) -> ConfigFile:
    """Parse the text of a config, wherever it lies: without path and bases."""
    tree = ast.parse(text)
    imports = [line for statement in tree.body if isinstance(statement, ast.With)
               for line in statement.body if isinstance(line, ast.ImportFrom)]
    assigned: dict[str, list[ast.expr]] = {}
    for statement in tree.body:
        targets = statement.targets if isinstance(statement, ast.Assign) else (
            [statement.target] if isinstance(statement, ast.AnnAssign) else [])
        for target in targets:
            if isinstance(target, ast.Name) and target.id != BASE and statement.value:  # type: ignore[attr-defined]
                assigned.setdefault(target.id, []).append(statement.value)  # type: ignore[attr-defined]
    places = {name: [place for value in values for place in _places(value, name)]
              for name, values in assigned.items()}
    return ConfigFile(assigned, tree, places, _uses(tree), any(map(_changes, ast.walk(tree))),
                      imports)


def _imported(path: str, line: ast.ImportFrom) -> str | None:
    """Return the file of ``from .a.b import c`` below mmengine's ``with read_base():``."""
    if not line.level or not line.module:
        return None
    folder = Path(path).resolve().parents[line.level - 1]
    return str(folder.joinpath(*line.module.split('.')).with_suffix('.py'))


def _places(node: ast.AST, place: str) -> Iterator[tuple[str, Uses]]:
    """Yield the dotted keys inside of a value, and what each reads."""
    inside: list[tuple[ast.expr, str]] = []
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == 'dict':
        inside = [(word.value, f'{place}.{word.arg}' if word.arg else place)
                  for word in node.keywords] + [(argument, place) for argument in node.args]
    elif isinstance(node, ast.Dict):
        for key, inner_value in zip(node.keys, node.values):
            known = isinstance(key, ast.Constant)
            inside.append((inner_value, f'{place}.{key.value!s}' if known else place))  # type: ignore[union-attr]
            if key is not None and not known:
                yield place, _uses(key)
    elif isinstance(node, (ast.List, ast.Tuple)):
        inside = [(value, f'{place}.{number}') for number, value in enumerate(node.elts)]
    else:
        yield place, _uses(node)
    for value, inner in inside:
        yield from _places(value, inner)


def _uses(node: ast.AST) -> Uses:
    by_name, of_bases = set(), set()
    for part in ast.walk(node):
        if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Load):
            by_name.add(part.id)
        elif isinstance(part, ast.Constant) and isinstance(part.value, str):
            of_bases.update(IN_TEXT.findall(part.value))
        elif isinstance(part, (ast.Attribute, ast.Subscript)) and isinstance(
                part.value, ast.Name) and part.value.id == BASE:
            if isinstance(part, ast.Attribute):
                of_bases.add(part.attr)
            elif isinstance(part.slice, ast.Constant):
                of_bases.add(str(part.slice.value))
    return Uses(frozenset(by_name), frozenset(of_bases))


def _changes(node: ast.AST) -> bool:
    """Return whether a statement may change a value in place."""
    return (isinstance(node, (ast.Attribute, ast.Subscript)) and not isinstance(node.ctx, ast.Load)
            or isinstance(node, ast.AugAssign)
            or isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute))
