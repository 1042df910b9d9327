"""Makes a synthetic dataset in one of the layouts: parallel, resumable, manifest last."""
import os
from functools import partial
from pathlib import Path
from typing import Any

from mtpsl.data_prep.resumable import Plan, carry_out

from .array_layouts import CITYSCAPES_LAYOUT, NYUD_LAYOUT
from .layout import FIRST_VAL, Layout, scene_id, scene_seed
from .pascal_layout import PascalLayout
from .render import render_scene

VERSION = 1  # of the generator: increase it when the same seed gives other files
MAX_SCENES = FIRST_VAL  # per split, the limit of ids
LAYOUTS: dict[str, Layout] = {
    'pascal': PascalLayout(), 'nyud': NYUD_LAYOUT, 'cityscapes': CITYSCAPES_LAYOUT}
LIMITS = {'num_train': (0, MAX_SCENES), 'num_val': (0, MAX_SCENES), 'height': (32, 8192),
          'width': (32, 8192), 'seed': (0, 2 ** 63), 'workers': (1, 1024)}

Manifest = dict[str, Any]


def write_scene(root: Path, identifier: str, layout: str, height: int, width: int, seed: int
                ) -> None:
    """Render a scene of the dataset of ``seed`` and write its missing files."""
    files = {name: path for name, path in LAYOUTS[layout].scene_files(root, identifier).items()
             if not path.exists()}
    if files:
        scene = render_scene(scene_seed(seed, identifier), height, width)
        LAYOUTS[layout].write(files, identifier, scene)


def _splits(num_train: int, num_val: int) -> dict[str, list[str]]:
    return {split: [scene_id(split, number) for number in range(count)]
            for split, count in (('train', num_train), ('val', num_val))}


def _check(manifest: Manifest, workers: int) -> None:
    if manifest['layout'] not in LAYOUTS:
        raise ValueError(f'layout must be one of {", ".join(LAYOUTS)}, got {manifest["layout"]}')
    values = {**manifest, 'workers': workers}
    for name, (low, high) in LIMITS.items():
        if not low <= values[name] <= high:
            raise ValueError(f'{name} must be between {low} and {high}, got {values[name]}')


def _finish(plan: Plan[str], layout: Layout, splits: dict[str, list[str]]) -> None:
    """Write the lists, and check that no file has been removed meanwhile."""
    gone: object
    try:
        layout.write_lists(plan.root, splits)
        gone = next(iter(plan.missing().values()), None)
    except FileNotFoundError as error:
        gone = error.filename or error
    if gone is not None:
        raise ValueError(f'{gone} has gone since it was written: is another run at work there? '
                         'run again')


def write_scenes(root: str | os.PathLike[str], layout: str, num_train: int, num_val: int,
                 height: int, width: int, seed: int, workers: int | None = None) -> int:
    """Render scenes into ``root`` in one of the layouts.

    A scene depends on its split, its number, the seed and the size only, and is the same in every
    layout. An interrupted run is resumed, and files removed since are written again.
    ``synthetic.json`` is written last, so that it marks a dataset that was once complete.

    Args:
        root: The dataset's folder: absent, empty, or of an earlier call.
        layout: 'pascal' (``root`` is the ``PASCALContext`` folder), 'nyud' or 'cityscapes'.
        num_train: Training scenes, 0 to 500000.
        num_val: Validation scenes, 0 to 500000.
        height: Rows of every image, at least 32.
        width: Columns of every image, at least 32.
        seed: Non-negative seed of the whole dataset.
        workers: Processes, at least 1; ``None`` for one per core.

    Returns:
        Number of scenes written, 0 if all existed.

    Raises:
        ValueError: If an argument is out of range, ``root`` has other content, its manifest is
            damaged, or another process removes files.
        OSError: If a file or folder cannot be written.
    """
    root, workers = Path(root), os.cpu_count() or 1 if workers is None else workers
    manifest = {'num_train': num_train, 'num_val': num_val, 'height': height, 'width': width,
                'seed': seed, 'generator_version': VERSION, 'layout': layout}
    _check(manifest, workers)
    splits = _splits(num_train, num_val)
    plan = Plan(root, 'synthetic dataset', 'synthetic', manifest,
                splits['train'] + splits['val'],
                lambda identifier: LAYOUTS[layout].scene_files(root, identifier).values(),
                'scenes', list(LAYOUTS[layout].list_files(root)))
    write = partial(write_scene, root, layout=layout, height=height, width=width, seed=seed)
    return carry_out(plan, write, workers, lambda: _finish(plan, LAYOUTS[layout], splits))
