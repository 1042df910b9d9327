"""Several datasets as one: ids, names, tables of ids, draws, and what is refused."""

from collections import Counter

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import RepeatDataset

from mtpsl.datasets import JointDataset, JointSampler, SeededIndex
from mtpsl.datasets.checks.contradictions import by_set, compare_sets
from mtpsl.datasets.checks.look import look_at_labels
from mtpsl.datasets.joint_tasks import resolve_sets, shorten_sets, without_left_out
from mtpsl.datasets.sampler import seeded
from mtpsl.engine.config.dataset_tree import leave_out_sets
from mtpsl.registry import DATA_SAMPLERS, DATASETS

TASKS = dict(semseg=dict(type='Semseg', class_names=('a', 'b', 'c')), depth=dict(type='Depth'),
             rooms=dict(type='Semseg', class_names=('x', 'y')))
PIPELINE = [dict(type=f'mtpsl.{name}') for name in (
    'LoadImageFromFile', 'LoadLabels', 'PackMultiTaskInputs')]
FLIPPED = [*PIPELINE[:2], dict(type='mtpsl.RandomFlip', prob=0.5), PIPELINE[2]]


@pytest.fixture(scope='module')
def roots(tmp_path_factory):
    """Two folders, in both of which images are called 0, 1, ...: 4 for depth, 8 for classes."""
    found = {}
    for name, count, folder in (('scans', 4, 'depth'), ('scenes', 8, 'semseg')):
        root = found[name] = tmp_path_factory.mktemp(name)
        for path in ('images', folder):
            (root / path).mkdir()
        for image in range(count):
            pixels = np.arange(192, dtype=np.uint8).reshape(8, 8, 3)
            cv2.imwrite(str(root / f'images/{image}.png'), pixels)
            label = np.full((8, 8), image % 2, np.uint8)
            label[:2], label[4:] = 7, 2
            depth = np.linspace(1, 3, 64, dtype=np.float32).reshape(8, 8) + image
            np.save(root / f'{folder}/{image}.npy', label if folder == 'semseg' else depth)
    return found


def sets(roots, **changes):
    scans = dict(type='FolderDataset', data_root=str(roots['scans']), tasks=['depth'],
                 pipeline=PIPELINE)
    scenes = dict(type='FolderDataset', data_root=str(roots['scenes']), pipeline=PIPELINE,
                  tasks=dict(semseg=dict(ignore=[7])))
    return {name: one | changes.get(name, {}) for name, one in
            dict(scans=scans, scenes=scenes).items()}


def joint(roots, tasks=('semseg', 'depth'), names=None, **changes):
    return JointDataset(tasks={name: TASKS[name] for name in tasks}, names=names,
                        datasets=sets(roots, **changes))


def test_a_sample_says_its_set_and_has_the_labels_of_it(roots):
    dataset = joint(roots)
    assert len(dataset) == 12
    ids = [dataset.get_data_info(index)['img_id'] for index in range(12)]
    assert ids == [f'scans/{n}' for n in range(4)] + [f'scenes/{n}' for n in range(8)]
    first, last = dataset[0]['data_samples'], dataset[11]['data_samples']
    assert (first.img_id, first.dataset, first.gt.keys()) == ('scans/0', 'scans', ['depth'])
    assert (last.img_id, last.dataset, last.gt.keys()) == ('scenes/7', 'scenes', ['semseg'])
    assert last.gt.semseg[0, :, 0].tolist() == [255, 255, 1, 1, 2, 2, 2, 2]
    assert dataset.metainfo['tasks'] == ('semseg', 'depth')


def test_a_table_of_ids_is_of_one_set(roots):
    dataset = joint(roots, scenes=dict(tasks=dict(semseg=dict(values=[(1, 0), 2, 7]))))
    assert dataset[11]['data_samples'].gt.semseg[0, :, 0].tolist() == [2, 2, 0, 0, 1, 1, 1, 1]
    assert dataset.tasks['semseg'].stored.values is None


def test_a_set_may_call_a_task_otherwise(roots):
    dataset = joint(roots, ('rooms', 'depth'), dict(scenes=dict(rooms='semseg')),
                    scenes=dict(tasks=dict(rooms=dict(values=[(0, 1), 2], ignore=[7]))))
    assert dataset[11]['data_samples'].gt.keys() == ['rooms']
    assert list(dataset.get_data_info(11)['labels']) == ['rooms']
    assert dataset[11]['data_samples'].gt.rooms[0, :, 0].tolist() == [255, 255, 0, 0, 1, 1, 1, 1]
    assert list(dataset.tasks_of('scenes')) == ['rooms']


