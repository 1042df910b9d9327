"""What stops a launched run: one line of one process, the last, and nothing before it."""

from .conftest import run

CONFIG = 'synthetic/mtl_baseline_onelabel'


def test_missing_data_of_a_launched_run(tmp_path):
    done = run('dist_train.sh', CONFIG, 2, '--work-dir', tmp_path / 'work', check=False,
               MTPSL_DATA=str(tmp_path), PORT='29617')
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    assert [line for line in lines if 'error' in line.lower()] == lines[-1:], done.stdout
    assert lines[-1].startswith(f'train.py: error: there is no id list {tmp_path}/synthetic/')
    assert len([line for line in lines if 'Using env variable' not in line]) == 1, done.stdout
    assert not (tmp_path / 'work').exists()


def test_a_wrong_command_line_of_a_launched_run():
    done = run('dist_train.sh', CONFIG, 2, '--no-such-option', check=False, PORT='29618')
    lines = done.stdout.splitlines()
    assert done.returncode == 2
    assert lines[-1] == 'train.py: error: unrecognized arguments: --no-such-option'
    assert done.stdout.count('error: ') == done.stdout.count('usage: ') == 1
