"""Make a whole synthetic data set: in parallel, resumable, the manifest last."""
import json
import os
import shutil
import sys
import time
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import cv2
from scipy.io import loadmat

from .pascal_layout import scene_files, scene_id, write_json, write_scene

VERSION = 1  # of the generator: raise it when the same seed no longer gives the same files
MANIFEST, UNFINISHED = 'synthetic.json', 'synthetic.unfinished.json'
FOLDERS = ('JPEGImages', 'ImageSets', 'pascal-context', 'semseg', 'human_parts',
           'normals_distill', 'sal_distill')
MAX_SCENES = 500_000  # per split; ids have room for no more


def _prepare(root: Path, wanted: dict[str, int], overwrite: bool) -> bool:
    """Whether anything is left to do at ``root``; raises rather than mix or destroy data."""
    found = next((root / name for name in (MANIFEST, UNFINISHED) if (root / name).exists()), None)
    if found is None:
        if root.exists() and (not root.is_dir() or any(root.iterdir())):
            raise ValueError(f'{root} is not empty and was not made by this tool (it has no '
                             f'{MANIFEST}): choose another folder; it is never overwritten')
        return True
    present = json.loads(found.read_text())
    if present != wanted and not overwrite:
        different = ', '.join(f'{key} is {present.get(key)}, not {wanted.get(key)}'
                              for key in sorted({*present, *wanted})
                              if present.get(key) != wanted.get(key))
        raise ValueError(f'{root} holds another synthetic data set: {different}; '
                         'choose another folder, or replace it with --overwrite')
    if overwrite:
        # Unfinished before anything goes: an interruption here must not leave it looking whole.
        os.replace(found, root / UNFINISHED)
        (root / MANIFEST).unlink(missing_ok=True)
        for name in FOLDERS:
            shutil.rmtree(root / name, ignore_errors=True)
        return True
    return found.name == UNFINISHED


class _Progress:
    """Rate and remaining time: one live line on a terminal, else a line per tenth."""

    def __init__(self, total: int) -> None:
        self.total, self.start, self.shown = total, time.perf_counter(), 0.0

    def update(self, done: int) -> None:
        live, now = sys.stdout.isatty(), time.perf_counter()
        step = -(-self.total // 10)
        if done < self.total and (now - self.shown < 0.2 if live else done % step):
            return
        self.shown = now
        rate = done / max(now - self.start, 1e-6)
        line = (f'{done}/{self.total} scenes, {rate:.1f} images/s, '
                f'{(self.total - done) / rate:.0f} s left')
        print(f'\r{line:<60}' if live else line, end='' if live and done < self.total else '\n',
              flush=True)


def _write_all(write: partial, identifiers: list[str], workers: int) -> None:
    progress = _Progress(len(identifiers))

    def follow(results: Iterable[None]) -> None:
        for done, _ in enumerate(results, 1):
            progress.update(done)

    if workers == 1 or len(identifiers) < 2:
        follow(map(write, identifiers))
        return
    # Spawned, not forked: threads of libraries loaded here must not be copied half-way.
    with ProcessPoolExecutor(workers, get_context('spawn'), cv2.setNumThreads, (1,)) as pool:
        try:
            follow(pool.map(write, identifiers, chunksize=4))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _write_image_sets(root: Path, splits: dict[str, list[str]]) -> None:
    for split, identifiers in splits.items():
        categories = {}
        for identifier in identifiers:
            anno = loadmat(scene_files(root, identifier)['parts'])['anno']
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
    it stopped. ``synthetic.json`` is written last, so where it is, the data set is whole.

    Args:
        root: The ``PASCALContext`` folder; absent, empty, or made by this function.
        num_train: Training scenes, 0 to 500000.
        num_val: Validation scenes, 0 to 500000.
        height: Rows of every image, at least 32.
        width: Columns of every image, at least 32.
        seed: Non-negative seed of the whole data set.
        workers: Processes, at least 1; ``None`` for one per core.
        overwrite: Replace another synthetic data set at ``root``. Anything else is never touched.

    Returns:
        Number of scenes of the data set; 0 if it was already there.

    Raises:
        ValueError: If an argument is out of range, or ``root`` holds something else.
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
    if not _prepare(root, manifest, overwrite):
        print(f'already there: {root}')
        return 0
    write_json(root / UNFINISHED, manifest)
    splits = {'train': [scene_id('train', number) for number in range(num_train)],
              'val': [scene_id('val', number) for number in range(num_val)]}
    identifiers = splits['train'] + splits['val']
    write = partial(write_scene, root, height=height, width=width, seed=seed)
    if identifiers:
        _write_all(write, identifiers, workers)
    _write_image_sets(root, splits)
    write_json(root / MANIFEST, manifest)
    (root / UNFINISHED).unlink()
    return len(identifiers)
