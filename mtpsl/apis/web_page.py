"""A web page to try a model: all tasks, denoising steps and uncertainty of an image.

Only this module needs Gradio (``pip install mtpsl[webapp]``).
"""

import html
import logging
import os
import shutil
import signal
import socket
import sys
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, UnidentifiedImageError

from mtpsl.structures.outputs import INTERMEDIATE, title
from mtpsl.system.files import write_image

from .inferencer import MultiTaskInferencer
from .prediction import Prediction
from .sources import collect
from .windows import resize_longest_side

os.environ.setdefault('GRADIO_ANALYTICS_ENABLED', 'False')  # send no usage reports

import gradio as gr  # noqa: E402  (import after setting the variable)
from gradio.data_classes import ImageData  # noqa: E402

MOST_SAMPLES = 16
MOST_MEGAPIXELS = 100  # of an image; its file may be small
logger = logging.getLogger(__name__)
INTRODUCTION = """# {name}
Drop an image: the model predicts {tasks} at once{ending}"""
STEPS = """, first roughly, then from noise in {steps} denoising steps, all tasks helping each
other. Move the slider through the steps. With several samples the noise is drawn anew for each: the
prediction is their mean, and the uncertainty is where they differ (bright)."""
SWATCH = ('<span style="display: inline-block; width: .9em; height: .9em; margin: 0 .3em 0 .9em; '
          'border: 1px solid #888; background: rgb{colour}"></span>{name}')


class Visit(NamedTuple):
    """State of a visitor: the last prediction, and the file of its arrays.

    Each visitor has a folder, so that no two share a file.
    """

    result: Prediction
    file: Path


