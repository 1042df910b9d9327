"""Draws ``method.png``, the figure of the README: ``python docs/images/draw_method.py``.

The maps are real: a rendered scene and the predictions of the model that ships for it. Units of
the drawing are pixels of 1440 x 760, y downwards.
"""

from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyArrowPatch, FancyBboxPatch, Polygon, Rectangle

from mtpsl.apis import MultiTaskInferencer
from mtpsl.data_prep.synthetic import render_scene

SCENE, SIDE = 500012, 128
LABELLED = 'semseg'
TASKS = {'semseg': ('semantic seg.', '#D55E00'), 'parsing': ('human parsing', '#009E73'),
         'saliency': ('saliency', '#CC79A7'), 'normal': ('surface normals', '#0072B2'),
         'boundary': ('boundaries', '#E69F00')}
WIDTH, HEIGHT = 1440, 760
TILE, FIRST, PITCH = 98, 84, 110
INITIAL_X, PLUS_X, NOISY_X, FINAL_X, LABEL_X = 492, 648, 704, 1106, 1306
DENOISER = (858, 74, 196, 554)  # x, y, width, height
INK, GREY = '#222222', '#6b7280'


class Drawing:
    """A canvas with the few shapes that the figure has."""

    def __init__(self) -> None:
        self.figure = Figure(figsize=(WIDTH / 100, HEIGHT / 100), dpi=130)
        self.axes = self.figure.add_axes((0, 0, 1, 1))
        self.axes.set(xlim=(0, WIDTH), ylim=(HEIGHT, 0))
        self.axes.axis('off')

    def picture(self, pixels: np.ndarray, x: float, y: float, side: float, edge: str) -> None:
        self.axes.imshow(pixels, extent=(x, x + side, y + side, y), interpolation='nearest',
                         zorder=2, aspect='auto')
        self.axes.add_patch(Rectangle((x, y), side, side, fill=False, edgecolor=edge, lw=1.6,
                                      zorder=3))

    def box(self, x: float, y: float, width: float, height: float, colour: str,
            edge: str) -> None:
        self.axes.add_patch(FancyBboxPatch(
            (x + 6, y + 6), width - 12, height - 12, boxstyle='round,pad=6,rounding_size=10',
            facecolor=colour, edgecolor=edge, lw=1.4, zorder=2))

    def text(self, x: float, y: float, words: str, size: float = 11, colour: str = INK,
             **options: object) -> None:
        self.axes.text(x, y, words, size=size, color=colour,
                       **(dict(ha='center', va='center', zorder=4) | options))

    def arrow(self, start: tuple[float, float], end: tuple[float, float], colour: str = INK,
              bend: float = 0, style: str = '-|>', line: str = '-') -> None:
        self.axes.add_patch(FancyArrowPatch(
            start, end, arrowstyle=style, mutation_scale=11, color=colour, lw=1.5, zorder=3,
            linestyle=line, shrinkA=0, shrinkB=0, connectionstyle=f'arc3,rad={bend}'))

    def line(self, *points: tuple[float, float], colour: str = INK) -> None:
        self.axes.plot(*zip(*points), color=colour, lw=1.5, zorder=1, solid_joinstyle='round')


def maps() -> tuple[np.ndarray, np.ndarray, dict[str, dict[str, np.ndarray]]]:
    """The image, its label of ``LABELLED``, and pictures by output and task."""
    scene = render_scene(SCENE, SIDE, SIDE)
    infer = MultiTaskInferencer('synthetic', device='cpu')
    result = infer(scene.image, names=f'synthetic_{SCENE}', stages=['initial', 'noisy'],
                   progress=False)
    pictures = {'pred': {name: result.picture(name) for name in TASKS}}
    for stage in ('initial', 'noisy'):
        pictures[stage] = {
            name: infer.tasks[name].colorize(as_label(result.stages[stage][name]))
            for name in TASKS}
    return scene.image, infer.tasks[LABELLED].colorize(scene.semseg[None]), pictures


def as_label(values: np.ndarray) -> np.ndarray:
    """(H, W) or (H, W, 3) as (c, H, W)."""
    return values[None] if values.ndim == 2 else values.transpose(2, 0, 1)


def draw_encoder(d: Drawing, image: np.ndarray, centre: float) -> None:
    d.picture(image, 24, centre - 75, 150, INK)
    d.text(99, centre - 92, 'image', 12)
    d.arrow((174, centre), (206, centre))
    d.axes.add_patch(Polygon([(206, centre - 78), (292, centre - 42), (292, centre + 42),
                              (206, centre + 78)], facecolor='#e8eefc', edgecolor='#4f6fd0',
                             lw=1.4, joinstyle='round'))
    d.text(249, centre - 8, 'shared', 11)
    d.text(249, centre + 9, 'encoder', 11)
    d.line((292, centre), (326, centre))


