"""What is said of a missing or wrong file, list, mapping or argument of the PASCAL reader."""

import shutil

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from .conftest import (
    DOG,
    EMPTY,
    IDS,
    PERSON,
    SIZE,
    TASKS,
    box,
    context_map,
    reader,
    write_mapping,
    write_parts,
)


@pytest.mark.parametrize('task, write, cause', [
    ('semseg', lambda p: Image.fromarray(box(0, 0, 9, 9) * 21).save(p), r'0\.\.20 or 255.*\[21\]'),
    ('semseg', lambda p: Image.new('RGB', SIZE[::-1]).save(p), 'one channel.*40, 60, 3'),
    ('semseg', lambda p: p.write_bytes(p.read_bytes()[:90]), 'Error'),
    ('semseg', lambda p: p.write_bytes(b'no picture'), 'cannot identify image file'),
    ('saliency', lambda p: Image.new('I;16', SIZE[::-1]).save(p), 'one channel.*uint16'),
    ('normal', lambda p: Image.new('L', SIZE[::-1]).save(p), 'expected an 8-bit RGB'),
    ('normal', lambda p: Image.new('RGB', (30, 20)).save(p),
     r'wrong size: LabelMap is \(40, 60\), the normals \(20, 30\)'),
    ('boundary', lambda p: savemat(p, dict(LabelMap=context_map() + 457)), '459.*got values 460'),
    ('boundary', lambda p: savemat(p, dict(Other=1)), "variable 'LabelMap', the file has Other"),
    ('boundary', lambda p: p.write_bytes(p.read_bytes()[:200]), 'trainval'),
    ('boundary', lambda p: p.unlink(), 'No such file'),
    ('parsing', lambda p: savemat(p, dict(LabelMap=1)), "variable 'anno', the file has LabelMap"),
    ('boundary', lambda p: savemat(p, dict(LabelMap=context_map().astype(np.int16) - 9)),
     'classes 0..459, got values -6 to -4'),
    *(('boundary', lambda p, value=value: savemat(p, dict(LabelMap=value)),
       r'LabelMap must be an \(H, W\) map of integers, got ')
      for value in (np.full(SIZE, 3.2), np.full(SIZE, np.nan), np.full(SIZE, 1j), 'hello',
                    np.zeros((0, 0), np.uint8), np.array([[1, 'a']], object))),
    ('parsing', lambda p: savemat(p, dict(anno=np.ones((1, 1)))), 'anno must be a struct of 2'),
    ('parsing', lambda p: savemat(p, dict(anno=np.zeros((0, 0)))), 'got an empty one'),
    ('parsing', lambda p: write_parts(p, [(15.7, [('head', box(0, 0, 9, 9))])]),
     r'class_ind of an object must be an integer, got .*15\.7'),
    ('parsing', lambda p: write_parts(p, [(15, [('head', np.ones((*SIZE, 3), np.uint8))])]),
     r'must be \(H, W\) of one size, got \(40, 60, 3\)'),
    ('parsing', lambda p: write_parts(p, [(15, [('head', box(0, 0, 9, 9)),
                                                ('neck', np.ones((1, 60), np.uint8))])]),
     r'of one size, got \(1, 60\), \(40, 60\)'),
    ('parsing', lambda p: write_parts(p, [(15, [('head', box(0, 0, 9, 9, (10, 15)))])]),
     'wrong size 10 x 15; the image is 40 x 60'),
    ('parsing', lambda p: write_parts(p, [(15, [('tail', box(0, 0, 1, 1))])]),
     "unknown body part 'tail'"),
    ('parsing', lambda p: write_parts(p, [(15, [('head', box(0, 0, 9, 9)),
                                                ('neck', box(0, 0, 9, 9, (20, 30)))])]),
     r'masks of the body parts must be \(H, W\) of one size, got \(20, 30\), \(40, 60\)'),
])
def test_wrong_label_file_is_named_with_the_cause(pascal, label_path, task, write, cause):
    dataset = reader(pascal)
    path = label_path(task, PERSON)
    write(path)
    with pytest.raises(RuntimeError) as error:
        dataset[0]
    assert f'PASCALContext train, image {PERSON}: ' in str(error.value)
    assert str(path) in str(error.value)
    error.match(cause)