class Page:
    """Callbacks of the page's controls.

    Args:
        infer: inferencer of the model.
        folder: folder of the arrays to download.
        note: note about the model for visitors, in Markdown.
        samples: paths of example images.
    """

    def __init__(self, infer: MultiTaskInferencer, folder: Path, note: str = '',
                 samples: Sequence[str] = ()) -> None:
        self.infer, self.reader = infer, infer.reader
        self.folder = folder
        self.note, self.samples = note, samples
        self.model = infer.model
        self.stages = [*self.model.intermediate_outputs, 'prediction']

    @property
    def draws_noise(self) -> bool:
        """Return whether several samples of a prediction differ."""
        return self.model.noise.num_maps > 0

    def predict(self, last: Visit | None, image: str | None, tasks: list[str],
                num_samples: int) -> tuple:
        """Predict; called by the button and after an upload.

        An image larger than the inferencer's ``max_side`` is shown shrunk, and so are its maps.

        Returns:
            The visit, the last position of the slider, the path of the arrays, and the results of
            :meth:`show`, :meth:`legend` and :meth:`show_uncertainty`.
        """
        if image is None:
            raise gr.Error('Choose an image first.', print_exception=False)
        if not tasks:
            raise gr.Error('Choose at least one task.', print_exception=False)
        try:
            result = self._result(image, tasks, int(num_samples))
        except (OSError, ValueError) as error:
            # Do not show visitors where this machine keeps uploads.
            text = str(error).replace(image, Path(image).name).replace(str(self.folder), '')
            raise gr.Error(text, print_exception=False) from error
        except Exception as error:
            logger.exception('a prediction failed')
            raise gr.Error(f'The prediction failed ({type(error).__name__}); see the log of the '
                           'page.', print_exception=False) from error
        visit, position = Visit(result, self.save(result)), len(self.stages) - 1
        self.forget(last)
        return (visit, position, str(visit.file), *self.show(visit, position),
                self.legend(result), self.show_uncertainty(visit))

    def _result(self, image: str, tasks: list[str], num_samples: int) -> Prediction:
        check_pixels(image)
        (source,), _ = collect(image)
        pixels = resize_longest_side(source.read(self.reader), self.infer.max_side)[..., ::-1]
        result = self.infer(pixels, names=source.name, tasks=tasks, num_samples=num_samples,
                            stages=INTERMEDIATE if self.model.num_steps else (),
                            progress=False)
        assert isinstance(result, Prediction)  # one image gives one prediction
        return result

    @staticmethod
    def picture(visit: Visit, task: str, stage: str | None) -> str:
        """Save a picture and return its path; Gradio's own files for arrays are shared."""
        path = visit.file.parent / (stage or 'prediction') / f'{task}.png'
        if not path.is_file():
            write_image(path, visit.result.picture(task, stage)[..., ::-1])
        return str(path)

    @staticmethod
    def forget(visit: Visit | None) -> None:
        """Remove the file of a visit that is over or has a new prediction."""
        if visit is not None:
            shutil.rmtree(visit.file.parent, ignore_errors=True)

    def show(self, visit: Visit | None, position: int) -> tuple[str, list]:
        """Return the pictures of a stage and their heading, by the slider's position."""
        stage = self.stages[int(position)]
        if visit is None:
            return '', []
        chosen = None if stage == 'prediction' else stage
        return (f'### {title(stage)}',
                [(self.picture(visit, name, chosen), name) for name in visit.result.maps])

    def legend(self, result: Prediction) -> str:
        """Return the legend of the predictions as HTML."""
        lines = []
        for name, entries in result.legends().items():
            swatches = ''.join(SWATCH.format(colour=tuple(colour), name=html.escape(entry))
                               for entry, colour in entries.items())
            lines.append(f'<div><b>{html.escape(name)}</b>{swatches}</div>' if swatches else '')
        return ''.join(lines)

    def show_uncertainty(self, visit: Visit) -> gr.Gallery:
        """Show pictures with the maximum of each; hide the gallery if there are none."""
        pictures = [(self.picture(visit, name, 'uncertainty'), f'{name}, up to {spread.max():.3g}')
                    for name, spread in visit.result.uncertainty.items()]
        return gr.Gallery(pictures, visible=bool(pictures))

    def save(self, result: Prediction) -> Path:
        """Save all arrays in one ``.npz``: ``<task>``, ``<task>_<stage>``, ``..._uncertainty``."""
        arrays = dict(result.maps)
        for stage, maps in (*result.stages.items(), ('uncertainty', result.uncertainty)):
            arrays |= {f'{name}_{stage}': values for name, values in maps.items()}
        path = Path(tempfile.mkdtemp(dir=self.folder), 'predictions.npz')
        np.savez_compressed(path, **arrays)  # type: ignore[arg-type]  # no name is allow_pickle
        return path

    # ---------------------------------------------------------------- page

    def build(self, name: str) -> gr.Blocks:
        """Build the page, ready to be launched."""
        names, last = list(self.infer.tasks), len(self.stages) - 1
        ending = STEPS.format(steps=last - 1) if self.model.num_steps else '.'
        with gr.Blocks(title=name, analytics_enabled=False,
                       delete_cache=(3600, 3600)) as page:
            gr.Markdown(INTRODUCTION.format(name=name, tasks=', '.join(names), ending=ending))
            if self.note:
                gr.Markdown(f'**{self.note}**', elem_id='note')
            visit = gr.State(delete_callback=self.forget)
            with gr.Row():
                with gr.Column(scale=1):
                    image = gr.Image(type='filepath', image_mode=None, format='png',
                                     label='image', sources=['upload', 'clipboard'],
                                     elem_id='image')
                    image.preprocess = uploaded  # type: ignore[method-assign]
                    samples_row = gr.Examples([[path] for path in self.samples], image,
                                              label='samples', elem_id='samples_row',
                                              ) if self.samples else None
                    tasks = gr.CheckboxGroup(names, value=names, label='tasks', elem_id='tasks')
                    samples = gr.Slider(1, MOST_SAMPLES, 1, step=1, label='samples of the noise',
                                        visible=self.draws_noise, elem_id='samples')
                    button = gr.Button('Predict', variant='primary', elem_id='predict')
                    download = gr.DownloadButton('Download the arrays (.npz)', elem_id='download')
                with gr.Column(scale=3):
                    position = gr.Slider(0, max(last, 1), last, step=1, elem_id='step',
                                         label=' · '.join(map(title, self.stages)),
                                         visible=last > 0)
                    heading = gr.Markdown(elem_id='heading')
                    maps = gr.Gallery(label='maps', columns=3, object_fit='contain', format='png',
                                      height='max-content', elem_id='maps')
                    legend = gr.HTML(elem_id='legend')
                    spread = gr.Gallery(label='uncertainty', columns=3, object_fit='contain',
                                        height='max-content', format='png', elem_id='uncertainty',
                                        visible=False)
            outputs = [visit, position, download, heading, maps, legend, spread]
            gr.on([button.click, image.upload], self.predict,
                  [visit, image, tasks, samples], outputs, show_progress_on=maps)
            if samples_row is not None:
                samples_row.load_input_event.then(
                    self.predict, [visit, image, tasks, samples], outputs,
                    show_progress_on=maps)
            position.input(self.show, [visit, position], [heading, maps],
                           show_progress='hidden')
        return page


