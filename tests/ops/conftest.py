"""Every test of an operation runs twice: with TensorFlow's own operations and with the compiled ones."""

import pytest


@pytest.fixture(autouse=True)
def both(impl):
    """See tests/conftest.py; a module that has an `impl` of its own chooses for itself."""
