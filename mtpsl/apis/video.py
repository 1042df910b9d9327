"""A video in, a video of each task out: frame by frame, however long it is."""

import logging
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
from mmengine.logging import print_log

from mtpsl.system.parallel import Progress
from mtpsl.system.results_folder import ResultsFolder

from .inferencer import MultiTaskInferencer

CODEC = 'mp4v'  # MPEG-4, which every build of OpenCV writes
EVERY = 100  # frames, after which there is a word where their number is not known
USUAL_FPS = 25.0  # of a file that does not say


class Video:
    """The frames of a video file, (H, W, 3) uint8 RGB, read when each is asked for.

    They lie as a player shows them: a rotation that a phone has noted counts.

    Args:
        path: the file.

    Attributes:
        path: the file.
        fps: frames a second.
        total: how many frames there are, as the file says; None where it does not.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no video that OpenCV reads, or has no frame.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path).expanduser()
        if not self.path.is_file():
            raise FileNotFoundError(f'there is no video {self.path}')
        if not self.path.stat().st_size:
            raise ValueError(f'the video {self.path} is empty')
        file = self._open()
        fps, total = file.get(cv2.CAP_PROP_FPS), file.get(cv2.CAP_PROP_FRAME_COUNT)
        readable = file.read()[0]
        file.release()
        if not readable:
            raise ValueError(f'the video {self.path} cannot be read: it has no frame, or OpenCV '
                             'does not know its format; ffmpeg makes an mp4 of most')
        self.total = int(total) if total > 0 else None
        said = math.isfinite(fps) and 0 < fps <= 1000
        self.fps = fps if said else USUAL_FPS
        if not said:
            print_log(f'{self.path} does not say how many frames a second it has: {USUAL_FPS:g} '
                      'are taken', 'current', logging.WARNING)

    def __iter__(self) -> Iterator[np.ndarray]:
        """The frames from the first on."""
        file = self._open()
        try:
            while True:
                there, frame = file.read()
                if not there:
                    return
                yield np.ascontiguousarray(frame[..., ::-1])
        finally:
            file.release()

    def _open(self) -> cv2.VideoCapture:
        level = cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
        try:
            return cv2.VideoCapture(str(self.path))
        finally:
            cv2.utils.logging.setLogLevel(level)


class VideoFiles:
    """Videos that grow by a picture each at a time, under other names until they are closed.

    Args:
        folder: where they lie.
        fps: frames a second.

    Attributes:
        count: pictures that each has.
    """

    def __init__(self, folder: ResultsFolder, fps: float) -> None:
        self.folder, self.fps, self.count = folder, fps, 0
        self._writers: dict[Path, cv2.VideoWriter] = {}
        self._sizes: dict[Path, tuple[int, ...]] = {}

    def add(self, pictures: Mapping[Path, np.ndarray]) -> None:
        """Append to each file a picture, (H, W, 3) uint8 RGB.

        Raises:
            FileExistsError: a file is there that is no result of an earlier call.
            OSError: a file cannot be written.
            ValueError: a picture of another size than those before.
        """
        if not self._writers:
            self.folder.say_overwritten(self.folder.existing(pictures))
            self.folder.add(pictures)
        for path, picture in pictures.items():
            if path not in self._writers:
                self._begin(path, picture.shape)
            if picture.shape != self._sizes[path]:
                raise ValueError(f'frame {self.count} of {path} has another size than those '
                                 f'before: {picture.shape[:2]}, not {self._sizes[path][:2]}')
            self._writers[path].write(_even(picture)[..., ::-1].copy())
        self.count += 1

    def close(self) -> list[Path]:
        """End the files, which can then be played, and return them.

        Raises:
            OSError: not all that was added is there, as on a full disk.
        """
        for writer in self._writers.values():
            writer.release()
        short = []
        for path in self._writers:
            written = cv2.VideoCapture(str(_unfinished(path)))
            if int(written.get(cv2.CAP_PROP_FRAME_COUNT)) < self.count - 1:  # the last may lack
                short.append(path)
            written.release()
            if self.count and path not in short:
                os.replace(_unfinished(path), path)
            _unfinished(path).unlink(missing_ok=True)
        if short:
            raise OSError(f'cannot write {short[0]}: is the disk full?')
        return list(self._writers) if self.count else []

    def _begin(self, path: Path, shape: tuple[int, ...]) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        height, width = (side + side % 2 for side in shape[:2])
        writer = cv2.VideoWriter(str(_unfinished(path)), cv2.VideoWriter.fourcc(*CODEC), self.fps,
                                 (width, height))
        if not writer.isOpened():
            raise OSError(f'cannot write the video {path}: the folder cannot be written to, or '
                          f'OpenCV has no encoder for {CODEC}')
        self._writers[path], self._sizes[path] = writer, shape


def predict_video(infer: MultiTaskInferencer, path: str | Path, out_dir: str | Path, *,
                  tasks: Sequence[str] | None = None, num_samples: int | None = None,
                  stages: Sequence[str] = (), progress: bool = True) -> list[Path]:
    """Predict a video: ``<out_dir>/<task>/<name>.mp4``, and all of it in ``panels``.

    All frames have the same noise, which the name of the file seeds, so that maps do not flicker
    by it. The memory taken does not grow with the frames; the videos have as many frames a second
    as the file, and no sound. What an error or Ctrl-C leaves can be played up to there.

    Args:
        infer: the model.
        path: the video.
        out_dir: folder for the results, see :class:`ResultsFolder`.
        tasks: see :meth:`MultiTaskInferencer.stream`, and so for the others.
        num_samples: draws of noise.
        stages: what else to write, such as ``'initial'``.
        progress: show a bar with the time left.

    Returns:
        The files.

    Raises:
        FileExistsError: a file in ``out_dir`` is in the way, which is no result.
        FileNotFoundError, ValueError: see :class:`Video` and :meth:`MultiTaskInferencer.stream`.
        OSError: a file cannot be written.
    """
    video = Video(path)
    name = video.path.stem
    results = infer.stream(video, tasks=tasks, num_samples=num_samples, stages=stages, noise=name)
    folder = ResultsFolder(out_dir)
    folder.existing(_videos(infer.final_files(folder.path, [name], tasks, ['png'])))
    bar = Progress(video.total, 'frames') if progress and video.total else None
    files = VideoFiles(folder, video.fps)
    brightest: dict[str, float] = {}  # as in the first frame, or it would flicker too
    try:
        for result in results:
            if not files.count:
                brightest = {task: float(values.max())
                             for task, values in result.uncertainty.items()}
            result.name, result.brightest = name, brightest
            files.add({file.with_suffix('.mp4'): result.panel(legend=False) if task is None
                       else result.picture(task, stage)
                       for file, (stage, task) in result.files(folder.path).items()})
            if bar is not None:
                bar.update(min(files.count, bar.total))
            elif progress and not files.count % EVERY:
                print(f'{files.count} frames', flush=True)
    except BaseException:
        if files.close():
            print_log(f'stopped after {files.count} of {video.total or "?"} frames; the videos in '
                      f'{folder.path} have these', 'current', logging.WARNING)
        raise
    if video.total and files.count < video.total - 1:
        print_log(f'{video.path} says that it has {video.total} frames, {files.count} could be '
                  'read: is it cut off?', 'current', logging.WARNING)
    return files.close()


def _videos(files: Sequence[Path]) -> list[Path]:
    return [file.with_suffix('.mp4') for file in files]


def _unfinished(path: Path) -> Path:
    return path.with_name(f'.{os.getpid()}.{path.name}')


def _even(picture: np.ndarray) -> np.ndarray:
    """With sides of even numbers of pixels, which encoders want; the last ones are repeated."""
    height, width = picture.shape[:2]
    if not (height % 2 or width % 2):
        return picture
    return cv2.copyMakeBorder(picture, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE)
