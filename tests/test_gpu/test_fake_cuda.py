"""Without a GPU: what every method does on one, as far as devices, types and waits go."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from test_gpu.stub import environment
from test_gpu.table import CASES, METHODS, OTHERS

HERE = Path(__file__).parent
# A bf16 step of 3 thin 64x64 images with all labels, and a prediction with its statistics:
# launches, bytes read and written, multiply-adds, as count.py counts them.
BUDGET = {
    'prediction': dict(
        train=dict(launches=2_010, bytes=71_265_616, macs=42_874_496),
        predict=dict(launches=889, bytes=53_285_948, macs=14_762_112)),
    'feature': dict(
        train=dict(launches=1_782, bytes=70_020_460, macs=39_493_376),
        predict=dict(launches=884, bytes=53_437_716, macs=14_452_800)),
    'mtl': dict(
        train=dict(launches=816, bytes=40_156_865, macs=31_781_376),
        predict=dict(launches=526, bytes=33_081_616, macs=11_818_752)),
    'ss': dict(
        train=dict(launches=861, bytes=46_018_849, macs=63_562_752),
        predict=dict(launches=526, bytes=33_081_616, macs=11_818_752)),
    'xtc': dict(
        train=dict(launches=1_609, bytes=171_307_164, macs=320_136_192),
        predict=dict(launches=526, bytes=33_081_616, macs=11_818_752)),
    'jtr': dict(
        train=dict(launches=2_192, bytes=522_320_338, macs=775_411_200),
        predict=dict(launches=526, bytes=33_081_616, macs=11_818_752)),
}


@pytest.fixture(scope='module')
def found(tmp_path_factory: pytest.TempPathFactory) -> dict:
    if not shutil.which('g++'):
        pytest.skip('no C++ compiler (g++) to build the stub of CUDA with')
    if torch.cuda.is_available():
        pytest.skip('the stub takes the place of CUDA in a CPU build of torch')
    run = subprocess.run([sys.executable, HERE / 'steps.py'], capture_output=True, text=True,
                         env=environment(tmp_path_factory.mktemp('fake_cuda')))
    assert run.returncode == 0, run.stderr[-3000:]
    return json.loads(run.stdout)


def test_waits_and_mixed_devices_are_seen(found):
    assert len(found['refused']) == 9 and 'ok' not in found['refused'].values()
    assert 'pageable' in found['refused']['pageable']
    assert 'blocking' in found['refused']['literal']


@pytest.mark.parametrize('case', CASES)
def test_steps_and_predictions_wait_for_nothing_and_mix_no_devices(found, case):
    ended = found['steps'][case]
    assert {name: end for name, end in ended.items() if end != 'ok'} == {}
    assert len(ended) == (5 if case in METHODS else 4 if case in OTHERS else 2)


@pytest.mark.parametrize('method', BUDGET)
def test_a_step_and_a_prediction_keep_to_their_budget(found, method):
    """More is a change for the worse to explain, less one for the better to write down here."""
    for kind, budget in BUDGET[method].items():
        counted = found['counts'][method][kind]
        assert counted == pytest.approx(budget, rel=0.03), (
            f'{kind}: counted {counted}, the budget is {budget}')
