"""Refuses variables of configs that are set again after their use, which changes nothing.

Bases of a config are run before it. A base's ``dataset=dict(data_root=data_root)`` keeps the value
that ``data_root`` has in the base, whatever a child sets ``data_root`` to.
"""

import difflib
import os
import warnings
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from mmengine.config import Config

from .parsed import BASE, ConfigFile, Uses, parse_config
from .values import keys_of, no_such_set, value_of

SHOWN = 8


def check_variables(path: str, cfg: Mapping, known: Collection[str],
                    read: Callable[[str], Config]) -> None:
    """Refuse variables of a config that change nothing.

    Args:
        path: the config file.
        cfg: the config read from it, without overrides.
        known: the top-level keys that a run reads.
        read: reads a config file.

    Raises:
        KeyError: a file sets a base's variable, or changes it in place, that the base has already
            used and the file does not use; or a variable that nothing reads looks like a
            misspelt one.

    Warns:
        UserWarning: the file uses the variable in some of the places only; or nothing reads it; or
            it changes the validation data, but not the test data derived from them in the base; or
            a config that is written out whole sets one otherwise than its places.
    """
    top = parse_config(path)
    if top is None or not top.bases:
        if top is not None and 'model' in cfg:
            _check_written_out(top, cfg, known)
        return
    for file in top.family():
        inherited = {name for base in file.bases for one in base.family() for name in one.assigned}
        for kind in ('dataset', 'evaluator'):
            _check_pair(kind, file, cfg, read)
        for name in file.assigned:
            if name in known or name.startswith('_'):
                continue
            used = _is_used(name, file, top)
            if name in inherited:
                _check_override(name, file, used, cfg, known, read)
            elif file is top and not used and 'model' in cfg:  # otherwise a part of other values
                _check_unread(name, path, inherited.union(known))
        for name in inherited.difference(file.assigned, known) if file.changes_in_place else ():
            _check_override(name, file, _is_used(name, file, top, 'values'), cfg, known, read)


def bases_of(path: str, read: Callable[[str], Config]) -> Iterator[Config]:
    """Iterate over all bases of a config file, read; none of one that is no Python or JSON."""
    top = parse_config(path)
    for file in top.family() if top is not None else ():
        if file is not top:
            yield read(file.path)


def check_sets_of_file(path: str, cfg: Config, read: Callable[[str], Config]) -> None:
    """Raise KeyError where a config leaves out, by None, a named set that none of its bases has.

    Args:
        path: the config file.
        cfg: the config read from it, without overrides.
        read: reads a config file.
    """
    gone = [key for key in keys_of(cfg) if value_of(cfg, key) is None
            and (parent := key.rpartition('.')[0]).endswith('.datasets')
            and isinstance(value_of(cfg, parent), Mapping)]
    bases = list(bases_of(path, read)) if gone else []
    for key in gone if parse_config(path) else ():
        if all(value_of(base, key) is None for base in bases):
            sets = value_of(cfg, key.rpartition('.')[0])
            raise KeyError(f'{path}: ' + no_such_set(key, [
                name for name, one in sets.items() if one is not None]))


def places_of(path: str, name: str, known: Collection[str]) -> list[str]:
    """Return the dotted keys to which a config and its bases assign a variable."""
    return places_by_name(path, [name], known)[name][:SHOWN]


def places_by_name(path: str, names: Collection[str],
                   known: Collection[str]) -> dict[str, list[str]]:
    """Return the same for several variables, all places of each."""
    top = parse_config(path)
    files = [] if top is None else list(top.family())
    return {name: [key for key in dict.fromkeys(_places(files, name))
                   if key.split('.')[0] in known] for name in names}


def _check_override(name: str, file: ConfigFile, used: bool, cfg: Mapping,
                    known: Collection[str], read: Callable[[str], Config]) -> None:
    base = next(one for one in file.bases if any(name in f.assigned for f in one.family()))
    before, now = read(base.path), read(file.path)
    if name not in now or before.get(name) == now[name]:
        return
    places = _places(list(base.family()), name) or (  # a config dumped by a run
        key for key in keys_of(before) if key.rpartition('.')[2] == name and key != name
        and value_of(before, key) == before[name])
    stale = [key for key in dict.fromkeys(places) if key.split('.')[0] in known
             and value_of(cfg, key) is not None and value_of(cfg, key) == value_of(before, key)]
    if not stale:
        return
    where = ', '.join(stale[:SHOWN]) + (f' and {len(stale) - SHOWN} more' * (len(stale) > SHOWN))
    verb, written = ('sets', name) if name in file.assigned or file.imports else (
        'changes', f'{BASE}.{name}')
    says = (f'{file.path} {verb} {name}, which {base.path} has used already: {where} '
            f'{"keeps" if len(stale) == 1 else "keep"} the value from there. ')
    if used:
        _warn(says + f'{name} is used in other places of {file.path}; if it is meant there only, '
              'another name says so')
    else:
        raise KeyError(says + 'Set what is to have the new value, such as '
                       f'{_written(stale[0], written)}')


