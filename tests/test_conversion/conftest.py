"""The converters as fixtures."""

import pytest
from test_conversion.tool import Tool


@pytest.fixture
def nyud(capsys: pytest.CaptureFixture[str]) -> Tool:
    return Tool('nyud', capsys)


@pytest.fixture
def cityscapes(capsys: pytest.CaptureFixture[str]) -> Tool:
    return Tool('cityscapes', capsys)
