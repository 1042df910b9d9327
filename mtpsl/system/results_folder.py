"""A folder of results, which knows the files that were written into it."""

import logging
import os
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from .files import user_path

LIST = '.mtpsl_predictions'


def refuse_among(images: Iterable[str | Path], folder: str | Path, what: str) -> None:
    """Raise ValueError if a folder for pictures has images of a dataset, which would gain some."""
    folder = Path(user_path(folder)).resolve()
    among = next((image for image in images if Path(image).resolve().parent == folder), None)
    if among is not None:
        raise ValueError(f'{what} {folder} holds images of the dataset, such as '
                         f'{Path(among).name}, and the pictures would be taken for images: choose '
                         'another folder')


def results_in(folder: str | Path) -> list[str]:
    """Paths of the files there that a :class:`ResultsFolder` lists."""
    return [path for entry in sorted(_entries(folder))
            if os.path.isfile(path := os.path.join(folder, entry))]


def _entries(folder: str | Path) -> set[str]:
    """What the list in a folder names, relative to it."""
    listing = Path(folder, LIST)
    lines = os.fsdecode(listing.read_bytes()).split('\n') if listing.is_file() else []
    return {line for line in lines if line}


class ResultsFolder:
    """Lets results replace results, never another file, such as the label of a data set.

    What was written into the folder is listed in a file of it, ``.mtpsl_predictions``, one path a
    line, relative to the folder.

    Args:
        path: the folder; it is made.
        what: the option or argument that named it, for what is told.

    Raises:
        OSError: it cannot be made; the message names it.
    """

    def __init__(self, path: str | Path, what: str = 'out_dir') -> None:
        self.path, self.what = Path(user_path(path)), what
        self._listed: set[str] | None = None  # read when a file is there already
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except FileExistsError:
            raise FileExistsError(f'{what} must be a folder, {path} is a file') from None
        except OSError as error:
            raise OSError(f'{what}: the folder {path} cannot be made: {error}') from error

    def existing(self, files: Iterable[Path], inputs: Iterable[Path] = ()) -> list[Path]:
        """Those that are there: results.

        Args:
            files: that are to be written.
            inputs: files that are to be read.

        Raises:
            FileExistsError: one is there that is no result of an earlier call; or one is read.
        """
        there = [file for file in files if os.path.lexists(file)]
        read = {os.path.realpath(file) for file in inputs} if there else set()
        for file in there:
            if os.path.realpath(file) in read:
                raise FileExistsError(f'{file} is an image to be read, and a result would be '
                                      f'written over it: choose another {self.what}')
        others = [file for file in there if not self._is_listed(file)]
        if others:
            raise FileExistsError(
                f'{others[0]} is there and is not listed as a result of an earlier call '
                f'({self.path / LIST}), so it is not overwritten: a label, or a result of an '
                f'earlier version? Choose another {self.what}, or delete such files')
        return there

    def say_overwritten(self, files: Sequence[Path]) -> bool:
        """Warn where there are any; whether there are."""
        if files:
            from mmengine.logging import print_log  # not for a command line's help
            # With the time, since mmengine's log leaves out what it has said before.
            print_log(f'{self.what} {self.path} has results of an earlier call, such as '
                      f'{files[0].relative_to(self.path)}: those of one name are overwritten, now '
                      f'at {time.strftime("%H:%M:%S")}. Another {self.what}, or names, keeps both',
                      'current', logging.WARNING)
        return bool(files)

    def say_kept(self, files: Iterable[Path]) -> bool:
        """Warn where there are results of other formats, which stay; whether there are."""
        there = sorted(file for file in files if file.is_file() and self._is_listed(file))
        if there:
            from mmengine.logging import print_log
            print_log(f'{self.what} {self.path} has results of an earlier call in other formats, '
                      f'such as {there[0].relative_to(self.path)}: they stay, and may be of '
                      'another image or model', 'current', logging.WARNING)
        return bool(there)

    def add(self, files: Iterable[Path]) -> None:
        """List what is about to be written."""
        new = [self._entry(file) for file in files]
        if self._listed is not None:
            new = [entry for entry in new if entry not in self._listed]
            self._listed.update(new)
        with open(self.path / LIST, 'ab') as listing:  # in one piece, as others may write too
            listing.write(b''.join(os.fsencode(entry) + b'\n' for entry in new))

    def _is_listed(self, file: Path) -> bool:
        if self._listed is None:
            self._listed = _entries(self.path)
        return self._entry(file) in self._listed

    def _entry(self, file: Path) -> str:
        return file.relative_to(self.path).as_posix()
