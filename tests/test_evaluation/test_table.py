"""The table of primary metrics."""

from mtpsl.evaluation import primary_metric_table
from mtpsl.tasks import build_tasks

TASKS = build_tasks(dict(semseg=dict(type='Semseg'), depth=dict(type='Depth')))


def cells(table: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.strip('|').split('|')] for line in table.splitlines()]


def test_rows_and_columns() -> None:
    metrics = {'semseg/mIoU': 63.678, 'depth/absErr': 0.48024, 'depth/rmse': 9.0, 'delta_m': 3.456,
               'initial/semseg/mIoU': 60.0, 'initial/depth/absErr': 2.5, 'initial/delta_m': -0.5}
    header, rule, initial, final = cells(primary_metric_table(metrics, TASKS))
    assert header == ['prediction', 'semseg mIoU ↑', 'depth absErr ↓', 'delta_m ↑']
    assert [cell.strip('-') for cell in rule] == [':', ':', ':', ':']  # Markdown: left, then right
    assert rule[0].startswith(':') and all(cell.endswith('-:') for cell in rule[1:])
    # Metres below 1 keep four decimals, as in the paper's tables.
    assert initial == ['initial', '60.00', '2.50', '-0.50']
    assert final == ['final', '63.68', '0.4802', '+3.46']


def test_what_is_not_there() -> None:
    """No initial predictions, no label for depth, no Delta_m."""
    rows = cells(primary_metric_table({'semseg/mIoU': 5.0}, TASKS))[2:]
    assert rows == [['final', '5.00', '-', '-']]
    assert len(cells(primary_metric_table({}, TASKS))) == 2


def test_a_row_for_each_set_and_one_for_all() -> None:
    metrics = {'rooms/depth/absErr': 0.5, 'rooms/initial/depth/absErr': 0.6, 'rooms/delta_m': 2.0,
               'a/semseg/mIoU': 30.0, 'a/semseg/IoU.wall': 9.0, 'delta_m': 1.0, 'time': 3.0}
    rows = cells(primary_metric_table(metrics, TASKS))[2:]
    assert rows == [['rooms initial', '-', '0.6000', '-'], ['rooms final', '-', '0.5000', '+2.00'],
                    ['a final', '30.00', '-', '-'], ['all sets final', '-', '-', '+1.00']]


def test_no_gain_has_no_negative_sign() -> None:
    table = primary_metric_table({'semseg/mIoU': 5.0, 'delta_m': -0.001}, TASKS)
    assert cells(table)[2][-1] == '+0.00'
