import cv2
import numpy as np
import pytest
from scipy.ndimage import convolve
from scipy.optimize import linear_sum_assignment
from skimage.morphology import thin as skimage_thin

from mtpsl.tasks import boundary_nms
from mtpsl.tasks.boundary_match import (
    THRESHOLDS,
    boundary_counts,
    boundary_scores,
    match_count,
)
from mtpsl.tasks.boundary_nms import edge_nms, thin


def _pixels(shape, *positions):
    mask = np.zeros(shape, bool)
    mask[tuple(np.transpose(positions))] = True
    return mask


def _soft_map(seed, shape):
    """Smooth random map in [0, 1] with pixels at every level, and a random truth."""
    generator = np.random.default_rng(seed)
    smooth = cv2.GaussianBlur(generator.normal(size=shape), (0, 0), 1.2)
    smooth = (smooth - smooth.min()) / np.ptp(smooth)
    truth = skimage_thin(cv2.GaussianBlur(generator.normal(size=shape), (0, 0), 2) > 0.1)
    return smooth, truth


def _assignment_size(prediction, truth, distance):
    """All pairs, and an assignment that minimises distance + 100 x limit per unmatched pixel."""
    p, t = np.argwhere(prediction), np.argwhere(truth)
    if not len(p) or not len(t):
        return 0
    apart = np.sqrt(((p[:, None] - t) ** 2).sum(-1))
    cost = np.where(apart <= distance, apart, 200 * (distance + 1))
    rows, cols = linear_sum_assignment(cost)
    return int((apart[rows, cols] <= distance).sum())


def _counts_oracle(probability, truth, valid, max_dist):
    strength = np.where(valid, edge_nms(probability), 0)
    truth = skimage_thin(truth & valid)
    counts = []
    for threshold in THRESHOLDS:
        prediction = skimage_thin(strength >= np.float32(threshold))
        matched = _assignment_size(prediction, truth, max_dist * np.hypot(*truth.shape))
        counts.append([matched, truth.sum(), matched, prediction.sum()])
    return np.array(counts)


def _nms_oracle(probability):
    """The definition, pixel by pixel."""
    height, width = probability.shape
    smooth = convolve(
        probability, np.outer([1, 2, 3, 4, 5, 4, 3, 2, 1], [1, 2, 3, 4, 5, 4, 3, 2, 1]) / 625,
        mode='reflect')
    oy, ox = np.gradient(smooth)
    oxx, (oyy, oxy) = np.gradient(ox, axis=1), np.gradient(oy)
    angle = np.mod(np.arctan(oyy * np.sign(-oxy) / (oxx + 1e-5)), np.pi)
    out = np.zeros_like(probability)
    for y in range(height):
        for x in range(width):
            value = probability[y, x]
            for step in (-1, 1):
                v = min(max(y + step * np.sin(angle[y, x]), 0), height - 1.001)
                u = min(max(x + step * np.cos(angle[y, x]), 0), width - 1.001)
                j, i = int(v), int(u)
                patch = probability[j:j + 2, i:i + 2]
                if probability[y, x] * 1.01 < (
                        np.array([1 - v + j, v - j]) @ patch @ np.array([1 - u + i, u - i])):
                    value = 0
            for distance in (y, x, height - 1 - y, width - 1 - x):
                value *= min(distance, 5) / 5
            out[y, x] = value
    return out


def test_thresholds_are_those_of_the_protocol():
    assert THRESHOLDS.shape == (101,)
    np.testing.assert_allclose(THRESHOLDS[[0, 1, 2, 99, 100]], [0.001, 0.01, 0.02, 0.99, 0.999])


def test_smoothing_is_the_triangle_filter_with_symmetric_border(monkeypatch):
    image = np.random.default_rng(0).random((11, 7))
    line = np.convolve(np.ones(5), np.ones(5))  # a triangle is a box filtered by a box
    expected = np.empty_like(image)
    padded = np.pad(image, 4, mode='symmetric')
    for y in range(11):
        for x in range(7):
            expected[y, x] = (padded[y:y + 9, x:x + 9] * np.outer(line, line)).sum() / 625
    seen = []
    gradient = np.gradient
    monkeypatch.setattr(
        boundary_nms.np, 'gradient', lambda a, **axis: seen.append(a) or gradient(a, **axis))
    edge_nms(image)
    np.testing.assert_allclose(seen[0], expected, atol=1e-12)


@pytest.mark.parametrize('shape', [(24, 31), (9, 8), (2, 13)])
def test_nms_agrees_with_its_definition(shape):
    probability, _ = _soft_map(1, shape)
    thinned = edge_nms(probability)
    if min(shape) < 10:  # the border is narrower then; only the support is compared
        assert thinned.shape == shape and (thinned <= probability + 1e-6).all()
        return
    np.testing.assert_allclose(thinned, _nms_oracle(probability), atol=1e-6)
    assert 0 < (thinned > 0).sum() < 0.6 * probability.size


