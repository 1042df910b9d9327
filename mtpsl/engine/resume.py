"""Which checkpoint a run goes on from, and whether it is of the same run."""

import re
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from mmengine.config import Config

from .checkpoint import read_content

RUN_KEY = 'mtpsl_run'  # of a checkpoint's meta
# What decides the numbers of a run, and what of it does not.
DECIDING = ('model', 'tasks', 'optim_wrapper', 'param_scheduler', 'randomness',
            'train_dataloader', 'sync_bn')
WITHOUT_EFFECT = {'init_cfg', 'data_root', 'num_workers', 'persistent_workers',
                  'prefetch_factor', 'pin_memory', 'timeout', 'multiprocessing_context', '_scope_',
                  'fused', 'foreach', 'capturable'}
SHOWN = 10


def deciding(cfg: Config, world_size: int) -> dict:
    """What decides the numbers of a run, in JSON's types.

    Not in it: folders, worker processes, weights that training starts from, hooks, the length of
    the training, validation and testing.
    """
    content = {key: _plain(cfg[key]) for key in DECIDING if cfg.get(key) is not None}
    return content | dict(processes=world_size)


def check_same_run(path: str, run: Mapping, expected: Mapping) -> None:
    """Raise unless a checkpoint's run is the config's.

    Args:
        path: the checkpoint, for the message.
        run: its :func:`deciding`.
        expected: that of the config.

    Raises:
        ValueError: it differs; the message lists where.
    """
    differences = list(_differences(run, expected))
    if differences:
        more = f'; and {len(differences) - SHOWN} more' if len(differences) > SHOWN else ''
        raise ValueError(
            f'{path} is of a run of another config, and --resume would go on with a mixture of '
            f'both: {"; ".join(differences[:SHOWN])}{more}. Resume with the config of that run, '
            f'or start a new one from its weights: --cfg-options load_from={path} without '
            '--resume')


def latest_checkpoint(work_dir: str) -> tuple[str | None, str]:
    """The newest checkpoint of a work dir that is whole, and what is wrong with newer ones.

    The file ``last_checkpoint`` names the newest. Where that is damaged, the one before is taken.

    Returns:
        Its path, None where there is none at all; and the damage to report, '' if there is none.

    Raises:
        ValueError: there are checkpoints, but all are damaged.
    """
    candidates = list(_newest_first(Path(work_dir)))
    problems = []
    for path in candidates:
        damage = _damage(path)
        if damage is None:
            return str(path), '; '.join(problems)
        problems.append(f'{path} is damaged ({damage})')
    if problems:
        raise ValueError('no checkpoint to resume from: ' + '; '.join(problems)
                         + '; remove them to start anew')
    return None, ''


def _newest_first(work_dir: Path) -> Iterator[Path]:
    """The named checkpoint, then those of earlier steps; without a name, by time of writing."""
    pointer = work_dir / 'last_checkpoint'
    name = pointer.read_text().strip() if pointer.is_file() else ''
    named = Path(name) if name else None
    folder = named.parent if named else work_dir
    found = [path for path in folder.glob('*.pth') if _step(path)]
    if named is None:
        yield from sorted(found, key=lambda path: (path.stat().st_mtime, _step(path)),
                          reverse=True)
        return
    if named.exists():
        yield named
    # Those of later steps are of an earlier and longer run in the same folder.
    earlier = [path for path in found if path != named and _step(path) <= _step(named)]
    yield from sorted(earlier, key=_step, reverse=True)


def _step(path: Path) -> int:
    """N of ``epoch_N.pth`` and ``iter_N.pth``, else 0."""
    match = re.fullmatch(r'(?:epoch|iter)_(\d+)\.pth', path.name)
    return int(match[1]) if match else 0


def _damage(path: Path) -> str | None:
    """What is wrong with a checkpoint: torch's archives hold a checksum of each of their parts."""
    try:
        with zipfile.ZipFile(path) as archive:
            broken = archive.testzip()
        if broken:
            return f'its part {broken} is not what was written'
        read_content(str(path))
    except Exception as error:  # a damaged file can raise anything
        return str(error) or type(error).__name__
    return None


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return {str(key): _plain(part) for key, part in value.items()
                if key not in WITHOUT_EFFECT}
    if isinstance(value, (list, tuple)):
        return [_plain(part) for part in value]
    return value if isinstance(value, (str, int, float, bool, type(None))) else repr(value)


def _differences(before: object, now: object, place: str = '') -> Iterator[str]:
    """``key before -> now`` of every entry that differs."""
    if isinstance(before, Mapping) and isinstance(now, Mapping):
        for key in dict.fromkeys((*before, *now)):
            yield from _differences(before.get(key), now.get(key),
                                    f'{place}.{key}' if place else key)
    elif isinstance(before, list) and isinstance(now, list) and len(before) == len(now):
        for number, parts in enumerate(zip(before, now)):
            yield from _differences(*parts, f'{place}.{number}')
    elif before != now:
        yield f'{place} {_short(before)} -> {_short(now)}'


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f'{text[:57]}...'
