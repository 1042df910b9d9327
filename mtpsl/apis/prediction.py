"""The prediction for one image, as arrays, pictures and files."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np
from PIL import Image

from mtpsl.engine.visualization import draw_panel, paint_uncertainty
from mtpsl.structures.outputs import PANELS, UNCERTAINTY, title
from mtpsl.system.choices import PREDICTION_FORMATS as FORMATS
from mtpsl.system.files import user_path, write_array, write_image
from mtpsl.system.results_folder import ResultsFolder
from mtpsl.tasks import Task

PANEL_SIDE = 640  # pixels; larger images are shrunk in panels
Value = TypeVar('Value')


@dataclass(repr=False)
class Prediction:
    """The maps of one image, H x W pixels, in the image's size.

    Attributes:
        name: file name without suffix, ``image<number>`` for an array, or the given name.
        image: (H, W, 3) uint8 RGB.
        tasks: task name -> task.
        maps: task name -> map in label form: class ids (H, W) uint8, foreground or boundary
            probability (H, W), unit vectors (H, W, 3), metres (H, W); float32.
        uncertainty: task name -> (H, W) float32, standard deviation of the predictions from
            different noise, over all channels of the prediction (probabilities, unit vectors,
            metres) together; empty for one sample.
        stages: ``initial``, ``noisy``, ``step2`` ... -> task name -> map in label form; only the
            requested ones.
        brightest: task name -> uncertainty shown as the brightest; default: the map's maximum.
    """

    name: str
    image: np.ndarray
    tasks: Mapping[str, Task]
    maps: dict[str, np.ndarray]
    uncertainty: dict[str, np.ndarray] = field(default_factory=dict)
    stages: dict[str, dict[str, np.ndarray]] = field(default_factory=dict)
    brightest: Mapping[str, float] = field(default_factory=dict)

    def __repr__(self) -> str:
        maps = ', '.join(f'{task}: {values.dtype} {values.shape}'
                         for task, values in self.maps.items())
        return f'Prediction({self.name!r}, {maps})'

    def _repr_png_(self) -> bytes:
        """Return the panel, for a notebook."""
        buffer = BytesIO()
        Image.fromarray(self.panel()).save(buffer, 'png')
        return buffer.getvalue()

    def picture(self, task: str, stage: str | None = None) -> np.ndarray:
        """Render a map in its task's colours, (H, W, 3) uint8 RGB.

        Args:
            task: name of the task.
            stage: one of ``stages``, or ``'uncertainty'``; None is the final prediction.

        Raises:
            KeyError: there is no such task or stage; the message lists the existing ones.
        """
        if task not in self.maps:
            raise KeyError(f'the prediction has no task {task!r}; it has {list(self.maps)}')
        if stage == UNCERTAINTY:
            deviation = _entry(self.uncertainty, task, UNCERTAINTY)
            return paint_uncertainty(deviation, self.brightest.get(task))
        maps = self.maps if stage is None else _entry(self.stages, stage, 'stage')
        return self.tasks[task].colorize(channels_first(maps[task]))

    def panel(self, legend: bool = True) -> np.ndarray:
        """Render image, stages, final predictions and uncertainty of all tasks in one RGB picture.

        Args:
            legend: add a legend of the colours; without it all panels have one size.
        """
        stages = {title(stage): stage for stage in self.stages}
        rows: dict[str, str | None] = stages | dict(prediction=None)
        if self.uncertainty:
            rows[UNCERTAINTY] = UNCERTAINTY
        pictures = {(row, task): _shrink(self.picture(task, stage), cv2.INTER_NEAREST)
                    for row, stage in rows.items() for task in self.maps}
        legends = self.legends() if legend else {}
        brightest = tuple(paint_uncertainty(np.ones((1, 1)))[0, 0].tolist())
        for task, deviation in self.uncertainty.items() if legend else ():
            largest = self.brightest.get(task, deviation.max())
            legends[task][f'uncertainty {largest:.2g}'] = brightest
        return draw_panel(_shrink(self.image, cv2.INTER_AREA), list(rows), list(self.maps),
                          pictures, legends, self.name)

    def legends(self) -> dict[str, dict[str, tuple[int, int, int]]]:
        """Return the legends of the pictures: task name -> label -> RGB."""
        found: dict[str, dict[str, tuple[int, int, int]]] = {task: {} for task in self.maps}
        for maps in (*self.stages.values(), self.maps):
            for task, values in maps.items():
                found[task] |= self.tasks[task].legend(channels_first(values))
        return found

    def save(self, out_dir: str | Path, formats: Sequence[str] = ('png',)) -> list[Path]:
        """Write ``<out_dir>/<task>/<name>.<format>``, pictures (png) or arrays (npy).

        Stages go to ``<task>_<stage>``, uncertainty to ``<task>_uncertainty``; with png the panel
        goes to ``panels/<name>.png``. Earlier results of that name are overwritten with a warning;
        other files never.

        Returns:
            The written files.

        Raises:
            FileExistsError: a file of that name exists and is no earlier result.
            OSError: a file or the folder cannot be written.
            ValueError: an unknown format, or two tasks or stages share a folder.
        """
        files = self.files(user_path(out_dir), formats)
        folder = ResultsFolder(out_dir)
        if not folder.say_overwritten(folder.existing(files)):
            folder.say_kept(set(self.files(folder.path, FORMATS)) - set(files))
        return self._write(folder, files)

    def files(self, out_dir: str | Path,
              formats: Sequence[str] = ('png',)) -> dict[Path, tuple[str | None, str | None]]:
        """Return what :meth:`save` writes: file -> stage and task; both None for the panel."""
        check_formats(formats)
        groups: dict[str | None, dict[str, np.ndarray]] = {None: self.maps}
        groups.update(self.stages.items())
        if self.uncertainty:
            groups[UNCERTAINTY] = self.uncertainty
        found: dict[Path, tuple[str | None, str | None]] = {}
        for stage, maps in groups.items():
            for task in maps:
                folder = Path(out_dir, f'{task}_{stage}' if stage else task)
                for suffix in formats:
                    file = folder / f'{self.name}.{suffix}'
                    if file in found:
                        raise ValueError(f'the tasks {task} and {found[file][1]} would share the '
                                         f'folder {folder}: rename one of them')
                    found[file] = stage, task
        if 'png' in formats:
            found[Path(out_dir, PANELS, f'{self.name}.png')] = None, None
        return found

    def _write(self, folder: ResultsFolder,
               files: Mapping[Path, tuple[str | None, str | None]]) -> list[Path]:
        folder.add(files)
        for file, (stage, task) in files.items():
            if task is None:
                write_image(file, self.panel()[..., ::-1])
            elif file.suffix == '.png':
                write_image(file, self.picture(task, stage)[..., ::-1])
            else:
                maps = self.maps if stage is None else (
                    self.uncertainty if stage == UNCERTAINTY else self.stages[stage])
                write_array(file, maps[task])
        return list(files)


def check_formats(formats: Sequence[str]) -> None:
    """Raise ValueError unless all are in ``PREDICTION_FORMATS``, each once."""
    if isinstance(formats, str) or not formats or not set(formats) <= set(FORMATS):
        raise ValueError(f'formats must be some of {list(FORMATS)}, got {formats!r}')
    if len(set(formats)) < len(formats):
        raise ValueError(f'formats must differ, got {formats!r}')


def save_each(results: Iterable[Prediction], folder: ResultsFolder,
              formats: Sequence[str]) -> Iterator[Prediction]:
    """Save each result, then yield it.

    Results of an earlier call are overwritten with one warning, so a command can be run again.

    Raises:
        FileExistsError: a file exists that is no earlier result.
        ValueError: the file system does not distinguish two names, such as ``a`` and ``A``.
    """
    written: set[tuple[int, int]] = set()  # file identities, which names may share
    said = False
    for result in results:
        files = result.files(folder.path, formats)
        twice = [file for file in files if file.exists() and _identity(file) in written]
        if twice:
            raise ValueError(f'{twice[0]} already holds the results of another image of this call: '
                             'the file system does not distinguish their names; set names')
        there = folder.existing(files)
        said = said or folder.say_overwritten(there) or folder.say_kept(
            set(result.files(folder.path, FORMATS)) - set(files))
        written |= set(map(_identity, result._write(folder, files)))
        yield result


def _identity(file: Path) -> tuple[int, int]:
    status = file.stat()
    return status.st_dev, status.st_ino


def _entry(mapping: Mapping[str, Value], key: str, what: str) -> Value:
    if key not in mapping:
        raise KeyError(f'the prediction has no {what} {key!r}; it has {list(mapping)}')
    return mapping[key]


def channels_first(values: np.ndarray) -> np.ndarray:
    """Transpose (H, W) or (H, W, c) to (c, H, W), the layout of maps in tasks."""
    return values[None] if values.ndim == 2 else values.transpose(2, 0, 1)


def _shrink(picture: np.ndarray, interpolation: int) -> np.ndarray:
    longest = max(picture.shape[:2])
    if longest <= PANEL_SIDE:
        return picture
    size = [max(side * PANEL_SIDE // longest, 1) for side in picture.shape[1::-1]]
    return cv2.resize(picture, size, interpolation=interpolation)
