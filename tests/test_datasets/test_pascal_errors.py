"""What is said of a missing or wrong file, list, mapping or argument of the PASCAL reader."""

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
    ('parsing', lambda p: savemat(p, dict(anno=np.ones((1, 1)))), r'human_parts/.*\.mat: \w+Error'),
    ('parsing', lambda p: write_parts(p, [(15, [('tail', box(0, 0, 1, 1))])]),
     "unknown body part 'tail'"),
    ('parsing', lambda p: write_parts(p, [(15, [('head', box(0, 0, 9, 9)),
                                                ('neck', box(0, 0, 9, 9, (20, 30)))])]),
     'IndexError'),
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


@pytest.mark.parametrize('content', [b'', b'not a picture', None])
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
    with pytest.raises(ValueError, match='max_images must be at least 1, got 0'):
        reader(pascal, max_images=0)
    with pytest.raises(TypeError, match='label_maping'):
        reader(pascal, label_maping='x.json')


def test_mapping_errors_are_raised_at_construction(pascal):
    name = write_mapping(pascal, {PERSON: ['semseg'], DOG: ['depht'], EMPTY: []})
    with pytest.raises(ValueError, match=f"partial.json: image {DOG} names the unknown.*'depht'"):
        reader(pascal, label_mapping=name)


def test_transform_that_returns_nothing_is_no_refetch(pascal):
    with pytest.raises(RuntimeError, match=f'image {DOG}: a transform returned None'):
        reader(pascal, [lambda results: None])[1]
