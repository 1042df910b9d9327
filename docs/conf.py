"""The site of these pages: ``python -m sphinx -W --keep-going -n -b html docs OUT``.

Nothing is fetched, at building or reading: equations become MathML, which browsers lay out.
"""

import importlib
import inspect
import os
import re
from pathlib import Path
from xml.etree import ElementTree

from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.transforms import SphinxTransform
from sphinx.writers.html5 import HTML5Translator

import mtpsl.analysis.figures.contents
import mtpsl.engine.contents
import mtpsl.structures.contents
from mtpsl import __version__
from mtpsl.engine.quiet import quieten

# Autodoc lists what lies in a module, not what it would import.
for package in (mtpsl.engine, mtpsl.analysis.figures, mtpsl.structures):
    contents = package.contents
    vars(package).update({name: getattr(contents, name) for name in contents.__all__},
                         __all__=contents.__all__)
DOCS = Path(__file__).parent
ROOT = DOCS.parent
MATHML = '{http://www.w3.org/1998/Math/MathML}'
ElementTree.register_namespace('', MATHML[1:-1])
# Pages whose text is a file elsewhere in the repository: links to the file lead to the page.
PAGES = {ROOT / 'README.md': 'get_started.md', ROOT / 'data/README.md': 'datasets.md',
         ROOT / 'CONTRIBUTING.md': 'contributing.md', ROOT / 'CHANGELOG.md': 'changelog.md'}
PAGES |= {path: f'models.md#{slug}' for path, slug in (
    (path, re.sub(r'\W+', '-', path.read_text().split('\n', 1)[0].lower()).strip('-'))
    for path in (ROOT / 'configs').glob('*/README.md'))}

project = 'MTPSL'
author = 'the authors of MTPSL'
release = version = __version__
extensions = ['myst_parser', 'sphinx.ext.autodoc', 'sphinx.ext.napoleon']
exclude_patterns = ['_build']
html_theme = 'furo'
html_title = f'{project} {__version__}'
html_copy_source = False
html_show_copyright = False
html_math_renderer = 'mathml'
myst_enable_extensions = ['dollarmath']
myst_heading_anchors = 4
autodoc_typehints_format = 'short'
autodoc_preserve_defaults = True
autodoc_inherit_docstrings = False
autodoc_member_order = 'bysource'
python_maximum_signature_line_length = 88
napoleon_numpy_docstring = False
napoleon_use_ivar = True
# Other libraries' names are not linked: that would fetch their indices.
nitpick_ignore_regex = [('py:.*', r'(?!mtpsl\.).*')]


class LinkedNames(SphinxTransform):
    """A public name in code type, such as ``TaskDecoders``, leads to its place in the API."""

    default_priority = 500

    def apply(self) -> None:
        names = public_names()
        for literal in list(self.document.findall(nodes.literal)):
            target = names.get(literal.astext())
            linked = isinstance(literal.parent, (nodes.reference, pending_xref, nodes.title))
            if target and not linked and not literal.get('classes'):
                link = pending_xref('', refdomain='py', reftype='obj', reftarget=target,
                                    refexplicit=True, refdoc=self.env.docname)
                literal.replace_self(link)
                link += literal


def public_names() -> dict[str, str]:
    """Name -> dotted name, of what the pages in ``docs/api`` list."""
    names = {}
    for page in sorted((DOCS / 'api').glob('*.md')):
        for kind, dotted in re.findall(r'\.\. auto(module|class|function):: (\S+)',
                                       page.read_text()):
            if kind == 'module':
                module = importlib.import_module(dotted)
                names |= {name: f'{dotted}.{name}' for name in getattr(module, '__all__', ())
                          if not inspect.ismodule(getattr(module, name))}
            else:
                names[dotted.rpartition('.')[2]] = dotted
    return names


def rebase_links(app: Sphinx, path: Path, page: str, text: list[str]) -> None:
    """Relative links of an included file, from its own folder to that of the pages."""
    folder = (DOCS / path).resolve().parent

    def rebased(match: re.Match[str]) -> str:
        path, hash_, anchor = match[1].partition('#')
        target = Path(os.path.normpath(folder / path))
        if target in PAGES:
            return f']({PAGES[target].partition("#")[0]}{hash_}{anchor})' if anchor else (
                f']({PAGES[target]})')
        return f']({os.path.relpath(target, DOCS)}{hash_}{anchor})'

    text[0] = re.sub(r'\]\((?!\w+:|#)([^)\s]+)\)', rebased, text[0])


def own_links(app: Sphinx, page: str, text: list[str]) -> None:
    """The same for a page's own links to files that have become pages."""
    if '/' not in page:
        rebase_links(app, Path(f'{page}.md'), page, text)


def skip_fields(app: Sphinx, what: str, name: str, value: object, skip: bool,
                options: object) -> bool | None:
    """Fields of named tuples are told of in the class's docstring."""
    return (getattr(value, '__doc__', None) or '').startswith('Alias for field') or None


def as_mathml(tex: str, block: bool) -> str:
    """docutils' MathML, with the index of an accented letter beside it, not below."""
    tree = ElementTree.fromstring(tex2mathml(tex, as_block=block))
    for node in tree.iter(f'{MATHML}munderover'):
        letter, index, accent = node
        if accent.get('stretchy') == 'false':
            node.tag = f'{MATHML}msub'
            node[:] = ElementTree.Element(f'{MATHML}mover', accent='true'), index
            node[0].extend((letter, accent))
    return ElementTree.tostring(tree, encoding='unicode')


def unlisted_type(app: Sphinx, env: BuildEnvironment, node: pending_xref,
                  shown: nodes.Node) -> nodes.Node | None:
    """A type of a signature that no page lists is not linked; a reference in prose must be."""
    return None if isinstance(shown, nodes.literal) else shown


def write_inline(self: HTML5Translator, node: nodes.math) -> None:
    self.body.append(as_mathml(node.astext(), block=False))
    raise nodes.SkipNode


def write_block(self: HTML5Translator, node: nodes.math_block) -> None:
    self.body.append(f'<p>{as_mathml(node.astext(), block=True)}</p>')
    raise nodes.SkipNode


def setup(app: Sphinx) -> None:
    quieten()
    app.add_html_math_renderer('mathml', (write_inline, None), (write_block, None))
    app.add_transform(LinkedNames)
    app.connect('source-read', own_links)
    app.connect('include-read', rebase_links)
    app.connect('autodoc-skip-member', skip_fields)
    app.connect('missing-reference', unlisted_type)