def test_nothing_depends_on_the_order_of_the_sets(roots):
    first = joint(roots, scans=dict(pipeline=FLIPPED))
    shuffled = dict(reversed(sets(roots, scans=dict(pipeline=FLIPPED)).items()))
    second = JointDataset(tasks={name: TASKS[name] for name in ('depth', 'semseg')},
                          datasets=shuffled)
    for one, other in zip(JointSampler(first, seed=3), JointSampler(second, seed=3)):
        assert repr(one) == repr(other)
        assert torch.equal(first[one]['inputs'], second[other]['inputs'])


def test_without_tasks_a_set_has_those_of_its_class():
    tasks = dict(TASKS, normal=dict(type='Normal'), parsing=dict(type='Parsing'))
    resolved = resolve_sets(tasks, dict(a=dict(type='NYUD'), b=dict(type='PASCALContext')),
                            dict(a=dict(rooms='semseg')))
    assert set(resolved['a']['tasks']) == {'semseg', 'depth', 'normal'}
    assert resolved['a']['tasks']['semseg'] == TASKS['rooms']
    assert set(resolved['b']['tasks']) == {'semseg', 'normal', 'parsing'}
    assert resolve_sets(tasks, resolved, dict(a=dict(rooms='semseg'))) == resolved


def test_tasks_written_out_follow_others_at_the_top():
    names = dict(a=dict(rooms='semseg'))
    given = dict(a=dict(type='NYUD', tasks=dict(rooms=dict(ignore=[4]), depth={})))
    short = shorten_sets(TASKS, resolve_sets(TASKS, given, names), names)
    assert short == given
    tasks = dict(TASKS, depth=dict(type='Depth', loss_weight=7))
    assert resolve_sets(tasks, short, names)['a']['tasks']['depth']['loss_weight'] == 7


def test_what_is_left_out_of_the_tasks_is_left_out_of_the_sets():
    given = dict(a=dict(tasks=['depth', 'rooms']), b=None, c=dict(tasks=dict(depth={}, semseg={})))
    assert without_left_out(given, {'depth'}) == dict(
        a=dict(tasks=['rooms']), c=dict(tasks=dict(semseg={})))
    with pytest.raises(ValueError, match='datasets.a is labelled for depth, rooms, which tasks'):
        without_left_out(given, {'depth', 'rooms'})


def test_names_follow_what_is_left_out():
    joint_of = dict(names=dict(a=dict(rooms='semseg', far='depth'), b=dict(rooms='semseg')),
                    datasets=dict(a=dict(tasks=['rooms', 'far']), b=None))
    cfg = Config(dict(train_dataloader=dict(dataset=joint_of)))
    leave_out_sets(cfg, {'rooms'})
    assert cfg.train_dataloader.dataset.names == dict(a=dict(far='depth'))
    assert cfg.train_dataloader.dataset.datasets == dict(a=dict(tasks=['far']))


@pytest.mark.parametrize('changes, words', [
    (dict(scans=dict(tasks=['depth', 'normal'])), ["datasets.scans.tasks names 'normal'"]),
    (dict(scans=dict(tasks='depth')), ['must be a list of some of', "'depth'"]),
    (dict(scans=dict(tasks=None)), ['datasets.scans.tasks must say which of']),
    (dict(scans=dict(tasks=dict(depth=dict(loss_weight=2)))), ['datasets.scans.tasks.depth',
                                                               'png_unit', 'loss_weight']),
    (dict(scans=dict(tasks=dict(depth=dict(type='InverseDepth')))),
     ["type of depth is 'InverseDepth'", "'Depth'"]),
    (dict(scenes=dict(tasks=dict(semseg=dict(type='Semseg', class_names=('a', 'b'))))),
     ['class_names of semseg']),
    (dict(scans=dict(data_root='nowhere')), ['scans:', 'nowhere']),
])
def test_what_does_not_go_together_is_named(changes, words, roots):
    with pytest.raises((ValueError, FileNotFoundError)) as error:
        joint(roots, **changes)
    assert all(word in str(error.value) for word in words)


