"""Makes a dataset item by item: resumable, the manifest last, nothing overwritten."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from mtpsl.system.files import folder_lookup, write_json
from mtpsl.system.parallel import run_in_workers

T = TypeVar('T')


@dataclass(frozen=True)
class Plan(Generic[T]):
    """A dataset to make.

    Attributes:
        root: folder of the dataset: absent, empty, or of the same plan.
        kind: kind of the work for messages, such as 'conversion'.
        name: ``<name>.unfinished.json`` is written first and ``<name>.json``, the manifest, last.
        settings: everything that the result depends on, for the manifest.
        items: items to write, in order.
        paths: function that gives the files of an item.
        unit: name of the items for the progress, such as 'images'.
        others: other files, which ``finish`` of :func:`carry_out` writes.
    """

    root: Path
    kind: str
    name: str
    settings: Mapping[str, object]
    items: Sequence[T]
    paths: Callable[[T], Iterable[Path]]
    unit: str
    others: Sequence[Path] = ()

    @property
    def manifest(self) -> Path:
        return self.root / f'{self.name}.json'

    @property
    def unfinished(self) -> Path:
        return self.root / f'{self.name}.unfinished.json'

    def missing(self) -> dict[T, Path]:
        """Return the items with a missing file, each with its first missing file."""
        there, found = folder_lookup(), {}
        for item in self.items:
            lacking = next((path for path in self.paths(item) if not there(path)), None)
            if lacking is not None:
                found[item] = lacking
        return found


def carry_out(plan: Plan[T], write: Callable[[T], None], workers: int,
              finish: Callable[[], str | None]) -> int:
    """Make the missing items.

    Args:
        plan: the plan.
        write: picklable function that writes the files of an item.
        workers: processes, at least 1.
        finish: called after all items are written and before the manifest is; writes the other
            files, checks the dataset, and returns a text to print, or None.

    Returns:
        Number of items written, 0 if all existed.

    Raises:
        ValueError: the folder has other content, or its manifest is damaged; errors of ``write``
            and ``finish``.
        OSError: a file or folder cannot be written.
    """
    check_folder(plan)
    missing = list(plan.missing())
    if not missing and plan.manifest.exists() and all(path.exists() for path in plan.others):
        plan.unfinished.unlink(missing_ok=True)
        print(f'already there: {plan.root}')
        return 0
    write_json(plan.unfinished, dict(plan.settings))
    plan.manifest.unlink(missing_ok=True)
    if len(missing) < len(plan.items):
        print(f'{len(plan.items) - len(missing)} {plan.unit} are already there')
    run_in_workers(write, missing, workers, plan.unit)
    text = finish()
    write_json(plan.manifest, dict(plan.settings))
    plan.unfinished.unlink(missing_ok=True)  # another run on the folder may have been first
    if text:
        print(text)
    return len(missing)


def check_folder(plan: Plan) -> None:
    """Raise ValueError rather than mix or overwrite datasets."""
    root = plan.root
    if root.exists() and not root.is_dir():
        raise ValueError(f'{root} is a file, not a folder')
    # Listed first: another run that starts right now writes its manifest before anything else,
    # under a temporary name that has the same end.
    occupied = root.exists() and any(not path.name.endswith(plan.unfinished.name)
                                     for path in root.iterdir())
    found = _read_manifest(plan)
    if found is None:
        if occupied:
            raise ValueError(f'{root} is not empty and has no {plan.manifest.name} of a '
                             f'{plan.kind}: choose another folder; nothing is ever overwritten')
        return
    path, present = found
    if not isinstance(present, dict):
        raise ValueError(f'{path} is damaged: it is not what a {plan.kind} wrote; choose another '
                         f'folder, or delete {root}')
    wanted = plan.settings
    different = ', '.join(f'{key} is {present.get(key)}, not {wanted.get(key)}'
                          for key in sorted({*present, *wanted})
                          if present.get(key) != wanted.get(key))
    if different:
        raise ValueError(f'{root} holds a {plan.kind} with other settings: {different}; choose '
                         f'another folder, or delete {root}')


def _read_manifest(plan: Plan) -> tuple[Path, object] | None:
    """Return a manifest's path and content (None if damaged); None without a manifest."""
    # A running process may replace one by the other between two looks: hence a third look.
    for path in (plan.unfinished, plan.manifest, plan.unfinished):
        try:
            return path, json.loads(path.read_bytes())
        except FileNotFoundError:
            continue
        except ValueError:
            return path, None
    return None
