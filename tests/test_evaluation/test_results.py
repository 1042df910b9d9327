"""Result files: what is read of both kinds, how runs are grouped, and every refusal."""

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest

from mtpsl.analysis.comparison import compare, copies, other_classes
from mtpsl.analysis.directions import directions_of, metric_directions
from mtpsl.analysis.result_files import paper_results, read_argument, read_results
from mtpsl.analysis.results import Method, Result, group_by_method, summarize
from mtpsl.analysis.task_options import options_of, other_options, other_tests
from mtpsl.registry import TASKS
from mtpsl.tasks import build_tasks

METRICS = {'semseg/mIoU': 50.5, 'semseg/IoU.cat': 3.0, 'depth/absErr': 0.5, 'depth/rmse': 0.9,
           'normal/mErr': None, 'initial/semseg/mIoU': 40.0, 'delta_m': 1.0}


def write(path: Path, content: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path


def entry(method: str, **more: object) -> dict:
    return dict(method=method, metrics={'semseg/mIoU': 50}) | more


def test_directions_are_those_of_the_task_classes() -> None:
    assert metric_directions() == {'mIoU': True, 'maxF': True, 'odsF': True, 'mErr': False,
                                     'absErr': False}
    tasks = build_tasks(dict(a=dict(type='InverseDepth'), b=dict(type='Boundary')))
    assert [metric_directions()[task.primary_metric] for task in tasks.values()] == [False, True]


def test_a_new_task_class_is_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / 'metrics.json', {'flow/epe': 2.0})
    with pytest.raises(ValueError, match='no figure of a primary metric'):
        read_results(path)
    flow = type('Flow', (), dict(primary_metric='epe', higher_is_better=False))
    monkeypatch.setitem(TASKS.module_dict, 'Flow', flow)
    assert read_results(path)[0].metrics == {'flow/epe': 2.0}
    odd = type('Odd', (), dict(primary_metric='epe', higher_is_better=True))
    monkeypatch.setitem(TASKS.module_dict, 'Odd', odd)
    with pytest.raises(ValueError, match='Flow and Odd disagree on whether a higher epe is better'):
        metric_directions()


class Albedo:
    """A task class that is not registered in the process that compares."""

    primary_metric, higher_is_better = 'psnr', True


def test_a_file_names_its_primary_metrics(tmp_path: Path) -> None:
    """The figures of tasks without a registered class count like the others."""
    named = directions_of(dict(albedo=Albedo, **build_tasks(dict(depth=dict(type='Depth')))))
    assert named == {'albedo/psnr': True, 'depth/absErr': False}
    figures = {'albedo/psnr': 10.0, 'albedo/absErr': 3.0, 'depth/absErr': 0.5, 'x/depth/absErr': 1,
               'initial/albedo/psnr': 9.0}
    new = dict(figures, higher_is_better=named)
    result, = read_results(write(tmp_path / 'new' / 'metrics.json', new))
    assert result.metrics == {'albedo/psnr': 10.0, 'depth/absErr': 0.5, 'x/depth/absErr': 1}
    assert not result.note
    better = {'albedo/psnr': 20.0, 'depth/absErr': 0.25, 'x/depth/absErr': 0.5}
    rows = group_by_method([result, replace(result, method='b', metrics=better)])
    comparison = compare(rows, rows[0])
    assert comparison.columns['albedo/psnr'] and not comparison.columns['depth/absErr']
    assert comparison.rows[1].scores['delta_m'].mean == pytest.approx((100 + 50 + 50) / 3)
    old, = read_results(write(tmp_path / 'old' / 'metrics.json', {
        'albedo/psnr': 10.0, 'semseg/mIoU': 5, 'semseg/IoU.a/b': 3, 'normal/mErr': None}))
    assert old.metrics == {'semseg/mIoU': 5}
    assert 'old/metrics.json: the figures of albedo, such as albedo/psnr, are left' in old.note
    other = replace(result, file='c', directions=result.directions | {'albedo/psnr': False})
    with pytest.raises(ValueError, match='says that a higher albedo/psnr is better, c that a low'):
        compare(group_by_method([result, replace(other, method='c')]))
    with pytest.raises(ValueError, match="'higher_is_better' must be an object of"):
        read_results(write(tmp_path / 'new' / 'm.json', dict(figures, higher_is_better={'a': 1})))


