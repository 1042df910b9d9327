"""Predict a video frame by frame, and write one video per task."""

import logging
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
from mmengine.logging import print_log

from mtpsl.system.files import user_path
from mtpsl.system.parallel import Progress
from mtpsl.system.results_folder import ResultsFolder

from .inferencer import MultiTaskInferencer

CODEC = 'mp4v'  # MPEG-4, which every build of OpenCV can write
EVERY = 100  # frames between progress messages if the total is unknown
USUAL_FPS = 25.0  # for a file that does not state its frame rate


class Video:
    """The frames of a video file, (H, W, 3) uint8 RGB, read lazily.

    A rotation recorded in the file is applied, as a player does.

    Args:
        path: the file.

    Attributes:
        path: the file.
        fps: frames per second.
        total: number of frames stated in the file; None if it is not.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: OpenCV cannot read the file as a video, or it has no frame.
    """

    def __init__(self, path: str | Path) -> None:
        if not isinstance(path, (str, Path)):
            raise TypeError(f'a video must be the path of a file, got {path!r}: frames of a camera '
                            'are images, which MultiTaskInferencer.stream takes')
        self.path = Path(user_path(path))
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
                             'does not support its format; convert it to mp4, such as by ffmpeg')
        self.total = int(total) if total > 0 else None
        said = math.isfinite(fps) and 0 < fps <= 1000
        self.fps = fps if said else USUAL_FPS
        if not said:
            print_log(f'{self.path} does not state its frames per second: {USUAL_FPS:g} '
                      'are assumed', 'current', logging.WARNING)

    def __iter__(self) -> Iterator[np.ndarray]:
        """Iterate over the frames from the start."""
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
    """Write several videos frame by frame, under temporary names until they are closed.

    Args:
        folder: folder of the results.
        fps: frames per second.

    Attributes:
        count: number of pictures in each.
    """

    def __init__(self, folder: ResultsFolder, fps: float) -> None:
        self.folder, self.fps, self.count = folder, fps, 0
        self._writers: dict[Path, cv2.VideoWriter] = {}
        self._sizes: dict[Path, tuple[int, ...]] = {}

    def add(self, pictures: Mapping[Path, np.ndarray]) -> None:
        """Append a picture, (H, W, 3) uint8 RGB, to each file.

        Raises:
            FileExistsError: a file exists that is no earlier result.
            OSError: a file cannot be written.
            ValueError: a picture has another size than the earlier ones.
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
        """Finish the files, so that they can be played, and return them.

        Raises:
            OSError: pictures are missing in a file, as on a full disk.
        """
        for writer in self._writers.values():
            writer.release()
        short = []
        for path in self._writers:
            written = cv2.VideoCapture(str(_unfinished(path)))
            if int(written.get(cv2.CAP_PROP_FRAME_COUNT)) < self.count - 1:  # may lack the last
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
    """Predict a video and write ``<out_dir>/<task>/<name>.mp4``, and all tasks to ``panels``.

    All frames have the same noise, seeded by the file name, so that maps do not flicker. Memory
    does not grow with the number of frames. The videos have the frame rate of the file and no
    sound. After an error or Ctrl-C, the part written so far can be played.

    Args:
        infer: the model.
        path: the video.
        out_dir: folder for the results, see :class:`ResultsFolder`.
        tasks: see :meth:`MultiTaskInferencer.stream`, also for the following ones.
        num_samples: K, number of predictions from different noise.
        stages: further outputs, such as ``'initial'``.
        progress: show a bar with the time left.

    Returns:
        The written files.

    Raises:
        FileExistsError: a file in ``out_dir`` exists that is no earlier result.
        FileNotFoundError, ValueError: see :class:`Video` and :meth:`MultiTaskInferencer.stream`.
        OSError: a file cannot be written.
    """
    video = Video(path)
    name = video.path.stem
    results = infer.stream(video, tasks=tasks, num_samples=num_samples, stages=stages, noise=name)
    folder = ResultsFolder(out_dir)
    folder.existing(_videos(infer.final_files(folder.path, [name], tasks, ['png'])), [video.path])
    bar = Progress(video.total, 'frames') if progress and video.total else None
    files = VideoFiles(folder, video.fps)
    brightest: dict[str, float] = {}  # from the first frame, to avoid flicker
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
        print_log(f'{video.path} states {video.total} frames, but only {files.count} could be '
                  'read: is it cut off?', 'current', logging.WARNING)
    return files.close()


def _videos(files: Sequence[Path]) -> list[Path]:
    return [file.with_suffix('.mp4') for file in files]


def _unfinished(path: Path) -> Path:
    return path.with_name(f'.{os.getpid()}.{path.name}')


def _even(picture: np.ndarray) -> np.ndarray:
    """Pad to even side lengths, which encoders need, by repeating the last row or column."""
    height, width = picture.shape[:2]
    if not (height % 2 or width % 2):
        return picture
    return cv2.copyMakeBorder(picture, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE)
