"""An empty folder for pictures; what is made of it lies beside it."""

import pytest


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "in").mkdir()
    return tmp_path / "in"