def test_nms_keeps_the_ridge_of_a_slanted_line_and_fades_the_border():
    y, x = np.mgrid[:40, :40]
    ridge = np.exp(-((y - x) ** 2) / 8.0)
    thinned = edge_nms(ridge)
    np.testing.assert_allclose(np.diag(thinned)[5:35], 1)
    np.testing.assert_allclose(np.diag(thinned)[:5], (np.arange(5) / 5) ** 2, rtol=1e-6)
    assert thinned[np.abs(y - x) > 1].max() == 0


@pytest.mark.parametrize('density', [0.2, 0.5, 0.9])
def test_thin_equals_scikit_image(density):
    generator = np.random.default_rng(3)
    # Words are 64 pixels of a row.
    for shape in [(40, 57), (1, 9), (5, 3), (20, 63), (20, 64), (20, 65), (30, 140)]:
        masks = generator.random((2, 3, *shape)) < density
        np.testing.assert_array_equal(thin(masks), np.reshape(
            [skimage_thin(mask) for mask in masks.reshape(6, *shape)], masks.shape))
        np.testing.assert_array_equal(thin(masks[0, 0]), skimage_thin(masks[0, 0]))
    assert thin(np.ones((9, 30), bool)).sum() < 30


def test_match_count_by_hand():
    shape = (5, 9)
    prediction = _pixels(shape, (2, 1), (2, 4))
    assert match_count(prediction, _pixels(shape, (2, 2)), 1) == 1
    assert match_count(prediction, _pixels(shape, (2, 2), (2, 3)), 1) == 2
    assert match_count(prediction, _pixels(shape, (2, 6)), 2) == 1  # the limit is inclusive
    assert match_count(prediction, _pixels(shape, (2, 6)), 1.99) == 0
    assert match_count(prediction, _pixels(shape, (3, 5)), 1.4) == 0  # sqrt(2) > 1.4
    # The nearest pair (2, 4)-(2, 4) must give way: (2, 2) has no other partner.
    truth = _pixels(shape, (2, 4), (2, 7))
    assert match_count(_pixels(shape, (2, 4), (2, 2)), truth, 3) == 2
    assert match_count(np.zeros(shape, bool), truth, 3) == 0
    assert match_count(truth, np.zeros(shape, bool), 3) == 0


@pytest.mark.parametrize('distance', [0, 1, 1.5, 3.3, 100])
def test_match_count_is_the_size_of_an_optimal_assignment(distance):
    generator = np.random.default_rng(int(10 * distance))
    for density in (0.05, 0.15, 0.3):
        for _ in range(8):
            prediction, truth = generator.random((2, 14, 17)) < density
            expected = _assignment_size(prediction, truth, distance)
            assert match_count(prediction, truth, distance) == expected


@pytest.mark.parametrize('seed', range(6))
def test_counts_agree_with_the_protocol_written_out(seed, monkeypatch):
    shape = [(33, 47), (40, 28), (26, 60)][seed % 3]
    probability, truth = _soft_map(seed, shape)
    valid = np.random.default_rng(seed).random(shape) < (1.0 if seed < 2 else 0.85)
    max_dist = [0.02, 0.06][seed % 2]
    counts = boundary_counts(probability, truth, valid, max_dist)
    np.testing.assert_array_equal(counts, _counts_oracle(probability, truth, valid, max_dist))
    assert len(np.unique(counts[:, 3])) > 30  # the case has many different maps
    for name, most in (('MOST_EDGES', 1), ('MOST_PIXELS', 3 * probability.size),
                       ('MOST_EDGES', 1 << 40)):  # one threshold after the other; three together
        monkeypatch.setattr(f'mtpsl.tasks.boundary_match.{name}', most)
        np.testing.assert_array_equal(
            boundary_counts(probability, truth, valid, max_dist), counts)


def test_thinning_of_a_saturated_map_is_part_of_the_counts():
    probability = np.zeros((40, 60))
    probability[15:22, 10:50] = 1
    truth = skimage_thin(probability > 0)
    counts = boundary_counts(probability, truth)
    np.testing.assert_array_equal(
        counts, _counts_oracle(probability, truth, np.ones_like(truth), 0.0075))
    assert counts[-1, 3] < 60


def test_counts_by_hand():
    probability, truth = np.zeros((30, 40)), np.zeros((30, 40))  # diagonal: 50 pixels
    probability[10, 10], probability[20, 30], probability[15, 20] = 0.305, 0.6, 0.9
    truth[10, 12] = truth[20, 30] = 1
    counts = boundary_counts(probability, truth, max_dist=0.04)  # limit: 2 pixels
    np.testing.assert_array_equal(counts[[0, 30]], [[2, 2, 2, 3]] * 2)
    np.testing.assert_array_equal(counts[[31, 60]], [[1, 2, 1, 2]] * 2)  # 0.6 at 0.60 counts
    np.testing.assert_array_equal(counts[[61, 90]], [[0, 2, 0, 1]] * 2)
    np.testing.assert_array_equal(counts[[91, 100]], [[0, 2, 0, 0]] * 2)
    assert boundary_counts(probability, truth, max_dist=0.039)[0, 0] == 1


