"""Networks are opened once for all tests of a file: opening them is tested elsewhere."""

import functools

import pytest

from tf_stylegan.legacy import networks


@pytest.fixture(autouse=True, scope="module")
def each_network_is_opened_once():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(networks, "load_generator", functools.cache(networks.load_generator))
        yield