def test_metrics_of_a_test(tmp_path: Path) -> None:
    """Only primary_metrics of final predictions that were measured; the work dir gives the name."""
    path = write(tmp_path / 'pascal_r18' / 'metrics.json', METRICS)
    result, = read_results(path)
    assert (result.method, result.file) == ('pascal_r18', str(path))
    assert result.metrics == {'semseg/mIoU': 50.5, 'depth/absErr': 0.5}
    assert read_results(write(tmp_path / 'pascal_r18' / 'last.json', METRICS))[0].method == 'last'


def test_a_work_dir_stands_for_its_figures(tmp_path: Path) -> None:
    path = write(tmp_path / 'run/metrics.json', METRICS)
    assert read_argument(f'ours={path.parent}') == read_argument(f'ours={path}')
    path.unlink()
    with pytest.raises(FileNotFoundError, match=f'^there is no result file {path}$'):
        read_results(path.parent)


def test_work_dirs_of_methods_do_not_pass_for_seeds(tmp_path: Path) -> None:
    """Their configs have the same name; the default work dir has the method's folder in front."""
    paths = [write(tmp_path / 'work_dirs' / method / 'pascal_r18' / 'metrics.json', METRICS)
             for method in ('xtc', 'jtr')]
    assert [read_results(path)[0].method for path in paths] == ['xtc/pascal_r18', 'jtr/pascal_r18']
    path = write(tmp_path / 'work_dirs' / 'mine' / 'metrics.json', METRICS)
    assert read_results(path)[0].method == 'mine'


def test_the_folder_of_a_file_named_without_one(tmp_path: Path,
                                                monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / 'here' / 'metrics.json', METRICS)
    monkeypatch.chdir(tmp_path / 'here')
    assert read_results('metrics.json')[0].method == 'here'


def test_a_set(tmp_path: Path) -> None:
    path = write(tmp_path / 'set.json', dict(title='T', source='S', results=[
        dict(method='A', setting='one', params=133_000_000, macs=6e11, metrics=METRICS,
             printed_delta_m=-1.5), entry('B', params=None)]))
    first, second = read_results(path)
    assert first == Result('A', {'semseg/mIoU': 50.5, 'depth/absErr': 0.5}, str(path), 0, 'one',
                           133_000_000, 6e11, -1.5)
    assert second == Result('B', {'semseg/mIoU': 50}, str(path), 1)


def test_settings(tmp_path: Path) -> None:
    """A result without a setting belongs to each; one setting need not be named."""
    entries = [entry('A', setting='x'), entry('B'), entry('C', setting='y')]
    path = write(tmp_path / 'set.json', dict(results=entries))
    assert [result.method for result in read_results(path, 'x')] == ['A', 'B']
    assert [result.method for result in read_results(path, 'y')] == ['B', 'C']
    with pytest.raises(ValueError, match=r'set.json holds several settings, --setting must choose '
                       r"one of \['x', 'y'\]"):
        read_results(path)
    with pytest.raises(ValueError, match=r"set.json has no setting 'z', .* \['x', 'y'\]"):
        read_results(path, 'z')
    alone = write(tmp_path / 'alone.json', dict(results=entries[:2]))
    assert len(read_results(alone)) == 2
    with pytest.raises(ValueError, match=r"has no setting 'y', choose one of \['x'\]"):
        read_results(alone, 'y')
    with pytest.raises(ValueError, match=r"'z', choose one of \['cityscapes_onelabel', 'pascal_o"):
        paper_results('z')