def uploaded(payload: ImageData | None) -> str | None:
    """Return the path of an upload, unread: Gradio's own reading errors would show the path."""
    if payload is not None and payload.path is None:
        raise gr.Error('Upload the image as a file.', print_exception=False)
    return None if payload is None else payload.path


def check_pixels(path: str) -> None:
    """Raise ValueError for an image of more than ``MOST_MEGAPIXELS``, before decoding it."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore', Image.DecompressionBombWarning)
            with Image.open(path) as image:
                width, height = image.size
    except UnidentifiedImageError:  # an array or no image; reading it reports that
        return
    except Image.DecompressionBombError:
        raise ValueError(f'the page takes images of up to {MOST_MEGAPIXELS} megapixels, this one '
                         'has more') from None
    if width * height > MOST_MEGAPIXELS * 10 ** 6:
        raise ValueError(f'the page takes images of up to {MOST_MEGAPIXELS} megapixels, this one '
                         f'has {width} x {height} pixels')


def check_address(host: str, port: int) -> None:
    """Raise ValueError if the page cannot listen at ``host`` and ``port``."""
    try:
        family, kind, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind(address)
    except socket.gaierror as error:
        raise ValueError(f'--host: {host} is no address of this machine') from error
    except OSError as error:
        raise ValueError(f'port {port} of {host} cannot be used ({error.strerror}); choose '
                         'another with --port') from error


def serve(infer: MultiTaskInferencer, name: str, host: str, port: int,
          max_upload: int = 50, note: str = '', samples: Sequence[str] = ()) -> None:
    """Serve the page until Ctrl-C or SIGTERM, then remove all files.

    Args:
        infer: inferencer of the model.
        name: title of the page.
        host: address to listen at.
        port: port to listen at.
        max_upload: largest size of an uploaded file in megabytes.
        note: see :class:`Page`.
        samples: see :class:`Page`.

    Raises:
        ValueError: the port is taken, or the host is not this machine.
    """
    check_address(host, port)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with tempfile.TemporaryDirectory(prefix='mtpsl_') as folder:
        os.environ['GRADIO_TEMP_DIR'] = folder  # uploads and Gradio's copies of pictures
        # Use fonts of the system, so that the page works without a network.
        theme = gr.themes.Default(font=['system-ui', 'sans-serif'], font_mono=['monospace'])
        page = Page(infer, Path(folder), note, samples).build(name)
        page.launch(server_name=host, server_port=port, show_error=True, theme=theme, quiet=True,
                    footer_links=[], ssr_mode=False, prevent_thread_lock=True,
                    max_file_size=max_upload * 2 ** 20)
        print(f'the page: http://{host}:{port} (Ctrl-C ends it)', flush=True)
        page.block_thread()
