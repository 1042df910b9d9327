"""The web page of a model: an image in, all tasks, steps and uncertainty to look at.

Gradio (``pip install mtpsl[webapp]``) is needed for this module only.
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

os.environ.setdefault('GRADIO_ANALYTICS_ENABLED', 'False')  # nothing is reported to anybody

import gradio as gr  # noqa: E402  (it reads the variable when it is imported)
from gradio.data_classes import ImageData  # noqa: E402

MOST_SAMPLES = 16
MOST_MEGAPIXELS = 100  # of an image, whose file may be small
logger = logging.getLogger(__name__)
INTRODUCTION = """# {name}
Drop an image: the model predicts {tasks} at once{ending}"""
STEPS = """, first roughly, then from noise in {steps} denoising steps, all tasks helping each
other. Move the slider through the steps. With several samples the noise is drawn anew for each: the
prediction is their mean, and the uncertainty is where they differ (bright)."""
SWATCH = ('<span style="display: inline-block; width: .9em; height: .9em; margin: 0 .3em 0 .9em; '
          'border: 1px solid #888; background: rgb{colour}"></span>{name}')


class Visit(NamedTuple):
    """What is kept for a visitor: the last prediction, and the file of its arrays.

    The folder of the file is the visitor's own: two who look at the same do not share a file.
    """

    result: Prediction
    file: Path


class Page:
    """What the page's controls do.

    Args:
        infer: of the model that the page is for.
        folder: where the arrays to download are put.
        note: what a visitor should know of the model, in Markdown.
        samples: paths of images to try it on.
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
        """Whether several samples of a prediction differ."""
        return self.model.noise.num_maps > 0

    def predict(self, last: Visit | None, image: str | None, tasks: list[str],
                num_samples: int) -> tuple:
        """Predict; called by the button and when an image arrives.

        An image larger than the inferencer's ``max_side`` is shown shrunk, and so are its maps.

        Returns:
            The visit, the last position of the slider, the path of the arrays, and what
            :meth:`show`, :meth:`legend` and :meth:`show_uncertainty` return.
        """
        if image is None:
            raise gr.Error('Choose an image first.', print_exception=False)
        if not tasks:
            raise gr.Error('Choose at least one task.', print_exception=False)
        try:
            result = self._result(image, tasks, int(num_samples))
        except (OSError, ValueError) as error:
            # Nobody's business where this machine keeps uploads.
            text = str(error).replace(image, Path(image).name).replace(str(self.folder), '')
            raise gr.Error(text, print_exception=False) from error
        except Exception as error:
            logger.exception('a prediction failed')
            raise gr.Error(f'The prediction failed ({type(error).__name__}); the log of the page '
                           'says why.', print_exception=False) from error
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
        assert isinstance(result, Prediction)  # of one image
        return result

    @staticmethod
    def picture(visit: Visit, task: str, stage: str | None) -> str:
        """The file of a picture; Gradio's own for an array is shared, and rewritten when read."""
        path = visit.file.parent / (stage or 'prediction') / f'{task}.png'
        if not path.is_file():
            write_image(path, visit.result.picture(task, stage)[..., ::-1])
        return str(path)

    @staticmethod
    def forget(visit: Visit | None) -> None:
        """Remove the file of a visit that is over, or that has another prediction now."""
        if visit is not None:
            shutil.rmtree(visit.file.parent, ignore_errors=True)

    def show(self, visit: Visit | None, position: int) -> tuple[str, list]:
        """The pictures of a stage with their heading, by the slider's position."""
        stage = self.stages[int(position)]
        if visit is None:
            return '', []
        chosen = None if stage == 'prediction' else stage
        return (f'### {title(stage)}',
                [(self.picture(visit, name, chosen), name) for name in visit.result.maps])

    def legend(self, result: Prediction) -> str:
        """What the colours of the predictions mean, as HTML."""
        lines = []
        for name, entries in result.legends().items():
            swatches = ''.join(SWATCH.format(colour=tuple(colour), name=html.escape(entry))
                               for entry, colour in entries.items())
            lines.append(f'<div><b>{html.escape(name)}</b>{swatches}</div>' if swatches else '')
        return ''.join(lines)

    def show_uncertainty(self, visit: Visit) -> gr.Gallery:
        """Pictures with the largest value of each; hidden where there are none."""
        pictures = [(self.picture(visit, name, 'uncertainty'), f'{name}, up to {spread.max():.3g}')
                    for name, spread in visit.result.uncertainty.items()]
        return gr.Gallery(pictures, visible=bool(pictures))

    def save(self, result: Prediction) -> Path:
        """All arrays in one ``.npz``: ``<task>``, ``<task>_<stage>``, ``<task>_uncertainty``."""
        arrays = dict(result.maps)
        for stage, maps in (*result.stages.items(), ('uncertainty', result.uncertainty)):
            arrays |= {f'{name}_{stage}': values for name, values in maps.items()}
        path = Path(tempfile.mkdtemp(dir=self.folder), 'predictions.npz')
        np.savez_compressed(path, **arrays)  # type: ignore[arg-type]  # no name is allow_pickle
        return path

    # ---------------------------------------------------------------- the page

    def build(self, name: str) -> gr.Blocks:
        """The page, ready to be launched."""
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
    """The file of an upload, unread: where Gradio fails to read it, it shows where it lies."""
    if payload is not None and payload.path is None:
        raise gr.Error('Upload the image as a file.', print_exception=False)
    return None if payload is None else payload.path


