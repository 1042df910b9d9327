"""Make a whole synthetic data set: in parallel, resumable, the manifest last."""
import json
import os
import re
from functools import partial
from pathlib import Path

from scipy.io import loadmat

from mtpsl.storage.files import write_json
from mtpsl.storage.parallel import run_in_workers

from .pascal_layout import scene_files, scene_id, write_scene

VERSION = 1  # of the generator: raise it when the same seed no longer gives the same files
MANIFEST, UNFINISHED = 'synthetic.json', 'synthetic.unfinished.json'
MAX_SCENES = 500_000  # per split; ids have room for no more


def _read_manifest(root: Path) -> tuple[Path, dict[str, int] | None] | None:
    """Manifest at ``root`` and its content (None if damaged), or None where there is none."""
    # A run at work there may replace one by the other between two looks: hence the third.
    for path in (root / UNFINISHED, root / MANIFEST, root / UNFINISHED):
        try:
            content = json.loads(path.read_bytes())
        except FileNotFoundError:
            continue
        except ValueError:
            return path, None
        counts = [content.get(name) for name in ('num_train', 'num_val')
                  ] if isinstance(content, dict) else [None]
        sound = all(isinstance(count, int) and 0 <= count <= MAX_SCENES for count in counts)
        return path, content if sound else None
    return None


def _splits(num_train: int, num_val: int) -> dict[str, list[str]]:
    return {split: [scene_id(split, number) for number in range(count)]
            for split, count in (('train', num_train), ('val', num_val))}


def _list_files(root: Path) -> list[Path]:
    return [root / 'ImageSets' / kind / f'{split}.txt'
            for kind in ('Context', 'Parts') for split in ('train', 'val')]


def _listing(root: Path) -> dict[Path, set[str]]:
    """Names in each folder that scenes have files in: far cheaper than asking file by file."""
    found = {}
    # Ids that differ in the folder of their classes, see ``scene_files``.
    for identifier in ('synthetic_000000', 'synthetic_000001'):
        for path in scene_files(root, identifier).values():
            if path.parent not in found:
                found[path.parent] = set(os.listdir(path.parent)) if path.parent.is_dir() else set()
    return found


def _missing(root: Path, identifiers: list[str]) -> list[str]:
    """The scenes that lack a file."""
    names = _listing(root)
    return [identifier for identifier in identifiers
            if any(path.name not in names[path.parent]
                   for path in scene_files(root, identifier).values())]


def _remove(root: Path, found: Path, present: dict[str, int] | None) -> None:
    """Delete the files of the set whose manifest was found, and nothing else."""
    # Unfinished before anything goes: an interruption here must not leave it looking whole.
    if found.name == MANIFEST:
        try:
            os.replace(found, root / UNFINISHED)
        except FileNotFoundError:
            raise ValueError(f'{found} has just gone: another run is at work there') from None
    (root / MANIFEST).unlink(missing_ok=True)
    names = _listing(root)
    if present is None:
        # A damaged manifest names no scenes: their files are known by the names they have.
        stems = {Path(name).stem for inside in names.values() for name in inside}
        identifiers = sorted(stem for stem in stems if re.fullmatch(r'synthetic_\d{6}', stem))
    else:
        identifiers = sum(_splits(present['num_train'], present['num_val']).values(), [])
    for path in (path for identifier in identifiers
                 for path in scene_files(root, identifier).values()):
        if path.name in names[path.parent]:
            path.unlink(missing_ok=True)
    for path in _list_files(root):
        path.unlink(missing_ok=True)


