"""What a conversion does with what is already there, and how it is interrupted."""

import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from test_conversion.official import die, files_of, write_cityscapes, write_nyud
from test_conversion.tool import TOOLS, Tool

from mtpsl.data_prep import layouts
from mtpsl.data_prep.conversion import cityscapes as module
from mtpsl.data_prep.conversion.convert import Conversion, Item, convert
from mtpsl.data_prep.conversion.target import Target
from mtpsl.system.arguments import exit_with_one_line

SIZE = ('--size', 16, 32)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_cityscapes(tmp_path / 'raw')


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / 'Cityscapes'


def stamps(root: Path) -> dict[str, int]:
    return {str(path.relative_to(root)): path.stat().st_mtime_ns for path in root.rglob('*.*')}


def test_nothing_is_done_twice(cityscapes: Tool, source: Path, root: Path) -> None:
    cityscapes.run(source, root, *SIZE)
    before, content = stamps(root), files_of(root)
    assert cityscapes.run(source, root, *SIZE) == f'already there: {root}\n'
    assert stamps(root) == before
    (root / 'train/depth/1.npy').unlink()
    (root / 'val/names.txt').unlink()
    # What is there is not read again.
    (source / 'leftImg8bit/train/aachen/aachen_000001_000019_leftImg8bit.png').write_bytes(b'')
    assert '3 images are already there' in cityscapes.run(source, root, *SIZE)
    assert files_of(root) == content
    redone = {name for name, stamp in stamps(root).items() if stamp != before[name]}
    assert redone == {'train/image/1.npy', 'train/label_7/1.npy', 'train/depth/1.npy',
                      'val/names.txt', 'conversion.json'}
    (root / 'train/names.txt').unlink()
    assert '4 images are already there' in cityscapes.run(source, root, *SIZE)
    assert files_of(root) == content


def test_an_interruption(cityscapes: Tool, source: Path, root: Path, tmp_path: Path,
                         monkeypatch: pytest.MonkeyPatch) -> None:
    cityscapes.run(source, tmp_path / 'whole', *SIZE)
    written, write = [], module.write_array

    def interrupt(path: Path, values: object) -> None:
        if len(written) == 4:  # amid the second image
            raise KeyboardInterrupt
        written.append(path)
        write(path, values)

    with monkeypatch.context() as patch:
        patch.setattr(module, 'write_array', interrupt)
        line = cityscapes.fails(source, root, *SIZE, status=130)
    assert line == 'cityscapes.py: interrupted; the same command goes on where it stopped'
    assert (root / 'conversion.unfinished.json').exists()
    assert not (root / 'conversion.json').exists()
    # A writer that was killed leaves such a file; those of one that runs are its own.
    alive = root / f'train/image/.{os.getppid()}.1.npy'
    alive.write_bytes(b'half')
    (root / 'train/depth/.99999999.1.npy').write_bytes(b'half')
    before = stamps(root)
    assert '1 images are already there' in cityscapes.run(source, root, *SIZE)
    alive.unlink()
    assert files_of(root) == files_of(tmp_path / 'whole')
    kept = {f'train/{kind}/0.npy' for kind in ('image', 'label_7', 'depth')}
    assert all(stamps(root)[name] == before[name] for name in kept)


def test_control_c_in_the_terminal(nyud: Tool, tmp_path: Path) -> None:
    files, root = write_nyud(tmp_path / 'raw'), tmp_path / 'NYUD'
    command = [sys.executable, str(TOOLS / 'nyud.py'), 'convert', *files, str(root),
               '--size', '60', '80', '--workers', '2']
    running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while not (root / 'conversion.unfinished.json').exists():
        assert running.poll() is None
        time.sleep(0.005)
    running.send_signal(signal.SIGINT)
    _, errors = running.communicate(timeout=60)
    assert running.returncode == 130
    assert errors == 'nyud.py: interrupted; the same command goes on where it stopped\n'
    nyud.run(*files, root, '--size', 60, 80)
    nyud.run(*files, tmp_path / 'whole', '--size', 60, 80)
    assert files_of(root) == files_of(tmp_path / 'whole')


