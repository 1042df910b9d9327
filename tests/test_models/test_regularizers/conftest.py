"""Double precision."""

from collections.abc import Iterator

import pytest
import torch


@pytest.fixture
def double(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """All floats are of double precision, also what the code itself makes floats of."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.double)
    monkeypatch.setattr(torch.Tensor, 'float', torch.Tensor.double)
    yield
    torch.set_default_dtype(before)
