"""Predict the maps of all tasks for images."""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, count
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from mmengine.config import Config
from mmengine.logging import print_log
from torch import Tensor

from mtpsl.engine.config.precheck import other_colours
from mtpsl.models import PredictOptions
from mtpsl.structures import MultiTaskSample
from mtpsl.structures.outputs import FINAL, INTERMEDIATE, UNCERTAINTY
from mtpsl.system.checks import is_integer
from mtpsl.system.parallel import Progress
from mtpsl.system.results_folder import ResultsFolder
from mtpsl.tasks.depth import Depth

from .frames import Frame, Frames, Stream
from .load_model import find_model, load_model, pipeline_of
from .prediction import Prediction, check_formats, save_each
from .sources import PhotoReader
from .windows import WindowMerger, resize_longest_side, window_positions

LEAST_WINDOW = 512


class _Crop(NamedTuple):
    """A window of an image, the input of the model."""

    pixels: Tensor  # (3, h, w) uint8 BGR
    name: str  # text that seeds its noise
    window: tuple[int, int, int, int]
    image: '_Image'


class _Image(NamedTuple):
    """An image whose windows are being predicted."""

    name: str
    bgr: np.ndarray  # (H, W, 3), as read
    mosaic: WindowMerger


class MultiTaskInferencer:
    """Predict all tasks for images of any size.

    The loader and the colour transforms of the config's test pipeline read the images. An image
    that fits into ``window`` is padded as in testing, so its maps equal those of ``tools/test.py``;
    a larger one is shrunk, or predicted in overlapping windows. Depth is the model's output for
    the image that it gets: metres are not rescaled for a shrunk image (docs/inference.md).

    Args:
        model: path of a config; its name, such as ``diffusionmtl/pascal_random_r18``, or that in
            ``model-index.yml``; or a loaded config.
        weights: path or URL of a checkpoint; None takes the one in ``model-index.yml``.
        device: such as ``'cuda:1'`` or ``'cpu'``; None is the GPU if there is one.
        cfg_options: overrides of the config by dotted keys.
        window: (height, width) in pixels of the largest part that is predicted at once; None is
            twice the training size (``data_preprocessor.size``), and at least 512 x 512.
        overlap: share of a window's side that neighbours have in common, 0 to below 1.
        max_side: images with a longer side are shrunk to it and their maps enlarged again, for
            photos of many megapixels, whose objects would be larger than in training. None never
            shrinks; ``'auto'`` is the longer side of the default ``window``, and None if
            ``window`` is given.
        batch_size: number of windows, or images of one padded size, per forward pass.
        tta: average over scales and mirror images, those of the config's ``tta_model``.
        amp: predict in bfloat16: faster on a GPU, with slightly different values.

    Attributes:
        tasks: task name -> :class:`mtpsl.tasks.Task`.
        reader: reads images like the config's test pipeline.

    Raises:
        FileNotFoundError: there is no such config or checkpoint.
        ValueError: the checkpoint is of another model, or an argument is out of range.

    Example:
        >>> import numpy as np
        >>> from mtpsl.apis import MultiTaskInferencer
        >>> infer = MultiTaskInferencer('synthetic', device='cpu')  # the included model
        >>> list(infer.tasks)
        ['semseg', 'parsing', 'saliency', 'normal', 'boundary']
        >>> result = infer(np.zeros((64, 96, 3), np.uint8), tasks=['semseg', 'normal'])
        >>> result.maps['semseg'].shape, result.maps['normal'].shape
        ((64, 96), (64, 96, 3))
    """

    def __init__(self, model: str | Path | Config, weights: str | Path | None = None,
                 device: str | None = None, cfg_options: Mapping[str, object] | None = None, *,
                 window: Sequence[int] | None = None, overlap: float = 1 / 3,
                 max_side: int | str | None = 'auto', batch_size: int = 1,
                 tta: bool = False, amp: bool = False) -> None:
        if window is not None and not (len(window) == 2 and all(map(is_integer, window))):
            raise ValueError(f'window must be (height, width) in pixels, got {window!r}')
        if not 0 <= overlap < 1:
            raise ValueError(f'overlap must be in [0, 1), got {overlap!r}')
        if not (is_integer(batch_size) and (max_side in (None, 'auto') or is_integer(max_side))):
            raise ValueError("batch_size and max_side (or None or 'auto') must be integers of at "
                             f'least 1, got {batch_size!r} and {max_side!r}')
        cfg, weights = find_model(model, weights, cfg_options)
        self.model = load_model(cfg, weights, device)
        if tta:
            self.model.augment_tests(cfg.get('tta_model'))
        self.model.amp = amp
        self.reader = PhotoReader(pipeline_of(cfg))
        if told := other_colours(cfg, 'test'):
            print_log(told, 'current', logging.WARNING)
        self.tasks = self.model.shown
        self.window = tuple(window or [max(2 * side, LEAST_WINDOW)
                                       for side in self.model.data_preprocessor.size])
        if max_side == 'auto':
            max_side = None if window else max(self.window)
        self.max_side: int | None = max_side  # type: ignore[assignment]  # 'auto' is resolved
        self.overlap, self.batch_size = overlap, batch_size
        self._numbers = count()  # numbers of unnamed arrays, over all calls
        self._said_shrunk = False

    def __call__(self, inputs: Stream, *, names: str | Iterable[str] | None = None,
                 tasks: Sequence[str] | None = None, num_samples: int | None = None,
                 stages: Sequence[str] = (), out_dir: str | Path | None = None,
                 formats: Sequence[str] = ('png',), on_error: str = 'raise',
                 progress: bool = True, noise: str | None = None) -> Prediction | list[Prediction]:
        """Predict one image or several; arguments and errors: see :meth:`stream`.

        Returns:
            The prediction of one image, or a list of predictions.
        """
        frames, results = self._start(inputs, names, tasks, num_samples, stages, out_dir, formats,
                                      on_error, progress, noise)
        found = list(results)
        return found[0] if frames.single else found

    def stream(self, inputs: Stream, *, names: str | Iterable[str] | None = None,
               tasks: Sequence[str] | None = None, num_samples: int | None = None,
               stages: Sequence[str] = (), out_dir: str | Path | None = None,
               formats: Sequence[str] = ('png',), on_error: str = 'raise',
               progress: bool = True, noise: str | None = None) -> Iterator[Prediction]:
        """Predict images one after the other, also more than fit into memory.

        Args:
            inputs: path of an image or a folder, an RGB array (H, W, 3) uint8, a PIL image, or an
                iterable of paths, arrays and images. A generator, such as ``Path.glob`` or frames,
                is read lazily.
            names: names of the results and their files, one per image, for a folder a dict of
                file -> name; a name also seeds the noise. None: the file name without suffix.
                Arrays are ``image0``, ``image1`` ... over all calls, and their position in the
                call seeds the noise.
            tasks: names of the tasks to predict; None is all. Work that only other tasks need is
                skipped: their denoising, their full-size maps, and their decoders unless they
                condition the denoising.
            num_samples: K, number of predictions from different noise that are averaged; above 1
                there is an uncertainty too. Only for models that use noise; None is the config's
                value, 1 by default.
            stages: further outputs, of ``'initial'``, ``'noisy'`` and ``'steps'`` (each denoising
                step except the last, which is the prediction).
            out_dir: folder for the results, see :meth:`Prediction.save`; they are written after
                each image.
            formats: file formats, of ``'png'`` and ``'npy'``.
            on_error: for an unreadable image among several ``'raise'``, or ``'skip'`` it with a
                warning.
            progress: show a bar with the time left if there are several images or windows.
            noise: text that seeds the same noise for all images, so that the maps of video frames
                do not flicker; None: different noise per image.

        Raises:
            FileExistsError: a file in ``out_dir``, such as a label, would be overwritten.
            FileNotFoundError: there is no such image, or a folder holds none.
            ValueError: an unreadable image, or an argument that is out of range or unsupported by
                the model; raised before the first prediction if possible.
        """
        return self._start(inputs, names, tasks, num_samples, stages, out_dir, formats, on_error,
                           progress, noise)[1]

    def _start(self, inputs: Stream, names: str | Iterable[str] | None,
                tasks: Sequence[str] | None, num_samples: int | None, stages: Sequence[str],
                out_dir: str | Path | None, formats: Sequence[str], on_error: str,
                progress: bool, noise: str | None) -> tuple[Frames, Iterator[Prediction]]:
        frames = Frames(inputs, names, self._numbers, on_error, noise)
        check_formats(formats)
        if on_error not in ('raise', 'skip'):
            raise ValueError(f"on_error must be 'raise' or 'skip', got {on_error!r}")
        options = self._options(tasks, num_samples, stages)
        folder = None
        if out_dir is not None:  # fail now, not after the first image
            folder = ResultsFolder(out_dir)
            folder.existing(self.final_files(folder.path, frames.known_names(), tasks, formats),
                            frames.known_files())
        skip = on_error == 'skip' and not frames.single
        results = self._results(frames, options, skip, progress)
        return frames, results if folder is None else save_each(results, folder, formats)

    def final_files(self, folder: Path, names: Iterable[str], tasks: Sequence[str] | None,
                    formats: Sequence[str]) -> list[Path]:
        """Return the files of the predictions, without those of stages and uncertainty."""
        maps = dict.fromkeys(self.tasks if tasks is None else tasks, np.empty(0))
        return [file for name in names
                for file in Prediction(name, np.empty(0), self.tasks, maps).files(folder, formats)]

    # ---------------------------------------------------------------- arguments

    def _options(self, tasks: Sequence[str] | None, num_samples: int | None,
                 stages: Sequence[str]) -> PredictOptions:
        """Check and return the options of the model's ``predict``."""
        if isinstance(stages, str) or not set(stages) <= set(INTERMEDIATE):
            raise ValueError(f'stages must be some of {list(INTERMEDIATE)}, got {stages!r}')
        options = PredictOptions(tasks, num_samples, (FINAL, *stages))
        self.model.check_options(options)
        return options

    # ---------------------------------------------------------------- pipeline

    def _results(self, frames: Frames, options: PredictOptions, skip: bool,
                 progress: bool) -> Iterator[Prediction]:
        self.model.eval()  # it may have been trained in between
        single, total = frames.single, frames.total
        bar = Progress(total, 'images') if progress and not single and total else None
        images = self._crops(frames, skip)
        done = 0
        if single:
            first = list(next(images))
            images = iter([iter(first)])
            bar = Progress(len(first), 'windows') if progress and len(first) > 1 else None
        for batch in self._batches(chain.from_iterable(images)):
            for crop, sample in zip(batch, self._predict(batch, options)):
                crop.image.mosaic.add(sample, crop.window)
                finished = not crop.image.mosaic.left
                if finished:
                    yield self._result(crop.image)  # the bar advances after it was saved
                if bar is not None and (single or finished):
                    done += 1
                    bar.update(done)
        if bar is not None and done < bar.total:  # the rest was skipped
            bar.update(bar.total)

    def _crops(self, frames: Frames, skip: bool) -> Iterator[Iterator[_Crop]]:
        """Iterate over the windows of each image."""
        for frame in frames:
            try:
                if isinstance(frame, Exception):
                    raise frame
                bgr = self.reader.colour(frame.source.read(self.reader), frame.seed)
            except (OSError, ValueError) as error:
                if not skip:
                    raise
                print_log(f'skipped: {error}', 'current', logging.WARNING)
                continue
            yield self._windows(frame, bgr)

    def _windows(self, frame: Frame, bgr: np.ndarray) -> Iterator[_Crop]:
        seen = resize_longest_side(bgr, self.max_side)
        if seen is not bgr:
            self._say_shrunk(frame.source.name, bgr, seen)
        windows = window_positions(seen.shape[:2], self.window, self.overlap)
        image = _Image(frame.name, bgr, WindowMerger(seen.shape[:2], len(windows), self.tasks))
        pixels = torch.from_numpy(np.ascontiguousarray(seen.transpose(2, 0, 1)))
        for top, left, height, width in windows:
            name = frame.seed if len(windows) == 1 else f'{frame.seed}@{top},{left}'
            yield _Crop(pixels[:, top:top + height, left:left + width], name,
                        (top, left, height, width), image)

    def _batches(self, crops: Iterator[_Crop]) -> Iterator[list[_Crop]]:
        """Group neighbours of one padded size, up to ``batch_size``."""
        batch: list[_Crop] = []
        size = self.model.data_preprocessor.padded_size
        try:
            for crop in crops:
                if batch and size([crop.pixels]) != size([batch[0].pixels]):
                    yield batch
                    batch = []
                batch.append(crop)
                if len(batch) == self.batch_size:
                    yield batch
                    batch = []
        except Exception:  # first predict what was read before the unreadable image
            if batch:
                yield batch
            raise
        if batch:
            yield batch

    @torch.inference_mode()
    def _predict(self, batch: Sequence[_Crop], options: PredictOptions) -> list[MultiTaskSample]:
        samples = [MultiTaskSample(metainfo=dict(img_id=crop.name)) for crop in batch]
        data = self.model.data_preprocessor(
            dict(inputs=[crop.pixels for crop in batch], data_samples=samples))
        return self.model.predict(data['inputs'], data['data_samples'], options)

    def _result(self, image: _Image) -> Prediction:
        """Return the maps in label form, in the image's own size."""
        found: dict[str, dict[str, np.ndarray]] = {}
        for stage, name, values in image.mosaic.maps(image.bgr.shape[:2]):  # one full-size map
            label = values[None] if stage == UNCERTAINTY else self.tasks[name].decode(values[None])
            found.setdefault(stage, {})[name] = _array(label)
        rgb = np.ascontiguousarray(image.bgr[..., ::-1])
        return Prediction(image.name, rgb, self.tasks, found[FINAL], found.get(UNCERTAINTY, {}),
                          {stage: found[stage] for stage in self.model.intermediate_outputs
                           if stage in found})

    def _say_shrunk(self, name: str, bgr: np.ndarray, seen: np.ndarray) -> None:
        """Tell once that images are shrunk; warn if depth is predicted from a shrunk image."""
        if self._said_shrunk:
            return
        self._said_shrunk = True
        sizes = [' x '.join(map(str, image.shape[1::-1])) for image in (bgr, seen)]
        depth = any(isinstance(task, Depth) for task in self.tasks.values())
        what = ', and its depth is predicted for the shrunk image' if depth else ''
        print_log(f'{name}, {sizes[0]} pixels, is shrunk to {sizes[1]} (max_side){what}: right if '
                  'the model was trained on photos of about that size; tools/test.py shrinks '
                  'nothing, as max_side=None (docs/inference.md)', 'current', logging.WARNING)


def _array(label: Tensor) -> np.ndarray:
    """Copy a label form (1, c, H, W), on any device, to an array (H, W) or (H, W, c)."""
    array = label[0].cpu().permute(1, 2, 0).contiguous().numpy()
    return array[..., 0] if array.shape[2] == 1 else array
