"""Measurements as a table and as JSON, with the machine that they belong to."""

import platform
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path

import torch
from prettytable import PrettyTable

from mtpsl.system.files import to_json, write_keeping

from .measure import Measurement


def machine(device: str = 'cpu') -> dict[str, object]:
    """What ran: processor, threads, card, versions, date."""
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
    """Text; the last column says how many times as fast as the last row each one is."""
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


def publish(measurements: Sequence[Measurement], setting: Mapping[str, object],
            json: Path | None = None, device: str = 'cpu', item: str = 'images') -> None:
    """Print setting, table and what the procedures said of themselves; write all that as JSON.

    Args:
        measurements: what is compared with the last of them.
        setting: what was measured, shown as it is.
        json: a file for the numbers, with all repeats in seconds.
        device: 'cpu' or 'cuda'.
        item: what is counted, in the plural.
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
