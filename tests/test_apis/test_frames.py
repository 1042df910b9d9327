"""Frames: what each is called, and generators that are asked for one when its turn has come."""

import numpy as np
import pytest
from PIL import Image, ImageSequence

from mtpsl.apis.frames import Frames


@pytest.fixture
def frames():
    """Six small pictures that differ."""
    return list(np.random.default_rng(0).integers(0, 256, (6, 40, 50, 3)).astype(np.uint8))


def names_of(folder):
    return sorted(path.stem for path in folder.glob('depth/*.png'))


def test_frames_one_by_one_do_not_overwrite_each_other(infer, frames, tmp_path):
    for frame in frames[:3]:
        infer(frame, tasks=['depth'], out_dir=tmp_path)
    infer(frames[3:5], tasks=['depth'], out_dir=tmp_path, progress=False)
    assert names_of(tmp_path) == ['image0', 'image1', 'image2', 'image3', 'image4']
    first, again = (infer(frames[0], tasks=['depth']) for _ in range(2))
    assert first.name != again.name  # Prediction.save loses none either
    np.testing.assert_array_equal(first.maps['depth'], again.maps['depth'])  # of the same noise


def test_frames_have_the_names_that_they_are_given(infer, frames, folder, tmp_path):
    result = infer(frames[0], names='door', tasks=['depth'], out_dir=tmp_path)
    assert result.name == 'door' and names_of(tmp_path) == ['door']
    named = infer(iter(frames[:2]), names=(f'frame{n:04d}' for n in range(10, 99)),
                  tasks=['depth'], progress=False)
    assert [result.name for result in named] == ['frame0010', 'frame0011']
    files = infer(folder, names={'10.png': 'c', '0.png': 'a', '2.png': 'b'}, tasks=['depth'],
                  progress=False)
    assert [result.name for result in files] == ['a', 'b', 'c']
    door = infer(frames[0], names=['door'], tasks=['depth'])
    np.testing.assert_array_equal(door.maps['depth'], result.maps['depth'])  # the name's noise


def test_a_generator_is_asked_when_the_turn_has_come(infer, frames):
    asked = []

    def camera():
        for number, frame in enumerate(frames):
            asked.append(number)
            yield frame
    stream = infer.stream(camera(), tasks=['depth'])
    assert asked == []
    assert next(stream).name == 'image0' and asked == [0]
    assert next(stream).name == 'image1' and asked == [0, 1]
    assert len(list(stream)) == 4


@pytest.mark.parametrize('make', [
    lambda folder: folder.glob('*.png'), lambda folder: map(str, folder.iterdir()),
    lambda folder: dict.fromkeys(folder.iterdir()).keys(),
    lambda folder: set(folder.iterdir())])
def test_any_iterable_of_images_does(infer, folder, make):
    found = infer(make(folder), tasks=['depth'], progress=False)
    assert sorted(result.name for result in found) == ['0', '10', '2']


def test_an_array_never_takes_the_name_of_a_file(infer, folder, frames):
    (folder / '0.png').rename(folder / 'image0.png')
    for images in ([folder / 'image0.png', frames[0]], iter([folder / 'image0.png', frames[0]])):
        found = infer(images, tasks=['depth'], progress=False)
        assert found[0].name == 'image0' and found[1].name not in ('image0', '')


def test_what_cannot_be_had_of_a_generator_ends_it_or_is_skipped(infer, folder, frames, capfd):
    images = [folder / '0.png', folder / 'no.png', frames[0]]
    with pytest.raises(FileNotFoundError, match='no image .*no.png'):
        infer(iter(images), tasks=['depth'])
    found = infer(iter(images), names=iter('abc'), tasks=['depth'], on_error='skip')
    assert [result.name for result in found] == ['a', 'c']
    again = folder / 'more'
    again.mkdir()
    (again / '0.png').write_bytes((folder / '0.png').read_bytes())
    with pytest.raises(ValueError, match=r"more/0.png: another image was called '0' before"):
        infer(folder.rglob('*0.png'), tasks=['depth'])

    def broken():
        yield frames[0]
        raise RuntimeError('the camera was unplugged')
    infer.batch_size, done = 4, []
    with pytest.raises(RuntimeError, match='unplugged'):
        for result in infer.stream(broken(), tasks=['depth']):
            done.append(result.name)
    assert len(done) == 1  # what came before is not lost


@pytest.mark.parametrize('names, message', [
    ('a', 'as many as the images, got one'), (['a'], 'as many as the images, 2, got 1'),
    (['a', 'a'], "'a' is there twice"), (['a', 'b/c'], "a file may be called, got 'b/c'"),
    (['a', '..'], r"got '\.\.'"), (['a', ''], "got ''"), ([1, 2], 'got 1')])
def test_names_that_cannot_be_are_refused_first(infer, frames, names, message):
    infer.model.predict = None
    with pytest.raises(ValueError, match=message):
        infer.stream(frames[:2], names=names)


@pytest.mark.parametrize('names, message', [
    (['a', 'c', 'b'], 'image 1 is 2.png in the order of numbers, and 10.png in'),
    (iter('acb'), 'dict of file -> name'), ({'0.png': 'a'}, '10.png is not in names'),
    ({'0.png': 'a', '2.png': 'b', '10.png': 'c', '3.png': 'd'}, '3.png is in names alone')])
def test_names_of_a_folder_are_of_its_files(names, message, folder):
    with pytest.raises(ValueError, match=message):
        Frames(str(folder), names)
    (folder / '10.png').rename(folder / '3.png')  # one order, by whichever rule
    assert Frames(folder, ['a', 'b', 'c']).known_names() == ['a', 'b', 'c']


@pytest.mark.parametrize('names', [{'b', 'a'}, frozenset('ab'), {'a': 1, 'b': 2}])
def test_names_without_an_order_are_refused(frames, names):
    with pytest.raises(ValueError, match='names and images must have an order'):
        Frames(frames[:2], names)


def test_images_without_an_order_have_no_names(folder):
    with pytest.raises(ValueError, match='names and images must have an order'):
        Frames(set(folder.iterdir()), ['a', 'b', 'c'])


def test_frames_in_one_buffer_are_said(frames, tmp_path, warned):
    Frames([frames[0], frames[1], frames[0].copy()], None)
    assert warned == []
    pages = list(map(Image.fromarray, frames))
    pages[0].save(tmp_path / 'a.gif', save_all=True, append_images=pages[1:])
    for images in ([frames[0]] * 3, list(ImageSequence.Iterator(Image.open(tmp_path / 'a.gif')))):
        Frames(images, None)
        assert 'image0 and image1 are the same' in warned.pop() and not warned


def test_names_that_are_left_over_are_said(frames, warned):
    assert len(list(Frames(iter(frames[:2]), ['a', 'b', 'c']))) == 2
    assert "left over, 1 of 3, from 'c'" in warned[0]
    assert len(list(Frames(iter(frames[:2]), iter('abc')))) == 2 and len(warned) == 1


def test_names_of_a_generator_are_checked_as_they_come(frames):
    with pytest.raises(ValueError, match='names ended before the images, after 1'):
        list(Frames(iter(frames), iter('a')))
    with pytest.raises(ValueError, match="'a' is there twice"):
        list(Frames(iter(frames), iter('aa')))
    with pytest.raises(TypeError, match='got dict'):
        Frames({}, None)
