"""The logged curves of a run in one file, however often it was interrupted."""

import json
import math
from pathlib import Path

from mmengine.config import Config
from mmengine.visualization import BaseVisBackend

from mtpsl.registry import VISBACKENDS
from mtpsl.system.files import write_text


def read_curves(path: str | Path) -> list[dict]:
    """The records of a file of curves, in order; a last line that is cut short is left out.

    Each is a dict of what was logged at ``step``: an iteration of training (with ``iter`` and
    ``epoch``), or for a validation the epoch (or the iteration, as its LoggerHook counts), with
    ``after``, the iterations done by then. What is not finite is None.

    Raises:
        ValueError: another line is no JSON.
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
    """Appends what is logged to ``<work_dir>/curves.json``, a JSON object a line.

    mmengine's own backends begin a new file at each start, where the steps between the last
    checkpoint and an interruption stand twice once they are done again. ``ResumeHook`` rewinds
    this one to where a run goes on.

    Args:
        save_dir: ``<work_dir>/<time>/vis_data``, as mmengine's visualizer gives it.
    """

    def __init__(self, save_dir: str) -> None:
        super().__init__(save_dir)
        self.path = Path(save_dir).parents[1] / 'curves.json'
        self.iteration = 0  # done so far, as ResumeHook says

    def _init_env(self) -> None:
        """Nothing to prepare."""

    @property
    def experiment(self) -> Path:
        """The file."""
        return self.path

    def add_config(self, config: Config) -> None:
        """Configs are in the files of mmengine's backend."""

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
        """Forget what was logged after so many iterations of training.

        Returns:
            The records that are left.
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
    """A number as JSON has it."""
    value = value.item() if hasattr(value, 'item') else value
    return None if isinstance(value, float) and not math.isfinite(value) else value


def is_training(record: dict) -> bool:
    """Whether a record is of a training iteration, not of a validation."""
    return 'iter' in record
