"""Published settings: imported without running what is in them."""

import builtins
import os
import pickle
import subprocess
import sys
from pathlib import Path

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


class Forged:
    """Pickles as a call, with a state to set on what it gives."""

    def __init__(self, *call):
        self.call = call

    def __reduce__(self):
        return self.call


def forge_array():
    """An array of objects whose dtype has lost its flags: the bytes are taken for a pointer."""
    dtype = Forged(np.dtype, ('O8', False, True), (3, '|', None, None, None, 8, 8, 0))
    reconstruct = np.zeros(0).__reduce__()[0]
    return Forged(reconstruct, (np.ndarray, (0,), 'b'), (1, (1,), dtype, False, b'AAAAAAAA'))


def write_npy(path: Path, content: object, version: int = 1, protocol: int = 3) -> None:
    write_header = {1: np.lib.format.write_array_header_1_0,
                    2: np.lib.format.write_array_header_2_0}[version]
    with open(path, 'wb') as file:
        write_header(file, dict(descr='|O', fortran_order=False, shape=()))
        pickle.dump(content, file, protocol=protocol)


@pytest.mark.parametrize('name, protocol', [('m.npy', 3), ('m.pth', 2), ('m.pth', 3)])
def test_forged_array_cannot_corrupt_memory(tmp_path, name, protocol):
    path = tmp_path / name
    if name == 'm.npy':
        write_npy(path, dict(semseg=forge_array()), protocol=protocol)
    else:
        torch.save(dict(a=forge_array()), path, pickle_protocol=protocol)
    code = ('import sys; from mtpsl.datasets.published_mapping import import_published; '
            'import_published(sys.argv[1])')
    done = subprocess.run([sys.executable, '-c', code, str(path)], capture_output=True, text=True)
    assert done.returncode == 1
    assert str(path) in done.stderr.splitlines()[-1]


def test_numpy_dtype_and_arrays_are_never_made(tmp_path):
    for content in (np.zeros(3), [np.dtype('O')], dict(semseg=np.array(['a', 'b'])),
                    dict(semseg=[np.float64(3)])):
        write_npy(tmp_path / 'm.npy', content)
        with pytest.raises((ValueError, pickle.UnpicklingError), match='m.npy'):
            import_published(str(tmp_path / 'm.npy'))


@pytest.mark.parametrize('version', [1, 2])
def test_npy_header_versions(tmp_path, version):
    write_npy(tmp_path / 'm.npy', dict(semseg=[np.str_('é'), 'b']), version)
    assert import_published(str(tmp_path / 'm.npy')) == {'é': ('semseg',), 'b': ('semseg',)}


@pytest.mark.parametrize('name, content, message', [
    ('m.npy', {}, 'm.npy must hold a dict of .*, got dict {}'),
    ('m.npy', dict(semseg=[]), 'm.npy names no image'),
    ('m.npy', dict(semseg='2008_000001'), "semseg must have a list of image ids, got str '2008_"),
    ('m.npy', dict(semseg=None), 'm.npy: semseg must have a list of image ids, got NoneType'),
    ('m.npy', dict(semseg=[['a', 'b']]), r"m.npy: semseg must have .*, got list \[\['a', 'b'\]\]"),
    ('m.npy', dict(semseg=['a', 'a']), 'm.npy: semseg names an image twice'),
    ('m.npy', dict(normal=['a'], normals=['b']), 'm.npy names a task twice: normal, normals'),
    ('m.pth', {}, 'm.pth must hold a dict of images, got dict {}'),
    ('m.pth', dict(labels_weights='x'), r"labels_weights must be an \(N, T\) tensor, got str 'x'"),
    ('m.pth', dict(labels_weights=torch.zeros(3)), 'm.pth: labels_weights must be an'),
    ('m.pth', dict(labels_weights=torch.full((1, 2), torch.nan)), r'image 0 must .*\[nan, nan\]'),
    ('m.pth', dict(a=[1, 0, [1]]), r'm.pth: image a must have 2, 3 or 5 .*\[1, 0, \[1\]\]'),
    ('m.pth', dict(a=[1, 0, 0, 0, 0], b=[1, 0]), 'm.pth: all images .* got rows of 2 and 5'),
    ('m.pth', {1: [1, 0], '1': [0, 1]}, "m.pth: image ids .* each given once, got str '1'"),
    ('m.pth', {(1, 2): [1, 0]}, 'm.pth: image ids must be names or numbers'),
    ('m.npy', dict(stuff=['a']), "m.npy must hold a dict of .*, got dict {'stuff'"),
    ('m.npy', [1], 'm.npy must hold a dict of .*, got'),
    ('m.pth', [1], 'm.pth must hold a dict of images, got list'),
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
    for name, content in (('m.npy', b'\x93NUMPY'), ('m.npy', b'hello'), ('m.pth', b''),
                          ('m.pth', b'hello world'), ('m.pth', b'PK\x03\x04garbage')):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ValueError, match=f'{name} is not a published mapping'):
            import_published(str(tmp_path / name))
    with pytest.raises(ValueError, match='is a .npy or .pth file, got .*m.json'):
        import_published('m.json')
    for name in ('nothing.npy', 'nothing.pth'):
        with pytest.raises(FileNotFoundError, match=name):
            import_published(str(tmp_path / name))


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
