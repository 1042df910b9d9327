"""Parameters and multiply-adds of the full configs against the paper's Table 2."""

import json
import runpy
from pathlib import Path

import pytest
from torch import nn

from mtpsl.complexity import complexity
from mtpsl.engine import load_config
from mtpsl.registry import MODELS

ROOT = Path(__file__).parents[1]
R50 = {'model.backbone.depth': 50, 'model.neck.in_channels': (256, 512, 1024, 2048)}
# Config, overrides, parameters (M), multiply-adds (G); at 512x512, five tasks.
TABLE = [
    ('pascal_random_r18', {}, 133.07, 628.3),
    ('pascal_random_r18_feature', {}, 132.91, 675.3),
    ('pascal_random_r18', {'model.diffusion.schedule.noise_scale': 0.0}, 133.07, 628.3),
    ('pascal_random_r18', {'model.diffusion.condition': None}, 112.7, 557.9),
    ('pascal_random_r18', R50, 158.68, 694.6),
    ('pascal_random_r18_feature', R50, 158.52, 741.5),
]


@pytest.mark.parametrize('name, options, params, macs', TABLE)
def test_the_table_is_matched_to_half_a_percent(name, options, params, macs):
    cfg = load_config(str(ROOT / f'configs/diffusionmtl/{name}.py'), options)
    total = complexity(MODELS.build(cfg.model))['']
    assert total['params'] / 1e6 == pytest.approx(params, rel=5e-3)
    assert total['macs'] / 1e9 == pytest.approx(macs, rel=5e-3)


def test_counts_by_hand_and_by_part():
    """A 3x3 convolution costs H W 9 C_in C_out, attention 2 L^2 C; a container its children."""

    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.parts = nn.ModuleDict(dict(conv=nn.Conv2d(3, 4, 3, padding=1)))

        def forward(self, x):
            tokens = self.parts['conv'](x).flatten(2).transpose(1, 2)[:, None]
            return nn.functional.scaled_dot_product_attention(tokens, tokens, tokens)

    counts = complexity(Model(), (8, 6))
    convolution, attention = 48 * 9 * 3 * 4, 2 * 48 ** 2 * 4
    assert counts[''] == dict(params=112, macs=convolution + attention)
    assert counts['parts'] == counts['parts.conv'] == dict(params=112, macs=convolution)


def test_command_line(capsys, tmp_path):
    main = runpy.run_path(str(ROOT / 'tools/analysis_tools/get_flops.py'))['main']
    out = tmp_path / 'flops.json'
    main([str(ROOT / 'configs/diffusionmtl/pascal_onelabel_r18.py'), '--shape', '128', '128',
          '--json', str(out)])
    counts = json.loads(out.read_text())
    assert sum(counts[part]['params'] for part in ('backbone', 'neck', 'decoders', 'diffusion')) \
        == counts['']['params']
    assert f'{counts[""]["macs"] / 1e9:.2f}' in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(['x.py', '--shape', '8', '8'])
