"""Reading what a labelling tool has saved."""

from pathlib import Path

from . import coco, cvat, labelme
from .sources import Annotations

FORMATS = dict(labelme=labelme.read, cvat=cvat.read, coco=coco.read)


def read_annotations(kind: str, source: Path) -> Annotations:
    """Read what a tool has saved.

    Args:
        kind: one of ``FORMATS``.
        source: file or folder, see docs/labelling_tools.md.

    Raises:
        FileNotFoundError: there is none.
        ValueError: it is of another format, or damaged; the message names the file.
        ImportError: a library that it needs is missing.
    """
    if not source.exists():
        raise FileNotFoundError(f'there is no file or folder {source}')
    if source.suffix.lower() == '.zip':
        raise ValueError(f'{source} is a zip file: unpack it, and give the folder')
    found = FORMATS[kind](source)
    if not found.images:
        raise ValueError(f'{source} lists no image')
    return found