def test_invalid_pixels_count_nowhere():
    probability, truth = np.zeros((30, 40)), np.zeros((30, 40), np.uint8)
    probability[10, 10] = probability[20, 30] = 0.5
    truth[10, 10] = 1
    truth[20, 31] = 255
    valid = truth != 255
    np.testing.assert_array_equal(
        boundary_counts(probability, truth, valid, 0.04)[0], [1, 1, 1, 2])
    valid[20, 30] = valid[10, 10] = False
    np.testing.assert_array_equal(
        boundary_counts(probability, truth, valid, 0.04), np.zeros((101, 4)))


def test_perfect_prediction_scores_100():
    y, x = np.mgrid[:60, :80]
    truth = skimage_thin(np.abs(np.hypot(y - 30, x - 40) - 20) < 1)
    scores = boundary_scores(boundary_counts(truth.astype(float), truth)[None])
    assert scores['odsF'] == scores['oisF'] == 100
    shifted = boundary_counts(np.roll(truth, 12, axis=1).astype(float), truth)
    assert boundary_scores(shifted[None])['odsF'] < 60


def test_scores_of_hand_made_counts():
    counts = np.zeros((2, 101, 4))
    counts[0, :51] = 10, 10, 10, 20  # P 1/2, R 1, F 2/3
    counts[0, 51:] = 5, 10, 5, 5  # P 1, R 1/2, F 2/3: the lower threshold is taken
    counts[1, :51] = 2, 10, 2, 20  # F 2/15
    counts[1, 51:] = 4, 10, 4, 5  # F 8/15
    scores = boundary_scores(counts)
    # Summed: below 12 / 20 and 12 / 40, F 0.4; above 9 / 20 and 9 / 10, F 0.6.
    assert scores['odsF'] == pytest.approx(60)
    assert scores['odsThreshold'] == THRESHOLDS[51]
    # 10 + 4 of 20 true, 10 + 4 of 20 + 5 predicted: P 14/25, R 14/20.
    assert scores['oisF'] == pytest.approx(100 * 28 / 45)
    # Precision 0.9 at recall 0.45, linear to 0.3 at 0.60: 16 recalls of mean 0.6, over 100.
    assert scores['AP'] == pytest.approx(9.6)
    assert all(type(value) is float for value in scores.values())


def test_empty_prediction_has_precision_1_and_empty_truth_recall_1():
    nothing = np.zeros((1, 101, 4))
    assert boundary_scores(nothing)['odsF'] == 100
    missed = nothing + [0, 7, 0, 0]  # P 1, R 0
    assert boundary_scores(missed)['odsF'] == 0
    invented = nothing + [0, 0, 0, 7]  # P 0, R 1
    assert boundary_scores(invented)['odsF'] == 0
    # AP sees precision 1 at recall 0 (no prediction above 0.5) and 1/2 at recall 1.
    half = missed.copy()
    half[0, :51] = 7, 7, 7, 14
    assert boundary_scores(half)['AP'] == pytest.approx(101 * 0.75)
    # An image without truth is best where it predicts nothing, and costs oisF nothing there.
    invented[0, 60:] = 0
    perfect = nothing + [7, 7, 7, 7]
    assert boundary_scores(np.concatenate([invented, perfect]))['oisF'] == 100


@pytest.mark.parametrize('call, message', [
    (lambda: edge_nms(np.full((4, 4), 1.5)), r'probability must be within \[0, 1\].*got 1.5'),
    (lambda: edge_nms(np.full((4, 4), np.nan)), 'probability must be .* finite, got nan'),
    (lambda: edge_nms(np.zeros((1, 4, 4))), r'probability must have shape .* got \(1, 4, 4\)'),
    (lambda: boundary_counts(np.zeros((4, 4)), np.zeros((4, 5))), r'truth .* got \(4, 5\)'),
    (lambda: boundary_counts(np.zeros((4, 4)), np.full((4, 4), 255)), 'truth .* 0 and 1, got .255'),
    (lambda: boundary_counts(np.zeros((4, 4)), np.zeros((4, 4)), np.ones((3, 4), bool)),
     r'valid .* got \(3, 4\)'),
    (lambda: boundary_counts(np.zeros((4, 4)), np.zeros((4, 4)), max_dist=-1),
     'max_dist .* got -1'),
    (lambda: match_count(np.zeros((4, 4), bool), np.zeros((4, 4), bool), np.nan),
     'max_distance_pixels .* got nan'),
    (lambda: boundary_scores(np.zeros((101, 4))), r'counts must have shape .* got \(101, 4\)'),
    (lambda: boundary_scores(np.full((1, 101, 4), -1)), 'counts must be .* >= 0'),
])
def test_wrong_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
