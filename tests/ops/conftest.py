"""Every test of an operation runs twice: with TensorFlow's own operations and with the compiled ones."""

import os

import pytest

from tf_stylegan.ops import loader


@pytest.fixture(scope="module", autouse=True, params=["reference", "custom"])
def impl(request):
    """Name of the implementation that `impl="auto"` means while the test runs."""
    if request.param == "custom" and loader.library().ops is None:
        pytest.skip(f"nothing to test: {loader.library().why}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(os.environ, loader.VARIABLE, request.param)
        yield request.param
