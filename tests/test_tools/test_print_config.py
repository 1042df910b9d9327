"""The config that is printed is the one that a run reads."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from in_process import load_tool
from test_faults.poison import train
from test_faults.tiny_run import write_config, write_images

from mtpsl.engine import load_config

NAME = 'synthetic/diffusionmtl_onelabel'


def test_what_is_printed_loads_as_the_same_config(tmp_path, capsys):
    out = tmp_path / 'new' / 'config.py'
    load_tool('misc/print_config.py').main([
        NAME, '--out', str(out), '--cfg-options', 'model.diffusion.schedule.num_steps=3'])
    printed = capsys.readouterr().out
    ast.parse(printed)
    assert 'num_steps=3' in printed and '_base_' not in printed
    expected = load_config(NAME, {'model.diffusion.schedule.num_steps': 3})
    assert load_config(str(out)).to_dict() == expected.to_dict()


def test_another_kind_of_file_is_refused(capsys):
    with pytest.raises(SystemExit):
        load_tool('misc/print_config.py').main([NAME, '--out', 'config.yml'])
    assert '--out must end in .py, got config.yml' in capsys.readouterr().err


PLAIN = """\
import sys

from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope
from mmengine.runner import Runner

cfg = Config.fromfile(sys.argv[1])
cfg.work_dir = sys.argv[2]
init_default_scope(cfg.default_scope)
MODELS.build(cfg.model)
assert 'mtpsl.engine.config.load' not in sys.modules
Runner.from_cfg(cfg).train()
"""


def test_plain_mmengine_trains_the_printed_config_to_the_same_weights(tmp_path):
    config = write_config(tmp_path / 'config.py', write_images(tmp_path / 'images'))
    printed = tmp_path / 'printed.py'
    load_tool('misc/print_config.py').main([str(config), '--out', str(printed)])
    subprocess.run([sys.executable, '-c', PLAIN, str(printed), str(tmp_path / 'plain')], check=True,
                   env=os.environ | dict(OMP_NUM_THREADS='1'), capture_output=True, timeout=300)
    train(str(config), str(tmp_path / 'ours'))
    plain, ours = (torch.load(tmp_path / folder / 'epoch_1.pth', weights_only=False)['state_dict']
                   for folder in ('plain', 'ours'))
    assert plain.keys() == ours.keys()
    assert all(torch.equal(value, ours[name]) for name, value in plain.items())


def test_a_file_of_the_user_s_is_put_aside(tmp_path, capsys, monkeypatch):
    """Also where the shell leaves ``~`` and ``$NAME``."""
    monkeypatch.setenv('HOME', str(tmp_path))
    monkeypatch.setenv('SCRATCH', str(tmp_path))
    mine = tmp_path / 'config.py'
    mine.write_text('x = 1\n')
    for path in ('~/config.py', '${SCRATCH}/config.py'):  # the second time it holds the same
        load_tool('misc/print_config.py').main([NAME, f'--out={path}'])
    aside = [path for path in tmp_path.glob('*.py') if path != mine]
    assert [path.read_text() for path in aside] == ['x = 1\n'] and 'x = 1' not in mine.read_text()
    assert f'earlier config.py, which differs: {aside[0]}' in capsys.readouterr().out
    with pytest.raises(SystemExit):
        load_tool('misc/print_config.py').main([NAME, '--out=$SCRATCHES/config.py'])
    assert 'the environment has no SCRATCHES' in capsys.readouterr().err
    assert not [*Path.cwd().glob('~*'), *Path.cwd().glob('$*')]
