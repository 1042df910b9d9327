"""The page in a browser: a real upload, the slider, the uncertainty and the download."""

import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from in_process import load_tool
from mmengine.config import DictAction
from playwright.sync_api import Page, sync_playwright

from mtpsl.apis import MultiTaskInferencer
from mtpsl.engine import load_config
from mtpsl.registry import MODELS

from .conftest import CONFIG, ROOT, command, environment

CHROMIUM = shutil.which('chromium') or shutil.which('chromium-browser') or shutil.which(
    'google-chrome')
# Nothing but the page: no start screens, updates and lists of its maker.
FLAGS = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-sync',
         '--disable-background-networking', '--disable-component-update']


@pytest.fixture(scope='module')
def weights(options: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint; what it has learned does not matter to the page."""
    model = MODELS.build(load_config(str(ROOT / CONFIG), options_of(options)).model)
    path = tmp_path_factory.mktemp('weights') / 'model.pth'
    torch.save(dict(state_dict=model.state_dict()), path)
    return path


def options_of(options: list[str]) -> dict[str, object]:
    """The options of the model, parsed."""
    pairs = (option.split('=', 1) for option in options[1:] if option.startswith('model.'))
    return {key: DictAction._parse_iterable(value) for key, value in pairs}


@pytest.fixture(scope='module')
def address(weights: Path, options: list[str]) -> Iterator[str]:
    """The page of a model, as a user opens it."""
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    model = [option for option in options[1:] if option.startswith('model.')]
    process = subprocess.Popen(
        command('webapp.py', CONFIG, '--weights', weights, '--port', port,
                '--cfg-options', *model), cwd=ROOT, env=environment(), text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        said = []
        for line in process.stdout:
            said.append(line)
            if line.startswith('the page: '):
                break
        else:
            pytest.fail(''.join(said))
        yield line.split()[2]
    finally:
        process.terminate()
        process.wait()


@pytest.fixture
def page() -> Iterator[Page]:
    if CHROMIUM is None:
        pytest.skip('no Chromium on this machine: install the package chromium')
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page()
        page.set_default_timeout(60_000)
        yield page
        browser.close()


def pictures(page: Page, gallery: str) -> list[str]:
    return [image.get_attribute('src') for image in page.locator(f'#{gallery} img').all()]


def set_slider(page: Page, slider: str, value: int) -> None:
    page.fill(f'#{slider} input[type=number]', str(value))
    page.press(f'#{slider} input[type=number]', 'Enter')


def test_an_uploaded_image_is_predicted_and_its_arrays_are_downloaded(
        address, page, weights, options, scenes, tmp_path):
    asked = []
    page.on('request', lambda request: asked.append(request.url))
    page.goto(address)
    photo = scenes / 'JPEGImages' / 'synthetic_500001.jpg'
    page.set_input_files('#image input[type=file]', str(photo))
    page.locator('#maps img').nth(4).wait_for()
    assert page.inner_text('#heading') == 'prediction' and len(pictures(page, 'maps')) == 5
    assert not page.locator('#uncertainty img').count()
    assert '+x' in page.inner_text('#legend')
    for inner in page.locator('#maps, #maps *').all():  # no map is hidden below a scroll bar
        assert inner.evaluate('e => e.scrollHeight - e.clientHeight') <= 2 or not inner.evaluate(
            'e => ["auto", "scroll", "hidden"].includes(getComputedStyle(e).overflowY)')

    final = pictures(page, 'maps')
    for position, heading in ((0, 'initial'), (1, 'noisy'), (2, 'step 2'), (3, 'prediction')):
        set_slider(page, 'step', position)
        page.wait_for_function('h => document.querySelector("#heading").innerText == h',
                               arg=heading)
    set_slider(page, 'step', 0)
    page.wait_for_function('s => document.querySelector("#maps img").src != s', arg=final[0])

    page.get_by_label('parsing').uncheck()
    set_slider(page, 'samples', 3)
    page.click('#predict')
    page.locator('#uncertainty img').nth(3).wait_for()
    assert len(pictures(page, 'maps')) == 4
    with page.expect_download() as download:
        page.click('#download')
    download.value.save_as(tmp_path / 'arrays.npz')
    assert all(url.startswith((address, 'blob:', 'data:')) for url in asked)

    found = np.load(tmp_path / 'arrays.npz')
    infer = MultiTaskInferencer(str(ROOT / CONFIG), str(weights), cfg_options=options_of(options))
    expected = infer(photo, num_samples=3, stages=['initial', 'noisy', 'steps'],
                     tasks=['semseg', 'saliency', 'normal', 'boundary'])
    assert len(found) == 4 * 5
    for name, values in expected.maps.items():
        np.testing.assert_allclose(found[name], values, atol=1e-4)
        np.testing.assert_allclose(found[f'{name}_uncertainty'], expected.uncertainty[name],
                                   atol=1e-4)
        np.testing.assert_allclose(found[f'{name}_initial'], expected.stages['initial'][name],
                                   atol=1e-4)


def test_a_click_without_an_image_says_what_is_missing(address, page):
    page.goto(address)
    page.click('#predict')
    page.get_by_text('Choose an image first.').wait_for()


def test_a_taken_port_is_one_line(address, capsys):
    port = address.rpartition(':')[2]
    with pytest.raises(SystemExit):
        load_tool('webapp.py').main([CONFIG, '--port', port])
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith(f'webapp.py: error: port {port} of 127.0.0.1 cannot be used')
    with pytest.raises(SystemExit):
        load_tool('webapp.py').main([CONFIG, '--host', 'nowhere.invalid'])
    assert '--host: nowhere.invalid is no address' in capsys.readouterr().err
