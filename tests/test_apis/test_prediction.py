"""What is written and drawn, read back; and the command line."""

import io

import cv2
import numpy as np
import pytest
from in_process import ROOT, load_module
from PIL import Image

from mtpsl.apis import MultiTaskInferencer, Prediction


def test_saved_files_hold_the_maps_and_their_pictures(infer, picture, tmp_path):
    result = infer(picture, num_samples=2, stages=['initial'], out_dir=tmp_path,
                   formats=['npy', 'png'])
    for name in infer.tasks:
        np.testing.assert_array_equal(np.load(tmp_path / name / 'image0.npy'), result.maps[name])
        found = cv2.imread(str(tmp_path / f'{name}_initial' / 'image0.png'))[..., ::-1]
        label = result.stages['initial'][name]
        label = label.transpose(2, 0, 1) if label.ndim == 3 else label[None]
        np.testing.assert_array_equal(found, infer.tasks[name].colorize(label))
        spread = np.load(tmp_path / f'{name}_uncertainty' / 'image0.npy')
        np.testing.assert_array_equal(spread, result.uncertainty[name])
    panel = np.asarray(Image.open(tmp_path / 'panels/image0.png'))
    np.testing.assert_array_equal(panel, result.panel())
    assert len(list(tmp_path.glob('*/*.*'))) == 6 * 3 * 2 + 1


def test_the_brightest_pixel_is_the_most_uncertain(infer, picture):
    result = infer(picture, num_samples=3)
    shown = cv2.cvtColor(result.picture('depth', 'uncertainty'), cv2.COLOR_RGB2GRAY)
    assert shown.argmax() == result.uncertainty['depth'].argmax()
    assert shown[np.unravel_index(result.uncertainty['depth'].argmin(), shown.shape)] == shown.min()


def test_a_panel_of_a_large_image_stays_readable(infer):
    result = infer(np.zeros((1300, 40, 3), np.uint8), progress=False, tasks=['depth'])
    assert result.maps['depth'].shape == (1300, 40)
    assert result.panel().shape[0] < 900
    shown = Image.open(io.BytesIO(result._repr_png_()))
    assert np.asarray(shown).shape == result.panel().shape
    assert repr(result) == "Prediction('image0', depth: float32 (1300, 40))"


def test_a_narrow_strip_makes_no_huge_panel(infer):
    result = infer(np.zeros((3, 640, 3), np.uint8), tasks=['depth', 'normal'])
    assert max(result.panel().shape) < 4000


def test_the_legend_is_of_all_stages(infer):
    classes = np.zeros((2, 2), np.uint8)
    result = Prediction('x', np.zeros((2, 2, 3), np.uint8), infer.tasks,
                        dict(semseg=classes + 3), stages=dict(initial=dict(semseg=classes + 7)))
    assert set(result.legends()['semseg']) == {'bird', 'car'}


def test_what_is_not_there_is_named(infer, picture):
    result = infer(picture, tasks=['depth'])
    with pytest.raises(KeyError, match=r"no task 'normal'; it has \['depth'\]"):
        result.picture('normal')
    with pytest.raises(KeyError, match=r"no stage 'initial'; it has \[\]"):
        result.picture('depth', 'initial')
    with pytest.raises(KeyError, match='no uncertainty'):
        result.picture('depth', 'uncertainty')


def test_what_is_overwritten_is_said_once(infer, folder, picture, tmp_path, warned):
    out, other = tmp_path / 'out', tmp_path / 'other'
    ask = dict(tasks=['depth'], out_dir=out, progress=False)
    infer(folder, **ask)
    infer(picture, **ask)
    assert warned == []
    infer(folder, **ask)  # the same command again
    assert len(warned) == 1 and 'out_dir' in warned[0] and 'such as depth/0.png' in warned[0]
    folder.rename(other)
    (other / '10.png').rename(other / 'image0.png')
    before = (out / 'panels/image0.png').read_bytes()
    infer(other / 'image0.png', **ask)  # of an array before
    assert 'such as depth/image0.png' in warned[1]
    assert (out / 'panels/image0.png').read_bytes() != before
    infer(picture, names='2', tasks=['depth']).save(out)
    assert 'such as depth/2.png' in warned[2] and len(warned) == 3


