"""Keeps the results of a benchmark's finished runs in one portable file."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from mtpsl.analysis.directions import metric_directions
from mtpsl.engine.visualization import read_curves
from mtpsl.structures import outputs
from mtpsl.system.files import RESULT, write_json

INITIAL = outputs.METRIC_PREFIXES[outputs.INITIAL]


class Run(NamedTuple):
    """A finished model.

    Attributes:
        method: its row in the table.
        setting: 'onelabel' or 'random'.
        seed: seed of the run.
        metrics: ``<task>/<primary metric>`` and ``initial/<task>/<primary metric>`` -> figure.
        curves: the same metrics during training: ``(iterations done, metrics)`` per validation.
    """

    method: str
    setting: str
    seed: int
    metrics: Mapping[str, float]
    curves: Sequence[tuple[int, Mapping[str, float]]] = ()


class Record:
    """The finished runs by name, ``{"sizes": {...}, "runs": {name: {...}}}`` in a JSON file.

    A recorded run is not repeated, on any machine that has the file.

    Args:
        path: the file, which may not exist yet.
        sizes: the sizes that all runs share.

    Raises:
        ValueError: the file is not a record, or has other sizes.
    """

    def __init__(self, path: Path, sizes: Mapping[str, int]) -> None:
        self.path, self.sizes = path, dict(sizes)
        self.runs: dict[str, Run] = {}
        self._read()
        write_json(path, self._content())  # fail before the first run if it cannot be written

    def _read(self) -> None:
        if not self.path.is_file():
            return
        try:
            content = json.loads(self.path.read_text(encoding='utf-8'))
            before, runs = content['sizes'], content['runs']
            self.runs |= {name: Run(**run) for name, run in runs.items()}
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(f'{self.path} is no record of a benchmark: {error!r}') from error
        if before != self.sizes:
            differing = [f'--{name} {before.get(name)}, not {value}'
                         for name, value in self.sizes.items() if before.get(name) != value]
            raise ValueError(f'{self.path} holds a benchmark with {"; ".join(differing)}; choose '
                             'another --out or --record')

    def _content(self) -> dict:
        return dict(sizes=self.sizes,
                    runs={name: self.runs[name]._asdict() for name in sorted(self.runs)})

    def add(self, name: str, method: str, setting: str, seed: int, folder: Path) -> None:
        """Add the metrics of a run from ``metrics.json`` in ``folder``."""
        metrics = _primary_metrics(json.loads((folder / RESULT).read_text()))
        curves = [(record['after'], _primary_metrics(record))
                  for record in read_curves(folder / 'curves.json') if 'after' in record]
        self._read()  # another benchmark may have added runs
        self.runs[name] = Run(method, setting, seed, metrics, curves)
        write_json(self.path, self._content())


def _primary_metrics(figures: Mapping[str, float | None]) -> dict[str, float]:
    """Return the primary metrics of final and initial predictions, rounded to a hundredth."""
    primary_metrics = metric_directions()
    return {key: round(value, 2) for key, value in figures.items()
            if key.removeprefix(INITIAL).count('/') == 1 and value is not None
            and key.split('/')[-1] in primary_metrics}
