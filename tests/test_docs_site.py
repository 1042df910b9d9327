"""The site of docs/: built without a warning, complete, and without a dead link."""

import re
import subprocess
import sys
from functools import cache
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import mmengine.registry
import pytest
from mmengine.registry import Registry

from mtpsl import registry

ROOT = Path(__file__).parents[1]
DOCS = ROOT / 'docs'
PAGES = sorted(str(path.relative_to(DOCS).with_suffix('')) for path in DOCS.rglob('*.md'))
API = [page for page in PAGES if page.startswith('api/')]
REGISTRIES = [value for value in vars(registry).values() if isinstance(value, Registry)]
ADVICE = ('A new page goes into a toctree of docs/index.md, a new public class or function into '
          'the page of its package in docs/api.')


class Links(HTMLParser):
    """The anchors of a page, and where it leads to."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.loaded: list[str] = []  # what a browser fetches to show the page
        self.feed(path.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.anchors.add(values.get('id') or '')
        if tag == 'a' and values.get('href'):
            self.links.append(values['href'])
        elif values.get('src') or (tag == 'link' and 'stylesheet' in (values.get('rel') or '')):
            self.loaded.append(values.get('src') or values['href'])


@pytest.fixture(scope='module')
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp('site')
    done = subprocess.run(
        [sys.executable, '-m', 'sphinx', '-W', '--keep-going', '-n', '-q', '-b', 'html',
         '-d', str(folder / 'doctrees'), 'docs', str(folder / 'html')],
        cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=600,
        check=False)
    assert done.returncode == 0 and not done.stdout.strip(), f'{done.stdout}\n{ADVICE}'
    return folder / 'html'


@cache
def read(path: Path) -> Links:
    return Links(path)


def headings(html: str) -> list[str]:
    return [plain(re.sub(r'<a class="headerlink".*?</a>|<.*?>', '', text))
            for text in re.findall(r'<h\d>(.*?)</h\d>', html, re.DOTALL)]


def plain(heading: str) -> str:
    """Without marks of code, links and typography."""
    text = re.sub(r'\[(.*?)\]\(.*?\)', r'\1', unescape(heading)).replace('`', '')
    return re.sub('[‘’“”"\']', '', text).replace('–', '--').strip()


def test_every_page_is_there_with_its_title(site):
    assert len(PAGES) > 20
    for page in PAGES:
        html = (site / f'{page}.html').read_text()
        source = (DOCS / f'{page}.md').read_text()
        included = re.match(r'```{include} (\S+)', source)
        text = (DOCS / included[1]).read_text() if included else source
        title = re.search(r'^# (.*)$', text, re.MULTILINE)[1]
        assert plain(title) == headings(html)[0], page


def test_pages_hold_the_text_of_the_files_that_they_include(site):
    for page, files in (('get_started', ['README.md']), ('datasets', ['data/README.md']),
                        ('models', [f'configs/{path.parent.name}/README.md'
                                    for path in (ROOT / 'configs').glob('*/README.md')])):
        html = (site / f'{page}.html').read_text()
        for file in files:
            text = re.sub(r'```.*?```', '', (ROOT / file).read_text(), flags=re.DOTALL)
            wanted = re.findall(r'^##+ (.*)$', text, re.MULTILINE)
            assert wanted and {plain(heading) for heading in wanted} <= set(headings(html)), page


def test_every_registered_class_is_in_the_api(site):
    documented = {anchor for page in API for anchor in read(site / f'{page}.html').anchors}
    names = {anchor.rpartition('.')[2] for anchor in documented if anchor.startswith('mtpsl.')}
    assert len(REGISTRIES) > 10
    registered = set()
    for one in REGISTRIES:
        one.import_from_location()
        registered |= {cls.__name__ for cls in one.module_dict.values()
                       if cls.__module__.startswith('mtpsl.')
                       and Path(sys.modules[cls.__module__].__file__).is_relative_to(ROOT)}
    assert {'DiffusionMTL', 'Semseg', 'NYUD', 'ResumeHook', 'MultiTaskMetric'} < registered
    assert registered <= names, f'not in docs/api: {sorted(registered - names)}'
    assert mmengine.registry.MODELS.get('BaseDataPreprocessor').__name__ not in registered


def test_no_link_within_the_site_is_dead(site):
    dead, count = [], 0
    for page in site.rglob('*.html'):
        for link in [*read(page).links, *read(page).loaded]:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            count += 1
            target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
            if not target.is_file() or (parts.fragment and target.suffix == '.html'
                                        and unquote(parts.fragment) not in read(target).anchors):
                dead.append(f'{page.relative_to(site)} -> {link}')
    assert count > 1000 and not dead, dead


def test_class_names_lead_to_the_api_and_equations_need_no_script(site):
    method = (site / 'method.html').read_text()
    for name in ('NoiseSchedule', 'TaskDecoders', 'DiffusionMTL'):
        assert f'href="api/models.html#mtpsl.models.{name}"' in method
    assert method.count('display="block"') == len(
        re.findall(r'\$\$.*?\$\$', (DOCS / 'method.md').read_text(), re.DOTALL)) > 5
    for page in PAGES:
        remote = [link for link in read(site / f'{page}.html').loaded if '//' in link]
        assert not remote, f'{page} loads {remote}'
        html = re.sub(r'<(pre|code).*?</\1>', '', (site / f'{page}.html').read_text(),
                      flags=re.DOTALL)
        assert '$' not in html, f'{page}: an equation that is none'


def test_files_of_the_repository_can_be_downloaded(site):
    links = [link for link in read(site / 'models.html').links if '_downloads' in link]
    copies = {Path(link).name: (site / link).read_bytes() for link in links}
    config = 'pascal_onelabel_r18_wo-cond.py'
    assert copies[config] == (ROOT / 'configs/diffusionmtl' / config).read_bytes()
