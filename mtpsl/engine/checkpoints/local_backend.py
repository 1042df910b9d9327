"""Atomic writes for mmengine's local files."""

import os
import shutil
from pathlib import Path

from mmengine.fileio import LocalBackend

from mtpsl.system.files import atomically, write_text

MEBIBYTE = 2 ** 20


class AtomicLocalBackend(LocalBackend):
    """Writes a temporary file, syncs it to disk and renames it: never leaves half a file.

    Replaces mmengine's local backend for all local paths once ``mtpsl.engine`` is imported.
    """

    def put(self, obj: bytes, filepath: str | Path) -> None:
        """Write bytes.

        Raises:
            OSError: they cannot be written; the earlier file is intact.
        """
        path = Path(filepath)

        def write(name: str) -> None:
            with open(name, 'wb') as file:
                file.write(obj)
                file.flush()
                os.fsync(file.fileno())
        try:
            atomically(path, write)
            _sync_folder(path.parent)
        except OSError as error:
            raise OSError(error.errno, f'cannot write {path} ({len(obj) / MEBIBYTE:.1f} MiB): '
                          f'{error.strerror}; {_free(path)}; files written before are '
                          'intact') from error

    def put_text(self, obj: str, filepath: str | Path, encoding: str = 'utf-8') -> None:
        """Write text as UTF-8, see :meth:`put`."""
        if encoding.lower().replace('_', '-') != 'utf-8':
            return self.put(obj.encode(encoding), filepath)
        return write_text(Path(filepath), obj)


def _sync_folder(folder: Path) -> None:
    """Sync a folder to disk, so that a new name in it survives a crash."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _free(path: Path) -> str:
    try:
        return f'{shutil.disk_usage(path.parent).free / MEBIBYTE:.1f} MiB are free there'
    except OSError:
        return 'its folder cannot be read'
