"""Lists of image ids: text files with one id per line."""

import os
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

# Ids of a set that is made a list stand in the order of the same set but for collisions of hashes:
# 99.9 % of 20,000 sets of 30 ids have this share of neighbours alike. Of 30 ids in any other order
# the chance is 6e-8, of more it is less.
ENOUGH, ALIKE = 30, 0.77


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
        raise ValueError(f'the id list {path} must have one id per line, got '
                         f'{several[0]!r}; an id with a blank cannot be listed: rename its files')
    twice = [image_id for image_id, count in Counter(ids).items() if count > 1]
    if twice:
        raise ValueError(f'the id list {path} names {", ".join(twice[:3])} more than once')
    return ids


def refuse_order_of_set(ids: Sequence[str], origin: str) -> None:
    """Refuse ids that are a set, or stand as in one, since each process orders sets otherwise.

    Args:
        ids: image ids. Fewer than 30 are not looked at.
        origin: who gives them, for the message.

    Raises:
        TypeError: they are no list or tuple.
        ValueError: they stand in the order of a set.
    """
    if not isinstance(ids, (list, tuple)):
        raise TypeError(f'{origin} must return a list of ids, in the same order in every process, '
                        f'got a {type(ids).__name__}; sorted(...) makes one')
    if len(ids) < ENOUGH or not all(isinstance(one, str) for one in ids):
        return
    places = {one: place for place, one in enumerate(set(ids))}
    alike = sum(places[one] < places[other] for one, other in pairwise(ids))
    if alike > ALIKE * (len(ids) - 1):
        raise ValueError(f'{origin} returns the ids in the order of a set, which is another in '
                         'each process, so that one seed gives other weights in each run: return '
                         'sorted(...) of them')
