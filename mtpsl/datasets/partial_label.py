"""Base class of datasets whose images are each labelled for some of the tasks."""

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from mmengine.dataset import BaseDataset

from mtpsl.datasets.transforms.contract import check_pipeline, image_loader
from mtpsl.system.checks import is_integer
from mtpsl.system.error_words import with_place
from mtpsl.system.files import folder_lookup, user_path
from mtpsl.tasks import Task, build_tasks

from .id_list import read_id_list, refuse_order_of_set
from .label_mapping import LabelMapping, load_mapping
from .sampler import SeededIndex, seeded
from .unreadable import SKIPPED_AT_MOST, UnreadableFileError, check_on_error

MISSING_SHOWN = 5
NAMES = 24  # of images by which own transforms are tried


class LabelSource(NamedTuple):
    """Files and decoder of a dataset's labels of one task.

    Attributes:
        files: paths below the data root with ``{id}`` for the image id and ``{split}`` for the
            split; a nested tuple lists alternatives, of which the first existing one is used.
        decode: ``(size, *contents) -> map``: from (H, W) of the image and the contents of the
            files, in their order (see ``LoadLabels``), to the label map, (H, W) or (H, W, 3).
        meaning: classes or unit of the values, in words, so that different labels of two datasets
            are not mixed (see :class:`~mtpsl.datasets.joint.JointDataset`); '' if the config
            defines it.
    """

    files: tuple[str | tuple[str, ...], ...]
    decode: Callable[..., np.ndarray]
    meaning: str = ''


class LabelFiles(NamedTuple):
    """The files of one image's label for one task, and their ``decode`` (:class:`LabelSource`)."""

    paths: tuple[str, ...]
    decode: Callable[..., np.ndarray]


