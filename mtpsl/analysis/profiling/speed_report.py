"""Reports measurements as a table and as JSON, with a description of the machine."""

import platform
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path

import torch
from prettytable import PrettyTable

from mtpsl.system.files import to_json, write_keeping

from .measure import Measurement


def machine(device: str = 'cpu') -> dict[str, object]:
    """Describe the machine: processor, threads, GPU, versions, date."""
    facts: dict[str, object] = dict(cpu=_processor(), threads=torch.get_num_threads(),
                                    python=platform.python_version(), torch=torch.__version__,
                                    date=date.today().isoformat())
    if device == 'cuda':
        facts['gpu'] = torch.cuda.get_device_name()
    return facts


def _processor() -> str:
    try:
        with open('/proc/cpuinfo') as info:
            return next(line.split(':')[1].strip() for line in info if 'model name' in line)
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def as_table(measurements: Sequence[Measurement], item: str = 'images') -> str:
    """Format as text; the last column is the speed relative to the last row."""
    table = PrettyTable(['procedure', 'median (ms)', 'quartiles (ms)', 'N', f'{item} / s',
                         'peak (MiB)', 'speed'], align='r')
    table.align['procedure'] = 'l'
    for measured in measurements:
        lower, upper = measured.quartiles
        table.add_row([
            measured.name, f'{1e3 * measured.median:.1f}', f'{1e3 * lower:.1f}-{1e3 * upper:.1f}',
            len(measured.seconds), f'{measured.rate:.2f}', f'{measured.peak_bytes / 2**20:.0f}',
            f'{measurements[-1].median / measured.median:.2f}x'])
    return str(table)


def report(measurements: Sequence[Measurement], setting: Mapping[str, object],
            json: Path | None = None, device: str = 'cpu', item: str = 'images') -> None:
    """Print the setting, the table and the procedures' facts; write all as JSON.

    Args:
        measurements: measurements, of which the last is the reference.
        setting: what was measured, printed as it is.
        json: file for the numbers, with the time of each repeat in seconds.
        device: 'cpu' or 'cuda'.
        item: name of the counted items, in the plural.
    """
    print('  '.join(f'{key}={value}' for key, value in (dict(setting) | machine(device)).items()))
    print(as_table(measurements, item))
    for m in measurements:
        for fact, value in m.facts.items():
            print(f'{m.name}: {fact} {value:g}')
    if json:
        write_keeping(json, to_json(dict(machine=machine(device), setting=setting, measurements=[
            dict(name=m.name, seconds=m.seconds, median=m.median, quartiles=m.quartiles,
                 items=m.items, peak_bytes=m.peak_bytes, **m.facts) for m in measurements])))
