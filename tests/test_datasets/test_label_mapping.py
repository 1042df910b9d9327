"""Mappings: checked when read, drawn with the published statistics."""

import json
import os
from collections import Counter

import numpy as np
import pytest

from mtpsl.datasets.label_mapping import count_labels, generate_mapping, load_mapping, save_mapping
from mtpsl.datasets.published_mapping import PASCAL_TASKS

IDS = [f'{k:04d}' for k in range(4998)]


# ------------------------------------------------------------------ reading


def load(tmp_path, text, ids=('a', 'b')):
    path = tmp_path / 'm.json'
    path.write_text(text)
    return load_mapping(str(path), ids, PASCAL_TASKS)


def test_mapping_is_read_in_the_order_of_ids_and_tasks(tmp_path):
    mapping = load(tmp_path, '{"b": [], "a": ["boundary", "semseg"]}')
    assert list(mapping.items()) == [('a', ('semseg', 'boundary')), ('b', ())]


@pytest.mark.parametrize('text, message', [
    ('{"a": ["semseg"]', 'm.json: Expecting'),
    ('["a"]', 'm.json must be a JSON object .* got a list'),
    ('{"a": "semseg", "b": []}', "image a must have a list of task names, got 'semseg'"),
    ('{"a": [1], "b": []}', r'image a must have a list of task names, got \[1\]'),
    ('{"a": ["sal"], "b": []}', "m.json: image a names the unknown task 'sal'; allowed: semseg, "),
    ('{"a": ["semseg", "semseg"], "b": []}', 'image a names a task twice'),
    ('{"a": [], "a": [], "b": []}', 'm.json: image a is named twice'),
    ('{"a": [], "b": [], "x": [], "y": []}', 'm.json: 2 image ids are not in the split .*: x, y$'),
    ('{"a": []}', r'm.json: 1 image ids of the split are missing \(.*empty list\): b$'),
])
def test_wrong_mapping_is_refused(tmp_path, text, message):
    with pytest.raises(ValueError, match=message):
        load(tmp_path, text)


def test_nesting_beyond_the_recursion_limit(tmp_path):
    with pytest.raises(ValueError, match='m.json is nested too deeply'):
        load(tmp_path, '[' * 200000)


def test_byte_order_mark_is_allowed(tmp_path):
    assert load(tmp_path, '\ufeff{"a": [], "b": []}') == {'a': (), 'b': ()}


def test_absent_mapping(tmp_path):
    with pytest.raises(FileNotFoundError, match='is a folder; it must be a JSON file'):
        load_mapping(str(tmp_path), ['a'], PASCAL_TASKS)
    with pytest.raises(FileNotFoundError, match='nothing.json does not exist'):
        load_mapping(str(tmp_path / 'nothing.json'), ['a'], PASCAL_TASKS)


def test_saved_mapping_is_sorted_an_image_a_line_and_replaced_whole(tmp_path, monkeypatch):
    path = tmp_path / 'new' / 'm.json'
    save_mapping({'b': ('semseg', 'normal'), 'a': ()}, str(path))
    assert path.read_text() == '{\n  "a": [],\n  "b": ["semseg", "normal"]\n}\n'

    def fail(file):
        raise OSError('disk full')

    monkeypatch.setattr(os, 'fsync', fail)
    with pytest.raises(OSError, match='disk full'):
        save_mapping({'c': ()}, str(path))
    assert json.loads(path.read_text()).keys() == {'a', 'b'}
    assert list(path.parent.iterdir()) == [path]


# ------------------------------------------------------------------ drawing


def test_onelabel_has_one_task_an_image_and_equal_groups():
    mapping = generate_mapping(IDS, PASCAL_TASKS, 'onelabel', seed=0)
    per_task, per_number = count_labels(mapping)
    assert list(mapping) == IDS and per_number == {1: 4998}
    assert sorted(per_task.values()) == [999, 999, 1000, 1000, 1000]


def test_onelabel_with_candidates_keeps_the_groups_equal():
    people = set(IDS[::3])
    mapping = generate_mapping(IDS, PASCAL_TASKS, 'onelabel', 0, dict(parsing=people))
    assert {i for i, tasks in mapping.items() if tasks == ('parsing',)} < people
    assert set(count_labels(mapping)[0].values()) == {999, 1000}
    with pytest.raises(ValueError, match='onelabel needs .* images for parsing, but only 10 of'):
        generate_mapping(IDS, PASCAL_TASKS, 'onelabel', 0, dict(parsing=IDS[:10]))


@pytest.mark.parametrize('candidates', [None, dict(parsing=IDS[:1716])])
def test_randomlabels_has_the_published_statistics(candidates):
    mapping = generate_mapping(IDS, PASCAL_TASKS, 'randomlabels', 0, candidates)
    per_task, per_number = count_labels(mapping)
    assert set(per_number) == {1, 2, 3, 4}
    # Published; the tolerance is four standard deviations of a draw.
    for number, count in {1: 1538, 2: 1529, 3: 1541, 4: 390}.items():
        assert abs(per_number[number] - count) < 4 * np.sqrt(count)
    for task, count in dict(semseg=2450, parsing=847, saliency=2445, normal=2480,
                            boundary=2557).items():
        assert abs(per_task[task] - count) < 4 * np.sqrt(count)
    if candidates:
        assert {i for i, tasks in mapping.items() if 'parsing' in tasks} < set(IDS[:1716])


def test_randomlabels_of_three_tasks_is_uniform_over_one_and_two_labels():
    mapping = generate_mapping(IDS, ('semseg', 'depth', 'normal'), 'randomlabels', seed=1)
    subsets = Counter(mapping.values())
    assert len(subsets) == 6 and min(subsets.values()) > 833 - 4 * 27
    assert max(subsets.values()) < 833 + 4 * 27


def test_randomlabels_of_two_tasks_or_one_gives_each_image_one():
    for tasks in (('semseg', 'depth'), ('semseg',)):
        assert count_labels(generate_mapping(IDS, tasks, 'randomlabels', 0))[1] == {1: 4998}


def test_full_and_seed():
    assert set(generate_mapping(IDS, PASCAL_TASKS, 'full', 0).values()) == {PASCAL_TASKS}
    for setting in ('onelabel', 'randomlabels'):
        first, same, other = (generate_mapping(IDS, PASCAL_TASKS, setting, s) for s in (0, 0, 1))
        assert first == same != other


@pytest.mark.parametrize('arguments, message', [
    ((['a'], ['semseg'], 'half', 0), "setting must be one of onelabel, randomlabels, full, got "
     "'half'"),
    ((['a'], ['semseg'], 'onelabel', -1), 'seed must be at least 0, got -1'),
    (([], ['semseg'], 'full', 0), 'ids must be given and all different, got 0'),
    ((['a', 'a'], ['semseg'], 'full', 0), 'ids must be given and all different, got 2 of which 1'),
    ((['a'], ['semseg', 'semseg'], 'full', 0), 'tasks must be given and all different'),
    ((['a'], ['semseg'], 'full', 0, dict(semseg=['b'])),
     "of ids, such as 'a', got 1 others for semseg, such as 'b'"),
    ((['a'], ['semseg'], 'full', 0, dict(parsing=['a'])), 'candidates must name tasks of semseg'),
])
def test_wrong_arguments_of_generate(arguments, message):
    with pytest.raises(ValueError, match=message):
        generate_mapping(*arguments)
