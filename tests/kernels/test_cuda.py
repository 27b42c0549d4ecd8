"""The CUDA kernels against the CPU's: on a device that the CPU plays, and on a GPU where there is one."""

import kernel_helpers
import numpy as np
import pytest
from helpers import assert_close

from tf_stylegan.ops.native import ACTIVATIONS
from tf_stylegan.ops.native_cuda import Gpu, Played

SUMS = ("rows", "channels", "aux")
SQUARE = np.outer([1, 3, 3, 1], [1, 2, 4, 1]).astype(np.float32) / 16


@pytest.fixture(params=["played", "gpu"])
def cuda(request):
    """(kernels, device)"""
    if request.param == "played":
        return request.getfixturevalue("emulated"), Played()
    kernels = request.getfixturevalue("kernels")
    try:
        device = Gpu()
    except OSError as error:
        pytest.skip(f"no GPU: {error}")
    if kernels.cuda_trouble():
        pytest.skip(kernels.cuda_trouble())
    return kernels, device


def close(actual, expected, dtype, what):
    actual, expected = kernel_helpers.value(actual, dtype), kernel_helpers.value(expected, dtype)
    assert_close(actual, expected, 3 * kernel_helpers.TOLERANCES[dtype], what)


@pytest.mark.parametrize("dtype", kernel_helpers.TOLERANCES)
@pytest.mark.parametrize("usual", [True, False], ids=["usual", "any"])
def test_upfirdn_2d(kernels, cuda, usual, dtype):
    rnd = np.random.RandomState(5)
    for n in range(18):
        x, case = kernel_helpers.random_case(rnd, [1, 3, 4, 8, 20], taps=20 if n % 9 == 8 else 4)
        if usual:  # what the kernel that goes down the image takes
            up, down = [((1, 1), (1, 1)), ((2, 2), (1, 1)), ((1, 1), (2, 2))][n % 3]
            k = np.outer(rnd.randn(1 + n % 4), rnd.randn(4 - n % 4)).astype(np.float32)
            case = {"k": k, "up": up, "down": down, "pad": ((3, 4), (5, 3))}
        x = kernel_helpers.stored(np.concatenate([x, x, x], 1) if n % 2 else x, dtype)
        expected = kernels.upfirdn_2d(x, **case, dtype=dtype)
        y = cuda[0].upfirdn_2d(x, **case, dtype=dtype, device=cuda[1])
        close(y, expected, dtype, f"{x.shape} {case}")


@pytest.mark.parametrize("dtype", kernel_helpers.TOLERANCES)
@pytest.mark.parametrize("k", [SQUARE, np.eye(3, dtype=np.float32)], ids=["usual", "any"])
def test_epilogue(kernels, cuda, k, dtype):
    rnd = np.random.RandomState(6)
    for n, c in enumerate((3, 8)):
        x = kernel_helpers.stored(rnd.randn(2, 5 + n, 4, c), dtype)
        maps = rnd.randn(1 + n, 8 + n - k.shape[0], 7 - k.shape[1], 1)
        arrays = {"scale": rnd.rand(2, c), "b": rnd.randn(c), "noise": maps, "strength": [0.5]}
        rest = {name: kernel_helpers.parameter(array, dtype) for name, array in arrays.items()}
        rest |= {"alpha": 0.2, "gain": 1.5, "clamp": 0.75, "pad": ((1, 1), (1, 1)), "dtype": dtype}
        for images in (x, [x[:, i::2, j::2] for i in (0, 1) for j in (0, 1)]):
            expected = kernels.upfirdn_2d(images, k, **rest)
            close(cuda[0].upfirdn_2d(images, k, **rest, device=cuda[1]), expected, dtype, f"{c} channels")


@pytest.mark.parametrize("dtype", kernel_helpers.TOLERANCES)
def test_fused_bias_act(kernels, cuda, dtype):
    rnd = np.random.RandomState(8)
    for mode in (0, 1, 2):
        for act, shape in zip(ACTIVATIONS, [(2, 3, 5, 3), (3, 8), (2, 40, 3, 16), (1, 2, 1, 1200)] * 3):
            x, rest = kernel_helpers.random_call(rnd, act, mode, shape, dtype, everything=True)
            expected = kernels.fused_bias_act(x, act, SUMS, dtype=dtype, **rest)
            results = cuda[0].fused_bias_act(x, act, SUMS, dtype=dtype, device=cuda[1], **rest)
            close(results[0], expected[0], dtype, f"{act} {mode}")
            for name, actual, right in zip(SUMS, results[1:], expected[1:]):
                assert_close(actual, right, 3e-5, f"{act} {mode}, sum of {name}")
            del rest["aux"]
            close(cuda[0].fused_bias_act(x, act, dtype=dtype, device=cuda[1], **rest), expected[0], dtype, "no sums")


def test_mistakes_are_refused(cuda):
    kernels, device = cuda
    with pytest.raises(ValueError, match=r"invalid argument|error 1"):
        kernels.fused_bias_act(np.ones([2, 3], np.float32), "relu", mode=1, device=device)
    with pytest.raises(ValueError, match=r"invalid argument|error 1"):
        kernels.upfirdn_2d(np.ones([1, 40, 3, 1], np.float32), np.ones([33, 1]), device=device)


def test_without_a_driver_the_library_says_so(kernels):
    """Libraries with CUDA kernels load everywhere, and know when they cannot be used."""
    trouble = kernels.cuda_trouble()
    try:
        Gpu()
    except OSError:
        assert trouble
    else:
        assert trouble is None or not kernels.has_cuda
