"""User data: one folder per task; a missing file means "not labelled"."""

import difflib
import logging
import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

import numpy as np
from mmengine.logging import print_log

from mtpsl.registry import DATASETS
from mtpsl.system.files import user_path
from mtpsl.system.option_value import as_text
from mtpsl.system.results_folder import LIST, results_in
from mtpsl.tasks import Task, build_tasks

from .arrays import number_map
from .id_list import read_id_list
from .label_mapping import LabelMapping, count_labels
from .listing import examples, list_images, list_labels, spellings
from .partial_label import LabelFiles, PartialLabelDataset, refuse_missing
from .pictures import Indexed
from .unreadable import MixedCodingsError


@DATASETS.register_module()
class FolderDataset(PartialLabelDataset):
    """Images that are labelled for every task whose folder holds a file of the same name.

    Layout below ``data_root``, or below its sub-folder ``split``; ID is a file name without
    suffix::

        images/ID.jpg            or another suffix of IMAGE_SUFFIXES; EXIF orientation applies
        TASK/ID.png, TASK/ID.npy the label of one task, absent where the image has none

    The task decodes a ``.png`` (``Task.from_png``); all files of a task must use one encoding
    (``Task.coding``), otherwise reading the second one is an error. A ``.npy`` holds the label map,
    H x W like the image: class ids or 0 and 1 with -1 or 255 unknown, or one number or one vector
    per pixel. Folders are listed once, at construction; the number of labels is logged.

    Args:
        tasks: task name -> config or task; any names are allowed.
        data_root: folder of the dataset.
        split: sub-folder; '' if the folders are directly in ``data_root``.
        images: folder of the images.
        folders: task name -> folder of its labels, if it is not the task's name.
        ids: text file of the ids to use, one per line, absolute or relative to ``data_root``.
            None: all images in natural order (1, 2, 10).
        optional: tasks that may have no label at all.
        label_mapping: see :class:`PartialLabelDataset`; exactly the labels that it names are used,
            and must exist. It may name tasks that are not in ``tasks`` but have a folder of their
            name.
        pipeline: transforms, configs or callables.
        max_images: use only the first ``max_images`` images in this order.
        drop_unlabelled: see :class:`PartialLabelDataset`.
        on_error: see :class:`PartialLabelDataset`. With ``'skip'``, ids with two images or two
            labels are left out with a warning.
        crop_guide: see :class:`PartialLabelDataset`; used where the label exists.

    Raises:
        ValueError: ``folders`` or ``optional`` names no task, images and labels share a folder,
            files are wrong (see :func:`list_images`, :func:`list_labels`), there is no label at
            all, or see the base class.
        FileNotFoundError: there is no image, an id has no image, a task that is not ``optional``
            has no label, or see the base class.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> import cv2
        >>> root = Path(tempfile.mkdtemp())
        >>> (root / 'images').mkdir(), (root / 'depth').mkdir()
        (None, None)
        >>> for name in ('a', 'b'):
        ...     _ = cv2.imwrite(str(root / f'images/{name}.jpg'), np.zeros((8, 8, 3), np.uint8))
        >>> np.save(root / 'depth/a.npy', np.full((8, 8), 2.0, np.float32))  # b has no label
        >>> dataset = FolderDataset(tasks=dict(depth=dict(type='Depth')), data_root=str(root))
        >>> [list(dataset.get_data_info(index)['labels']) for index in range(len(dataset))]
        [['depth'], []]
    """

    PHOTOS = 'upright'

    def __init__(self, *, tasks: Mapping[str, dict | Task], data_root: str, split: str = '',
                 images: str = 'images', folders: Mapping[str, str] | None = None,
                 ids: str | None = None, optional: Sequence[str] = (),
                 label_mapping: str | None = None, pipeline: Sequence[dict | Callable] = (),
                 max_images: int | None = None, drop_unlabelled: bool = False,
                 on_error: str = 'raise', crop_guide: str | None = None) -> None:
        built = build_tasks(tasks)
        folders = {} if folders is None else folders
        for name, value in (('split', split), ('images', images)):
            if not isinstance(value, str):
                raise ValueError(f"{name} must name a folder ('' for none), got {value!r}"
                                 f'{as_text(value)}')
        _check_names(built, folders, optional)
        self.base = os.path.join(user_path(data_root), split)
        self.image_folder = os.path.join(self.base, images)
        self.label_folders = {task: os.path.join(self.base, folders.get(task, task))
                              for task in built}
        for task, folder in self.label_folders.items():
            if os.path.normpath(folder) == os.path.normpath(self.image_folder):
                raise ValueError(f'images and the labels of {task} cannot both lie in {folder}')
        self._named = [task for task in folders if task in built]
        self.ids = ids
        self.optional = tuple(optional)
        # Task -> property of its encoding -> (value, first file with it).
        self._codings: dict[str, dict[str, tuple[str, str]]] = {task: {} for task in built}
        super().__init__(tasks=built, data_root=data_root, split=split,
                         label_mapping=label_mapping, pipeline=pipeline, max_images=max_images,
                         drop_unlabelled=drop_unlabelled, on_error=on_error,
                         crop_guide=crop_guide)
        print_log(self.describe(), logger='current', level=logging.INFO)
        for task, files in self._predicted():
            print_log(f'{self.title}: {len(files)} label files of {task}, such as {files[0]}, are '
                      f'predictions, as {os.path.join(self.base, LIST)} says. Move them, if they '
                      'are not meant to be labels', 'current', logging.WARNING)

    def describe(self) -> str:
        """Describe how many images each task labels, and how many have 0, 1, ... labels."""
        per_task, per_number = self._counts
        dropped = per_number[0] if self.drop_unlabelled else 0
        tasks = ', '.join(f'{task} {per_task[task]}' for task in self.tasks)
        numbers = ', '.join(f'{n} label{"s" * (n != 1)}: {per_number[n]}'
                            for n in sorted(per_number) if n or not dropped)
        strangers = '; '.join(f'{task} {len(names)} ({examples(names)})'
                              for task, names in self._strangers.items())
        return (f'{self.title} ({self.base}): {len(self)} images'
                + (f' ({dropped} without a label left out)' if dropped else '')
                + f'. Labelled for {tasks}. Images with {numbers}'
                + (f'. Label files of no image: {strangers}' if strangers else ''))

    def _predicted(self) -> Iterator[tuple[str, list[str]]]:
        """Label files by task that an inferencer has written among the labels."""
        written = {os.path.normpath(path) for path in results_in(self.base)}
        for task, folder in self.label_folders.items() if written else ():
            files = sorted(path for path in written
                           if os.path.dirname(path) == os.path.normpath(folder))
            if files:
                yield task, files

    def known_tasks(self) -> Collection[str]:
        """Return the tasks and all other folder names: a mapping may name them."""
        others = (sorted(entry.name for entry in os.scandir(self.base) if entry.is_dir()
                         and os.path.normpath(os.path.join(self.base, entry.name))
                         != os.path.normpath(self.image_folder))
                  if self.label_mapping and os.path.isdir(self.base) else ())
        return dict.fromkeys((*self.tasks, *others))

    def label_files(self, task: str, paths: tuple[str, ...]) -> LabelFiles:
        """Return the file of a label and its ``decode``, chosen by suffix and task."""
        kind = self.tasks[task]
        if paths[0].lower().endswith('.png'):
            return LabelFiles(paths, lambda size, pixels: self._read(task, paths[0], pixels))
        return LabelFiles(paths, lambda size, values: kind.from_array(number_map(size, values)))

    def codings(self, task: str) -> dict[str, str]:
        """See :class:`PartialLabelDataset`."""
        return {matter: word for matter, (word, _) in self._codings[task].items()}

    def _read(self, task: str, path: str, pixels: np.ndarray) -> np.ndarray:
        """Decode a picture to a label map; all files of a task must use one encoding."""
        kind = self.tasks[task]
        palette = (pixels.palette,) if isinstance(pixels, Indexed) else ()
        pixels = np.asarray(pixels)
        label = kind.from_palette(pixels, *palette) if palette else kind.from_png(pixels)
        for matter, word in kind.coding(pixels, *palette).items():
            other, where = self._codings[task].setdefault(matter, (word, path))
            if other != word:
                raise MixedCodingsError(f'cannot use the {task} label {path}: {matter} is {word}, '
                                        f'but {other} in {where}: {kind.mixed}')
        return label

    def load_data_list(self) -> list[dict]:
        """Match the existing images and labels; each folder is listed once."""
        images = list_images(self.image_folder, 'leave' if self.on_error == 'skip' else 'raise')
        ids = self._choose_ids(images)
        self._refuse_misspelt()
        known = set(ids)
        listed = {task: list_labels(folder, known, self.on_error)
                  for task, folder in self.label_folders.items()}
        found = {task: files for task, (files, _) in listed.items()}
        # A list of ids leaves out the labels of other images on purpose.
        self._strangers = {task: names for task, (_, names) in listed.items()
                           if names and self.ids is None}
        for task, files in found.items():
            if not files and task not in self.optional:
                raise FileNotFoundError(self._without_labels(task, [images[i] for i in ids]))
        self._check_suffixes(found)
        labelled = self._labelled(ids, found)
        if not any(labelled.values()):
            raise ValueError(f'no image of {self.image_folder} has a label of any task '
                             f'({", ".join(self.tasks)})')
        used = ids[:self.max_images]
        self._counts = count_labels({i: labelled[i] for i in used})
        # Join once, not for each of up to a million files.
        start = os.path.join(self.image_folder, '')
        starts = {task: os.path.join(folder, '') for task, folder in self.label_folders.items()}
        return [dict(img_id=i, img_path=start + images[i],
                     labels={task: (starts[task] + found[task][i],) for task in labelled[i]},
                     guide={task: (starts[task] + found[task][i],) for task in (self.crop_guide,)
                            if task and task not in labelled[i] and i in found[task]})
                for i in used]

    def _check_suffixes(self, found: Mapping[str, Mapping[str, str]]) -> None:
        """Raise ValueError if a task cannot decode files of a given type."""
        for task, files in found.items():
            kinds = {os.path.splitext(name)[1].lower(): name for name in files.values()}
            try:
                self.tasks[task].check_suffixes(kinds)
            except ValueError as error:
                raise ValueError(f'{self.title}, {self.label_folders[task]} with '
                                 f'{", ".join(kinds.values())}: {error}') from error

    def _refuse_misspelt(self) -> None:
        """Raise FileNotFoundError if the folder name of an optional task seems misspelt."""
        used = {os.path.basename(folder) for folder in self.label_folders.values()}
        for task in (task for task in self._named if task in self.optional):
            folder, name = os.path.split(self.label_folders[task])
            if os.path.isdir(self.label_folders[task]) or not os.path.isdir(folder):
                continue
            others = [other for other in os.listdir(folder) if other not in used]
            near = difflib.get_close_matches(name, others, 1, 0.8)
            if near:
                raise FileNotFoundError(f'folders.{task}: there is no folder '
                                        f'{self.label_folders[task]}; did you mean {near[0]}?')

    def _choose_ids(self, images: Mapping[str, str]) -> list[str]:
        if self.ids is None:
            return list(images)
        path = os.path.join(self.data_root, user_path(self.ids))
        ids = list(map(spellings(images), read_id_list(path)))
        missing = [image_id for image_id in ids if image_id not in images]
        if missing:
            raise FileNotFoundError(
                f'{len(missing)} ids of {path} have no image in {self.image_folder}: '
                f'{examples(missing)}; images there: {examples(images.values())} (an id is the '
                'name without suffix)')
        return ids

    def _labelled(self, ids: Sequence[str],
                  found: Mapping[str, Mapping[str, str]]) -> LabelMapping:
        """Return image id -> tasks whose labels are used."""
        if self.label_mapping is None:
            return {i: tuple([task for task in self.tasks if i in found[task]]) for i in ids}
        labelled = self.labelled_tasks(ids)
        refuse_missing([
            f'{os.path.join(self.label_folders[task], i)}.png or .npy ({task} label)'
            for i in ids[:self.max_images] for task in labelled[i] if i not in found[task]],
            self.data_root, self.split)
        return labelled

    def _without_labels(self, task: str, images: Sequence[str]) -> str:
        folder = self.label_folders[task]
        names = [name for name in os.listdir(folder)
                 if not name.startswith('.')] if os.path.isdir(folder) else []
        cause = f'no file of {folder} is named as an image' if names else (
            f'the folder {folder} is empty' if os.path.isdir(folder) else
            f'there is no folder {folder}')
        return (f'{self.title} has no label of the task {task}: {cause}. Expected is ID.png or '
                f'ID.npy for an image ID. Labels there: {examples(names)}; images in '
                f'{self.image_folder}: {examples(images)}; if the task is meant to have none, '
                f'name it in optional')


def _check_names(tasks: Mapping[str, Task], folders: Mapping[str, str],
                 optional: Sequence[str]) -> None:
    """Raise ValueError if an argument has the wrong type or names an unknown task."""
    if isinstance(optional, str) or not isinstance(optional, Sequence):
        raise ValueError(f'optional must be a sequence of task names, got {optional!r}')
    if not (isinstance(folders, Mapping)
            and all(isinstance(folder, str) for folder in folders.values())):
        raise ValueError(f'folders must be a dict of task name -> folder, got {folders!r}')
    for argument, names in (('folders', folders), ('optional', optional)):
        unknown = [name for name in names if name not in tasks]
        if unknown:
            raise ValueError(f'{argument} names {", ".join(map(str, unknown))}, which is no task; '
                             f'the tasks are {", ".join(tasks)}')
