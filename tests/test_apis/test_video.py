"""Videos: one noise for all frames, one frame at a time, files that can always be played."""

import weakref

import cv2
import numpy as np
import pytest
from in_process import ROOT, load_module

from mtpsl.apis import Video, predict_video
from mtpsl.apis.video import VideoFiles
from mtpsl.system.results_folder import ResultsFolder

FPS = 12.5


def write_video(path, frames, fps=FPS):
    height, width = frames[0].shape[:2]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*'mp4v'), fps, (width, height))
    for frame in frames:
        writer.write(np.ascontiguousarray(frame[..., ::-1]))
    writer.release()
    return path


def read_video(path):
    return list(Video(path))


@pytest.fixture
def clip(picture, tmp_path):
    """Five frames of 50 x 70: two that are equal, then three that move."""
    even = picture[:, :70]
    return write_video(tmp_path / 'clip.mp4', [even, even, *(np.roll(even, 5 * k, 1)
                                                             for k in (1, 2, 3))])


def test_equal_frames_have_equal_maps_by_one_noise(infer, picture):
    frames = [picture.copy() for _ in range(4)]
    for batch_size in (1, 2):
        infer.batch_size = batch_size
        own, same = ([result.maps for result in infer.stream(iter(frames), noise=noise)]
                     for noise in (None, 'clip'))
        for task in infer.tasks:
            for other in same[1:]:
                np.testing.assert_array_equal(same[0][task], other[task])
        assert any((own[0][task] != own[1][task]).any() for task in infer.tasks)
    alone = infer(picture, names='clip').maps  # whose name seeds its noise
    np.testing.assert_allclose(same[0]['depth'], alone['depth'], rtol=1e-4)
    infer.window, infer.max_side, infer.batch_size = (40, 40), None, 1  # several windows
    first, again = (result.maps for result in infer.stream(iter(frames[:2]), noise='clip'))
    np.testing.assert_array_equal(first['normal'], again['normal'])
    with pytest.raises(ValueError, match='noise must be text'):
        infer.stream(frames, noise=1)


def test_a_video_of_each_task(infer, clip, tmp_path):
    files = predict_video(infer, clip, tmp_path / 'out', tasks=['semseg', 'depth'])
    assert sorted(str(path.relative_to(tmp_path / 'out')) for path in files) == [
        'depth/clip.mp4', 'panels/clip.mp4', 'semseg/clip.mp4']
    frames = read_video(clip)
    for task in ('semseg', 'depth'):
        video = Video(tmp_path / f'out/{task}/clip.mp4')
        assert video.fps == FPS and video.total == 5
        for number, (shown, frame) in enumerate(zip(video, frames)):
            wanted = infer(frame, names='clip', tasks=[task]).picture(task)
            error = np.abs(shown.astype(int) - wanted).mean()
            swapped = np.abs(shown[..., ::-1].astype(int) - wanted).mean()
            assert error < 20 and error < swapped, (task, number)  # what the codec loses
    assert read_video(tmp_path / 'out/panels/clip.mp4')[0].shape[1] > 3 * 70
    assert not list((tmp_path / 'out').rglob('.*.mp4'))


def test_stages_and_uncertainty_are_shown_on_one_scale(infer, clip, tmp_path, monkeypatch):
    largest = []
    paint = 'mtpsl.apis.prediction.paint_uncertainty'
    monkeypatch.setattr(paint, lambda deviation, most=None: largest.append(most) or np.zeros(
        (*deviation.shape[:2], 3), np.uint8))
    files = predict_video(infer, clip, tmp_path, tasks=['depth'], num_samples=2,
                          stages=['initial'])
    assert {path.parent.name for path in files} == {'depth', 'depth_initial', 'depth_uncertainty',
                                                    'panels'}
    per_picture = [most for most in largest if most is not None]
    assert len(per_picture) >= 10 and len(set(per_picture)) == 1


def test_frames_are_read_when_their_turn_has_come(infer, clip, tmp_path, monkeypatch):
    """However long the video is: few of its frames are in memory at a time."""
    made, most = [], []

    def frames(video):
        for _ in range(40):
            frame = np.zeros((50, 70, 3), np.uint8)
            most.append(sum(one() is not None for one in made))
            made.append(weakref.ref(frame))
            yield frame
    monkeypatch.setattr(Video, '__iter__', frames)
    predict_video(infer, clip, tmp_path / 'out', tasks=['depth'])
    assert len(most) == 40 and max(most) <= 3