def test_named_rows(tmp_path: Path) -> None:
    semseg = write(tmp_path / 'lr=0.1,a' / 'metrics.json', {'semseg/mIoU': 1})
    depth = write(tmp_path / 'b' / 'metrics.json', {'depth/absErr': 2})
    assert read_argument(str(semseg))[0].method == 'lr=0.1,a'  # a path, in spite of = and ,
    assert read_argument(f'Mine={semseg}')[0].method == 'Mine'
    other = write(tmp_path / 'c' / 'metrics.json', {'semseg/mIoU': 1, 'normal/mErr': 3})
    result, = read_argument(f'M N={other},{depth}')
    assert result.method == 'M N'
    assert result.metrics == {'semseg/mIoU': 1, 'normal/mErr': 3, 'depth/absErr': 2}
    with pytest.raises(ValueError, match="c/metrics.json and .*c/metrics.json both hold 'semseg"):
        read_argument(f'Mine={other},{other}')
    with pytest.raises(ValueError, match="expected NAME=PATH, got '=x.json'"):
        read_argument('=x.json')
    a_set = write(tmp_path / 'set.json', dict(results=[entry('A')]))
    with pytest.raises(ValueError, match=r'set.json is a set, .* NAME=FILE takes a metrics.json'):
        read_argument(f'Mine={a_set}')


def test_mean_and_deviation_by_hand() -> None:
    """50, 52, 57: the mean is 53, the squares 9 + 1 + 16 = 26, by n - 1 13."""
    score = summarize([50, 52, 57])
    assert score.mean == 53 and score.std == pytest.approx(math.sqrt(13)) and score.runs == 3
    assert summarize([7.1]).std is None


def test_runs_of_a_method() -> None:
    results = [Result('A', {'semseg/mIoU': 50}, '1'), Result('B', {'depth/absErr': 3}, '2'),
               Result('A', {'semseg/mIoU': 53}, '3')]
    first, second = group_by_method(results)
    assert (first.name, first.runs) == ('A', (results[0], results[2]))
    assert first.score('semseg/mIoU') == summarize([50, 53])
    assert (second.name, second.score('semseg/mIoU')) == ('B', None)


def test_runs_that_do_not_belong_together() -> None:
    one = Result('A', {'semseg/mIoU': 50}, 'a.json', params=2e6)
    with pytest.raises(ValueError, match='^no results given'):
        group_by_method([])
    with pytest.raises(ValueError, match='^a.json is given twice'):
        group_by_method([one, one])
    with pytest.raises(ValueError, match=r"^'A' names results of different tasks: a.json holds "
                       r"\['semseg/mIoU'\], b.json holds \['depth/absErr'\]; NAME=FILE"):
        group_by_method([one, Result('A', {'depth/absErr': 1}, 'b.json')])
    with pytest.raises(ValueError, match=r"of 'A' differ in params: a.json says 2e\+06, b.json: r"
                       r'esults\[4\] says 3e\+06'):
        group_by_method([one, Result('A', one.metrics, 'b.json', 4, params=3e6)])
    methods = group_by_method([one, Result('A', one.metrics, 'b.json')])
    assert len(methods[0].runs) == 2
    assert copies(methods) == ['A: all figures of a.json and b.json are alike, and count as two '
                               'runs: is one a copy of the other?']
    assert copies(group_by_method([one, Result('A', {'semseg/mIoU': 51}, 'b.json')])) == []
    rows = [Method(name, (Result(name, {'semseg/mIoU': figure}, f'{name}.json'),))
            for name, figure in (('A', 50.12345), ('B', 50.12345), ('C', 50.1), ('D', 50.1))]
    assert copies(rows) == ['all figures of A and B are alike: are A.json and B.json tests of one '
                            'checkpoint?']


def test_other_classes_are_told(tmp_path) -> None:
    """The same number of classes with other names, too; files without names say nothing."""
    files = [write(tmp_path / f'{name}.json', {'semseg/mIoU': 50} | {
        f'semseg/IoU.{one}': 50 for one in classes}) for name, classes in (
            ('a', 'xyz'), ('b', 'zyx'), ('c', ''), ('d', 'xyw'), ('e', 'x'))]
    methods = [group_by_method(read_argument(str(file)))[0] for file in files]
    assert other_classes(methods[:3]) == []
    for other in methods[3:]:
        line, = other_classes([*methods[:3], other])
        assert 'semseg has 3 classes in' in line and f'{other.name}.json' in line


