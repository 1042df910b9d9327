"""Published settings: imported without running what is in them."""

import builtins
import os
import pickle

import numpy as np
import pytest
import torch

from mtpsl.datasets.label_mapping import count_labels
from mtpsl.datasets.published_mapping import import_published

PUBLISHED = os.environ.get('MTPSL_PUBLISHED_SPLITS')
needs_published = pytest.mark.skipif(
    not PUBLISHED, reason='MTPSL_PUBLISHED_SPLITS does not name the folder of published splits')


def test_task_lists_are_translated(tmp_path):
    path = tmp_path / 'm.npy'
    lists = dict(human_parts=[np.str_('b')], edge=['a'], sal=['b', 'a'], normals=['c'],
                 semseg=['b'])
    np.save(path, np.array(lists, object), allow_pickle=True)
    assert import_published(str(path)) == dict(
        a=('saliency', 'boundary'), b=('semseg', 'parsing', 'saliency'), c=('normal',))


@pytest.mark.parametrize('legacy', [True, False])
def test_rows_are_read_in_the_published_order(tmp_path, legacy):
    path = tmp_path / 'm.pth'
    torch.save({np.str_('x'): [1, 0, 0, 1, 0], np.str_('y'): [0, 1, 1, 0, 1]}, path,
               _use_new_zipfile_serialization=not legacy)
    assert import_published(str(path)) == dict(
        x=('semseg', 'normal'), y=('parsing', 'saliency', 'boundary'))
    torch.save(dict(labels_weights=torch.tensor([[1., 0, 1], [0, 1, 0], [0, 0, 0]])), path,
               _use_new_zipfile_serialization=not legacy)
    assert import_published(str(path)) == {'0': ('semseg', 'normal'), '1': ('depth',), '2': ()}
    torch.save(dict(labels_weights=torch.tensor([[0., 1]])), path)
    assert import_published(str(path)) == {'0': ('depth',)}


class Malicious:

    def __init__(self, function, argument):
        self.call = function, (argument,)

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize('suffix', ['npy', 'pth', 'legacy.pth'])
@pytest.mark.parametrize('function, name', [
    (os.system, r'posix\.system|nt\.system'), (builtins.eval, r'(\w+\.)?eval'),
    (np.load, r'numpy.*load')])
def test_code_in_a_file_is_refused_and_not_run(tmp_path, suffix, function, name):
    trace, path = tmp_path / 'trace', str(tmp_path / f'evil.{suffix}')
    argument = f'touch {trace}' if function is os.system else f'open({str(trace)!r}, "w")'
    content = dict(semseg=[Malicious(function, argument)])
    if suffix == 'npy':
        np.save(path, np.array(content, object), allow_pickle=True)
    else:
        torch.save(content, path, _use_new_zipfile_serialization=suffix == 'pth')
    with pytest.raises(pickle.UnpicklingError, match=f'evil.{suffix}: forbidden global ({name})'):
        import_published(path)
    assert not trace.exists()
    if function is os.system:  # the file is what it seems: a trusting reader runs it
        if suffix == 'npy':
            np.load(path, allow_pickle=True)
        else:
            torch.load(path, weights_only=False)
        assert trace.exists()


@pytest.mark.parametrize('name, content, message', [
    ('m.npy', dict(stuff=['a']), "m.npy must hold a dict of .*, got dict {'stuff'"),
    ('m.npy', [1], 'm.npy must hold a dict of .*, got'),
    ('m.pth', [1], 'm.pth must hold a dict, got list'),
    ('m.pth', dict(a=[1, 0, 0, 0]), 'm.pth: image a must have 2, 3 or 5 zeros and ones, got list'),
    ('m.pth', dict(a=[1, 0, 2]), 'm.pth: image a must have 2, 3 or 5 zeros and ones'),
    ('m.pth', dict(a='x'), 'm.pth: image a must have 2, 3 or 5 zeros and ones, got str'),
])
def test_other_contents_are_refused(tmp_path, name, content, message):
    path = tmp_path / name
    if name == 'm.npy':
        np.save(path, np.array(content, object), allow_pickle=True)
    else:
        torch.save(content, path)
    with pytest.raises(ValueError, match=message):
        import_published(str(path))


def test_damaged_and_foreign_files(tmp_path):
    for name, content in (('m.npy', b'\x93NUMPY'), ('m.npy', b'hello'), ('m.pth', b'')):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ValueError, match=f'{name} is not a published mapping'):
            import_published(str(tmp_path / name))
    with pytest.raises(ValueError, match='is a .npy or .pth file, got .*m.json'):
        import_published('m.json')


PASCAL_ONE = dict(semseg=1000, parsing=999, saliency=1000, normal=1000, boundary=999)
PASCAL_RANDOM = dict(semseg=2450, parsing=847, saliency=2445, normal=2480, boundary=2557)
RANDOM_NUMBERS = {1: 1538, 2: 1529, 3: 1541, 4: 390}


@needs_published
@pytest.mark.parametrize('name, per_task, per_number', [
    ('pascal_onelabel', PASCAL_ONE, {1: 4998}),
    ('pascal_randomlabels', PASCAL_RANDOM, RANDOM_NUMBERS),
])
def test_published_pascal_settings(name, per_task, per_number):
    lists, rows = (import_published(f'{PUBLISHED}/{name}.{suffix}') for suffix in ('npy', 'pth'))
    assert lists == rows
    assert count_labels(rows) == (per_task, per_number)
    assert all(type(i) is str and i[:4].isdigit() and i[4] == '_' for i in rows)


@needs_published
@pytest.mark.parametrize('name, per_task, images', [
    ('nyud_onelabel', dict(semseg=265, depth=265, normal=265), 795),
    ('nyud_randomlabels', dict(semseg=392, depth=408, normal=385), 795),
    ('cityscapes_onelabel', dict(semseg=1487, depth=1488), 2975),
])
def test_published_settings_by_row(name, per_task, images):
    mapping = import_published(f'{PUBLISHED}/{name}.pth')
    assert list(mapping) == [str(k) for k in range(images)]
    assert count_labels(mapping)[0] == per_task
    assert count_labels(mapping)[1].keys() == ({1} if 'onelabel' in name else {1, 2})