def test_empty_image_is_said_to_be_empty(pascal):
    (pascal / f'JPEGImages/{DOG}.jpg').write_bytes(b'')
    with pytest.raises(RuntimeError, match=f'{DOG}.jpg: the file is empty$'):
        reader(pascal)[1]


@pytest.mark.parametrize('content', [b'not a picture', None])
def test_unreadable_image_is_named(pascal, content):
    path = pascal / f'JPEGImages/{DOG}.jpg'
    path.write_bytes(path.read_bytes()[:300] if content is None else content)
    with pytest.raises(RuntimeError, match=f'image {DOG}: cannot read the image {path}: '):
        reader(pascal)[1]


def test_missing_files_are_all_known_at_construction(pascal, label_path):
    for image_id in IDS:
        label_path('semseg', image_id).unlink()
        label_path('parsing', image_id).unlink()
    (pascal / f'JPEGImages/{DOG}.jpg').unlink()
    with pytest.raises(FileNotFoundError) as error:
        reader(pascal)
    error.match('^7 files that the train split needs are missing in .*PASCALContext: ')
    error.match(f'semseg/VOC12/{PERSON}.png or semseg/pascal-context/{PERSON}.png '
                r'\(semseg label\); human_parts')
    error.match(rf'JPEGImages/{DOG}.jpg \(image\)')
    error.match('and 2 more$')


def test_missing_folder_is_a_list_of_missing_files(pascal):
    shutil.rmtree(pascal / 'sal_distill')
    with pytest.raises(FileNotFoundError, match='^3 files that the train split needs are missing'):
        reader(pascal)


def test_id_list_errors(pascal):
    ids = pascal / 'ImageSets/Context/train.txt'
    with pytest.raises(FileNotFoundError, match='ImageSets/Context/test.txt for the split'):
        reader(pascal, split='test')
    ids.write_text('\n')
    with pytest.raises(ValueError, match=f'id list {ids} is empty'):
        reader(pascal)
    ids.write_text(f'{PERSON}\n{DOG}\n{PERSON}\n')
    with pytest.raises(ValueError, match=f'{ids} names {PERSON} more than once'):
        reader(pascal)


def test_argument_errors(pascal):
    with pytest.raises(ValueError, match='PASCALContext has no labels for the task depth; it has '
                       'semseg, parsing, saliency, normal, boundary'):
        reader(pascal, tasks=TASKS | dict(depth=dict(type='Depth')))
    with pytest.raises(ValueError, match='max_images must be an integer .* got 0'):
        reader(pascal, max_images=0)
    for wrong in ('3', 1.5):
        with pytest.raises(ValueError, match=f'max_images must be an integer .* got {wrong!r}'):
            reader(pascal, max_images=wrong)
    with pytest.raises(TypeError, match='label_maping'):
        reader(pascal, label_maping='x.json')


def test_mapping_errors_are_raised_at_construction(pascal):
    name = write_mapping(pascal, {PERSON: ['semseg'], DOG: ['depht'], EMPTY: []})
    with pytest.raises(ValueError, match=f"partial.json: image {DOG} names the unknown.*'depht'"):
        reader(pascal, label_mapping=name)


def test_mapping_path_errors(pascal, tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="label_mapping must name a JSON file, or be None.*got ''"):
        reader(pascal, label_mapping='')
    with pytest.raises(FileNotFoundError, match='label_mappings is a folder; it must be a JSON'):
        reader(pascal, label_mapping='label_mappings')
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'm.json').write_text('{}')
    with pytest.raises(FileNotFoundError, match=f"{pascal}/m.json does not exist; label_mapping="
                       "'m.json' is taken relative to data_root"):
        reader(pascal, label_mapping='m.json')


def test_transform_that_returns_nothing_is_no_refetch(pascal):
    with pytest.raises(RuntimeError, match=f'image {DOG}: a transform returned None'):
        reader(pascal, [lambda results: None])[1]


def test_errors_that_say_little_have_their_place(pascal):
    def look(results):
        return results['cam_id']
    with pytest.raises(RuntimeError, match=rf"image {DOG}: there is no 'cam_id' \[KeyError in "
                       r'look, tests/test_datasets/test_pascal_errors.py:\d+\]'):
        reader(pascal, [look])[1]