class PartialLabelDataset(BaseDataset):
    """Images that are each labelled for some of the tasks; withheld labels are never read.

    A subclass defines the paths of labels (``LABELS``), images (``IMAGE``) and id lists
    (``ID_LIST``, or it overrides :meth:`read_ids`). The constructor checks that all needed files
    exist.

    The pipeline starts from a dict of ``img_path``, ``img_id``, ``tasks`` (name -> task),
    ``labels`` (name -> :class:`LabelFiles` of the labels that may be used, and of those in
    ``withheld``, see ``crop_guide``), ``photos`` (see ``PHOTOS``) and ``skipped`` (one message per
    unreadable image that this one replaces, see ``on_error``).

    Args:
        tasks: task name -> config or task, see :func:`mtpsl.tasks.build_tasks`; the names must be
            in ``LABELS``.
        data_root: folder of the dataset.
        split: name of the id list, ``'train'`` or ``'val'`` as published.
        label_mapping: JSON file, image id -> task names, absolute or relative to ``data_root``;
            tasks that are not in ``tasks`` are ignored. None: every image is labelled for every
            task.
        pipeline: transforms, configs or callables.
        max_images: use only the first ``max_images`` images of the split's id list.
        drop_unlabelled: leave out images without a label of any of ``tasks``, as single-task
            models need it.
        on_error: how training (access by a :class:`SeededIndex`) treats an image with an
            unreadable file or label: ``'raise'``, or ``'skip'`` to use the next readable image
            with the same random state. Any other access raises: metrics of other images would be
            wrong.
        crop_guide: task whose label is also read where it is withheld, only for
            :class:`~mtpsl.datasets.transforms.RandomCrop` to choose the crop, as the published
            code does; the model never gets it. None: withheld labels are not read.

    Raises:
        ValueError: an unknown task, a wrong ``max_images`` or ``on_error``, no image left by
            ``drop_unlabelled``, a wrong id list (see :func:`read_id_list`) or mapping (see
            :func:`load_mapping`).
        FileNotFoundError: the id list, the mapping, an image or a needed label is missing.
    """

    LABELS: dict[str, LabelSource] = {}
    IMAGE: str
    ID_LIST: str
    # Orientation of images: 'stored', as the published readers use, or 'upright' as EXIF states.
    PHOTOS = 'stored'
    # Size of the published set: images per split and, if all have one size, their (H, W).
    PUBLISHED: dict = {}

    def __init__(self, *, tasks: Mapping[str, dict | Task], data_root: str, split: str,
                 label_mapping: str | None = None, pipeline: Sequence[dict | Callable] = (),
                 max_images: int | None = None, drop_unlabelled: bool = False,
                 on_error: str = 'raise', crop_guide: str | None = None) -> None:
        self.tasks = build_tasks(tasks)
        if crop_guide is not None and crop_guide not in self.tasks:
            raise ValueError(f'crop_guide must be one of the tasks {", ".join(self.tasks)}, or '
                             f'None, got {crop_guide!r}')
        self.crop_guide = crop_guide
        self.split = split
        self.title = f'{type(self).__name__} {split}'.rstrip()
        self.label_mapping = label_mapping
        self.max_images = max_images
        self.drop_unlabelled = drop_unlabelled
        self.on_error = on_error
        check_on_error(on_error)
        self._unread: frozenset[str] = frozenset()
        known = self.known_tasks()
        unknown = [name for name in self.tasks if name not in known]
        if unknown:
            raise ValueError(f'{type(self).__name__} has no labels for the task '
                             f'{", ".join(unknown)}; it has {", ".join(known)}')
        if max_images is not None and not is_integer(max_images):
            raise ValueError('max_images must be an integer of at least 1, or None, got '
                             f'{max_images!r}')
        if label_mapping == '':
            raise ValueError("label_mapping must name a JSON file, or be None for all labels, got "
                             "''")
        super().__init__(metainfo=dict(tasks=tuple(self.tasks)),
                         data_root=user_path(data_root),
                         pipeline=list(pipeline))
        for transform in self.pipeline.transforms:
            if hasattr(transform, 'check_tasks'):  # fail now, not at the first image
                transform.check_tasks(self.tasks, known)
        self.check_transforms()

    def check_transforms(self) -> None:
        """Raise ValueError if the transforms, as they are now, misalign image and labels."""
        try:
            check_pipeline(self.pipeline.transforms, self.tasks, self._some_names)
        except ValueError as error:
            raise ValueError(f'{self.title}: {error}') from error

    def _some_names(self) -> list[tuple[str, str]]:
        places = np.linspace(0, len(self) - 1, min(len(self), NAMES)).astype(int).tolist()
        try:
            return [(str(info['img_id']), str(info['img_path']))
                    for info in map(self.get_data_info, places)]
        except Exception:  # of a subclass that is not built to its end, or has other entries
            return []

    def __getitem__(self, index: int | SeededIndex) -> dict:
        """Load one sample. A ``SeededIndex`` also fixes the random transforms, an int does not.

        Raises:
            IndexError: the index is out of range.
            RuntimeError: a transform failed; the message names the image and the cause. With
                ``on_error='skip'`` also: too many images in a row are unreadable.
        """
        if not isinstance(index, SeededIndex):
            return self._load(index)
        if self.on_error == 'raise':
            with seeded(index):
                return self._load(int(index))
        skipped: tuple[str, ...] = ()
        for step in range(min(len(self), SKIPPED_AT_MOST)):
            try:
                with seeded(index):
                    return self._load((int(index) + step) % len(self), skipped)
            except RuntimeError as error:
                if not isinstance(error.__cause__, UnreadableFileError):
                    raise
                skipped += (str(error),)
        raise RuntimeError(f'{len(skipped)} images in a row cannot be read: {skipped[0]}; ...; '
                           f'{skipped[-1]}')

    def _load(self, index: int, skipped: tuple[str, ...] = ()) -> dict:
        """Run image ``index`` through the pipeline; ``skipped`` describes the images skipped."""
        results = self.get_data_info(index) | dict(tasks=self.tasks, skipped=skipped,
                                                     photos=self.PHOTOS)
        image_id = results['img_id']
        guide = results.pop('guide', {})
        results['withheld'] = tuple(guide)
        results['labels'] = {task: self.label_files(task, paths)
                             for task, paths in {**results['labels'], **guide}.items()
                             if task not in self._unread}
        try:
            sample = self.pipeline(results)
        except Exception as error:
            raise RuntimeError(
                f'{self.title}, image {image_id}: {with_place(error)}') from error
        if sample is None:
            raise RuntimeError(f'{self.title}, image {image_id}: a transform returned None')
        return sample

    def read_image(self, info: dict) -> tuple[np.ndarray, int] | None:
        """Read an image, (H, W, 3) uint8, as the pipeline does, with the EXIF orientation applied.

        None where the pipeline reads none, or where it cannot be read, of which the pipeline tells.

        Args:
            info: as :meth:`get_data_info` returns it.
        """
        loader = image_loader(self.pipeline.transforms)
        if loader is None:
            return None
        try:
            results = loader(info | dict(tasks=self.tasks, photos=self.PHOTOS))
        except Exception:
            return None
        return results['img'], results.get('orientation', 1)

    def read_only(self, tasks: Collection[str]) -> None:
        """Leave the labels of other tasks than these unread from now on."""
        self._unread = frozenset(self.tasks) - set(tasks)

    def known_tasks(self) -> Collection[str]:
        """Return the names that ``tasks`` and the mapping may use."""
        return self.LABELS

    def read_ids(self) -> list[str]:
        """Read the image ids of the split from its list (one id per line).

        An override must return them in the same order in every process.
        """
        path = os.path.join(self.data_root, self.ID_LIST.format(split=self.split))
        if not os.path.isfile(path):
            raise FileNotFoundError(f'there is no id list {path} for the split {self.split!r}; is '
                                    'data_root right? data/README.md says where datasets go')
        return read_id_list(path)

    def label_files(self, task: str, paths: tuple[str, ...]) -> LabelFiles:
        """Return the files of a label with their ``decode``."""
        return LabelFiles(paths, self.LABELS[task].decode)

    def codings(self, task: str) -> dict[str, str]:
        """How the pictures of a task that were read write numbers: what matter -> the word."""
        return {}

    def load_data_list(self) -> list[dict]:
        """Find the files of every image: ``img_id``, ``img_path`` and ``labels``, task -> paths."""
        refuse_unfinished(self.data_root)
        ids = self.read_ids()
        refuse_order_of_set(ids, f'{type(self).__name__}.read_ids')
        labelled = self.labelled_tasks(ids)
        finder = _Finder(self.data_root, self.split)
        data_list = []
        for image_id in ids[:self.max_images]:
            labels = {}
            for task in labelled[image_id]:
                labels[task] = tuple(finder.find(file, image_id, f'{task} label')
                                     for file in self.LABELS[task].files)
            guide = {}
            if self.crop_guide and self.crop_guide not in labels:
                guide[self.crop_guide] = tuple(
                    finder.find(file, image_id, f'{self.crop_guide} label, for crop_guide')
                    for file in self.LABELS[self.crop_guide].files)
            data_list.append(dict(img_id=image_id, labels=labels, guide=guide,
                                  img_path=finder.find(self.IMAGE, image_id, 'image')))
        refuse_missing(finder.missing, self.data_root, self.split)
        return data_list

    def filter_data(self) -> list[dict]:
        """Return the used entries of :meth:`load_data_list`."""
        if not self.drop_unlabelled:
            return self.data_list
        kept = [info for info in self.data_list if info['labels']]
        if not kept:
            raise ValueError(f'{self.title} has no image with a label of {", ".join(self.tasks)}, '
                             'and drop_unlabelled leaves out the others')
        return kept

    def labelled_tasks(self, ids: Sequence[str]) -> LabelMapping:
        """Return image id -> tasks whose labels are used: all, or those of the mapping."""
        if self.label_mapping is None:
            return dict.fromkeys(ids, tuple(self.tasks))
        path = os.path.join(self.data_root, user_path(self.label_mapping))
        if not os.path.isabs(self.label_mapping) and not os.path.exists(path):
            raise FileNotFoundError(
                f'label mapping {path} does not exist; label_mapping={self.label_mapping!r} is '
                'taken relative to data_root. Make one with '
                'tools/dataset_converters/label_mapping.py')
        mapping = load_mapping(path, ids, self.known_tasks())
        return {i: tuple(task for task in self.tasks if task in mapping[i]) for i in ids}


