"""Lists of image ids as they come from other systems."""

import random
from hashlib import blake2b

import pytest

from mtpsl.datasets.id_list import read_id_list, refuse_order_of_set


@pytest.mark.parametrize('content', [
    b'a\nb\n', b'a\nb', b'a\r\nb\r\n', b'\xef\xbb\xbfa\nb\n', b'\n  a \n\n\tb\n\n'])
def test_ids_are_read_in_their_order(tmp_path, content):
    (tmp_path / 'ids.txt').write_bytes(content)
    assert read_id_list(str(tmp_path / 'ids.txt')) == ['a', 'b']


@pytest.mark.parametrize('content, message', [
    (b'', 'ids.txt is empty'), (b'\n \n', 'ids.txt is empty'),
    (b'a\nb\na\n', 'ids.txt names a more than once'),
    (b'a 1\nb -1\n', "ids.txt must have one id per line, got 'a 1'"),
    (b'\xe9t\xe9\n', 'ids.txt is not UTF-8 text'),
])
def test_wrong_lists_are_named(tmp_path, content, message):
    (tmp_path / 'ids.txt').write_bytes(content)
    with pytest.raises(ValueError, match=message):
        read_id_list(str(tmp_path / 'ids.txt'))


def test_absent_list_and_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match='there is no id list .*nothing.txt'):
        read_id_list(str(tmp_path / 'nothing.txt'))
    with pytest.raises(FileNotFoundError, match='the id list .* is a folder'):
        read_id_list(str(tmp_path))


class Hashed(str):
    """An id whose hash, and so whose place in a set, is the same in every process."""

    def __hash__(self):
        return int.from_bytes(blake2b(self.encode(), digest_size=7).digest(), 'big')


@pytest.mark.parametrize('number', [30, 31, 40, 60, 100, 795, 5000])
def test_ids_in_the_order_of_a_set_are_refused(number):
    ids = [Hashed(f'{k:05d}') for k in range(number)]
    with pytest.raises(ValueError, match=r'A.read_ids returns .* order of a set.*sorted\('):
        refuse_order_of_set(list(set(ids)), 'A.read_ids')
    for good in (ids, ids[::-1], random.Random(0).sample(ids, number), [*range(number)]):
        refuse_order_of_set(good, 'A.read_ids')


@pytest.mark.parametrize('ids', [{'a', 'b'}, frozenset('ab'), dict(a=1).keys(), iter('ab')])
def test_ids_without_a_place_are_refused(ids):
    with pytest.raises(TypeError, match='must return a list of ids, in the same order'):
        refuse_order_of_set(ids, 'A.read_ids')
