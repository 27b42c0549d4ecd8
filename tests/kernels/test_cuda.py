"""The CUDA kernels against the CPU's: on a device that the CPU plays, and on a GPU where there is one."""

import contextlib
import ctypes
import os
import subprocess

import kernel_helpers
import numpy as np
import pytest
from helpers import assert_close

from tf_stylegan.ops import build
from tf_stylegan.ops.native import ACTIVATIONS
from tf_stylegan.ops.native_cuda import Gpu, Played, _Kept

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


@pytest.mark.parametrize("name", build.CUDA_KERNELS)
def test_nvcc_takes_them(tmp_path, name):
    """As far as nvcc's own part goes, for one architecture: the whole takes a minute."""
    nvcc = None if os.environ.get("TF_STYLEGAN_SKIP_CUDA") == "1" else build.nvcc()
    if nvcc is None or build.sources() is None:
        pytest.skip("needs nvcc and custom_ops/")
    source = build.sources() / "kernels" / f"{name}.cu"
    command = [nvcc, *build.NVCC_FLAGS, *(f"-I{folder}" for folder in build._beside(nvcc, "include"))]
    done = subprocess.run([*command, "-ptx", source, "-o", tmp_path / "ptx"], capture_output=True, text=True)
    assert done.returncode == 0, f"{done.stderr}\n(TF_STYLEGAN_SKIP_CUDA=1 does without nvcc)"


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
        expected = kernels.upfirdn_2d(x, k, **rest)
        close(cuda[0].upfirdn_2d(x, k, **rest, device=cuda[1]), expected, dtype, f"{c} channels")


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


# What a call has besides x, and the sums that it wants: the calls that networks make, each compiled by itself where
# vectors divide rows, then what none of them is.
FORMS = {
    "bias": (0, ["b"], ()),
    "scale, noise, bias": (0, ["b", "scale", "noise", "strength"], ()),
    "gradient": (1, ["ref"], ()),
    "gradient, sums": (1, ["ref"], ("rows", "channels")),
    "gradient, scale": (1, ["ref", "post_scale", "aux"], SUMS),
    "gradient of the scale": (1, ["post_scale", "aux"], ("aux",)),
    "noise alone": (0, ["noise"], ()),
    "gradient, everything": (1, ["ref", "post_scale", "aux", "b", "scale", "noise"], SUMS),
}


