"""Whether the normals of two sets are in two systems of axes."""

import numpy as np

from .seen import ENOUGH, FILLED, Seen

LEAST = 3 / 255  # a mean closer to 0 than a step of rounding has no sign
CLEAR = 0.1  # a mean that floors or ceilings make
MOSTLY = 0.9
# What is compared of the mean vectors (N, 3) of labels: scenes have floors, and face the viewer.
SIGNS = (
    (('up (y > 0)', 'down (y < 0)'),
     'is y reversed in one of them? Save (x, -y, z) where y points down.',
     lambda mean: mean[:, 1]),
    (('rather to the viewer than up or down (|z| above |y|)',
      'rather up or down than to the viewer (|z| below |y|)'),
     'are y and z swapped in one of them?',
     lambda mean: np.abs(mean[:, 2]) - np.abs(mean[:, 1])),
    (('rather up or down than aside (|y| above |x|)',
      'rather aside than up or down (|y| below |x|)'),
     'are x and y swapped in one of them?',
     lambda mean: np.abs(mean[:, 1]) - np.abs(mean[:, 0])))


def filled_vector(seen: Seen) -> str:
    """Return that one vector is on many pixels of nearly all labels, as where holes were filled.

    Renderings have surfaces of one vector as well, but of another one in each view.
    """
    known = [label.some for label in seen.labels if label.known]
    found: dict[bytes, list[float]] = {}
    for some in known:
        vectors, counts = np.unique(some, axis=0, return_counts=True)
        for number in np.flatnonzero(counts >= FILLED * len(some)):
            found.setdefault(vectors[number].tobytes(), []).append(counts[number] / len(some))
    shares = max(found.values(), key=len, default=[])
    if len(known) < ENOUGH or len(shares) < MOSTLY * len(known):
        return ''
    vector = np.frombuffer(next(one for one, those in found.items() if those is shares),
                           known[0].dtype)
    return (f'hold one and the same vector, ({", ".join(f"{value:.2g}" for value in vector)}), on '
            f'{np.mean(shares):.0%} of the pixels in nearly all images: were holes filled with '
            'it? Save (0, 0, 0) there, which is unknown. If all images show such a plane, all is '
            'well')


def mixed_axes(seen: Seen) -> str:
    """Return how some of the labels contradict the others, or ''.

    Of sixteen labels at least whose mean is clearly up or down, a quarter is each.
    """
    means = {label.source: label.some[:, 1].mean() for label in seen.labels if label.known}
    parts = [[name for name, mean in means.items() if sign * mean > CLEAR] for sign in (1, -1)]
    if sum(map(len, parts)) < 2 * ENOUGH or 4 * min(map(len, parts)) < sum(map(len, parts)):
        return ''
    (up, *_), (down, *_) = parts
    return (f'point up (y > 0) in the mean in {len(parts[0])} of {len(means)} ({up}, ...) and down '
            f'in {len(parts[1])} ({down}, ...): is y reversed in some of them? The axes are x '
            'right, y up, z towards the viewer')


def odd_axes(seen: Seen) -> str:
    """Return how nearly all labels have a mean vector that scenes do not have, or ''.

    A scene may be seen from the left or from the right, so means to one side are axes that were
    exchanged; and it has floors rather than ceilings.
    """
    means = np.array([label.some.mean(0) for label in seen.labels if label.known])
    if len(means) < ENOUGH:
        return ''
    for axis, sign, word, question in (
            (0, 1, 'to the right (x > 0)', 'are x and y exchanged?'),
            (0, -1, 'to the left (x < 0)', 'are x and y exchanged?'),
            (1, -1, 'down (y < 0)', 'is y reversed? Save (x, -y, z) where y points down.')):
        count = int((sign * means[:, axis] > CLEAR).sum())
        if count >= MOSTLY * len(means):
            return (f'point {word} in the mean in {count} of {len(means)}: {question} The axes are '
                    'x right, y up, z towards the viewer. If the camera always looked so, all is '
                    'well')
    return ''


def other_axes(one: Seen, other: Seen, names: tuple[str, str]) -> str:
    """Return how the mean vectors of labels contradict those of another set, or ''.

    Nine of ten labels have one sign in one set and nine of ten the other sign in the other set, of
    eight labels in each at least.

    Args:
        one: labels of the set that the first name means.
        other: labels of the set that the second name means.
        names: names of the two for the text.
    """
    means = [np.array([label.some.mean(0) for label in seen.labels if label.known])
             for seen in (one, other)]
    if min(map(len, means)) < ENOUGH:
        return ''
    for words, question, measure in SIGNS:
        signs = [[int((sign * measure(mean) > LEAST).sum()) for sign in (1, -1)] for mean in means]
        most = [next((sign for sign, count in enumerate(counts) if count >= MOSTLY * len(mean)), -1)
                for counts, mean in zip(signs, means)]
        if sorted(most) == [0, 1]:
            told = [f'point {words[sign]} in the mean in {counts[sign]} of {len(mean)} labels of '
                    f'{name}'
                    for sign, counts, mean, name in zip(most, signs, means, names)]
            return (f'{" and ".join(told)}: {question} The axes are x right, y up, z towards the '
                    'viewer')
    return ''
