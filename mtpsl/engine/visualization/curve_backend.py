"""Keeps the curves of a run in one file across interruptions."""

import json
import math
from pathlib import Path

from mmengine.config import Config
from mmengine.dist import is_main_process
from mmengine.runner import Runner
from mmengine.visualization import BaseVisBackend, Visualizer

from mtpsl.registry import VISBACKENDS
from mtpsl.system.files import write_text


def read_curves(path: str | Path) -> list[dict]:
    """Return the records of a file of curves, in order, without a truncated last line.

    Each record is a dict of the values logged at ``step``: a training iteration (with ``iter`` and
    ``epoch``), or, for a validation, its epoch (or iteration, as LoggerHook counts) and ``after``,
    the number of iterations done before it. Values that are not finite are None.

    Raises:
        ValueError: another line is not JSON.
    """
    path = Path(path)
    lines = path.read_text(encoding='utf-8').splitlines() if path.is_file() else []
    records = []
    for number, line in enumerate(lines):
        try:
            records.append(json.loads(line))
        except json.JSONDecodeError:
            if number < len(lines) - 1:
                raise ValueError(f'{path}, line {number + 1} is no JSON: {line[:60]!r}; mend or '
                                 'remove the file') from None
    return records


@VISBACKENDS.register_module()
class CurveVisBackend(BaseVisBackend):
    """Appends logged values to ``<work_dir>/curves.json``, one JSON object per line.

    mmengine's own backends start a new file at each start, so that steps between the last
    checkpoint and an interruption appear twice. ``ResumeHook`` rewinds this file to the resumed
    iteration.

    Args:
        save_dir: ``<work_dir>/<time>/vis_data``, as mmengine's visualizer gives it.
    """

    def __init__(self, save_dir: str) -> None:
        super().__init__(save_dir)
        self.path = Path(save_dir).parents[1] / 'curves.json'
        self.iteration = 0  # iterations done so far, set by ResumeHook

    def _init_env(self) -> None:
        """Do nothing."""

    @property
    def experiment(self) -> Path:
        """The file of the curves."""
        return self.path

    def add_config(self, config: Config) -> None:
        """Do nothing: mmengine's backend writes configs."""

    def add_scalar(self, name: str, value: float, step: int = 0) -> None:
        """Record one number."""
        self.add_scalars({name: value}, step)

    def add_scalars(self, scalar_dict: dict, step: int = 0, file_path: str | None = None) -> None:
        """Record the numbers of a step; ``file_path`` is for mmengine's backend."""
        record = dict(step=step) | {key: _plain(value) for key, value in scalar_dict.items()}
        if not is_training(record):
            record['after'] = self.iteration
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open('a', encoding='utf-8') as file:
                file.write(json.dumps(record) + '\n')
        except OSError as error:
            raise OSError(error.errno, f'cannot write {self.path}: {error.strerror}') from error

    def rewind(self, iteration: int) -> list[dict]:
        """Remove the records logged after a number of training iterations.

        Returns:
            The remaining records.
        """
        records = read_curves(self.path)
        kept = [record for record in records if iteration >= (
            record['step'] if is_training(record) else record['after'])]
        if self.path.exists():
            self.write(kept)
        self.iteration = iteration
        return kept

    def write(self, records: list[dict]) -> None:
        """Overwrite the file with these records."""
        write_text(self.path, ''.join(json.dumps(record) + '\n' for record in records))


def _plain(value: object) -> object:
    """Convert a number for JSON."""
    value = value.item() if hasattr(value, 'item') else value
    return None if isinstance(value, float) and not math.isfinite(value) else value


def is_training(record: dict) -> bool:
    """Return whether a record is of a training iteration, not of a validation."""
    return 'iter' in record


def curves_of(visualizer: Visualizer) -> CurveVisBackend | None:
    """Return the curves that a visualizer writes, whatever their name; None except on rank 0."""
    return next((backend for backend in visualizer._vis_backends.values() if isinstance(
        backend, CurveVisBackend)), None) if is_main_process() else None


def add_curves(cfg: Config) -> None:
    """Add the curves to the visualizer of a config that has none: a resumed run needs them.

    A list of the user's own replaces that of the base config, and mmengine's default has none.
    """
    if cfg.get('visualizer') is None:
        cfg.visualizer = dict(type='Visualizer', vis_backends=[dict(type='LocalVisBackend')])
    if not isinstance(cfg.visualizer, dict):
        return  # built already
    given = cfg.visualizer.get('vis_backends') or []
    backends = list(given) if isinstance(given, (list, tuple)) else [given]
    if not any(_is_curves(backend) for backend in backends):
        cfg.visualizer['vis_backends'] = [*backends, dict(type='mtpsl.CurveVisBackend')]


def place_curves(runner: Runner) -> None:
    """Let the curves of a run be in its work dir, also where ``visualizer.save_dir`` is elsewhere.
    """
    for backend in runner.visualizer._vis_backends.values():
        if isinstance(backend, CurveVisBackend):
            backend.path = Path(runner.work_dir, backend.path.name)


def _is_curves(backend: object) -> bool:
    if not isinstance(backend, dict):
        return isinstance(backend, CurveVisBackend)
    kind = backend.get('type')
    return getattr(kind, '__name__', str(kind)).rpartition('.')[2] == CurveVisBackend.__name__