def test_wrong_names_of_sets_and_tasks_are_refused(roots):
    for name in ('depth', 'initial', 'a/b', 3):
        with pytest.raises(ValueError, match='name of a set'):
            JointDataset(tasks=dict(depth=TASKS['depth']), datasets={name: sets(roots)['scans']})
    for names in (dict(other=dict(depth='z')), dict(scans=dict(z='depth'))):
        with pytest.raises(ValueError, match='names may use the sets'):
            joint(roots, names=names)
    with pytest.raises(ValueError, match='datasets must be a dict'):
        JointDataset(tasks=TASKS, datasets=[])


def test_a_task_that_no_set_has_is_not_learned_but_may_go_without_scores(roots):
    tasks = {name: TASKS[name] for name in ('semseg', 'depth')}
    dataset = JointDataset(tasks=tasks, datasets=dict(scans=sets(roots)['scans']))
    with pytest.raises(ValueError, match='no set has the task semseg. The sets have scans: depth'):
        look_at_labels(dataset)
    assert list(look_at_labels(dataset, training=False)) == ['depth of scans']


def test_sets_have_as_many_views(roots):
    two = [*PIPELINE[:2], dict(type='mtpsl.MultiView', views=[[], []])]
    assert len(joint(roots, scans=dict(pipeline=two), scenes=dict(pipeline=two))) == 12
    with pytest.raises(ValueError, match='equal number of views, .* got 2 in scans, none in'):
        joint(roots, scans=dict(pipeline=two))


def test_values_that_lie_apart_in_two_sets_are_told(roots):
    (roots['scenes'] / 'depth').mkdir(exist_ok=True)
    for image in range(8):
        np.save(roots['scenes'] / f'depth/{image}.npy', np.linspace(100, 400, 64).reshape(8, 8))
    for unit, count in ((1.0, 1), (0.01, 0)):
        dataset = JointDataset(
            tasks=dict(depth=dict(type='Depth')), datasets=sets(
                roots, scenes=dict(tasks=dict(depth=dict(npy_unit=unit)))))
        told = list(compare_sets(by_set(dataset, look_at_labels(dataset))))
        assert len(told) == count
        assert all('in scans' in one and 'in scenes' in one and 'npy_unit' in one for one in told)


def test_a_label_is_of_one_task(roots):
    tasks = ('semseg', 'depth', 'rooms')
    names = dict(scenes=dict(rooms='semseg'))
    for labelled, words in ((['semseg', 'rooms'], "names maps both to its 'semseg'"),
                            (['semseg'], 'renames rooms, which is not in')):
        with pytest.raises(ValueError, match=words):
            joint(roots, tasks, names, scenes=dict(tasks=labelled))
    with pytest.raises(ValueError, match=r'names.scenes must be a dict'):
        joint(roots, tasks, dict(scenes='semseg'))


def test_sets_whose_labels_mean_other_things_are_refused():
    tasks = dict(semseg=dict(type='Semseg'), depth=dict(type='Depth'), places=dict(type='Semseg'))
    rooms, streets = (dict(type=kind, tasks=['semseg', 'depth']) for kind in ('NYUD', 'Cityscapes'))
    scenes = dict(type='PASCALContext', tasks=['semseg'])
    table = dict(semseg=dict(values=list(range(21))))
    for datasets, words in ((dict(a=rooms, b=scenes), "NYUD's 13 classes in a, PASCAL VOC's 21 cl"),
                            (dict(a=dict(rooms, tasks=['depth']), b=dict(streets, tasks=['depth'])),
                             'labels of depth are inverse depth in b, metres in a')):
        with pytest.raises(ValueError, match=words):
            resolve_sets(tasks, datasets, {})
    for datasets, names in ((dict(a=dict(rooms, tasks=table), b=scenes), {}),
                            (dict(a=rooms, c=dict(type='FolderDataset', tasks=['semseg'])), {}),
                            (dict(a=dict(rooms, tasks=['places']), b=scenes),
                             dict(a=dict(places='semseg')))):
        resolved = resolve_sets(tasks, datasets, names)
        assert resolve_sets(tasks, resolved, names) == resolved


def test_an_image_in_two_sets_is_refused_through_links_too(roots, tmp_path):
    (tmp_path / 'link').symlink_to(roots['scans'])
    (roots['scans'] / 'semseg').mkdir(exist_ok=True)
    np.save(roots['scans'] / 'semseg/0.npy', np.ones((8, 8), np.uint8))
    with pytest.raises(ValueError, match=r'images/0.png is in scans and in scenes'):
        joint(roots, scenes=dict(data_root=str(tmp_path / 'link')))