@pytest.mark.parametrize('way', ['folder', 'array', 'generator', 'save'])
def test_only_results_are_overwritten(infer, folder, picture, tmp_path, warned, way):
    """Labels of a data set stay, also where results of another format came before."""
    ask = dict(out_dir=tmp_path, progress=False)
    label = tmp_path / 'semseg/10.png'
    label.parent.mkdir()
    label.write_bytes(b'a label')
    infer(folder, formats=['npy'], **ask)
    ways = dict(folder=lambda: infer(folder, **ask),
                array=lambda: infer(picture, names='10', tasks=['semseg'], **ask),
                generator=lambda: infer(iter([folder / '10.png']), **ask),
                save=lambda: infer(folder / '10.png', progress=False).save(tmp_path))
    with pytest.raises(FileExistsError, match='semseg/10.png is there .* another out_dir'):
        ways[way]()
    assert label.read_bytes() == b'a label' and not list(tmp_path.glob('*/0.png'))[1:]
    label.unlink()
    ways[way]()
    assert label.exists() and len(warned) == 1
    assert 'in other formats, such as ' in warned[0] and '.npy: they stay' in warned[0]
    ways[way]()
    assert len(warned) == 2 and 'are overwritten' in warned[1]


def test_an_image_is_not_overwritten_by_its_own_result(infer, folder, tmp_path):
    ask = dict(tasks=['depth'], out_dir=tmp_path, progress=False)
    infer(folder, **ask)
    panel = tmp_path / 'panels/10.png'
    before = panel.read_bytes()
    for images in (panel, panel.parent):
        with pytest.raises(FileExistsError, match='panels/.*png is an image to be read, and a res'):
            infer(images, **ask)
    assert panel.read_bytes() == before
    infer(panel, **ask | dict(out_dir=tmp_path / 'other'))


def test_names_that_are_one_to_the_file_system(infer, picture, tmp_path):
    ask = dict(tasks=['depth'], out_dir=tmp_path, progress=False)
    assert len(infer([picture, picture[:30]], names=['A', 'a'], **ask)) == 2
    infer([picture, picture[:30]], names=['A', 'a'], **ask)  # again
    for file in tmp_path.rglob('a.png'):
        file.unlink()
        file.symlink_to(file.with_name('A.png'))  # as where capitals make no difference
    with pytest.raises(ValueError, match='a.png already holds the results of another image'):
        infer([picture, picture[:30]], names=['A', 'a'], **ask)


@pytest.mark.parametrize('second', ['depth_initial', 'depth_uncertainty'])
def test_folders_of_two_are_refused(infer, second, tmp_path):
    one = dict.fromkeys(['depth', second], np.ones((2, 2), np.float32))
    tasks = dict.fromkeys(one, infer.tasks['depth'])
    result = Prediction('x', np.zeros((2, 2, 3), np.uint8), tasks, one, dict(depth=one['depth']),
                        dict(initial=dict(depth=one['depth'])))
    with pytest.raises(ValueError, match='rename'):
        result.save(tmp_path)
    assert list(tmp_path.rglob('*.png')) == []


def test_the_command_line_writes_what_the_inferencer_returns(
        folder, checkpoint, config, tmp_path, capsys):
    config.dump(tmp_path / 'tiny.py')
    load_module(ROOT / 'demo/image_demo.py').main([
        str(folder), str(tmp_path / 'tiny.py'), '--weights', str(checkpoint), '--device', 'cpu',
        '--out-dir', str(tmp_path / 'out'), '--formats', 'npy', '--tasks', 'depth', 'normal',
        '--num-samples', '2', '--stages', 'noisy', '--max-side', '60', '--batch-size', '2',
        '--cfg-options', 'model.test_seed=3'])
    assert '3 images: depth, normal in' in capsys.readouterr().out
    infer = MultiTaskInferencer(str(tmp_path / 'tiny.py'), str(checkpoint), 'cpu',
                                {'model.test_seed': 3}, max_side=60, batch_size=2)
    for result in infer(folder, tasks=['depth', 'normal'], num_samples=2, stages=['noisy']):
        for name in ('depth', 'normal'):
            for group, maps in ((name, result.maps), (f'{name}_noisy', result.stages['noisy']),
                                (f'{name}_uncertainty', result.uncertainty)):
                np.testing.assert_array_equal(
                    np.load(tmp_path / 'out' / group / f'{result.name}.npy'), maps[name])