def check_pixels(path: str) -> None:
    """Raise ValueError for an image of more than ``MOST_MEGAPIXELS``, before it is decoded."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore', Image.DecompressionBombWarning)
            with Image.open(path) as image:
                width, height = image.size
    except UnidentifiedImageError:  # an array, or none; reading says
        return
    except Image.DecompressionBombError:
        raise ValueError(f'the page takes images of up to {MOST_MEGAPIXELS} megapixels, this one '
                         'has more') from None
    if width * height > MOST_MEGAPIXELS * 10 ** 6:
        raise ValueError(f'the page takes images of up to {MOST_MEGAPIXELS} megapixels, this one '
                         f'has {width} x {height} pixels')


def check_address(host: str, port: int) -> None:
    """Raise ValueError where nobody can listen at ``host`` and ``port``."""
    try:
        family, kind, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind(address)
    except socket.gaierror as error:
        raise ValueError(f'--host: {host} is no address of this machine') from error
    except OSError as error:
        raise ValueError(f'port {port} of {host} cannot be had ({error.strerror}); --port gives '
                         'another') from error


def serve(infer: MultiTaskInferencer, name: str, host: str, port: int,
          max_upload: int = 50, note: str = '', samples: Sequence[str] = ()) -> None:
    """Show the page until Ctrl-C or SIGTERM, which leave no file behind.

    Args:
        infer: of the model.
        name: the page's title.
        host: address to listen at.
        port: its port.
        max_upload: megabytes of a file that is taken.
        note: see :class:`Page`.
        samples: see :class:`Page`.

    Raises:
        ValueError: the port is taken, or the host is not this machine.
    """
    check_address(host, port)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with tempfile.TemporaryDirectory(prefix='mtpsl_') as folder:
        os.environ['GRADIO_TEMP_DIR'] = folder  # uploads, and its copies of what is shown
        # Fonts of the system: the page works without a network.
        theme = gr.themes.Default(font=['system-ui', 'sans-serif'], font_mono=['monospace'])
        page = Page(infer, Path(folder), note, samples).build(name)
        page.launch(server_name=host, server_port=port, show_error=True, theme=theme, quiet=True,
                    footer_links=[], ssr_mode=False, prevent_thread_lock=True,
                    max_file_size=max_upload * 2 ** 20)
        print(f'the page: http://{host}:{port} (Ctrl-C ends it)', flush=True)
        page.block_thread()
