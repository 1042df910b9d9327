"""Where a converted dataset lies and how large its pictures are."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mtpsl.data_prep.layouts import IMAGE


@dataclass(frozen=True)
class Target:
    """A folder to convert into.

    Args:
        root: the folder.
        labels: task -> where its label lies, as in :mod:`mtpsl.data_prep.layouts`.
        size: height and width of all files.
    """

    root: Path
    labels: Mapping[str, str]
    size: tuple[int, int]

    def paths(self, split: str, number: int) -> dict[str, Path]:
        """The files of an image: 'image', then task -> label."""
        return {name: self.root / template.format(split=split, id=number)
                for name, template in {'image': IMAGE, **self.labels}.items()}