@pytest.mark.parametrize("dtype", kernel_helpers.TOLERANCES)
@pytest.mark.parametrize("form", FORMS)
def test_forms_of_fused_bias_act(kernels, cuda, form, dtype):
    rnd = np.random.RandomState(9)
    mode, fields, sums = FORMS[form]
    # Rows that vectors divide, the last few channels and samples apart; rows that end within a vector, also twice.
    for n, shape in enumerate([(2, 9, 8), (1, 300, 16), (3, 5, 520), (2, 7, 3), (3, 5, 1), (2, 3, 13), (1, 1, 3)]):
        x, rest = kernel_helpers.random_call(rnd, "lrelu", mode, shape, dtype, everything=True)
        rest["noise"] = kernel_helpers.parameter(rnd.randn(1 + n % 2 * (shape[0] - 1), shape[1], 1), dtype)
        settings = {"mode": mode, "gain": 1.5, "clamp": [-1.0, 1.25][n // 2 % 2]}
        settings |= {name: rest[name] for name in fields}
        act = "linear" if mode == 1 and "ref" not in fields else "lrelu"
        settings["clamp"] = -1.0 if act == "linear" else settings["clamp"]
        expected = kernels.fused_bias_act(x, act, sums, dtype=dtype, **settings)
        results = cuda[0].fused_bias_act(x, act, sums, dtype=dtype, device=cuda[1], **settings)
        expected, results = (expected, results) if sums else ((expected,), (results,))
        close(results[0], expected[0], dtype, f"{shape}")
        for name, actual, right in zip(sums, results[1:], expected[1:]):
            assert_close(actual, right, 3e-5, f"{shape}, sum of {name}")


@pytest.mark.parametrize("act", ["linear", "relu", "lrelu"])
def test_what_is_no_number_or_infinite(kernels, cuda, act):
    x = np.array([-np.inf, -1, np.nan, 0, 1, np.inf, 2, -2] * 3, np.float32)
    for c in (3, 8):
        for settings in ({}, {"clamp": 1.5}, {"mode": 1, "ref": x.reshape(-1, c)}, {"alpha": 0.0}):
            for dtype in ("float32", "bfloat16", "float16"):
                arrays = {"x": x.reshape(-1, c), "b": np.zeros(c, np.float32)}
                rest = settings | ({"ref": kernel_helpers.stored(settings["ref"], dtype)} if "ref" in settings else {})
                rest |= {"b": arrays["b"], "dtype": dtype}
                narrow = kernel_helpers.stored(arrays["x"], dtype)
                if dtype == "bfloat16":  # rounding the bits by hand makes infinity of no number here and there
                    narrow[np.isnan(arrays["x"])] = 0x7FC0
                expected = kernels.fused_bias_act(narrow, act, **rest)
                y = cuda[0].fused_bias_act(narrow, act, device=cuda[1], **rest)
                y, expected = kernel_helpers.value(y, dtype), kernel_helpers.value(expected, dtype)
                np.testing.assert_allclose(y, expected, rtol=1e-2, err_msg=f"{c} {settings} {dtype}")


def test_addresses_that_vectors_do_not_begin_at(kernels, cuda):
    """Images or parameters anywhere: less is moved at a time then."""
    if cuda[0] is kernels:
        pytest.skip("a GPU's memory is this test's own, and aligned")
    rnd = np.random.RandomState(3)
    memory = rnd.randn(4, 1000).astype(np.float32)
    for moved in range(4):
        x, b, ref, scale = (memory[i, 1 if moved == i else 0 :] for i in range(4))
        x, b, ref, scale = x[:320].reshape(2, 2, 10, 8), b[:8], ref[:320].reshape(2, 2, 10, 8), scale[:16].reshape(2, 8)
        for call in ({"b": b, "scale": scale}, {"mode": 1, "ref": ref, "aux": x, "post_scale": scale, "sums": SUMS}):
            expected = kernels.fused_bias_act(x, "lrelu", **call)
            results = cuda[0].fused_bias_act(x, "lrelu", device=cuda[1], **call)
            for actual, right in zip(results, expected):
                assert_close(actual, right, 1e-5)
        case = {"k": SQUARE, "pad": ((2, 1), (2, 1)), "b": b, "scale": scale}
        assert_close(cuda[0].upfirdn_2d(x, device=cuda[1], **case), kernels.upfirdn_2d(x, **case), 1e-5)


def test_infinity_stays_where_it_belongs(kernels, cuda):
    """Also at the borders, where there are no pixels beside it."""
    cases = [
        {"k": k, **factors}
        for k in (SQUARE, np.ones([3, 3]), np.ones([2, 2]))
        for factors in ({}, {"down": (2, 2)}, {"up": (2, 2)})
        if not (len(k) == 3 and "up" in factors)  # one of its phases has a tap that is not there
    ]  # fmt: skip
    for case in cases:
        for row, column in ((0, 0), (4, 5), (8, 9), (17, 0)):
            x = np.ones([1, 18, 10, 4], np.float32)
            x[0, row, column] = np.inf
            y = cuda[0].upfirdn_2d(x, pad=((2, 1), (1, 2)), device=cuda[1], **case)
            expected = kernels.upfirdn_2d(x, pad=((2, 1), (1, 2)), **case)
            np.testing.assert_allclose(y, expected, rtol=1e-5)
            assert not np.isnan(y).any()


def test_many_partial_sums(cuda):
    """More units than the warps that add them up, of more channels than one block has."""
    x = np.random.RandomState(0).randint(-8, 9, [3, 40 * 50, 36]).astype(np.float32)
    _, rows, aux = cuda[0].fused_bias_act(x, "linear", ("rows", "aux"), aux=x, device=cuda[1])
    np.testing.assert_array_equal(rows, x.sum(axis=(0, 1)))
    np.testing.assert_array_equal(aux, (x * x).sum(axis=1))


def test_mistakes_are_refused(cuda):
    kernels, device = cuda
    with pytest.raises(ValueError, match=r"invalid argument|error 1"):
        kernels.fused_bias_act(np.ones([2, 3], np.float32), "relu", mode=1, device=device)
    with pytest.raises(ValueError, match=r"invalid argument|error 1"):
        kernels.upfirdn_2d(np.ones([1, 40, 3, 1], np.float32), np.ones([33, 1]), device=device)


def test_errors_are_told_once(kernels, emulated):
    """The next launch must not be blamed for a copy that failed."""

    class Forgetful(Played):
        def launch(self, lib, name, params, stack):
            return lib.tf_stylegan_upfirdn_2d_cuda(ctypes.byref(params), None, None)

    x, k = np.ones([1, 30, 30, 1], np.float32), np.ones([20, 20])  # too many taps to travel with the launch
    with pytest.raises(ValueError, match="error 1"):
        emulated.upfirdn_2d(x, k, device=Forgetful())
    for taps in (np.ones([2, 2]), k):
        assert_close(emulated.upfirdn_2d(x, taps, device=Played()), kernels.upfirdn_2d(x, taps), 1e-5)


def test_what_is_launched_again_is_there(emulated):
    """Benchmarks repeat a launch: memory that it needs, workspaces too, must not be asked for anew each time."""

    class Counting(Played):
        uploads = 0

        def upload(self, array, stack):
            self.uploads += 1
            return super().upload(array, stack)

    x, device = np.ones([2, 5, 7, 8], np.float32), Counting()
    calls = [
        (emulated.fused_bias_act, {"act": "lrelu", "aux": x, "ref": x, "mode": 1, "sums": SUMS}),
        (emulated.upfirdn_2d, {"k": np.ones([17, 16]), "pad": ((8, 8), (8, 7))}),
    ]
    for call, arguments in calls:
        with contextlib.ExitStack() as stack:
            kept = _Kept(device, stack)
            call(x, **arguments, device=kept)
            before = device.uploads
            assert before > 0
            assert kept.launch_again() == kept.launch_again() == 0
            assert device.uploads == before


def test_without_a_driver_the_library_says_so(kernels):
    """Libraries with CUDA kernels load everywhere, and know when they cannot be used."""
    trouble = kernels.cuda_trouble()
    try:
        Gpu()
    except OSError:
        assert trouble
    else:
        assert trouble is None or not kernels.has_cuda