def options_file(folder: Path, name: str, **more: object) -> Path:
    tasks = dict(semseg=dict(type='Semseg', class_names=('x', 'y'), loss_weight=2.0) | more)
    return write(folder / f'{name}.json', {'semseg/mIoU': 50, 'task_options': options_of(tasks)})


@pytest.mark.parametrize(('one', 'other', 'told'), [
    ({}, dict(absent_iou=1.0), 'absent_iou is its default in a, 1.0 in b, c'),
    (dict(values=(0, (1, 2))), dict(values=(0, 1)), r'values is [0, [1, 2]] in a, [0, 1] in b, c'),
    ({}, dict(absent_iou=None, loss_weight=3.0, class_weight=(1, 2)), ''),
    ({}, dict(class_names=('x', 'z')), 'class_names is ["x", "y"] in a, ["x", "z"] in b, c'),
])
def test_options_that_change_figures_are_told(tmp_path, one, other, told) -> None:
    """Options of the loss say nothing, nor do files without the entry."""
    files = [options_file(tmp_path, 'a', **one), options_file(tmp_path, 'b', **other),
             options_file(tmp_path, 'c', **other), write(tmp_path / 'old.json',
                                                         {'semseg/mIoU': 50})]
    methods = [group_by_method(read_argument(str(file)))[0] for file in files]
    lines = other_options(methods)
    assert len(lines) == bool(told)
    assert told.replace('b, c', 'b and c') in ''.join(lines)
    assert other_options(methods[1:]) == []
    with pytest.raises(ValueError, match="'task_options' must be an object of task"):
        read_results(write(tmp_path / 'd.json', {'semseg/mIoU': 50, 'task_options': {'a': 1}}))


@pytest.mark.parametrize(('of', 'last', 'told'), [
    ('epoch_1.pth', 'epoch_2.pth', True), ('epoch_1.pth', 'epoch_1.pth', False),
    ('best_semseg_mIoU_epoch_1.pth', 'epoch_2.pth', False), ('mine.pth', 'epoch_2.pth', False)])
def test_figures_of_an_earlier_checkpoint_are_told(tmp_path, of, last, told) -> None:
    write(tmp_path / 'metrics.json', {'semseg/mIoU': 50, 'tested': dict(checkpoint=of)})
    (tmp_path / 'last_checkpoint').write_text(f'/elsewhere/{last}')
    (found,) = read_results(tmp_path / 'metrics.json')
    assert found.note == told * (f'{tmp_path}/metrics.json has the figures of epoch_1.pth, and the '
                                 'last checkpoint there is epoch_2.pth')


def test_seeds_of_other_epochs_are_told(tmp_path) -> None:
    """Not where the best of each was chosen, nor names of one's own, nor between rows."""
    best = 'best_semseg_mIoU_epoch_{}.pth'
    for names, told in ((('epoch_1.pth', 'epoch_2.pth'), True),
                        ((best.format(1), 'epoch_2.pth'), True),
                        ((best.format(1), best.format(2)), False), (('a.pth', 'b.pth'), False),
                        (('epoch_1.pth', 'epoch_1.pth'), False)):
        runs = [read_results(write(tmp_path / f'{name}.json', {
            'semseg/mIoU': 50, 'tested': dict(checkpoint=name)}))[0] for name in names]
        assert other_tests([Method('a', tuple(runs))]) == told * [
            f'the runs of a are of different checkpoints: {", ".join(sorted(names))}']
        assert other_tests([Method(run.file, (run,)) for run in runs]) == []


