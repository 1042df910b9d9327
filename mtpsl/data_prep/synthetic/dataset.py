"""Make a whole synthetic dataset in one of the layouts: parallel, resumable, manifest last."""
import json
import os
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

from mtpsl.system.files import folder_lookup, write_json
from mtpsl.system.parallel import run_in_workers

from .array_layouts import CITYSCAPES_LAYOUT, NYUD_LAYOUT
from .layout import FIRST_VAL, Layout, scene_id, scene_seed
from .pascal_layout import PascalLayout
from .render import render_scene

VERSION = 1  # of the generator: raise it when the same seed no longer gives the same files
MANIFEST, UNFINISHED = 'synthetic.json', 'synthetic.unfinished.json'
MAX_SCENES = FIRST_VAL  # per split; ids have room for no more
LAYOUTS: dict[str, Layout] = {
    'pascal': PascalLayout(), 'nyud': NYUD_LAYOUT, 'cityscapes': CITYSCAPES_LAYOUT}
LIMITS = {'num_train': (0, MAX_SCENES), 'num_val': (0, MAX_SCENES), 'height': (32, 8192),
          'width': (32, 8192), 'seed': (0, 2 ** 63), 'workers': (1, 1024)}

Manifest = dict[str, Any]


def write_scene(root: Path, identifier: str, layout: str, height: int, width: int, seed: int
                ) -> None:
    """Render one scene of the dataset of ``seed`` and write its files that are not there yet."""
    files = {name: path for name, path in LAYOUTS[layout].scene_files(root, identifier).items()
             if not path.exists()}
    if files:
        scene = render_scene(scene_seed(seed, identifier), height, width)
        LAYOUTS[layout].write(files, identifier, scene)


def _read_manifest(root: Path) -> tuple[Path, Manifest | None] | None:
    """Manifest at ``root`` and its content (None if damaged), or None where there is none."""
    # A run at work there may replace one by the other between two looks: hence the third.
    for path in (root / UNFINISHED, root / MANIFEST, root / UNFINISHED):
        try:
            content = json.loads(path.read_bytes())
        except FileNotFoundError:
            continue
        except ValueError:
            return path, None
        if not isinstance(content, dict):
            return path, None
        content.setdefault('layout', 'pascal')  # at first there was no other, and no key for it
        counts = [content.get(name) for name in ('num_train', 'num_val')]
        sound = all(isinstance(count, int) and 0 <= count <= MAX_SCENES for count in counts)
        return path, content if sound and content['layout'] in list(LAYOUTS) else None
    return None


def _splits(num_train: int, num_val: int) -> dict[str, list[str]]:
    return {split: [scene_id(split, number) for number in range(count)]
            for split, count in (('train', num_train), ('val', num_val))}


def _missing(root: Path, layout: Layout, identifiers: Iterable[str]) -> dict[str, Path]:
    """The scenes that lack a file, each with the first it lacks."""
    there, missing = folder_lookup(), {}
    for identifier in identifiers:
        for path in layout.scene_files(root, identifier).values():
            if not there(path):
                missing[identifier] = path
                break
    return missing


def _prepare(root: Path, wanted: Manifest) -> None:
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
    if present is None:
        raise ValueError(f'{found} is damaged: it is not what this tool wrote; choose another '
                         f'folder, or delete {root}')
    if present != wanted:
        different = ', '.join(f'{key} is {present.get(key)}, not {wanted.get(key)}'
                              for key in sorted({*present, *wanted})
                              if present.get(key) != wanted.get(key))
        raise ValueError(f'{root} holds another synthetic dataset: {different}; '
                         f'choose another folder, or delete {root}')


def _finish(root: Path, layout: Layout, splits: dict[str, list[str]]) -> None:
    """Write the lists and make sure that nothing has gone meanwhile."""
    gone: object
    try:
        layout.write_lists(root, splits)
        gone = next(iter(_missing(root, layout, splits['train'] + splits['val']).values()), None)
    except FileNotFoundError as error:
        gone = error.filename or error
    if gone is not None:
        raise ValueError(f'{gone} has gone since it was written: is another run at work there? '
                         'run again')


def _check(manifest: Manifest, workers: int) -> None:
    if manifest['layout'] not in LAYOUTS:
        raise ValueError(f'layout must be one of {", ".join(LAYOUTS)}, got {manifest["layout"]}')
    values = {**manifest, 'workers': workers}
    for name, (low, high) in LIMITS.items():
        if not low <= values[name] <= high:
            raise ValueError(f'{name} must be between {low} and {high}, got {values[name]}')


def _complete(root: Path, manifest: Manifest, splits: dict[str, list[str]], workers: int) -> int:
    """Write what is missing of a dataset, the manifest last; returns the number of scenes."""
    layout = LAYOUTS[manifest['layout']]
    missing = list(_missing(root, layout, splits['train'] + splits['val']))
    if not missing and (root / MANIFEST).exists() and all(
            path.exists() for path in layout.list_files(root)):
        (root / UNFINISHED).unlink(missing_ok=True)
        print(f'already there: {root}')
        return 0
    write_json(root / UNFINISHED, manifest)
    (root / MANIFEST).unlink(missing_ok=True)
    if missing:
        write = partial(write_scene, root, layout=manifest['layout'], height=manifest['height'],
                        width=manifest['width'], seed=manifest['seed'])
        run_in_workers(write, missing, workers, 'scenes')
    _finish(root, layout, splits)
    write_json(root / MANIFEST, manifest)
    # Another run on the same folder may have been first.
    (root / UNFINISHED).unlink(missing_ok=True)
    return len(missing)


def write_scenes(root: str | os.PathLike[str], layout: str, num_train: int, num_val: int,
                 height: int, width: int, seed: int, workers: int | None = None) -> int:
    """Render scenes into ``root`` in one of the layouts.

    A scene depends on its split, its number, the seed and the size alone: it is the same one in
    every layout. An interrupted run is taken up where it stopped, and files that have gone since
    are written again. ``synthetic.json`` is written last, so where it is, the dataset was once
    whole.

    Args:
        root: The dataset's folder; absent, empty, or made by this function.
        layout: 'pascal' (``root`` is the ``PASCALContext`` folder), 'nyud' or 'cityscapes'.
        num_train: Training scenes, 0 to 500000.
        num_val: Validation scenes, 0 to 500000.
        height: Rows of every image, at least 32.
        width: Columns of every image, at least 32.
        seed: Non-negative seed of the whole dataset.
        workers: Processes, at least 1; ``None`` for one per core.

    Returns:
        Number of scenes written, 0 if all were already there.

    Raises:
        ValueError: If an argument is out of range, ``root`` holds something else, its manifest is
            damaged, or another run takes files away.
        OSError: If a file or folder cannot be written.
    """
    root, workers = Path(root), os.cpu_count() or 1 if workers is None else workers
    manifest = {'num_train': num_train, 'num_val': num_val, 'height': height, 'width': width,
                'seed': seed, 'generator_version': VERSION, 'layout': layout}
    _check(manifest, workers)
    _prepare(root, manifest)
    return _complete(root, manifest, _splits(num_train, num_val), workers)
