"""Panels of a test replace panels, never another picture."""

from pathlib import Path

import pytest
from in_process import load_tool, running_here
from test_faults.tiny_run import write_config, write_images


def test_pictures_of_the_user_s_own_are_refused_before_the_test(tmp_path: Path, capsys, warned):
    root = write_images(tmp_path / 'data')
    config, work = str(write_config(tmp_path / 'config.py', root)), str(tmp_path / 'run')
    panels = tmp_path / 'panels'

    def test(folder: Path) -> str:
        with running_here():
            load_tool('test.py').main([config, f'{work}/epoch_1.pth', '--work-dir', work,
                                       '--show-dir', str(folder), '--show-num', '3'])
        return capsys.readouterr().out

    with running_here():
        load_tool('train.py').main([config, '--work-dir', work])
    assert f'panels:  {panels}\n' in test(panels) and not any('panels' in text for text in warned)
    first = {path.name: path.read_bytes() for path in panels.glob('*.png')}
    assert sorted(first) == ['0.png', '1.png', '2.png']
    test(panels)
    assert {path.name: path.read_bytes() for path in panels.glob('*.png')} == first
    labels = root / 'val/saliency'
    before = {path.name: path.read_bytes() for path in labels.iterdir()}
    for path in Path(work).glob('metrics.*'):
        path.unlink()
    with pytest.raises(SystemExit):
        test(labels)
    assert f'{labels}/0.png is there and is not listed' in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in labels.iterdir()} == before
    with pytest.raises(SystemExit):
        test(root / 'val/images')
    assert '/val/images holds images of the dataset, such as 0.' in capsys.readouterr().err
    assert not list(Path(work).glob('metrics.*'))
    with pytest.raises(SystemExit):
        load_tool('test.py').main([config, f'{work}/epoch_1.pth', '--work-dir', work, '--show-dir',
                                   str(panels), '--cfg-options', 'visualizer.type=Visualizer'])
    assert "MultiTaskVisualizer' or a class of it, got Visualizer" in capsys.readouterr().err
