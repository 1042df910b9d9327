"""What a layout of a dataset on disk has to offer, and the ids of scenes that all layouts share.

A scene's id, such as 'synthetic_000001', says its split and number; with the dataset's seed it
gives the scene's own seed, so a scene is the same one in every layout.
"""
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from mtpsl.data_prep.layouts import SPLITS

from .render import RenderedScene

FIRST_VAL = 500_000  # validation ids start after it, whatever the number of training scenes


def scene_id(split: str, number: int) -> str:
    """Name of the scene ``number`` (from 0) of 'train' or 'val', such as 'synthetic_000001'."""
    return f'synthetic_{number + 1 + (FIRST_VAL if split == "val" else 0):06d}'


def id_number(identifier: str) -> int:
    """The number in an id."""
    return int(identifier.rsplit('_', 1)[1])


def scene_place(identifier: str) -> tuple[str, int]:
    """Split of a scene and its number there, from 0: what :func:`scene_id` was given."""
    split, number = divmod(id_number(identifier) - 1, FIRST_VAL)
    return SPLITS[split], number


def scene_seed(seed: int, identifier: str) -> int:
    """Seed of one scene, from the dataset's seed and the scene's id alone."""
    state = np.random.SeedSequence((seed, id_number(identifier))).generate_state(1, np.uint64)
    return int(state[0])


class Layout(Protocol):
    """Where the files of a dataset lie and how they are written."""

    def scene_files(self, root: Path, identifier: str) -> dict[str, Path]:
        """Paths of one scene's files, by what they hold."""

    def write(self, files: Mapping[str, Path], identifier: str, scene: RenderedScene) -> None:
        """Write those of one scene's files that are given, by what they hold."""

    def list_files(self, root: Path) -> list[Path]:
        """Paths of the files that list scenes; may be empty."""

    def write_lists(self, root: Path, splits: Mapping[str, Sequence[str]]) -> None:
        """Write the lists of a dataset whose scenes are all written: ids by split.

        Raises:
            FileNotFoundError: A file of a scene has gone.
        """
