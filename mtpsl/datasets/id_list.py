"""Lists of image ids: text files with one id per line."""

import os
from collections import Counter


def read_id_list(path: str) -> list[str]:
    """Read image ids in the order of the file; blank lines and surrounding blanks are ignored.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is not UTF-8 text (a byte order mark is allowed), is empty, repeats
            an id, or has several words on a line. The message names the file.
    """
    if not os.path.isfile(path):
        raise FileNotFoundError(f'the id list {path} is a folder' if os.path.isdir(path) else
                                f'there is no id list {path}')
    try:
        with open(path, encoding='utf-8-sig') as file:
            ids = [line.strip() for line in file if line.strip()]
    except UnicodeDecodeError as error:
        raise ValueError(f'the id list {path} is not UTF-8 text: {error}') from error
    if not ids:
        raise ValueError(f'the id list {path} is empty')
    several = [image_id for image_id in ids if len(image_id.split()) > 1]
    if several:
        raise ValueError(f'the id list {path} must have one id per line, got {several[0]!r}')
    twice = [image_id for image_id, count in Counter(ids).items() if count > 1]
    if twice:
        raise ValueError(f'the id list {path} names {", ".join(twice[:3])} more than once')
    return ids
