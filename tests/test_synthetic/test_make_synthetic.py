"""The command line of make_synthetic.py: its output, its one-line errors, and how it is stopped."""
import json
import os
import re
import runpy
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import pytest

from mtpsl.data_prep.synthetic import contact_sheet, render_scene
from mtpsl.data_prep.synthetic.layout import scene_id, scene_seed

SCRIPT = Path(__file__).parents[2] / 'tools' / 'dataset_converters' / 'make_synthetic.py'
SMALL = ('--train', 2, '--val', 1, '--height', 32, '--width', 40, '--workers', 1)
Tool = Callable[..., tuple[int, str, str]]


@pytest.fixture
def tool(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Tool:
    """Runs the script in this process: (exit code, stdout, stderr)."""
    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, 'argv', [str(SCRIPT), *map(str, arguments)])
        code = 0
        try:
            runpy.run_path(str(SCRIPT), run_name='__main__')
        except SystemExit as end:
            code = end.code
        return code, *capsys.readouterr()
    return run


def error(result: tuple[int, str, str]) -> str:
    """The one line of an error."""
    code, out, err = result
    assert code == 2 and 'wrote' not in out
    assert err.startswith('make_synthetic.py: error: ') and len(err.splitlines()) == 1, err
    return err


def test_in_a_process_of_its_own(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, str(SCRIPT), str(tmp_path / 'a'), *map(str, SMALL)],
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert '3 of them written' in done.stdout and str(tmp_path / 'a') in done.stdout
    assert 'images/s' in done.stdout
    assert json.loads((tmp_path / 'a' / 'synthetic.json').read_text())['width'] == 40


@pytest.mark.parametrize(('train', 'val'), [(2, 1), (9, 1), (0, 2)])
def test_the_preview_shows_the_first_scenes_of_the_set(tmp_path: Path, tool: Tool, train: int,
                                                       val: int) -> None:
    path = tmp_path / 'a' / 'b' / 'look.png'
    code, out, err = tool(tmp_path / 'set', *SMALL, '--train', train, '--val', val,
                          '--preview', path)
    assert code == 0 and not err and f'preview: {path}' in out
    names = ([scene_id('train', n) for n in range(train)]
             + [scene_id('val', n) for n in range(val)])[:8]
    sheet = contact_sheet([render_scene(scene_seed(0, name), 32, 40) for name in names])
    assert (cv2.imread(str(path))[..., ::-1] == sheet).all()


def test_the_preview_of_another_layout(tmp_path: Path, tool: Tool) -> None:
    path = tmp_path / 'look.png'
    assert tool(tmp_path / 'set', '--layout', 'nyud', '--train', 1, '--val', 0, '--workers', 1,
                '--preview', path)[0] == 0
    sheet = contact_sheet([render_scene(scene_seed(0, 'synthetic_000001'), 96, 128)])
    assert (cv2.imread(str(path))[..., ::-1] == sheet).all()


@pytest.mark.parametrize(('layout', 'options', 'size'), [
    (None, (), (128, 128)), ('pascal', (), (128, 128)), ('nyud', (), (96, 128)),
    ('cityscapes', (), (64, 128)), ('cityscapes', ('--height', 40), (40, 128)),
    ('nyud', ('--width', 33), (96, 33))])
def test_sizes_that_are_not_given(tmp_path: Path, tool: Tool, layout: str | None,
                                  options: tuple[object, ...], size: tuple[int, int]) -> None:
    choice = () if layout is None else ('--layout', layout)
    code, out, _ = tool(tmp_path / 'a', *choice, '--train', 1, '--val', 0, '--workers', 1,
                        *options)
    assert code == 0 and f'scenes of {size[0]}x{size[1]},' in out
    manifest = json.loads((tmp_path / 'a' / 'synthetic.json').read_text())
    assert manifest == {'num_train': 1, 'num_val': 0, 'height': size[0], 'width': size[1],
                        'seed': 0, 'generator_version': 1, 'layout': layout or 'pascal'}
    image = ('JPEGImages/synthetic_000001.jpg' if layout in (None, 'pascal')
             else 'train/image/0.npy')
    assert (tmp_path / 'a' / image).is_file()


def test_the_help_tells_the_sizes(tool: Tool) -> None:
    code, out, _ = tool('--help')
    words = ' '.join(out.split())
    assert code == 0 and '--layout {pascal,nyud,cityscapes}' in words
    assert 'rows of an image (default: pascal 128, nyud 96, cityscapes 64)' in words
    assert 'columns of an image (default: pascal 128, nyud 128, cityscapes 128)' in words


def test_the_preview_is_checked_first(tmp_path: Path, tool: Tool) -> None:
    (tmp_path / 'file').touch()
    (tmp_path / 'folder.png').mkdir()
    for name, words in (('look.pdf', '.png or .jpg'), ('file/look.png', 'cannot write'),
                        ('file/more/look.png', 'cannot write'), ('folder.png', 'is a folder')):
        assert words in error(tool(tmp_path / 'a', *SMALL, '--preview', tmp_path / name))
    assert 'at least one scene' in error(tool(tmp_path / 'a', '--train', 0, '--val', 0,
                                              '--preview', tmp_path / 'look.png'))
    assert not (tmp_path / 'a').exists()


