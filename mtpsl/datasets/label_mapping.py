"""Partial-label settings: which image is labelled for which tasks.

A mapping is a JSON object, image id -> list of task names; ``[]`` for an image without labels.
"""

import json
import os
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import numpy as np

from mtpsl.system.choices import SETTINGS
from mtpsl.system.files import write_text

LabelMapping = dict[str, tuple[str, ...]]


# In the published PASCAL settings only the 1716 of 4998 training images that show human parts
# are labelled for parsing.
CANDIDATE_SHARES = {'parsing': 1716 / 4998}


def load_mapping(path: str, ids: Sequence[str], tasks: Collection[str]) -> LabelMapping:
    """Read and check a mapping.

    Args:
        path: the JSON file.
        ids: image ids of the split; the mapping must name exactly these.
        tasks: names of the tasks that the dataset has labels for.

    Returns:
        Image id -> names of the tasks it is labelled for, in the order of ``tasks``.

    Raises:
        FileNotFoundError: there is no such file, or it is a folder.
        ValueError: the file is no JSON object of lists; an id is repeated, missing or not in the
            split; a task is unknown or repeated. The message names the file and the id.
    """
    if os.path.isdir(path):
        raise FileNotFoundError(f'label mapping {path} is a folder; it must be a JSON file')
    if not os.path.isfile(path):
        raise FileNotFoundError(f'label mapping {path} does not exist; make it with '
                                'tools/dataset_converters/label_mapping.py')
    with open(path, encoding='utf-8-sig') as file:
        try:
            mapping = json.load(file, object_pairs_hook=_unique_keys)
        except ValueError as error:
            raise ValueError(f'label mapping {path}: {error}') from error
        except RecursionError as error:
            raise ValueError(f'label mapping {path} is nested too deeply; it must be a JSON object '
                             'of image id -> list of task names') from error
    if not isinstance(mapping, dict):
        raise ValueError(f'label mapping {path} must be a JSON object of image id -> list of task '
                         f'names, got a {type(mapping).__name__}')
    for image_id, names in mapping.items():
        _check_names(path, image_id, names, tasks)
    known = set(ids)
    _refuse(path, [i for i in mapping if i not in known],
            'are not in the split (is it of another dataset?)')
    _refuse(path, [i for i in ids if i not in mapping],
            'of the split are missing (an image without labels needs an empty list)')
    return {i: tuple(task for task in tasks if task in mapping[i]) for i in ids}


def save_mapping(mapping: Mapping[str, Sequence[str]], path: str) -> None:
    """Write a mapping as sorted JSON, one image per line; the write is atomic."""
    lines = [f'  {json.dumps(i)}: {json.dumps(list(mapping[i]))}' for i in sorted(mapping)]
    write_text(Path(path), '{\n' + ',\n'.join(lines) + '\n}\n')


def generate_mapping(ids: Sequence[str], tasks: Sequence[str], setting: str, seed: int,
                     candidates: Mapping[str, Collection[str]] | None = None) -> LabelMapping:
    """Draw a partial-label setting with the statistics of the published ones.

    - ``onelabel``: each image is labelled for one task; the numbers of images per task differ by at
      most one.
    - ``randomlabels``: an image with E candidate tasks gets a number of labels drawn uniformly from
      1..E-1 (1 if E is 1), then that many of the E tasks drawn uniformly. Parsing is a candidate
      for the published share of images that show human parts (34.3 %), every other task for all
      images. The expected counts match the published ones: on PASCAL's 4998 images and five tasks
      858 labels for parsing (published: 847) and 2500 for each other task (2445 to 2557); 1523
      images with one, two and three labels each and 429 with four (1538, 1529, 1541, 390). On
      NYUD's 795 images and three tasks 397.5 per task (385 to 408).
    - ``full``: every image is labelled for every task.

    Args:
        ids: image ids.
        tasks: task names, in the order of the lists of the mapping.
        setting: ``onelabel``, ``randomlabels`` or ``full``.
        seed: >= 0; the same arguments give the same mapping.
        candidates: task name -> images that can be labelled for it; all images for other tasks.
            As published, parsing is limited to images that show human parts; without candidates
            for parsing, ``randomlabels`` draws them at random.

    Raises:
        ValueError: an unknown setting or candidate, a seed below 0, ids or tasks that are empty or
            repeated, or too few candidates for equal groups.
    """
    if setting not in SETTINGS:
        raise ValueError(f'setting must be one of {", ".join(SETTINGS)}, got {setting!r}')
    if seed < 0:
        raise ValueError(f'seed must be at least 0, got {seed}')
    for name, values in (('ids', ids), ('tasks', tasks)):
        if not values or len(set(values)) < len(values):
            raise ValueError(f'{name} must be given and all different, got {len(values)} of which '
                             f'{len(set(values))} differ')
    allowed = {task: set(images) for task, images in (candidates or {}).items()}
    for task, images in allowed.items():
        if task not in tasks:
            raise ValueError(f'candidates must name tasks of {", ".join(tasks)}, got {task}')
        if others := images.difference(ids):
            raise ValueError(f'candidates must be images of ids, such as {ids[0]!r}, got '
                             f'{len(others)} others for {task}, such as {min(others)!r}')
    rng = np.random.default_rng(seed)
    if setting == 'full':
        return {i: tuple(tasks) for i in ids}
    draw = _draw_one if setting == 'onelabel' else _draw_random
    drawn = draw(ids, tasks, allowed, rng)
    return {i: tuple(task for task in tasks if task in drawn[i]) for i in ids}


