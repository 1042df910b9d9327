"""Iterate over images, with the names of their results."""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from mmengine.logging import print_log
from PIL import Image

from .sources import Images, OneImage, Source, collect

Stream = Images | Iterable[OneImage]
SEPARATORS = ('/', '\\', '\0')


class Frame(NamedTuple):
    """An image to predict.

    Attributes:
        name: name of its results.
        source: the image.
        seed: text that seeds its noise.
    """

    name: str
    source: Source
    seed: str


class Frames:
    """The images of one call.

    Args:
        inputs: see :meth:`mtpsl.apis.MultiTaskInferencer.stream`.
        names: names to use instead of the file names, one per image, in order. A generator may
            return more. For a folder a dict of file -> name.
        numbers: iterator of the numbers of unnamed arrays.
        on_error: see :func:`mtpsl.apis.sources.collect`.
        noise: text that seeds the noise of all images; None: the name of each.

    Attributes:
        single: whether the input is one image, not several.
        total: number of images; None if it is not known before the end.

    Raises:
        FileNotFoundError, TypeError, ValueError: see :func:`mtpsl.apis.sources.collect`; names are
            not valid file names, not distinct or not as many as the images, or a list for a folder
            whose natural order is not the order of its names as text.
    """

    def __init__(self, inputs: Stream, names: str | Iterable[str] | None,
                 numbers: Iterator[int] | None = None, on_error: str = 'raise',
                 noise: str | None = None) -> None:
        if not (noise is None or isinstance(noise, str)):
            raise ValueError(f'noise must be text, or None, got {noise!r}')
        self.noise = noise
        self.numbers = count() if numbers is None else numbers
        self.single, self.total, self._inputs = False, None, inputs
        known = not isinstance(inputs, Iterable) or isinstance(
            inputs, (Sequence, Mapping, np.ndarray, Image.Image))
        self._sources: list[Source] | None = None
        if known:
            self._sources, self.single = collect(
                inputs, on_error)  # type: ignore[arg-type]
            self.total = len(self._sources)
            _say_same(self._sources)
            if names is not None and isinstance(inputs, (str, Path)) and not self.single:
                names = _names_of_files(names, self._sources)
        if isinstance(names, (set, frozenset, Mapping)) or (
                names is not None and isinstance(inputs, (set, frozenset))):
            raise ValueError('names and images must have an order, as a list has, got names of '
                             f'{type(names).__name__}, images of {type(inputs).__name__}')
        if isinstance(names, str):
            if not self.single:
                raise ValueError(f'names must be as many as the images, got one, {names!r}')
            names = [names]
        if self.total is not None and isinstance(names, Sequence):
            if len(names) != self.total:
                raise ValueError(f'names must be as many as the images, {self.total}, got '
                                 f'{len(names)}')
            names = [_checked(name, set(names[:place])) for place, name in enumerate(names)]
        self._names = names

    def __iter__(self) -> Iterator[Frame | Exception]:
        """Iterate over the images; an image that cannot be read is its exception."""
        names = None if self._names is None else iter(self._names)
        taken = {source.name for source in self._sources or () if _is_file(source)}
        images: Any = self._inputs if self._sources is None else self._sources
        for place, image in enumerate(images):
            try:
                source = image if isinstance(image, Source) else self._lazy(image, place, taken)
            except (OSError, ValueError) as error:
                if names is not None:
                    next(names, None)
                yield error
                continue
            if names is not None:
                name = next(names, None)
                if name is None:
                    raise ValueError(f'names ended before the images, after {place}')
                source = source._replace(name=_checked(name, taken if self.total is None else ()))
                taken.add(source.name)
                yield self._frame(source.name, source)
            else:
                yield self._frame(source.name if _is_file(source) else self._next(taken), source)
        if isinstance(self._names, Sequence) and (left := list(names or ())):
            print_log(f'names were left over, {len(left)} of {len(self._names)}, from {left[0]!r}: '
                      'has each image the right name?', 'current', logging.WARNING)

    def _frame(self, name: str, source: Source) -> Frame:
        return Frame(name, source, source.name if self.noise is None else self.noise)

    def known_names(self) -> list[str]:
        """Return the names of the results, as far as they are known before reading images."""
        if self._names is not None:
            return list(self._names) if isinstance(self._names, Sequence) else []
        return [source.name for source in self._sources or () if _is_file(source)]

    def known_files(self) -> list[Path]:
        """Return the image files, as far as they are known before reading images."""
        return [Path(source.content) for source in self._sources or ()  # type: ignore[arg-type]
                if _is_file(source)]

    @staticmethod
    def _lazy(image: OneImage, place: int, taken: set[str]) -> Source:
        """Return the source of an image from a generator, and reserve its name."""
        (source,), single = collect(image)
        if not single:
            raise ValueError(f'image {place} must be an image, got the folder {image}')
        if not _is_file(source):
            return source._replace(name=f'image{place}')
        if source.name in taken:
            raise ValueError(f'{image}: another image was called {source.name!r} before; set '
                             'names to name each image')
        taken.add(source.name)
        return source

    def _next(self, taken: set[str]) -> str:
        """Return the next unused name for an array."""
        return next(name for name in (f'image{number}' for number in self.numbers)
                    if name not in taken)


def _say_same(sources: Sequence[Source]) -> None:
    """Warn about one object given several times: a reused buffer or an animated picture."""
    first: dict[int, str] = {}
    for source in sources:
        before = first.setdefault(id(source.content), source.name)
        if before != source.name:
            print_log(f'{before} and {source.name} are the same '
                      f'{type(source.content).__name__} object, so their results will be of one '
                      'picture: copy the frames of a buffer', 'current', logging.WARNING)
            return


def _names_of_files(names: str | Iterable[str], sources: Sequence[Source]) -> Any:
    """What each file of a folder will be called; names without files are left as they are.

    Raises:
        ValueError: files without a name, or names of no file; names without files where which is
            meant for which depends on how the files are put in order.
    """
    files = [Path(str(source.content)).name for source in sources]
    if isinstance(names, Mapping):
        named = {Path(file).name: name for file, name in names.items()}
        if odd := sorted(set(named) ^ set(files)):
            raise ValueError(f'names must have each image of the folder, {odd[0]} is '
                             + ('in names alone' if odd[0] in named else 'not in names'))
        return [named[file] for file in files]
    stems = [source.name for source in sources]
    if any(sorted(found) != found for found in (files, stems)):
        place = next(k for k, pair in enumerate(zip(files, sorted(files))) if len({*pair}) > 1)
        raise ValueError(
            f'names must be a dict of file -> name for this folder: image {place} is '
            f'{files[place]} in the order of numbers, and {sorted(files)[place]} in that of text')
    return names


def _is_file(source: Source) -> bool:
    return isinstance(source.content, (str, Path))


def _checked(name: object, taken: Iterable[str]) -> str:
    if (not isinstance(name, str) or name.strip() in ('', '.', '..')
            or any(separator in name for separator in SEPARATORS)):
        raise ValueError(f'a name must be text that a file may be called, got {name!r}')
    if name in taken:
        raise ValueError(f'names must differ, {name!r} is there twice')
    return name
