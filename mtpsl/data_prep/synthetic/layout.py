"""The interface of a dataset's layout, and the ids of scenes, which all layouts share.

A scene's id, such as 'synthetic_000001', holds its split and number. With the dataset's seed it
gives the scene's seed, so a scene is the same in every layout.
"""
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from mtpsl.data_prep.layouts import SPLITS

from .render import RenderedScene

FIRST_VAL = 500_000  # validation ids start after it, for any number of training scenes


def scene_id(split: str, number: int) -> str:
    """Return the id of scene ``number`` (from 0) of a split, such as 'synthetic_000001'."""
    return f'synthetic_{number + 1 + (FIRST_VAL if split == "val" else 0):06d}'


def id_number(identifier: str) -> int:
    """Return the number in an id."""
    return int(identifier.rsplit('_', 1)[1])


def scene_place(identifier: str) -> tuple[str, int]:
    """Return the split of a scene and its number in it, the arguments of :func:`scene_id`."""
    split, number = divmod(id_number(identifier) - 1, FIRST_VAL)
    return SPLITS[split], number


def scene_seed(seed: int, identifier: str) -> int:
    """Derive the seed of a scene from the dataset's seed and the scene's id."""
    state = np.random.SeedSequence((seed, id_number(identifier))).generate_state(1, np.uint64)
    return int(state[0])


class Layout(Protocol):
    """Paths of a dataset's files, and their writers."""

    def scene_files(self, root: Path, identifier: str) -> dict[str, Path]:
        """Return the paths of a scene's files by content."""

    def write(self, files: Mapping[str, Path], identifier: str, scene: RenderedScene) -> None:
        """Write the given files of a scene, by content."""

    def list_files(self, root: Path) -> list[Path]:
        """Return the paths of the files that list scenes; may be empty."""

    def write_lists(self, root: Path, splits: Mapping[str, Sequence[str]]) -> None:
        """Write the lists of ids by split, after all scenes.

        Raises:
            FileNotFoundError: A file of a scene is missing.
        """