def refuse_unfinished(root: str) -> None:
    """Raise ValueError if a tool has not finished writing the dataset."""
    manifests = [name for name in (os.listdir(root) if os.path.isdir(root) else ())
                 if name.endswith('.unfinished.json') and name[0] != '.']
    if manifests:
        raise ValueError(f'{os.path.join(root, manifests[0])} marks the dataset as not finished; '
                         'run the command that makes it again, and it continues')


def refuse_missing(missing: Sequence[str], root: str, split: str) -> None:
    """Raise FileNotFoundError if files are missing, showing the first few."""
    if missing:
        more = len(missing) - MISSING_SHOWN
        needed = f'the {split} split needs' if split else 'are needed'
        raise FileNotFoundError(
            f'{len(missing)} files that {needed} are missing in {root}: '
            f'{"; ".join(missing[:MISSING_SHOWN])}' + (f'; and {more} more' if more > 0 else ''))


class _Finder:
    """Look up files in listings of their folders (read once each); collect missing ones."""

    def __init__(self, root: str, split: str) -> None:
        self.root = root
        self.split = split
        self.missing: list[str] = []
        self._is_there = folder_lookup()

    def find(self, patterns: str | tuple[str, ...], image_id: str, purpose: str) -> str:
        alternatives = (patterns,) if isinstance(patterns, str) else patterns
        files = [pattern.format(id=image_id, split=self.split) for pattern in alternatives]
        for file in files:
            path = os.path.join(self.root, file)
            if self._is_there(path):
                return path
        self.missing.append(f'{" or ".join(files)} ({purpose})')
        return ''
