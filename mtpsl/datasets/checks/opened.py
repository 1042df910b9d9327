"""A sample of the images of a dataset with their labels, opened as a training reads them."""

import sys
from pathlib import Path

import numpy as np
from mmengine.utils import track_iter_progress

from mtpsl.datasets.decoding import exif_orientation
from mtpsl.datasets.partial_label import PartialLabelDataset

from .bars import plain_bars
from .label_look import LabelLook, SameLabels
from .seen_photos import Photo


class Opened:
    """Opens a sample of a dataset whose pipeline reads images and labels.

    Args:
        dataset: the dataset.
        sample: how many images are opened, evenly spread; None for all.

    Attributes:
        dataset: the dataset.
        chosen: indices of the images.
        sizes: (H, W) -> ids of the images of that size.
        photos: what was seen of each image.
        labels: task -> what was seen of its labels.
        same: tasks whose labels are the same.
        problems: errors of images that could not be read.
        unread: tasks of these.
        turned: number of images that were turned by EXIF.
        noted: ids of images that were not, though they are noted as turned.
    """

    def __init__(self, dataset: PartialLabelDataset, sample: int | None) -> None:
        self.dataset = dataset
        total = len(dataset) if sample is None else min(sample, len(dataset))
        self.chosen = sorted(set(
            np.linspace(0, len(dataset) - 1, total).round().astype(int).tolist()))
        self.sizes: dict[tuple[int, int], list[str]] = {}
        self.photos: list[Photo] = []
        self.labels = {name: LabelLook(task, bool(dataset.PUBLISHED))
                       for name, task in dataset.tasks.items()}
        self.same = SameLabels(dataset.tasks)
        self.problems: list[str] = []
        self.unread: set[str] = set()
        self.turned, self.noted = 0, list[str]()
        self._as_stored = dataset.PHOTOS == 'stored' and not any(
            getattr(step, 'orientation', None) for step in dataset.pipeline.transforms)
        live = sys.stderr.isatty()
        for index in track_iter_progress(self.chosen, file=sys.stderr) if live else self.chosen:
            self._open(index)
        for name, look in self.labels.items():
            look.seen.codings = dataset.codings(name)

    @property
    def paths(self) -> list[str]:
        """Return the paths of the images."""
        return [self.dataset.get_data_info(index)['img_path'] for index in self.chosen]

    def _open(self, index: int) -> None:
        files = self.dataset.get_data_info(index)['labels']
        try:
            results = self.dataset[index]
        except RuntimeError as error:
            self.problems.append(str(error))
            self.unread.update(files)
            return
        image, name = results['img'], results['img_id']
        self.sizes.setdefault(image.shape[:2], []).append(name)
        self.photos.append(Photo.of(image, name))
        self.turned += results.get('orientation', 1) != 1
        if self._as_stored and _noted_orientation(results['img_path']) != 1:
            self.noted.append(name)
        bars = plain_bars(image)
        for task, label in results['gt'].items():
            self.labels[task].add(label, ' + '.join(files[task]), image, bars, name)
        self.same.add(results['gt'])


def _noted_orientation(path: str) -> int:
    """Return the EXIF orientation of an image file; 1 where it cannot be told."""
    try:
        return exif_orientation(Path(path).read_bytes())
    except OSError:  # of another file backend
        return 1
