"""The file that is meant by the path of a checkpoint."""

from pathlib import Path

from mtpsl.system.files import user_path

from .work_dir import POINTER


def checkpoint_file(path: str | Path) -> Path:
    """Return the path of a checkpoint with ``~`` expanded.

    Raises:
        FileNotFoundError: there is no such file; or it is a folder, or the note of a work dir, in
            place of a checkpoint in it.
        ValueError: a safetensors file by another name.
    """
    file = Path(user_path(path))
    if file.is_dir() and (inside := _newest(file)):
        raise FileNotFoundError(f'there is no checkpoint file {path}: it is a folder, whose newest '
                                f'checkpoint is {inside}')
    if not file.is_file():
        away = '://' in str(path)
        raise FileNotFoundError(f'there is no checkpoint file {path}' + (
            ': nothing is loaded from another machine here, save it and give its path' * away))
    if file.name == POINTER and (inside := _newest(file.parent)):
        raise FileNotFoundError(f'{path} is a note of the newest checkpoint, {inside}: name that')
    with file.open('rb') as content:
        head = content.read(9)
    # The length of a table, which is in braces (https://github.com/huggingface/safetensors).
    if head[8:] == b'{' and file.suffix != '.safetensors':
        raise ValueError(f'{path} is a safetensors file: let its name end with .safetensors')
    return file


def _newest(folder: Path) -> str:
    """The newest checkpoint of a work dir as its note names it; '' if there is none."""
    note = folder / POINTER
    name = Path(note.read_text().strip()).name if note.is_file() else ''
    return str(folder / name) if name else ''