@pytest.mark.parametrize(('arguments', 'words'), [
    (('--height', 31), 'at least 32'), (('--train', -1), 'at least 0'),
    (('--width', 'wide'), "expected an integer, got 'wide'"),
    (('--layout', 'kitti'), "argument --layout: invalid choice: 'kitti'")])
def test_bad_options(tmp_path: Path, tool: Tool, arguments: tuple[object, ...],
                     words: str) -> None:
    code, _, err = tool(tmp_path / 'a', *arguments)
    assert code == 2 and words in err.splitlines()[-1]
    assert not (tmp_path / 'a').exists()


def test_bad_targets(tmp_path: Path, tool: Tool) -> None:
    (tmp_path / 'file').write_text('precious')
    assert 'is a file, not a folder' in error(tool(tmp_path / 'file', *SMALL))
    assert str(tmp_path / 'file') in error(tool(tmp_path / 'file' / 'below', *SMALL))
    assert (tmp_path / 'file').read_text() == 'precious'
    # A folder where a file belongs: not even root may write it.
    (tmp_path / 'a' / 'synthetic.json').mkdir(parents=True)
    assert 'synthetic.json' in error(tool(tmp_path / 'a', *SMALL))


@pytest.mark.skipif(os.geteuid() == 0, reason='root may write everywhere')
def test_an_unwritable_target(tmp_path: Path, tool: Tool) -> None:
    tmp_path.chmod(0o500)
    assert str(tmp_path) in error(tool(tmp_path / 'a', *SMALL))
    assert 'cannot write' in error(tool(tmp_path / 'a', *SMALL, '--preview', tmp_path / 'a.png'))


def test_a_damaged_manifest_and_another_set(tmp_path: Path, tool: Tool) -> None:
    assert tool(tmp_path, *SMALL)[0] == 0
    assert tool(tmp_path, *SMALL)[1] == f'already there: {tmp_path}\n'
    assert 'seed is 0, not 3' in error(tool(tmp_path, *SMALL, '--seed', 3))
    assert 'layout is pascal, not nyud' in error(tool(tmp_path, *SMALL, '--layout', 'nyud'))
    (tmp_path / 'synthetic.json').write_text('{')
    assert f'{tmp_path / "synthetic.json"} is damaged' in error(tool(tmp_path, *SMALL))


def start_long(root: Path) -> subprocess.Popen[str]:
    """A run with two workers that would take a minute; returns once scenes are written."""
    run = subprocess.Popen([sys.executable, str(SCRIPT), str(root), '--train', '9000', '--height',
                            '32', '--width', '32', '--workers', '2'],
                           stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                           start_new_session=True)
    end = time.monotonic() + 60
    while not list(root.glob('JPEGImages/s*.jpg')):
        assert run.poll() is None and time.monotonic() < end
        time.sleep(0.05)
    return run


def living(group: int) -> list[str]:
    """Processes of a group that have not ended, from /proc: 'pid (name) state parent group'."""
    found = []
    for path in Path('/proc').glob('[0-9]*/stat'):
        try:
            state, _, number = path.read_text().rpartition(')')[2].split()[:3]
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(number) == group and state != 'Z':
            found.append(path.parent.name)
    return found


def ends(group: int) -> bool:
    """Whether all processes of a group end within 10 s."""
    end = time.monotonic() + 10
    while living(group) and time.monotonic() < end:
        time.sleep(0.05)
    return not living(group)


@pytest.mark.skipif(not Path('/proc/self/stat').exists(), reason='needs /proc')
def test_workers_end_with_a_killed_parent(tmp_path: Path) -> None:
    run = start_long(tmp_path / 'a')
    assert len(living(run.pid)) >= 3
    run.kill()
    run.wait()
    assert ends(run.pid)
    run.stderr.close()


@pytest.mark.skipif(not Path('/proc/self/stat').exists(), reason='needs /proc')
def test_control_c_says_in_one_line_how_to_go_on(tmp_path: Path) -> None:
    run = start_long(tmp_path / 'a')
    # Only the parent heeds it: workers would print what they were doing.
    masks = [re.search(r'SigBlk:\s*(\w+)', Path(f'/proc/{pid}/status').read_text())[1]
             for pid in living(run.pid) if pid != str(run.pid)]
    assert sum(int(mask, 16) >> (signal.SIGINT - 1) & 1 for mask in masks) >= 2
    # A terminal sends it to the whole group.
    os.killpg(run.pid, signal.SIGINT)
    err = run.communicate(timeout=30)[1]
    assert run.returncode == 130
    assert err == ('make_synthetic.py: interrupted; the same command goes on '
                   'where it stopped\n')
    assert ends(run.pid)
    assert not (tmp_path / 'a' / 'synthetic.json').exists()
