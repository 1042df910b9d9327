"""What the finished runs of a benchmark have given, in one file that can be kept and carried."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from mtpsl.analysis.results import metric_directions
from mtpsl.engine.visualization import read_curves
from mtpsl.system.files import write_json

INITIAL = 'initial/'  # begins the keys of the initial predictions' figures


class Run(NamedTuple):
    """A finished model.

    Attributes:
        method: its row in the table.
        setting: 'onelabel' or 'random'.
        seed: of the run.
        metrics: ``<task>/<primary metric>`` and ``initial/<task>/<primary metric>`` -> figure.
        curves: the same figures on the way: ``(iterations done, figures)`` of each validation.
    """

    method: str
    setting: str
    seed: int
    metrics: Mapping[str, float]
    curves: Sequence[tuple[int, Mapping[str, float]]] = ()


class Record:
    """The finished runs by name, ``{"sizes": {...}, "runs": {name: {...}}}`` in a JSON file.

    A run that stands in it is not done again, on whatever machine the file is.

    Args:
        path: the file; it need not be there yet.
        sizes: what all runs have in common.

    Raises:
        ValueError: the file is no record, or one of other sizes.
    """

    def __init__(self, path: Path, sizes: Mapping[str, int]) -> None:
        self.path, self.sizes = path, dict(sizes)
        self.runs: dict[str, Run] = {}
        if path.is_file():
            self._read(path.read_text(encoding='utf-8'))
        write_json(path, self._content())  # can it be written? now, not after the first run

    def _read(self, text: str) -> None:
        try:
            content = json.loads(text)
            before, runs = content['sizes'], content['runs']
            self.runs = {name: Run(**run) for name, run in runs.items()}
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
        """Keep the figures of a run that has left its ``metrics.json`` in ``folder``."""
        metrics = _primary_metrics(json.loads((folder / 'metrics.json').read_text()))
        curves = [(record['after'], _primary_metrics(record))
                  for record in read_curves(folder / 'curves.json') if 'after' in record]
        self.runs[name] = Run(method, setting, seed, metrics, curves)
        write_json(self.path, self._content())


def _primary_metrics(figures: Mapping[str, float | None]) -> dict[str, float]:
    """The measured primary metric figures of final and initial predictions, to a hundredth."""
    primary_metrics = metric_directions()
    return {key: round(value, 2) for key, value in figures.items()
            if key.removeprefix(INITIAL).count('/') == 1 and value is not None
            and key.split('/')[-1] in primary_metrics}
