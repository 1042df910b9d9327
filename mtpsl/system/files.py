"""Paths as users write them, and atomic writing of files."""

import json
import os
import re
import time
from collections.abc import Callable, Sequence
from functools import cache
from io import BytesIO
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

# A checkpoint of a moment of the training: unit and number.
NUMBERED = re.compile(r'(epoch|iter)_(\d+)\.pth')
RESULT = 'metrics.json'  # the figures of a test, in a work dir


def user_path(path: str | os.PathLike[str]) -> str:
    """Put the user's folder for ``~``, and values of the environment for ``$NAME``, ``${NAME}``.

    Raises:
        ValueError: the environment has no such name, and there is no such file: a folder called
            ``$NAME`` would be made.
    """
    text = os.path.expandvars(os.path.expanduser(path))
    left = re.search(r'\$(\w+|\{[^}]*\})', text)
    if left and not os.path.lexists(path):
        raise ValueError(f'{os.fspath(path)}: the environment has no {left[1].strip("{}")}')
    return os.fspath(path) if left else text


def folder_lookup() -> Callable[[str | os.PathLike[str]], bool]:
    """Return a test for existing files that lists each folder once, which is much faster."""
    @cache
    def names(folder: str) -> set[str]:
        return set(os.listdir(folder)) if os.path.isdir(folder) else set()

    def is_there(path: str | os.PathLike[str]) -> bool:
        folder, name = os.path.split(path)
        return name in names(folder)
    return is_there


def atomically(path: Path, write: Callable[[str], object]) -> None:
    """Let ``write`` fill a temporary file, then move it to ``path``: never leave half a file.

    The temporary name keeps the suffix, from which writers choose the format.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f'.{os.getpid()}.{path.name}')
    try:
        write(str(temporary))
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def left_behind(name: str) -> tuple[int, str] | None:
    """Split the name of a temporary file of :func:`atomically` into process and final name."""
    found = re.fullmatch(r'\.(\d+)\.(.+)', name)
    return (int(found[1]), found[2]) if found else None


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text atomically, synced to disk before it replaces an earlier file."""
    def write(name: str) -> None:
        with open(name, 'w', encoding='utf-8') as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
    atomically(path, write)


def to_json(content: object) -> str:
    """The text of a JSON file."""
    return json.dumps(content, indent=1) + '\n'


def write_json(path: Path, content: object) -> None:
    """Write ``content`` as JSON."""
    write_text(path, to_json(content))


def put_aside(path: Path, text: str | None = None) -> None:
    """Rename a file that is there, unless it holds ``text``, and tell it."""
    if path.is_file() and path.read_text(errors='replace') != text:
        stamp = time.strftime('%Y%m%d_%H%M%S', time.localtime(path.stat().st_mtime))
        names = (f'{path.stem}.{stamp}{f"_{number}" * (number > 1)}{path.suffix}'
                 for number in count(1))
        earlier = next(one for one in map(path.with_name, names) if not one.exists())
        path.rename(earlier)
        print(f'earlier {path.name}{", which differs" * (text is not None)}: {earlier}')


def named_in(path: str | Path, name: str) -> Path:
    """Return the file itself, or the file ``name`` in a work dir."""
    return Path(path, name) if Path(path).is_dir() else Path(path)


def write_keeping(path: Path, text: str) -> None:
    """Write text; a file with another content that is there gets the time into its name."""
    put_aside(path, text)
    write_text(path, text)


def write_image(path: Path, pixels: 'np.ndarray', options: Sequence[int] = ()) -> None:
    """Write (H, W) or BGR (H, W, 3) pixels in the format of the suffix; options are OpenCV's.

    Raises:
        OSError: it cannot be written.
    """
    import cv2  # not imported for --help

    def write(name: str) -> None:
        try:
            written = cv2.imwrite(name, pixels, list(options))
        except cv2.error as error:
            raise OSError(f'cannot write {path}: {error}') from error
        if not written:
            raise OSError(f'cannot write {path}')
    atomically(path, write)


def write_array(path: Path, values: 'np.ndarray') -> None:
    """Write an array as ``.npy``.

    Raises:
        OSError: it cannot be written.
    """
    import numpy as np

    # Through memory, since NumPy's writing to a file does not notice a full disk.
    content = BytesIO()
    np.save(content, values, allow_pickle=False)

    def write(name: str) -> None:
        try:
            Path(name).write_bytes(content.getbuffer())
        except OSError as error:
            raise OSError(f'cannot write {path}: {error}') from error
    atomically(path, write)


def stands_in(path: str | Path) -> str:
    """Return what is in a file in the place of its content, as a sentence; '' if nothing known."""
    if not Path(path).is_file():  # a pipe would let it wait
        return ''
    try:
        with open(path, 'rb') as file:
            head = file.read(200).lstrip().lower()
    except OSError:
        return ''
    if head.startswith(b'version https://git-lfs'):
        return 'it is a pointer of Git LFS: `git lfs pull` fetches the file'
    if head.startswith((b'<!doctype html', b'<html')):
        return 'it is a web page: a download was refused or needs another address'
    return ''
