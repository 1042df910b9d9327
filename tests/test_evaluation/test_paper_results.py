"""The paper's figures: complete, and each printed Delta_m recomputed from them."""

import pytest

from mtpsl.analysis.comparison import Comparison, compare, disagreements
from mtpsl.analysis.result_files import PAPER, paper_results, read_results
from mtpsl.analysis.results import group_by_method

METHODS = ['Single-Task', 'MTL Baseline', 'SS', 'XTC', 'XTC*', 'DiffusionMTL (Prediction)',
           'DiffusionMTL (Feature)']
# Setting -> the tasks, and how far from the printed Delta_m the figures may lead. The paper's own
# came from figures with more digits; absErr of Cityscapes has three (0.0125 is good for 0.4 %).
SETTINGS = {
    'cityscapes_onelabel': (['semseg', 'depth'], 0.22),
    'pascal_onelabel': (['semseg', 'parsing', 'saliency', 'normal', 'boundary'], 0.015),
    'pascal_random': (['semseg', 'parsing', 'saliency', 'normal', 'boundary'], 0.015),
    'nyud_onelabel': (['semseg', 'depth', 'normal'], 0.015),
    'nyud_random': (['semseg', 'depth', 'normal'], 0.015)}
# Table 2: computed relative to ResNet-18's single-task models, and printed. 'w/o Diffusion' of R18
# does not follow from the printed figures: rounding explains 0.03, not 0.14. Those of R50 are
# 4.0 to 4.1 below ours, so relative to other models; R50's single-task figures are not printed.
OTHERWISE = {
    'R18 DiffusionMTL (Prediction) w/o Diffusion': (-0.03, 0.11),
    'R50 DiffusionMTL (Feature)': (4.91, 0.77),
    'R50 DiffusionMTL (Prediction)': (3.49, -0.66),
    'R50 DiffusionMTL (Prediction) w/o Diffusion': (1.16, -2.86),
    'R50 DiffusionMTL (Prediction) w/o Multi-Task Cond': (1.13, -2.91)}


def paper_table(setting: str) -> Comparison:
    methods = group_by_method(paper_results(setting))
    return compare(methods, methods[0])


def printed_and_computed(comparison: Comparison) -> dict[str, tuple[float, float]]:
    return {row.method.name: (row.method.runs[0].printed_delta_m, row.scores['delta_m'].mean)
            for row in comparison.rows if row.method.runs[0].printed_delta_m is not None}


@pytest.mark.parametrize('setting', SETTINGS)
def test_tables_1_and_3(setting: str) -> None:
    comparison = paper_table(setting)
    tasks, tolerance = SETTINGS[setting]
    assert [row.method.name for row in comparison.rows] == METHODS
    assert [column.split('/')[0] for column in comparison.columns][:-1] == tasks
    deltas = printed_and_computed(comparison)
    assert list(deltas) == [METHODS[1], *METHODS[4:]]
    for printed, computed in deltas.values():
        assert computed == pytest.approx(printed, abs=tolerance)
    assert disagreements(comparison) == []


def test_table_2() -> None:
    comparison = paper_table('pascal_onelabel_ablation')
    deltas = printed_and_computed(comparison)
    assert len(deltas) == 8
    for name, (printed, computed) in deltas.items():
        if name in OTHERWISE:
            assert (round(computed, 2), printed) == OTHERWISE[name]
        else:
            assert computed == pytest.approx(printed, abs=0.015)
    assert disagreements(comparison) == [
        f'{name}: Delta_m {computed:+.2f}% relative to R18 Single-Task, but its source prints '
        f'{printed:+.2f}%' for name, (computed, printed) in OTHERWISE.items()]


# Rows without a printed Delta_m, which would not notice a wrong digit.
UNCHECKED = {
    'cityscapes_onelabel': ([71.67, 0.0178], [74.90, 0.0161]),
    'pascal_onelabel': ([45.00, 54.00, 61.70, 16.90, 62.40], [49.50, 55.80, 61.70, 17.00, 65.10]),
    'pascal_random': ([59.00, 55.80, 64.00, 15.90, 66.90], [59.00, 55.60, 64.00, 15.90, 67.80]),
    'nyud_onelabel': ([27.52, 0.6499, 33.58], [30.36, 0.6088, 32.08]),
    'nyud_random': ([29.50, 0.6224, 33.31], [34.26, 0.5787, 31.06])}


@pytest.mark.parametrize('setting', UNCHECKED)
def test_rows_without_a_printed_delta(setting: str) -> None:
    rows = {row.method: list(row.metrics.values()) for row in paper_results(setting)}
    assert (rows['SS'], rows['XTC']) == UNCHECKED[setting]


def test_sizes() -> None:
    """Whole M and G, printed for PASCAL, not for SS and XTC."""
    sizes = [[(row.params, row.macs) for row in paper_results(setting)]
             for setting in ('pascal_onelabel', 'pascal_random', 'pascal_onelabel_ablation')]
    in_units = [[(params and params / 1e6, macs and macs / 1e9) for params, macs in rows]
                for rows in sizes]
    none = (None, None)
    assert in_units[0] == in_units[1] == [
        (219, 817), (157, 608), none, none, (173, 608), (133, 628), (133, 676)]
    assert in_units[2] == [(219, 817), (133, 676), (133, 628), (133, 628), (125, 558),
                           (159, 742), (159, 694), (159, 694), (150, 625)]
    for setting in ('nyud_onelabel', 'nyud_random', 'cityscapes_onelabel'):
        assert {(row.params, row.macs) for row in paper_results(setting)} == {none}


def test_the_settings() -> None:
    with pytest.raises(ValueError, match='holds several settings') as info:
        read_results(PAPER)
    assert all(repr(name) in str(info.value) for name in [*SETTINGS, 'pascal_onelabel_ablation'])
