"""Converting a dataset image by image: resumable, the manifest last, nothing overwritten."""

import hashlib
import json
import os
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from mtpsl.system.files import folder_lookup, write_json, write_text
from mtpsl.system.parallel import run_in_workers

from .summary import summarise
from .target import Target

MANIFEST, UNFINISHED = 'conversion.json', 'conversion.unfinished.json'


class Item(NamedTuple):
    """An image to convert.

    Args:
        split: 'train' or 'val'.
        id: number in the split, from 0.
        source: what it is in the source: an index or a name.
    """

    split: str
    id: int
    source: int | str


@dataclass(frozen=True)
class Plan:
    """What a conversion makes.

    Args:
        target: the folder to make.
        settings: all that the result depends on, for the manifest; long ones as a :func:`digest`.
        classes: names of the classes of ``semseg``.
        items: the images, in the order to work in.
        texts: small files beside them: name -> content.
    """

    target: Target
    settings: dict[str, str | int]
    classes: tuple[str, ...]
    items: list[Item]
    texts: dict[str, str]

    def paths(self, item: Item) -> list[Path]:
        """The files of an image."""
        return list(self.target.paths(item.split, item.id).values())


def digest(text: str) -> str:
    """16 hexadecimal digits that tell one text from another."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _read_manifest(root: Path) -> tuple[Path, object] | None:
    """The manifest at ``root`` and its content, ``None`` if it is damaged; or None."""
    for path in (root / UNFINISHED, root / MANIFEST):
        try:
            return path, json.loads(path.read_bytes())
        except FileNotFoundError:
            continue
        except ValueError:
            return path, None
    return None


def _check_target(root: Path, settings: dict[str, str | int]) -> None:
    """Raise a ValueError rather than mix datasets."""
    if root.exists() and not root.is_dir():
        raise ValueError(f'{root} is a file, not a folder')
    manifest = _read_manifest(root)
    if manifest is None:
        # A run that was killed at once may have left the manifest's temporary file, no more.
        if root.exists() and any(not path.name.endswith(UNFINISHED) for path in root.iterdir()):
            raise ValueError(f'{root} is not empty and has no {MANIFEST} of a conversion: choose '
                             'another folder; nothing is ever overwritten')
        return
    path, present = manifest
    if not isinstance(present, dict):
        raise ValueError(f'{path} is damaged: it is not what a conversion wrote; choose another '
                         'folder')
    different = ', '.join(f'{key} is {present.get(key)}, not {settings.get(key)}'
                          for key in sorted({*present, *settings})
                          if present.get(key) != settings.get(key))
    if different:
        raise ValueError(f'{root} holds a conversion with other settings: {different}; choose '
                         'another folder')


def _missing(plan: Plan) -> list[Item]:
    """The images that lack a file."""
    is_there = folder_lookup()
    return [item for item in plan.items if not all(map(is_there, plan.paths(item)))]


def _remove_temporaries(plan: Plan) -> None:
    """Remove what killed writers left: loaders that count files would count these."""
    for folder in {path.parent for item in plan.items for path in plan.paths(item)}:
        for name in os.listdir(folder):
            found = re.fullmatch(r'\.(\d+)\.\d+\.npy', name)
            if found and not _is_alive(int(found[1])):  # else another run is at work
                (folder / name).unlink(missing_ok=True)


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # someone else's
        return True
    return True


def carry_out(plan: Plan, convert: Callable[[Item], None], workers: int) -> int:
    """Convert the images that are not there yet, and print what the dataset then holds.

    Args:
        plan: what to make.
        convert: picklable; writes the files of one image, those of ``plan.paths``.
        workers: processes, at least 1.

    Returns:
        Number of images converted, 0 if all were there.

    Raises:
        ValueError: the folder holds something else, or a file there is damaged; what ``convert``
            raises.
        OSError: a file or folder cannot be written.
    """
    root = plan.target.root
    _check_target(root, plan.settings)
    missing = _missing(plan)
    texts = {root / name: text for name, text in plan.texts.items()
             if not (root / name).exists()}
    if not missing and not texts and (root / MANIFEST).exists():
        (root / UNFINISHED).unlink(missing_ok=True)
        print(f'already there: {root}')
        return 0
    write_json(root / UNFINISHED, plan.settings)
    (root / MANIFEST).unlink(missing_ok=True)
    for path, text in texts.items():
        write_text(path, text)
    if len(missing) < len(plan.items):
        print(f'{len(plan.items) - len(missing)} images are already there')
    run_in_workers(convert, missing, workers, 'images')
    _remove_temporaries(plan)
    counts = Counter(item.split for item in plan.items)
    table = summarise(plan.target, plan.classes, counts, workers)
    write_json(root / MANIFEST, plan.settings)
    (root / UNFINISHED).unlink(missing_ok=True)
    print(table)
    return len(missing)