def draw_rows(d: Drawing, pictures: dict[str, dict[str, np.ndarray]], label: np.ndarray) -> None:
    x, _, width, _ = DENOISER
    d.line((326, FIRST + TILE / 2), (326, FIRST + 4 * PITCH + TILE / 2))
    for row, (name, (title, colour)) in enumerate(TASKS.items()):
        top = FIRST + row * PITCH
        middle = top + TILE / 2
        d.arrow((326, middle), (350, middle))
        d.box(350, middle - 24, 122, 48, '#ffffff', colour)
        d.text(411, middle - 8, title, 10)
        d.text(411, middle + 8, 'decoder', 10, GREY)
        d.arrow((472, middle), (INITIAL_X, middle))
        d.picture(pictures['initial'][name], INITIAL_X, top, TILE, colour)
        d.line((INITIAL_X + TILE, middle), (PLUS_X - 11, middle))
        d.axes.add_patch(Circle((PLUS_X, middle), 11, facecolor='white', edgecolor=INK, lw=1.4,
                                zorder=4))
        d.text(PLUS_X, middle, '+', 13, zorder=5)
        d.arrow((PLUS_X + 11, middle), (NOISY_X, middle))
        d.picture(pictures['noisy'][name], NOISY_X, top, TILE, colour)
        d.arrow((NOISY_X + TILE, middle), (x, middle))
        d.arrow((x + width, middle), (FINAL_X, middle))
        d.picture(pictures['pred'][name], FINAL_X, top, TILE, colour)
        if name == LABELLED:
            d.picture(label, LABEL_X, top, TILE, colour)
            d.arrow((FINAL_X + TILE, middle), (LABEL_X, middle), colour, style='<|-|>')
            d.text((FINAL_X + TILE + LABEL_X) / 2, middle - 12, 'loss', 11, colour)
        else:
            d.axes.add_patch(Rectangle((LABEL_X, top), TILE, TILE, facecolor='#f6f6f6', lw=1.0,
                                       edgecolor='#c4c4c4', linestyle='--', zorder=2))
            d.text(LABEL_X + TILE / 2, middle, 'no label', 10, '#9a9a9a')


def draw_noise(d: Drawing) -> None:
    noise = np.random.default_rng(0).normal(0.5, 0.2, (24, 24)).clip(0, 1)
    d.axes.imshow(noise, extent=(PLUS_X - 22, PLUS_X + 22, 56, 12), cmap='gray', vmin=0, vmax=1,
                  zorder=2, aspect='auto')
    d.text(PLUS_X - 30, 34, 'noise', 11, ha='right')
    d.text(PLUS_X + 30, 34, r'$\epsilon\sim\mathcal{N}(0,1)$', 11, ha='left')
    d.line((PLUS_X, 56), (PLUS_X, FIRST + 4 * PITCH + TILE / 2))


def draw_denoiser(d: Drawing) -> None:
    x, y, width, height = DENOISER
    centre = x + width / 2
    d.box(x, y, width, height, '#fff4e0', '#d08a1d')
    d.text(centre, y + 190, 'Denoiser', 16, weight='bold')
    for row, words in enumerate(('one for all tasks', '', 'convolutions per task,',
                                 'shared transformer', 'blocks, cross-attention',
                                 'with the condition')):
        d.text(centre, y + 222 + 20 * row, words, 11, GREY if row else INK)
    d.arrow((x + width - 34, y), (x + 34, y), '#d08a1d', bend=0.42)
    d.text(centre, 22, r'$S$ steps:  $X_{s-1}$ from $\hat{X}_0$ and $X_s$', 11.5, '#9a5f06')


def draw_condition(d: Drawing) -> None:
    x, y, width, height = DENOISER
    bottom, left = y + height, INITIAL_X + TILE / 2
    d.line((left, FIRST + 4 * PITCH + TILE), (left, 690))
    d.arrow((left, 690), (576, 690))
    d.box(576, 662, 258, 56, '#eaf6ef', '#2f9e63')
    d.text(705, 681, r'multi-task condition  $F_{cond}$', 12)
    d.text(705, 701, 'from the predictions of all tasks', 10.5, GREY)
    d.line((834, 690), (x + width / 2, 690), colour='#2f9e63')
    d.arrow((x + width / 2, 690), (x + width / 2, bottom), '#2f9e63')


def draw_headings(d: Drawing) -> None:
    under = FIRST + 5 * PITCH + 2
    for at, words in ((NOISY_X, r'noisy maps $X_S$'), (FINAL_X, r'final predictions $P_0$'),
                      (LABEL_X, 'training labels')):
        d.text(at + TILE / 2, under, words, 12)
    d.text(INITIAL_X + 36, under, r'initial predictions $P_{init}$', 12, ha='right')
    d.text(24, 742, 'Training: final and initial predictions are compared with the labels that the '
           'image has. Test: all tasks of every image are denoised.', 11.5, GREY, ha='left')


def main() -> None:
    image, label, pictures = maps()
    with matplotlib.rc_context({'font.family': 'DejaVu Sans', 'mathtext.fontset': 'cm'}):
        d = Drawing()
        draw_encoder(d, image, FIRST + 2 * PITCH + TILE / 2)
        draw_rows(d, pictures, label)
        draw_noise(d)
        draw_denoiser(d)
        draw_condition(d)
        draw_headings(d)
        d.axes.set(xlim=(0, WIDTH), ylim=(HEIGHT, 0))
        d.figure.savefig(Path(__file__).with_name('method.png'), facecolor='white',
                         metadata={'Software': None})


if __name__ == '__main__':
    main()
