"""The dump of a run's config in its work dir, which replaces no file that the user wrote."""

import zlib
from pathlib import Path

from mmengine.dist import master_only
from mmengine.runner import Runner

from mtpsl.engine.checkpoints.work_dir import checkpoints_in
from mtpsl.system.files import write_text


class KeepingRunner(Runner):
    """mmengine's runner, which writes its config over no file but a dump of an earlier run.

    mmengine writes it to ``<work_dir>/<name of the config>``, and so over a config that lies in
    its own work dir.
    """

    @master_only
    def dump_config(self) -> None:
        """Write the config, as a test only where no training has left its own."""
        name = Path(self.cfg.filename or f'{self.timestamp}.py').name
        path = Path(self.work_dir, name)
        if path.is_file() and not self.cfg.get('resume') and checkpoints_in(self.work_dir):
            return
        places = [path, *(path.with_stem(f'{path.stem}_{word}')
                          for word in ('dump', self.timestamp))]
        chosen = next(filter(self._may_replace, places), places[-1])
        if chosen != path:
            self.logger.info(f'{path} is no dump of a run and stays as it is: the config of this '
                             f'run is dumped to {chosen}')
        text = self.cfg.dump()
        write_text(chosen, _mark(text) + text if chosen.suffix == '.py' else text)

    def _may_replace(self, path: Path) -> bool:
        if not path.exists():
            return True
        if path.suffix != '.py':  # JSON has no comments
            return not path.samefile(self.cfg.filename)
        return is_dump(path)


def is_dump(path: Path) -> bool:
    """Whether a ``.py`` file is a run's dump that nobody has changed."""
    head, end, text = path.read_text(encoding='utf-8', errors='replace').partition('\n')
    return head + end == _mark(text)


def _mark(text: str) -> str:
    """The first line of a dump."""
    return f'# Dumped by a run ({zlib.crc32(text.encode()):08x}); the next one here replaces it.\n'
