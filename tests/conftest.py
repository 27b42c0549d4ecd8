"""Settings that must stand before TensorFlow is imported: pytest reads this file before any test module."""

import os
import signal

import hypothesis
import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # start-up chatter hides what a failing test says

signal.signal(signal.SIGHUP, signal.SIG_DFL)  # nohup has it ignored, and the commands under test would inherit that

# The first call of a traced function takes seconds, so no deadline; the same examples every time, so that a failure
# here is a failure everywhere.
hypothesis.settings.register_profile("house", deadline=None, derandomize=True)
hypothesis.settings.load_profile("house")


@pytest.fixture(scope="module", params=["reference", "custom"])
def impl(request):
    """Name of the implementation that `impl="auto"` means while the test runs: TensorFlow's own, the compiled one."""
    from tf_stylegan.ops import loader

    if request.param == "custom" and loader.library().ops is None:
        pytest.skip(f"nothing to test: {loader.library().why}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(os.environ, loader.VARIABLE, request.param)
        yield request.param
