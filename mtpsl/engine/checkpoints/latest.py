"""Finds the checkpoint to resume from, and where it stands."""

from collections.abc import Iterator
from pathlib import Path

from mtpsl.system.files import NUMBERED

from .content import check_finite, check_whole, read_content

ENDLESS = 10**9  # mmengine's end of a schedule that does not say one


def latest_checkpoint(work_dir: str) -> tuple[str | None, str]:
    """Find the newest intact checkpoint of a work dir, and the damage of newer ones.

    The file ``last_checkpoint`` names the newest. If that is gone, damaged or has weights that
    are not finite, the one before it is taken. Without that file the newest by its date counts.

    Returns:
        Its path, None if there are no checkpoints; and the damage to report, '' if there is none.

    Raises:
        ValueError: all checkpoints are damaged, or the named one is missing.
    """
    pointer = Path(work_dir, 'last_checkpoint')
    candidates = list(_newest_first(Path(work_dir), pointer))
    name = pointer.read_text().strip() if pointer.is_file() else ''
    gone = '' if not name or Path(name).name in {path.name for path in candidates} else (
        f'{pointer} names {name}, which is ' + (
            f'of another run, and {work_dir} has no copy of it' if Path(name).exists() else 'gone'))
    told = gone or _told_of_place(candidates, pointer)
    problems: list[str] = []
    for path in candidates:
        try:
            check_whole(str(path))
            read_content(str(path))
            check_finite(str(path))
            return str(path), '; '.join(filter(None, (told, *problems)))
        except ValueError as error:
            problems.append(str(error))
    if problems:
        raise ValueError('no checkpoint to resume from: ' + '; '.join(problems)
                         + '; remove them to start anew')
    if gone:
        raise ValueError(f'{gone}, and there is no earlier one; remove {pointer} to start anew')
    return None, ''


def _told_of_place(candidates: list[Path], pointer: Path) -> str:
    """Say that the newest is of another folder, or not of the last step; '' elsewhere.

    Dates are lost where files were copied one by one.
    """
    if not candidates:
        return ''
    newest = candidates[0]
    if (newest.parent / pointer.name).is_file() and not newest.parent.samefile(pointer.parent):
        return f'{pointer} names {newest}, of another run, and no checkpoint of its own is there'
    unit = newest.name.partition('_')[0]
    last = max(pointer.parent.glob(f'{unit}_*.pth'), key=_step, default=newest)
    if not pointer.is_file() and _step(last) > _step(newest):
        return f'{pointer} is not there, and {newest.name} is newer by its date than {last.name}'
    return ''


def _newest_first(work_dir: Path, pointer: Path) -> Iterator[Path]:
    """Return the named checkpoint, then those of earlier steps; without a name, newest first."""
    name = pointer.read_text().strip() if pointer.is_file() else ''
    if not name:
        # Empty: a run has begun and saved nothing yet; older checkpoints are not its own.
        begin = pointer.stat().st_mtime if pointer.is_file() else 0
        times = {path: path.stat().st_mtime for path in work_dir.glob('*.pth') if _step(path)}
        yield from sorted((path for path, time in times.items() if time >= begin), reverse=True,
                          key=lambda path: (times[path], _step(path)))
        return
    named = Path(name)
    # The folder may be a copy, or have been moved. A run that began from another's checkpoint and
    # has saved nothing yet has none of its own.
    others = (named.parent / pointer.name).is_file() and any(map(_step, work_dir.glob('*.pth')))
    if (work_dir / named.name).exists() or not named.parent.is_dir() or others:
        named = work_dir / named.name
    if named.exists():
        yield named
    # Later steps are of an earlier, longer run in the same folder.
    earlier = [path for path in named.parent.glob('*.pth')
               if path != named and 0 < _step(path) <= _step(named)]
    yield from sorted(earlier, key=_step, reverse=True)


def _step(path: Path) -> int:
    """Return N of ``epoch_N.pth`` and ``iter_N.pth``, else 0."""
    match = NUMBERED.fullmatch(path.name)
    return int(match[2]) if match else 0


def unfinished(path: str) -> str:
    """Where a checkpoint stands before the end of its learning rate schedule.

    Returns:
        A sentence for a warning; '' where it stands at the end, or does not tell.
    """
    held = read_content(path).get('param_schedulers') or []
    for one in held if isinstance(held, list) else []:
        step, end = one.get('last_step'), one.get('end')
        # mmengine counts no step beyond the last: at its end a schedule stands one before it.
        if step is not None and end is not None and step + 1 < end < ENDLESS:
            unit = 'epochs' if one.get('by_epoch') else 'iterations'
            return f'{path} stands at {step} of {end} {unit} of its learning rate schedule'
    return ''