def test_rows_whose_settings_are_not_those_of_their_training_are_told(tmp_path) -> None:
    """What all have changed is no difference, and what a row does not say neither."""
    size, steps = 'data_preprocessor.size.0 64 -> 32', 'diffusion.schedule.num_steps 2 -> {}'
    rows = [Method(name, tuple(read_results(write(tmp_path / f'{name}.json', {
        'semseg/mIoU': 50, 'tested': {'settings changed since training': said}}))))
        for name, said in (('a', [size]), ('b', [size, steps.format(4)]),
                           ('c', [[size], [size, steps.format(8)]]))]
    rows.append(Method('d', tuple(read_results(write(tmp_path / 'd.json', {'semseg/mIoU': 50})))))
    told = ('the rows were not tested alike: settings changed since training (before -> in the '
            f'test) are {steps.format(4)} in b; {steps.format(8)} in c')
    assert other_tests(rows) == other_tests(rows, of_one_set=False) == [told]
    assert not other_tests([rows[0], rows[3]])


def test_seeds_that_were_trained_otherwise_are_told(tmp_path) -> None:
    """Rows may be, and so may the single tasks of one row."""
    def run(name: str, rate: str, task: str = 'semseg/mIoU') -> Result:
        return read_results(write(tmp_path / f'{name}.json', {
            task: 50, 'tested': {'training, as digests': dict(model='1', optim_wrapper=rate)}}))[0]

    one, same, other = run('a', '2'), run('b', '2'), run('c', '3')
    assert not other_tests([Method('x', (one, same)), Method('y', (other,))])
    assert other_tests([Method('x', (one, other))]) == [
        'the runs of x were trained with other optim_wrapper']
    assert not other_tests([Method('x', (one, run('d', '3', 'depth/absErr')))])
    run('e', '3', 'depth/absErr')
    assert not other_tests([Method('x', tuple(read_argument(
        f'x={tmp_path}/a.json,{tmp_path}/e.json')))])


def test_seeds_of_other_numbers_of_steps_are_told(tmp_path) -> None:
    """Rows may differ in it, as those of a figure of steps do."""
    runs = [read_results(write(tmp_path / f'{steps}.json', {
        'semseg/mIoU': 50, 'tested': {'denoising steps': steps}}))[0] for steps in (2, 2, 4)]
    assert other_tests([Method('a', tuple(runs))]) == [
        'the files of a have different numbers of denoising steps: 2, 4']
    assert not other_tests([Method('a', tuple(runs[:2])), Method('b', tuple(runs[2:]))])


@pytest.mark.parametrize(('other', 'told'), [
    (dict(tta=['1', '1 mirrored']), 'tta is null in a, ["1", "1 mirrored"] in b'),
    (dict(images=80), 'images is 100 in a, 80 in b'),
    ({'digest of the images': 'z'}, 'digest of the images is "a" in a, "z" in b'),
    ({'labelled images of semseg': 10}, 'labelled images of semseg is 40 in a, 10 in b'),
    ({'labelled images of depth': 10}, ''),  # of a task that the other lacks
    (dict(amp=True, num_samples=4), 'amp is false in a, true in b; num_samples is 1 in a, 4 in b'),
    ({}, ''),
])
def test_figures_of_other_tests_are_told(tmp_path, other, told) -> None:
    usual = dict(images=100, tta=None, amp=False, num_samples=1) | {
        'digest of the images': 'a', 'labelled images of semseg': 40}
    files = [write(tmp_path / f'{name}.json', {'semseg/mIoU': 50, **entry}) for name, entry in (
        ('a', dict(tested=usual)), ('b', dict(tested=usual | other)), ('old', {}))]
    methods = [group_by_method(read_argument(str(file)))[0] for file in files]
    assert other_tests(methods) == [f'the rows were not tested alike: {told}'] * bool(told)
    part = write(tmp_path / 'part.json', {'depth/absErr': 1, 'tested': usual | other})
    row = read_argument(f'a={files[0]},{part}')  # one row of two files
    assert bool(other_tests([*methods[:1], *group_by_method(row)])) == bool(told)
    with pytest.raises(ValueError, match="'tested' must be an object"):
        read_results(write(tmp_path / 'd.json', {'semseg/mIoU': 50, 'tested': 1}))