def test_odd_sizes_lose_no_pixel(tmp_path):
    files = VideoFiles(ResultsFolder(tmp_path), 25)
    pictures = np.zeros((3, 33, 47, 3), np.uint8)
    pictures[:, -1], pictures[:, :, -1] = 250, 250
    for picture in pictures:
        files.add({tmp_path / 'a.mp4': picture})
    path, = files.close()
    frame = read_video(path)[0]
    assert frame.shape == (34, 48, 3) and frame[32].mean() > 200 and frame[:, 46].mean() > 200
    with pytest.raises(ValueError, match='frame 3 .* another size'):
        files.add({tmp_path / 'a.mp4': picture[1:]})


def test_what_ctrl_c_leaves_can_be_played(infer, clip, tmp_path, monkeypatch, warned):
    frames = read_video(clip)

    def until_interrupted(video):
        yield from frames[:3]
        raise KeyboardInterrupt
    monkeypatch.setattr(Video, '__iter__', until_interrupted)
    with pytest.raises(KeyboardInterrupt):
        predict_video(infer, clip, tmp_path / 'out', tasks=['depth'])
    monkeypatch.undo()
    assert len(read_video(tmp_path / 'out/depth/clip.mp4')) == 3
    assert 'stopped after 3 of 5 frames' in warned[-1]
    monkeypatch.setattr(Video, '__iter__', lambda video: iter(frames[:2]))
    predict_video(infer, clip, tmp_path / 'out', tasks=['depth'])
    assert 'has results of an earlier call' in warned[-2] and '2 could be read' in warned[-1]


def test_other_files_are_not_overwritten(infer, clip, tmp_path):
    (tmp_path / 'depth').mkdir()
    (tmp_path / 'depth/clip.mp4').write_bytes(b'mine')
    infer.model.predict = None
    with pytest.raises(FileExistsError, match='depth/clip.mp4 is there'):
        predict_video(infer, clip, tmp_path, tasks=['depth'])
    assert (tmp_path / 'depth/clip.mp4').read_bytes() == b'mine'


def test_a_full_disk_is_an_error_and_leaves_no_half_file(tmp_path):
    files = VideoFiles(ResultsFolder(tmp_path), 25)
    files.add({tmp_path / 'a.mp4': np.zeros((32, 32, 3), np.uint8)})
    files.count = 9  # as if the others had not been written
    with pytest.raises(OSError, match='a.mp4: is the disk full'):
        files.close()
    assert not list(tmp_path.glob('*.mp4')) and not list(tmp_path.glob('.*.mp4'))


def test_videos_that_cannot_be_read(clip, tmp_path, warned, monkeypatch):
    (tmp_path / 'empty.mp4').touch()
    (tmp_path / 'text.mp4').write_text('no video\n' * 99)
    (tmp_path / 'cut.mp4').write_bytes(clip.read_bytes()[:300])
    for name, said in (('empty', 'empty.mp4 is empty'), ('text', 'cannot be read: it has no frame'),
                       ('cut', 'cut.mp4 cannot be read')):
        with pytest.raises(ValueError, match=said):
            Video(tmp_path / f'{name}.mp4')
    with pytest.raises(FileNotFoundError, match='no video'):
        Video(tmp_path / 'no.mp4')
    with pytest.raises(TypeError, match='a video must be the path of a file, got 0: frames of a'):
        Video(0)
    opened = Video(clip)._open()

    class Silent:  # a stream that says nothing of itself
        read, release, get = opened.read, opened.release, staticmethod(lambda what: float('nan'))
    monkeypatch.setattr(Video, '_open', lambda video: Silent)
    video = Video(clip)
    assert video.fps == 25 and video.total is None and '25 are assumed' in warned[-1]


def test_an_image_is_no_video(infer, clip):
    with pytest.raises(ValueError, match='is a video: predict_video'):
        infer(clip)


def test_from_the_command_line(clip, tmp_path, capsys):
    demo = load_module(ROOT / 'demo/image_demo.py')
    demo.main([str(clip), '--out-dir', str(tmp_path / 'out'), '--tasks', 'normal', '--device',
               'cpu'])
    assert '5/5 frames' in (said := capsys.readouterr().out) and 'normal/clip.mp4' in said
    assert len(read_video(tmp_path / 'out/normal/clip.mp4')) == 5
    for arguments, message in (([clip, '--formats', 'npy'], '--formats: a video becomes videos'),
                               ([tmp_path / 'no.mov'], 'there is no video')):
        with pytest.raises(SystemExit):
            demo.main(list(map(str, arguments)))
        assert message in capsys.readouterr().err
