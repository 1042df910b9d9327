"""The distortion of colours is mmseg's to the last bit."""

import mmseg.datasets.transforms
import numpy as np
import pytest

from mtpsl.datasets.transforms import PhotoMetricDistortion


@pytest.mark.parametrize('arguments', [
    dict(), dict(brightness_delta=100, contrast_range=(0.1, 3.0), saturation_range=(0.0, 4.0),
                 hue_delta=90)])
def test_equals_mmseg(arguments: dict) -> None:
    ours = PhotoMetricDistortion(**arguments)
    theirs = mmseg.datasets.transforms.PhotoMetricDistortion(**arguments)
    image = np.random.default_rng(0).integers(0, 256, (40, 50, 3), np.uint8)
    strided = image[4:-3, 5:-2]  # as a crop leaves it
    changed = 0
    for seed in range(60):  # the eight switches take every setting
        results = []
        for transform in (ours, theirs):
            np.random.seed(seed)
            results.append(transform.transform(dict(img=strided.copy()))['img'])
            results.append(np.random.rand())
        assert results[0].dtype == np.uint8 and np.array_equal(results[0], results[2]), seed
        assert results[1] == results[3], 'drew another number of times'
        changed += not np.array_equal(results[0], strided)
        np.random.seed(seed)
        assert np.array_equal(ours.transform(dict(img=strided))['img'], results[0])
    assert changed > 40 and np.array_equal(strided, image[4:-3, 5:-2]), 'changed its input'
    assert repr(ours) == repr(theirs)