def test_options_of_tasks() -> None:
    """A unit and a metric's option are told, those of the loss and the pictures are not."""
    assert options_of(dict(
        depth=dict(type='Depth', png_unit=0.001, max_display=80.0, aux_normal=(1, 2)),
        saliency=dict(type='Saliency', double_sigmoid=True),
        boundary=dict(type='Boundary', max_dist=0.03, positive_weight=0.9))) == dict(
            depth=dict(type='Depth', png_unit=0.001),
            saliency=dict(type='Saliency', double_sigmoid=True),
            boundary=dict(type='Boundary', max_dist=0.03))


def test_one_file_by_two_paths_is_one_run(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    file = write(tmp_path / 'x.json', {'semseg/mIoU': 50})
    (tmp_path / 'link.json').symlink_to(file)
    for other in ('x.json', './x.json', 'link.json'):
        with pytest.raises(ValueError, match=f'^{other} is given twice, first as {file}'):
            group_by_method([Result('A', {'semseg/mIoU': 50}, str(path)) for path in (file, other)])
    a_set = [Result('A', {'semseg/mIoU': 50 + k}, 'x.json', k) for k in range(2)]
    assert len(group_by_method(a_set)[0].runs) == 2


@pytest.mark.parametrize(('content', 'message'), [
    ('{"semseg/mIoU": 5', 'bad.json is no JSON file: '),
    ('[1]', 'bad.json must hold an object, got list'),
    ('{"semseg/rmse": 5, "mIoU": 5, "initial/semseg/mIoU": 5, "depth/absErr": null}',
     r"bad.json: no figure of a primary metric; allowed are <task>/<metric> with the metrics "
     r"\['odsF', .*\], got \['semseg/rmse', 'mIoU', 'initial/semseg/mIoU', 'depth/absErr'\]"),
    ('{"semseg/mIoU": "5"}', r"bad.json: 'semseg/mIoU' must be a finite number, got '5'"),
    ('{"semseg/mIoU": true}', r"'semseg/mIoU' must be a finite number, got True"),
    ('{"semseg/mIoU": NaN}', r"'semseg/mIoU' must be a finite number, got nan"),
    ('{"semseg/mIoU": 1e999}', r"'semseg/mIoU' must be a finite number, got inf"),
    ('{"results": []}', r"bad.json: 'results' must be a list of at least one, got \[\]"),
    ('{"results": [3]}', r'bad.json: results\[0\] must be an object, got 3'),
    ('{"results": [3], "sauce": 1}', r"bad.json: unknown keys \['sauce'\], the keys are \['title"),
    ('{"results": [{"method": "A", "metrics": {}, "parms": 1}]}',
     r"bad.json: results\[0\]: unknown keys \['parms'\], the keys are \['method', 'setting', "),
    ('{"results": [{"metrics": {"semseg/mIoU": 5}}]}',
     r"results\[0\]: 'method' must be a str that is not empty, got None"),
    ('{"results": [{"method": " ", "metrics": {"semseg/mIoU": 5}}]}',
     r"results\[0\]: 'method' must be a str that is not empty, got ' '"),
    ('{"results": [{"method": "A", "metrics": [5]}]}',
     r"results\[0\]: 'metrics' must be a dict that is not empty, got \[5\]"),
    ('{"results": [{"method": "A", "metrics": {"semseg/iou": 5}}]}',
     r"results\[0\]: no figure of a primary metric; .* got \['semseg/iou'\]"),
    ('{"results": [{"method": "A", "metrics": {"semseg/mIoU": 5}, "setting": 3}]}',
     r"results\[0\]: 'setting' must be a str, got 3"),
    ('{"results": [{"method": "A", "metrics": {"semseg/mIoU": 5}, "params": "133M"}]}',
     r"results\[0\]: 'params' must be a finite number, got '133M'"),
])
def test_what_is_no_result_file(content: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / 'bad.json'
    path.write_text(content)
    with pytest.raises(ValueError, match=message):
        read_results(path)


def test_no_such_file(tmp_path: Path) -> None:
    for path in (tmp_path / 'none.json', tmp_path / 'metrics.json'):
        with pytest.raises(FileNotFoundError, match=f'^there is no result file {path}$'):
            read_results(path)
