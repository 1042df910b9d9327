"""Fills the template of the page with the results of a test."""

import base64
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from io import BytesIO
from pathlib import Path

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from PIL import Image

from mtpsl import __version__
from mtpsl.evaluation.table import ARROWS, by_set, figure, primary_metric_rows
from mtpsl.system.files import write_text
from mtpsl.tasks import Task

from .images import Confusion, Extremes

BINS = 20
TIMES = ('time', 'data_time')  # of a batch, in the log
QUALITY = 85  # JPEG quality of the panels


def write_report(path: Path, *, title: str, checkpoint: str, config: str,
                 metrics: Mapping[str, float], tasks: Mapping[str, Task],
                 scores: Mapping[str, Mapping[str, float]], chosen: Mapping[str, Extremes],
                 panels: Iterable[tuple[str, np.ndarray]],
                 confusions: Mapping[str, Confusion] | None = None) -> None:
    """Write a page that needs no other file and no network.

    Args:
        path: path of the file.
        title: heading, such as the config's name.
        checkpoint: file of the tested weights.
        config: text of the config.
        metrics: metrics returned by the evaluator.
        tasks: task name -> task.
        scores: task name -> image id -> primary metric.
        chosen: task name -> its best and worst images.
        panels: image ids and panels, (H, W, 3) uint8 RGB, of the chosen images.
        confusions: task name -> confusion matrix, see :func:`confusions`; None for none.
    """
    environment = Environment(loader=PackageLoader('mtpsl.analysis.html_report'), autoescape=True,
                              undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= dict(figure=figure)
    images = {image: _data_address(panel) for image, panel in panels}
    anchors = {image: f'image{number}' for number, image in enumerate(images)}
    page = environment.get_template('report.html.j2').render(
        title=title, checkpoint=checkpoint, config=config, version=__version__,
        date=f'{datetime.now():%Y-%m-%d %H:%M}', tasks=tasks, arrows=ARROWS,
        figures=primary_metric_rows(metrics, tasks), classes=_classes(metrics, tasks),
        metrics=sorted((key, value) for key, value in metrics.items() if key not in TIMES),
        scores=scores, chosen=chosen, images=images, anchors=anchors,
        confusions=confusions or {},
        histograms={name: histogram(list(values.values())) for name, values in scores.items()})
    write_text(path, page)


def histogram(values: Sequence[float]) -> list[tuple[float, float, int]]:
    """Count values in equal bins over their range: (from, to, count); [] without values."""
    if not values:
        return []
    counts, edges = np.histogram(values, BINS)
    return list(zip(edges[:-1].tolist(), edges[1:].tolist(), counts.tolist()))


def _classes(metrics: Mapping[str, float],
             tasks: Mapping[str, Task]) -> dict[str, list[tuple[str, float]]]:
    """Return the task's name, after its set's, -> class and its score in percent, if asked for."""
    found: dict[str, list[tuple[str, float]]] = {}
    for known, own in by_set(metrics, tasks).items():
        for key, value in own.items():
            name, _, metric = key.partition('/')
            if name in tasks and metric.startswith('IoU.'):
                title = f'{known} {name}'.strip()
                found.setdefault(title, []).append((metric.removeprefix('IoU.'), value))
    return found


def _data_address(picture: np.ndarray) -> str:
    buffer = BytesIO()
    Image.fromarray(picture).save(buffer, 'jpeg', quality=QUALITY)
    return f'data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}'
