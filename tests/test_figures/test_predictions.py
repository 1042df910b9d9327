"""What models say of images: as the model itself says it, stage by stage."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.dataset import ConcatDataset, pseudo_collate
from mmengine.registry import DefaultScope

from mtpsl.analysis.figures import (
    ImagePredictions,
    TrainedModel,
    choose_images,
    draw_stages,
    merge_methods,
)
from mtpsl.analysis.figures.image_predictions import TRUTH, read_tasks
from mtpsl.engine import load_config
from mtpsl.registry import DATASETS, MODELS

ROOT = Path(__file__).parents[2]


def close(found: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> None:
    """Up to rounding, which may decide between two classes that are about as likely."""
    assert list(found) == list(expected)
    np.testing.assert_allclose(found['saliency'], expected['saliency'], atol=1e-5)
    assert found['semseg'].shape == expected['semseg'].shape
    assert (found['semseg'] == expected['semseg']).mean() > 0.99


@pytest.fixture(scope='module')
def model(config, checkpoint):
    return TrainedModel(config, checkpoint, device='cpu', every_stage=True)


def test_stages_are_the_model_s(model, config, checkpoint):
    shown = model.of_dataset(model.dataset()[0])
    assert list(shown.maps) == [TRUTH, 'initial', 'noisy', 'step 3', 'step 2', 'denoised']
    assert model.titles == list(shown.maps)[1:]
    cfg = load_config(config)
    with DefaultScope.overwrite_default_scope('mtpsl'):
        plain = MODELS.build(cfg.model)
        dataset = DATASETS.build(cfg.test_dataloader.dataset)
    plain.load_state_dict(torch.load(checkpoint))
    plain.eval()
    with torch.no_grad():
        (sample,) = plain.test_step(pseudo_collate([dataset[0]]))
    for title, field in (('denoised', 'pred'), ('initial', 'initial'), ('noisy', 'noisy')):
        classes = getattr(sample, field).semseg.argmax(0).numpy()
        close(shown.maps[title], dict(semseg=classes[None],
                                      saliency=getattr(sample, field).saliency.numpy()))
    np.testing.assert_array_equal(shown.maps[TRUTH]['semseg'], sample.gt.semseg.numpy())
    assert not np.array_equal(shown.maps['step 2']['saliency'], shown.maps['step 3']['saliency'])


def test_a_file_is_predicted_as_in_the_data_set(model, root):
    inside, outside = model.of_dataset(model.dataset()[2]), model.of_file(root / 'val/images/2.jpg')
    assert outside.name == inside.name == '2'
    np.testing.assert_array_equal(outside.image, inside.image)
    assert list(outside.maps) == [stage for stage in inside.maps if stage != TRUTH]
    for stage, maps in outside.maps.items():
        close(maps, inside.maps[stage])


def test_a_large_file_is_shrunk(model, root, monkeypatch):
    whole = model.of_file(root / 'val/images/2.jpg')
    monkeypatch.setattr(model, 'max_side', 16)
    shown = model.of_file(root / 'val/images/2.jpg')
    assert shown.image.shape == (12, 16, 3)
    for stage, maps in shown.maps.items():
        for task, values in maps.items():
            np.testing.assert_array_equal(values, whole.maps[stage][task][:, ::2, ::2])


def test_the_model_sees_a_large_file_shrunk(config, checkpoint):
    assert TrainedModel(config, checkpoint, device='cpu', max_side=16).infer.max_side == 16


def test_choosing_images(model):
    dataset = model.dataset()
    assert choose_images(dataset, None, 3) == [0, 2, 5]
    assert choose_images(dataset, None, 9) == list(range(6))
    assert choose_images(dataset, ['4', '1'], 1) == [4, 1]
    with pytest.raises(ValueError, match='has several images called 4, as sets of a ConcatDat'):
        choose_images(ConcatDataset([dataset, dataset]), ['4'], 1)
    with pytest.raises(ValueError, match='the dataset has no image 7, 8; it has 0, 1, 2, 3, 4, '):
        choose_images(dataset, ['7', '1', '8'], 1)


def test_methods_side_by_side():
    picture = np.zeros((2, 2, 3), np.uint8)
    label = np.zeros((1, 2, 2), np.float32)

    def shown(stage: str, task: str, value: float) -> ImagePredictions:
        return ImagePredictions('0', picture, {TRUTH: {task: label}, stage: {task: label + value}})
    (merged,) = merge_methods({'single': [shown('prediction', 'semseg', 1),
                                         shown('prediction', 'depth', 2)],
                              'ours': [shown('denoised', 'depth', 3)]})
    values = {(stage, task): float(values[0, 0, 0]) for stage, maps in merged.maps.items()
              for task, values in maps.items()}
    assert values == {('single', 'semseg'): 1, ('single', 'depth'): 2, ('ours', 'depth'): 3,
                      (TRUTH, 'semseg'): 0, (TRUTH, 'depth'): 0}


def test_methods_on_other_photos_of_one_name_are_refused():
    rng = np.random.default_rng(0)
    photo, other = (cv2.resize(rng.integers(0, 256, (8, 8, 3), np.uint8), (96, 64))
                    for _ in range(2))
    grey = cv2.cvtColor(cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)

    def merge(image: np.ndarray) -> list:
        return merge_methods({name: [ImagePredictions('0', picture, {'prediction': {}})]
                              for name, picture in (('A', photo), ('B', image))})
    for same in (photo, grey, photo // 2, cv2.resize(photo, (48, 32))):  # read in another way
        assert len(merge(same)) == 1
    for wrong in (other, np.zeros_like(photo)):
        with pytest.raises(ValueError, match='image 0 of B shows something else than'):
            merge(wrong)


def test_the_drawing(model):
    images = [model.of_dataset(model.dataset()[place]) for place in (0, 1)]
    figure = draw_stages(images, model.tasks, ['denoised', TRUTH, 'other'], number_classes=True)
    (axes,) = figure.axes
    texts = [text.get_text() for text in axes.texts]
    assert texts[:4] == ['input', 'denoised', 'truth', 'other']
    # Per image: the input, and for each of two tasks prediction and truth; one truth is withheld.
    assert len(axes.get_images()) == 2 * 5 - 1
    assert texts.count('no label') == 1 and texts.count('not predicted') == 4
    assert {'1 a', '2 b', '3 c'} <= set(texts)


def test_a_model_without_steps(baseline, save_weights, tmp_path):
    path = save_weights(baseline, str(tmp_path / 'weights.pth'))
    with pytest.raises(ValueError, match=r'baseline\.py has no denoising steps'):
        TrainedModel(baseline, path, device='cpu', every_stage=True)
    plain = TrainedModel(baseline, path, device='cpu')
    assert list(plain.of_dataset(plain.dataset()[0]).maps) == [TRUTH, 'prediction']


def test_classes_of_other_names_in_one_legend_are_told(tmp_path, warned):
    config = str(ROOT / 'configs/synthetic/demo.py')
    names = read_tasks([config])['semseg'].class_names
    other = tmp_path / 'other.py'
    other.write_text(f'_base_ = {config!r}\ntasks = dict(semseg=dict(class_names={names[::-1]}))\n')
    read_tasks([config, config])
    assert not warned
    tasks = read_tasks([config, str(other)])
    assert list(tasks['semseg'].class_names) == list(names)
    assert len(warned) == 1 and 'other.py has the classes' in warned[0]