def _check_written_out(file: ConfigFile, cfg: Mapping, known: Collection[str]) -> None:
    """Warn of a variable of a written-out config, where keys of its name have another value."""
    from mtpsl.engine.dumped_config import is_dump  # here: it imports this package

    if is_dump(Path(file.path)):  # as overrides of the run have left it
        return
    for name in file.assigned:
        if name not in cfg or name in known or name[0] == '_' or _is_used(name, file, file):
            continue
        places = [key for key in keys_of(cfg) if key.rpartition('.')[2] == name != key
                  and key.split('.')[0] in known]
        if places and all(value_of(cfg, key) != cfg[name] for key in places):
            _warn(f'{file.path} sets {name} to {cfg[name]!r:.60}, which nothing reads: '
                  f'{places[0]} is {value_of(cfg, places[0])!r:.60}, which counts')


def _check_pair(kind: str, file: ConfigFile, cfg: Mapping,
                read: Callable[[str], Config]) -> None:
    """Warn where ``test_dataloader = val_dataloader`` ignores a child's change."""
    inside = 'dataloader.dataset' if kind == 'dataset' else kind
    val, test = f'val_{inside}', f'test_{inside}'
    name, other = val.partition('.')[0], test.partition('.')[0]
    if other in file.assigned or not (name in file.assigned or file.changes_in_place):
        return
    for base in file.bases:
        if other in _places(list(base.family()), name):
            before = read(base.path)
            if value_of(before, test) == value_of(before, val) != value_of(cfg, val) and (
                    value_of(cfg, test) == value_of(before, test)):
                _warn(f'{file.path} sets {val}, and {test} keeps what {base.path} has made of the '
                      f'former: testing is as before. {other} = ... says what it is to be')


def _check_unread(name: str, path: str, names: Collection[str]) -> None:
    near = difflib.get_close_matches(name, names, 1, cutoff=0.8)
    if near:
        raise KeyError(f'config key {name!r} of {path} is read by nothing; did you mean '
                       f'{near[0]!r}?')
    _warn(f'config key {name!r} of {path} is read by nothing: it has no effect, unless code of '
          'yours looks for it')


def _warn(text: str) -> None:
    if os.environ.get('RANK', '0') == '0':
        warnings.warn(text, stacklevel=5)


def _written(key: str, name: str) -> str:
    """Return ``a.b`` as a child config writes it."""
    parts = key.split('.')
    if any(part.isdigit() for part in parts):
        return f'{parts[0]} = ...'
    return f'{parts[0]} = ' + ''.join(f'dict({part}=' for part in parts[1:]) + name + ')' * (
        len(parts) - 1)


def _is_used(name: str, file: ConfigFile, top: ConfigFile, part: str = 'all') -> bool:
    """Return whether a file or one of its children uses a variable that the file sets.

    With ``'values'`` a use is in what they assign, not in how they change it in place.
    """
    def uses(one: ConfigFile) -> Iterable[Uses]:
        return [one.uses] if part == 'all' else [
            use for places in one.places.values() for _, use in places]

    return any(use.has(name, of_base_only=one is not file and not one.imports)
               for one in top.family()
               if any(other is file for other in one.family()) for use in uses(one))


def _places(files: Sequence[ConfigFile], name: str, seen: tuple[str, ...] = ()) -> list[str]:
    """Return the dotted keys whose values depend on a variable, also through other variables."""
    found = []
    for file in files:
        for target, places in file.places.items():
            reading = [] if target == name or target in seen else [
                place for place, uses in places if uses.has(name)]
            later = _places(files, target, (*seen, name)) if reading else []
            for place in reading:
                found += [place, *(key + place[len(target):] for key in later)]
    return found
