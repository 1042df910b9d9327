"""The values of --cfg-options."""

import argparse

import pytest

from mtpsl.system.config_arguments import add_cfg_options
from mtpsl.system.option_value import read_value


@pytest.mark.parametrize('text, value', [
    ('3', 3), ('1e-3', 1e-3), ('True', True), ('None', None), ('word', 'word'), ('', ''),
    ('1,2', [1, 2]), ('[1,2]', [1, 2]), ('(1,2)', (1, 2)), ('[(1,2),(a,b)]', [(1, 2), ('a', 'b')]),
    ('/data/a(1).png', '/data/a(1).png'), ("('pred','steps')", ('pred', 'steps')),
    ('dict(a=1)', dict(a=1)), ("{'a': 1}", dict(a=1)), ('{}', {}), ('dict()', {}),
    ("dict(type='Semseg', class_names=('a', 'b'), x=None)",
     dict(type='Semseg', class_names=('a', 'b'), x=None)),
    ('dict(type=Semseg,deep=dict(x=-1.5,y=[a,{"z":true}]))',
     dict(type='Semseg', deep=dict(x=-1.5, y=['a', dict(z=True)]))),
    ("'2017'", '2017'), ('"2017"', '2017'), ('"/x/F,2"', '/x/F,2'), ("['2017', 'a b',3]",
                                                                     ['2017', 'a b', 3]),
    ("'1','2'", ['1', '2']), ("('1',)", ('1',)), ("'None'", 'None'), ('"dict(a)"', 'dict(a)'),
    ('my photos', 'my photos'), ("it's", "it's"), ("it's,2", ["it's", 2]),
    ('[dict(type=A),dict(type=B)]', [dict(type='A'), dict(type='B')])])
def test_values(text, value):
    assert read_value(text) == value and type(read_value(text)) is type(value)


@pytest.mark.parametrize('text, message', [
    ('[1,2', r"the brackets of '\[1,2' do not match"), ('(1', 'do not match'),
    ('1,2]', 'do not match'), ('[(1,2])', 'do not match'), ('a,(b', 'do not match'),
    ('dict(a=1', r"'dict\(a=1' is no dict as Python writes it"), ('{a:', 'is no dict'),
    ('dict(path=/a/b)', 'is no dict as Python writes it'),
    ('dict(a=f(3))', r"'f\(3\)' is no value"),
    ('dict(1)', 'is no value'), ('{**a}', 'is no value'), ('{open(x): 1}', 'is no value')])
def test_what_is_no_value(text, message):
    with pytest.raises(ValueError, match=message):
        read_value(text)


@pytest.mark.parametrize('pair, message', [
    ('model', "takes KEY=VALUE pairs, got 'model'"), ('=3', "got '=3'"),
    ('a..b=3', "got 'a..b=3'"), ('.a=3', "got '.a=3'"),
    ('model.x=[1,2', r"--cfg-options model.x: the brackets of '[1,2' do not match"),
    ('model=dict(a', "--cfg-options model: 'dict(a' is no dict")])
def test_what_is_no_pair(pair, message, capsys):
    parser = argparse.ArgumentParser('x')
    add_cfg_options(parser)
    with pytest.raises(SystemExit) as end:
        parser.parse_args(['--cfg-options', pair])
    last = capsys.readouterr().err.splitlines()[-1]
    assert end.value.code == 2 and last.startswith('x: error: ') and message in last


def test_pairs_add_up():
    parser = argparse.ArgumentParser()
    add_cfg_options(parser)
    args = parser.parse_args(['--cfg-options', 'a={"x": 1}', 'c=x=y', '--cfg-options', 'a.b=2',
                              'aa=3', 'd=[1]'])
    assert args.cfg_options == {'a': {'x': 1}, 'a.b': 2, 'c': 'x=y', 'aa': 3, 'd': [1]}


@pytest.mark.parametrize('pairs, words', [
    (['a.b=1', 'a.b=2'], 'a.b is given twice'), (['a.b=1', '--cfg-options', 'a.b=1'],
     'a.b is given twice'),
    (['a.b=1', 'a={"c": 2}'], 'a is given after a.b, which it would replace')])
def test_no_pair_is_lost(pairs, words, capsys):
    parser = argparse.ArgumentParser('x')
    add_cfg_options(parser)
    with pytest.raises(SystemExit):
        parser.parse_args(['--cfg-options', *pairs])
    assert f'error: --cfg-options: {words}' in capsys.readouterr().err