def test_a_wrapper_is_no_set(roots):
    part = DATASETS.build(dict(sets(roots)['scans'], tasks=dict(depth=TASKS['depth'])))
    with pytest.raises(TypeError, match=r'datasets.scans must be a dataset .* got RepeatDataset'):
        JointDataset(tasks=dict(depth=TASKS['depth']), datasets=dict(scans=RepeatDataset(part, 2)))


# ------------------------------------------------------------------ draws

def epochs(dataset, count, **arguments):
    sampler = JointSampler(dataset, seed=5, **arguments)
    found = []
    for epoch in range(count):
        sampler.set_epoch(epoch)
        found.append(list(sampler))
    return found


def test_shares_of_an_epoch(roots):
    dataset = joint(roots)

    def counts(**arguments):
        return JointSampler(dataset, seed=0, **arguments).counts

    assert counts() == dict(scans=4, scenes=8)
    assert counts(weights=dict(scans=3, scenes=1)) == dict(scans=9, scenes=3)
    assert counts(epoch_size=30, temperature=1e9) == dict(scans=15, scenes=15)
    # 2 to 2.83
    assert counts(epoch_size=100, temperature=2) == dict(scans=41, scenes=59)


def test_a_set_goes_round_over_the_ends_of_epochs(roots):
    drawn = epochs(joint(roots), 4, weights=dict(scans=1, scenes=1), epoch_size=6)
    assert [len(epoch) for epoch in drawn] == [6] * 4
    counts = Counter(int(draw) for epoch in drawn for draw in epoch)
    assert [counts[index] for index in range(4)] == [3] * 4  # 12 draws of 4 images
    assert sorted(counts[index] for index in range(4, 12)) == [1] * 4 + [2] * 4  # 12 of 8


def test_draws_depend_on_seed_and_epoch_alone_and_repeats_are_other_samples(roots):
    dataset = joint(roots)
    arguments = dict(weights=dict(scans=9, scenes=1), epoch_size=20)
    first, second = epochs(dataset, 2, **arguments), epochs(dataset, 2, **arguments)
    assert list(map(repr, first[1])) == list(map(repr, second[1])) != list(map(repr, first[0]))
    twice = [draw for draw in first[0] if int(draw) == int(first[0][0])]
    assert len(twice) > 1

    def number(draw):
        with seeded(draw):
            return np.random.rand()

    assert len({number(draw) for draw in twice}) == len(twice)
    assert len({draw.place for draw in first[0]}) == 20
    assert all(isinstance(draw, SeededIndex) for draw in first[0])


def test_ranks_together_are_one(roots, monkeypatch):
    dataset = joint(roots)
    (whole,) = epochs(dataset, 1, epoch_size=11)
    ranks = []
    for rank in range(2):
        monkeypatch.setattr('mmengine.dataset.sampler.get_dist_info', lambda rank=rank: (rank, 2))
        ranks += epochs(dataset, 1, epoch_size=11)
    together = [draw for pair in zip(*ranks) for draw in pair]
    assert list(map(repr, together)) == list(map(repr, [*whole, whole[0]]))


@pytest.mark.parametrize('arguments, words', [
    (dict(weights=dict(scans=1)), 'weights must be a positive number for each of the sets scans, '),
    (dict(weights=dict(scans=1, scenes=0)), 'weights must be a positive number'),
    (dict(weights=dict(scans=1, scenes=1), temperature=2), 'not both'),
    (dict(temperature=0.5), 'temperature must be a number >= 1'),
    (dict(epoch_size=0), 'epoch_size must be an integer'),
    (dict(weights=dict(scans=1, scenes=1000)), 'scans would never be drawn in an epoch of 12'),
])
def test_wrong_shares_are_refused(arguments, words, roots):
    with pytest.raises(ValueError, match=words):
        DATA_SAMPLERS.build(dict(type='JointSampler', **arguments),
                            default_args=dict(dataset=joint(roots), seed=0))


def test_only_a_joint_dataset_has_shares():
    with pytest.raises(TypeError, match='dataset must be a JointDataset, got list'):
        JointSampler([1, 2])


# ------------------------------------------------------------------ the look before a training

def test_each_set_is_looked_at_by_itself(roots):
    look_at_labels(joint(roots))
    look_at_labels(joint(roots), training=False)  # ids of one name are no doubles here
    with pytest.raises(ValueError, match=r'scenes \(FolderDataset\): .* of the task semseg'):
        look_at_labels(joint(roots, scenes=dict(tasks=dict(semseg=dict(ignore=[0, 1, 2, 7])))))
