"""Tables that are repeated so that workers start fast equal those of their owners."""
import subprocess
import sys

from mtpsl.data_prep.layouts import PART_PIECES
from mtpsl.data_prep.synthetic import people
from mtpsl.data_prep.synthetic.furniture import BUILDERS
from mtpsl.data_prep.synthetic.pascal_layout import CLASS_NAMES, LIMBS
from mtpsl.datasets.pascal_context import PARTS
from mtpsl.tasks.semseg import VOC_CLASSES


def test_classes_are_those_of_the_task() -> None:
    assert {number: VOC_CLASSES[number] for number in CLASS_NAMES} == CLASS_NAMES
    assert {category for category, _ in BUILDERS.values()} <= {0, *CLASS_NAMES}


def test_body_parts_are_those_of_the_reader() -> None:
    assert {part: PART_PIECES[part][:2] for part in LIMBS} == {
        3: ('luarm', 'ruarm'), 4: ('llarm', 'rlarm'), 5: ('luleg', 'ruleg'), 6: ('llleg', 'rlleg')}
    assert list(PART_PIECES) == list(range(1, 7)) and len(PARTS) == 24
    drawn = (people.HEAD, people.TORSO, people.UPPER_ARM, people.LOWER_ARM, people.UPPER_LEG,
             people.LOWER_LEG)
    assert drawn == tuple(PARTS[name] for name in ('head', 'torso', 'luarm', 'llarm', 'luleg',
                                                   'llleg'))


def test_workers_load_no_torch() -> None:
    # It would take each of them seconds to start.
    program = 'import sys, mtpsl.data_prep.synthetic; sys.exit("torch" in sys.modules)'
    assert subprocess.run([sys.executable, '-c', program], check=False).returncode == 0