def count_labels(mapping: Mapping[str, Sequence[str]]) -> tuple[Counter[str], Counter[int]]:
    """Count the images per task, and the images per number of labels."""
    return (Counter(task for names in mapping.values() for task in names),
            Counter(len(names) for names in mapping.values()))


def _draw_one(ids: Sequence[str], tasks: Sequence[str], candidates: dict[str, set[str]],
              rng: np.random.Generator) -> dict[str, set[str]]:
    quota, extra = divmod(len(ids), len(tasks))
    larger = set(rng.permutation(len(tasks))[:extra].tolist())
    left = rng.permutation(np.asarray(ids, object)).tolist()
    drawn: dict[str, set[str]] = {}
    # Serve the task with the fewest candidates first.
    for task in sorted(tasks, key=lambda task: len(candidates.get(task, ids))):
        size = quota + (tasks.index(task) in larger)
        chosen = [i for i in left if task not in candidates or i in candidates[task]][:size]
        if len(chosen) < size:
            raise ValueError(f'onelabel needs {size} images for {task}, but only {len(chosen)} of '
                             'its candidates are free')
        drawn |= {i: {task} for i in chosen}
        left = [i for i in left if i not in drawn]
    return drawn


def _draw_random(ids: Sequence[str], tasks: Sequence[str], candidates: dict[str, set[str]],
                 rng: np.random.Generator) -> dict[str, set[str]]:
    for task, share in CANDIDATE_SHARES.items():
        if task in tasks and task not in candidates:
            order = rng.permutation(len(ids))[:round(share * len(ids))]
            candidates = candidates | {task: {ids[k] for k in order}}
    drawn = {}
    for i in ids:
        possible = [t for t in tasks if t not in candidates or i in candidates[t]]
        number = rng.integers(1, max(len(possible), 2))
        drawn[i] = set(rng.permutation(possible)[:number].tolist())
    return drawn


def _unique_keys(pairs: list[tuple[str, object]]) -> dict[str, object]:
    twice = [key for key, count in Counter(key for key, _ in pairs).items() if count > 1]
    if twice:
        raise ValueError(f'image {twice[0]} is named twice')
    return dict(pairs)


def _check_names(path: str, image_id: str, names: object, tasks: Collection[str]) -> None:
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ValueError(f'label mapping {path}: image {image_id} must have a list of task names, '
                         f'got {names!r}')
    unknown = [name for name in names if name not in tasks]
    if unknown:
        raise ValueError(f'label mapping {path}: image {image_id} names the unknown task '
                         f'{unknown[0]!r}; allowed: {", ".join(tasks)}')
    if len(set(names)) < len(names):
        raise ValueError(f'label mapping {path}: image {image_id} names a task twice: {names}')


def _refuse(path: str, ids: list[str], cause: str) -> None:
    if ids:
        shown = ', '.join(ids[:3]) + (', ...' if len(ids) > 3 else '')
        raise ValueError(f'label mapping {path}: {len(ids)} image ids {cause}: {shown}')