def _prepare(root: Path, wanted: dict[str, int], overwrite: bool) -> None:
    """Make sure ``root`` may be written to; raises rather than mix or destroy data."""
    if root.exists() and not root.is_dir():
        raise ValueError(f'{root} is a file, not a folder')
    # Listed first: another run that starts right now writes its manifest before anything else,
    # under a temporary name that has the same end.
    occupied = root.exists() and any(not path.name.endswith(UNFINISHED) for path in root.iterdir())
    manifest = _read_manifest(root)
    if manifest is None:
        if occupied:
            raise ValueError(f'{root} is not empty and was not made by this tool (it has no '
                             f'{MANIFEST}): choose another folder; it is never overwritten')
        return
    found, present = manifest
    if overwrite:
        _remove(root, found, present)
    elif present is None:
        raise ValueError(f'{found} is damaged: it is not what this tool wrote; choose another '
                         'folder, or replace the data set with --overwrite')
    elif present != wanted:
        different = ', '.join(f'{key} is {present.get(key)}, not {wanted.get(key)}'
                              for key in sorted({*present, *wanted})
                              if present.get(key) != wanted.get(key))
        raise ValueError(f'{root} holds another synthetic data set: {different}; '
                         'choose another folder, or replace it with --overwrite')


def _write_image_sets(root: Path, splits: dict[str, list[str]]) -> None:
    for split, identifiers in splits.items():
        categories = {}
        for identifier in identifiers:
            path = scene_files(root, identifier)['parts']
            try:
                anno = loadmat(str(path))['anno']
            except FileNotFoundError:
                raise ValueError(f'{path} has gone since it was written: is another run at work '
                                 'there? run again') from None
            categories[identifier] = [int(entry[1][0, 0]) for entry in anno[0][0][1][0]]
        write_json(root / 'ImageSets' / 'Parts' / f'{split}.txt', categories)
        path = root / 'ImageSets' / 'Context' / f'{split}.txt'
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(''.join(f'{identifier}\n' for identifier in identifiers))


def write_pascal_layout(root: str | os.PathLike[str], num_train: int, num_val: int, height: int,
                        width: int, seed: int, workers: int | None = None,
                        overwrite: bool = False) -> int:
    """Render scenes into ``root`` in the PASCAL-Context multi-task layout.

    A scene depends on its id, the seed and the size alone. An interrupted run is taken up where
    it stopped, and files that have gone since are written again. ``synthetic.json`` is written
    last, so where it is, the data set was once whole.

    Args:
        root: The ``PASCALContext`` folder; absent, empty, or made by this function.
        num_train: Training scenes, 0 to 500000.
        num_val: Validation scenes, 0 to 500000.
        height: Rows of every image, at least 32.
        width: Columns of every image, at least 32.
        seed: Non-negative seed of the whole data set.
        workers: Processes, at least 1; ``None`` for one per core.
        overwrite: Replace another synthetic data set at ``root``: the files of its scenes, its
            lists and its manifest go. Anything else is never touched.

    Returns:
        Number of scenes written, 0 if all were already there.

    Raises:
        ValueError: If an argument is out of range, ``root`` holds something else, its manifest is
            damaged, or another run takes files away.
        OSError: If a file or folder cannot be written.
    """
    root, workers = Path(root), os.cpu_count() or 1 if workers is None else workers
    for name, value, low, high in (
            ('num_train', num_train, 0, MAX_SCENES), ('num_val', num_val, 0, MAX_SCENES),
            ('height', height, 32, 8192), ('width', width, 32, 8192),
            ('seed', seed, 0, 2 ** 63), ('workers', workers, 1, 1024)):
        if not low <= value <= high:
            raise ValueError(f'{name} must be between {low} and {high}, got {value}')
    manifest = {'num_train': num_train, 'num_val': num_val, 'height': height, 'width': width,
                'seed': seed, 'generator_version': VERSION}
    splits = _splits(num_train, num_val)
    identifiers = splits['train'] + splits['val']
    _prepare(root, manifest, overwrite)
    missing = _missing(root, identifiers)
    if not missing and (root / MANIFEST).exists() and all(
            path.exists() for path in _list_files(root)):
        (root / UNFINISHED).unlink(missing_ok=True)
        print(f'already there: {root}')
        return 0
    write_json(root / UNFINISHED, manifest)
    (root / MANIFEST).unlink(missing_ok=True)
    if missing:
        run_in_workers(partial(write_scene, root, height=height, width=width, seed=seed), missing,
                       workers, 'scenes')
    _write_image_sets(root, splits)
    write_json(root / MANIFEST, manifest)
    # Another run on the same folder may have been first.
    (root / UNFINISHED).unlink(missing_ok=True)
    return len(missing)
