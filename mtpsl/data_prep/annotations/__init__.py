"""What labelling tools save (labelme, CVAT, COCO JSON) -> label maps of a folder of one's own.

Nothing here loads torch, so that worker processes start in a moment.
"""

from .convert import Target, convert_annotations
from .names import UNKNOWN, check_names, meanings
from .painting import Rules
from .reading import read_annotations

__all__ = ['UNKNOWN', 'Rules', 'Target', 'check_names', 'convert_annotations', 'meanings',
           'read_annotations']
