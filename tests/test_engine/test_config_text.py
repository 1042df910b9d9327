"""The layout of configs is yapf's, and is worked out once for each statement."""

import pytest
from yapf.yapflib import yapf_api

from mtpsl.engine import load_config, patches

STYLE = dict(based_on_style='pep8', blank_line_before_nested_class_or_def=True,
             split_before_expression_after_opening_paren=True)  # mmengine's


@pytest.mark.parametrize('name', ['synthetic/mtl_baseline_onelabel', 'xtc/nyud_random_r18'])
def test_the_text_is_that_of_yapf(name):
    raw = load_config(name).pretty_text  # see leave_layout
    laid_out = patches._format_code(raw, style_config=STYLE)
    assert patches.format_code(raw, style_config=STYLE) == laid_out != (raw, True)


def test_a_second_time_costs_nothing(monkeypatch):
    calls = []

    def count(text, **options):
        calls.append(text)
        return text, False
    monkeypatch.setattr(patches, '_format_code', count)
    patches._lay_out.cache_clear()
    try:
        text = 'a = dict(\n    x=1)\nb = 2\n'
        assert patches.format_code(text, style_config=STYLE) == (text, False)
        assert patches.format_code(text + 'c = 3\n', style_config=STYLE)[0] == text + 'c = 3\n'
        assert calls == ['a = dict(\n    x=1)\n', 'b = 2\n', 'c = 3\n']
    finally:
        patches._lay_out.cache_clear()


def test_mmengine_s_calls_are_cached_and_others_yapf_s_own():
    assert yapf_api.FormatCode.instead_of is patches.format_code
    assert patches.format_code('x  =  1\n') == ('x = 1\n', True)
    assert patches.format_code('x  =  1\n', style_config='google', lines=[(1, 1)])[0] == 'x = 1\n'
    with pytest.raises(SyntaxError):
        patches.format_code('x = (\n', style_config=STYLE)