def test_a_killed_worker(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    conversion = Conversion(Target(tmp_path / 'to', layouts.CITYSCAPES, (4, 4)), {}, ('a',),
                            [Item('train', number, 0) for number in range(4)], {})
    with pytest.raises(SystemExit) as info:
        exit_with_one_line('x.py', lambda: convert(conversion, die, 2))
    assert info.value.code == 1
    line = capsys.readouterr().err
    assert line.startswith('x.py: error: a worker process died') and line.count('\n') == 1
    assert (tmp_path / 'to/conversion.unfinished.json').exists()


def test_other_settings_are_refused(cityscapes: Tool, source: Path, root: Path) -> None:
    cityscapes.run(source, root, *SIZE)
    content = files_of(root)
    line = cityscapes.fails(source, root, '--size', 16, 30)
    assert line.startswith(f'cityscapes.py: error: {root} holds a conversion with other settings: '
                           'width is 32, not 30; choose another folder')
    (root / 'conversion.json').rename(root / 'conversion.unfinished.json')
    assert 'height is 16, not 8' in cityscapes.fails(source, root, '--size', 8, 32)
    (root / 'conversion.unfinished.json').rename(root / 'conversion.json')
    # As many images, of other names.
    for path in source.rglob('*zurich_000000*'):
        path.rename(str(path).replace('zurich_000000', 'zurich_000009'))
    assert 'names is ' in cityscapes.fails(source, root, *SIZE)
    assert files_of(root) == content


def test_a_data_set_of_the_other_kind_is_refused(nyud: Tool, cityscapes: Tool, source: Path,
                                                 root: Path, tmp_path: Path) -> None:
    cityscapes.run(source, root, *SIZE)
    line = nyud.fails(*write_nyud(tmp_path / 'nyu'), root, *SIZE)
    assert 'dataset is Cityscapes, not NYUD' in line


def test_foreign_folders_are_refused(cityscapes: Tool, source: Path, root: Path) -> None:
    before = files_of(source)
    assert 'is not empty and has no conversion.json' in cityscapes.fails(source, source, *SIZE)
    assert files_of(source) == before
    assert 'is a file, not a folder' in cityscapes.fails(
        source, source / 'gtFine/val/munster/munster_000000_000019_gtFine_labelIds.png')
    root.mkdir()
    (root / 'conversion.json').write_text('{')
    assert 'conversion.json is damaged' in cityscapes.fails(source, root, *SIZE)
    (root / 'conversion.json').write_text('[]')
    assert 'conversion.json is damaged' in cityscapes.fails(source, root, *SIZE)
    (root / 'conversion.json').unlink()
    # Killed while it wrote its first file.
    (root / '.4711.conversion.unfinished.json').write_text('{')
    cityscapes.run(source, root, *SIZE)


def test_a_damaged_file_that_is_there_is_named(cityscapes: Tool, source: Path,
                                               root: Path) -> None:
    cityscapes.run(source, root, *SIZE)
    (root / 'train/image/0.npy').unlink()
    label = root / 'val/label_7/0.npy'
    whole = label.read_bytes()
    label.write_bytes(whole[:-100])
    line = cityscapes.fails(source, root, *SIZE)
    assert str(label) in line and 'delete it and run again' in line
    assert not (root / 'conversion.json').exists()
    label.write_bytes((root / 'val/depth/0.npy').read_bytes())
    assert 'is (16, 32, 1) of float32, not (16, 32)' in cityscapes.fails(source, root, *SIZE)
    label.unlink()
    cityscapes.run(source, root, *SIZE)
    assert label.read_bytes() == whole


def test_a_damaged_image_is_named_too(cityscapes: Tool, source: Path, root: Path) -> None:
    cityscapes.run(source, root, *SIZE)
    (root / 'train/depth/0.npy').unlink()
    image = root / 'val/image/0.npy'
    image.write_bytes(image.read_bytes()[:-4])
    assert str(image) in cityscapes.fails(source, root, *SIZE)


@pytest.mark.parametrize('values, words', [
    (np.zeros((16, 32)), 'of float64, not'), (np.full((16, 32), 7, np.float32), 'outside -1..6')])
def test_a_label_that_no_conversion_wrote(values: np.ndarray, words: str, cityscapes: Tool,
                                          source: Path, root: Path) -> None:
    cityscapes.run(source, root, *SIZE)
    (root / 'train/depth/0.npy').unlink()
    np.save(root / 'train/label_7/1.npy', values)
    line = cityscapes.fails(source, root, *SIZE)
    assert words in line and 'train/label_7/1.npy' in line


def test_the_unfinished_manifest_counts(cityscapes: Tool, source: Path, root: Path) -> None:
    cityscapes.run(source, root, *SIZE)
    settings = json.loads((root / 'conversion.json').read_text())
    (root / 'conversion.unfinished.json').write_text(json.dumps(settings | dict(width=30)))
    assert 'width is 30, not 32' in cityscapes.fails(source, root, *SIZE)


def test_a_file_that_does_not_fit_on_the_disk(source: Path, root: Path) -> None:
    """A limit on the size of files fails as a full disk does: in the middle of one."""
    command = [sys.executable, str(TOOLS / 'cityscapes.py'), 'convert', str(source), str(root),
               *map(str, SIZE), '--workers', '1']

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (6200, 6200))  # images are of 6272 bytes

    done = subprocess.run(command, capture_output=True, text=True, check=False, preexec_fn=limit)
    assert done.returncode == 1
    assert f'error: cannot write {root}/train/image/0.npy: ' in done.stderr
    assert not list(root.rglob('image/*')) and len(done.stderr.splitlines()) == 1


def test_the_disk_is_full(cityscapes: Tool, source: Path, root: Path,
                          monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(path: Path, values: object) -> None:
        raise OSError(28, 'No space left on device', str(path))
    monkeypatch.setattr(module, 'write_array', fail)
    assert 'No space left on device' in cityscapes.fails(source, root, *SIZE)


@pytest.mark.parametrize('arguments', [
    ['--workers', '0'], ['--size', '0', '4'], ['--size', '4'], ['--workers', 'two'], []])
def test_a_wrong_command_line(arguments: list[str], cityscapes: Tool, source: Path,
                              root: Path) -> None:
    with pytest.raises(SystemExit) as info:
        cityscapes.main(['convert', str(source), str(root), *arguments] if arguments else [])
    assert info.value.code == 2
