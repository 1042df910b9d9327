"""What the tests of bad input share: things to break, and how a command line ends."""

import os
import pickle
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from in_process import load_tool, running_here

from .tiny_run import truncate, write_config


class TouchesFile:
    """Unpickled, it makes a file: code that must never run."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return Path.touch, (self.path,)


class Place:
    """A folder for one case, with ways to break things in it that give the command line.

    Attributes:
        tmp: the folder.
        root: data that is right; not to be changed.
    """

    def __init__(self, tmp: Path, root: Path) -> None:
        tmp.mkdir(exist_ok=True)
        self.tmp, self.root = tmp, root
        self.code = TouchesFile(tmp / 'code_ran')

    def file(self, name: str, content: str | bytes) -> Path:
        path = self.tmp / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def pickled(self, name: str) -> Path:
        """A file that is nothing but code."""
        return self.file(name, pickle.dumps(self.code))

    def config(self, *lines: str) -> Path:
        return write_config(self.tmp / 'config.py', self.root, *lines)

    def train(self, *options: str, config: Path | None = None) -> list:
        extra = ['--cfg-options', *options] if options else []
        return ['train.py', config or self.config(), '--work-dir', self.tmp / 'work', *extra]

    def test(self, checkpoint: Path, *arguments: object) -> list:
        return ['test.py', self.config(), checkpoint, '--work-dir', self.tmp / 'work', *arguments]

    def data(self, change: Callable[[Path], object], *options: str) -> list:
        """Train on a copy of the data in which something was changed."""
        self.root = Path(shutil.copytree(self.root, self.tmp / 'data'))
        change(self.root)
        return self.train(*options)

    def labels(self, change: Callable[[np.ndarray], np.ndarray], task: str, *options: str) -> list:
        """Train with other label pictures of a task in both splits."""
        def rewrite(root: Path) -> None:
            for path in root.glob(f'*/{task}/*.png'):
                label = change(cv2.imread(str(path), cv2.IMREAD_UNCHANGED))
                cv2.imwrite(str(path), label.astype(np.uint8))
        return self.data(rewrite, *options)

    def label(self, values: np.ndarray, suffix: str = 'png', cut: bool = False) -> list:
        """Train with another semseg label of the training image 1."""
        def change(root: Path) -> None:
            path = root / 'train/semseg/1.png'
            path.unlink()
            path = path.with_suffix(f'.{suffix}')
            if suffix == 'png':
                cv2.imwrite(str(path), values)
            else:
                np.save(path, values, allow_pickle=True)
            if cut:
                truncate(path)
        return self.data(change)

    def mapping(self, content: str | bytes) -> list:
        """Train with a label mapping of this content."""
        path = self.file('mapping.json', content)
        return self.train(f'train_dataloader.dataset.label_mapping={path}')

    def ids(self, content: str) -> list:
        """Train with an id list of this content."""
        return self.train(f'train_dataloader.dataset.ids={self.file("ids.txt", content)}')


def check_end(command: list, status: int, fragments: list[str], place: Place,
              monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    """Run a tool; it must end with ``status`` and one line that holds the fragments."""
    script = command[0]
    name = Path(script).name
    monkeypatch.setattr(sys, 'argv', [name, *map(str, command[1:])])
    monkeypatch.delenv('MTPSL_TRACEBACK', raising=False)
    with running_here(), pytest.raises(SystemExit) as end:
        load_tool(script).main()
    code = end.value.code
    out, err = capsys.readouterr()
    if isinstance(code, str):  # Python prints it and exits with 1
        code, err = 1, err + code + '\n'
    assert code == status, err
    lines = (err if err.strip() else out).strip().splitlines()
    last = lines[-1]
    for fragment in fragments:
        assert fragment.format(tmp=place.tmp, root=place.root) in last, last
    if err:
        assert f'{name}' in last and 'error: ' in last
        errors = [line for line in err.splitlines() if 'error: ' in line]
        assert len(errors) == 1, 'more than one line'
    assert 'Traceback' not in out + err
    assert not os.path.exists(place.code.path), 'code in a file was run'
