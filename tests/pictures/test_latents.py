"""What users write for seeds, styles and latents."""

import numpy as np
import pytest

from tf_stylegan.errors import UserError
from tf_stylegan.pictures import latents


@pytest.mark.parametrize(
    "text, seeds",
    [
        ("0", [0]),
        ("0,1,66-70", [0, 1, 66, 67, 68, 69, 70]),
        ("5,3-4,4,3", [3, 4, 5]),
        (" 7 , 9 - 10 ", [7, 9, 10]),
        ("3-3", [3]),
        ("4294967295", [2**32 - 1]),
        ("007", [7]),
    ],
)
def test_seeds(text, seeds):
    assert latents.parse_seeds(text) == seeds


@pytest.mark.parametrize("text", ["", ",", "1,", "a", "1-", "1-2-3", "1.5", "1;2", "0x10", "1e3", "1 2"])
def test_seeds_that_are_none(text):
    with pytest.raises(UserError, match="is neither a number nor a range such as 66-70") as caught:
        latents.parse_seeds(text)
    assert f"--seeds={text}: " in str(caught.value)


@pytest.mark.parametrize(
    "text, problem",
    [
        (" -1", "-1 is below 0; numbers are from 0 on"),
        ("5-3", "'5-3' must go upwards"),
        ("0-1000000", "'0-1000000' is more than a million seeds; make it shorter"),
        ("4294967296", "4294967296 is out of range; a seed is from 0 to 4294967295"),
        ("0-4294967296", "4294967296 is out of range"),
    ],
)
def test_seeds_out_of_range(text, problem):
    with pytest.raises(UserError) as caught:
        latents.parse_seeds(f"1,{text}")
    assert f"--seeds=1,{text}: {problem}" in str(caught.value)
    assert ("million" in str(caught.value)) == ("million" in problem), "one fact"


def test_seeds_in_order():
    assert latents.parse_seeds("9,4-6,9,5", in_order=True) == [9, 4, 5, 6, 9, 5]
    with pytest.raises(UserError, match="--row-seeds=1,x: 'x' is neither a number nor a range"):
        latents.parse_seeds("1,x", "--row-seeds")


@pytest.mark.parametrize(
    "text, num_layers, styles",
    [
        ("0-6", 18, [0, 1, 2, 3, 4, 5, 6]),
        ("5,0,5, 2 - 3", 8, [0, 2, 3, 5]),
        ("coarse", 18, [0, 1, 2, 3]),
        ("middle", 18, [4, 5, 6, 7]),
        ("fine", 18, [*range(8, 18)]),
        ("fine,0", 10, [0, 8, 9]),
        ("middle", 6, [4, 5]),  # of 16 pixels
        ("coarse, middle, fine", 18, [*range(18)]),
        ("17", 18, [17]),
    ],
)
def test_styles(text, num_layers, styles):
    assert latents.parse_styles(text, num_layers) == styles


@pytest.mark.parametrize(
    "text, problem",
    [
        ("0-8", "style 8 is past the last; this network has 0-7 (coarse 0-3, middle 4-7)"),
        ("fine", "this network has no fine styles, only 0-7 (coarse 0-3, middle 4-7)"),
        ("1,rough", "'rough' is neither a number, a range such as 0-6, nor one of coarse, middle, fine"),
        ("", "'' is neither a number"),
        ("3-1", "'3-1' must go upwards"),
        ("-1", "'-1' is neither a number"),
    ],
)
def test_styles_that_are_none(text, problem):
    with pytest.raises(UserError) as caught:
        latents.parse_styles(text, 8)
    assert str(caught.value).startswith(f"--col-styles={text}: {problem}")


def test_grammar_of_styles_without_a_network():
    assert latents.parse_styles("0-99,0-9999999999,fine") == []
    with pytest.raises(UserError, match=r"past the last; this network has 0-17"):
        latents.parse_styles("0-9999999999", 18)
    with pytest.raises(UserError, match="'rough' is neither"):
        latents.parse_styles("rough")


def test_keyframes():
    assert latents.parse_keyframes("4, a/photo.npz ,7-9,4,w.NPY") == [4, "a/photo.npz", 7, 8, 9, 4, "w.NPY"]
    with pytest.raises(UserError) as caught:
        latents.parse_keyframes("4,photo.png")
    expected = "--seeds=4,photo.png: 'photo.png' is neither a number nor a range such as 66-70, nor a file of latents"
    assert str(caught.value) == f"{expected} (.npz, .npy)"
    with pytest.raises(UserError, match="--col-seeds=1,9-8: '9-8' must go upwards"):
        latents.parse_keyframes("1,9-8", "--col-seeds")


@pytest.mark.parametrize("shape", [[6], [1, 6], [4, 6], [1, 1, 6], [1, 4, 6], [3, 4, 6], [3, 1, 6]])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16])
def test_latents_of_a_file(tmp_path, shape, dtype):
    array = np.arange(np.prod(shape)).reshape(shape).astype(dtype)
    np.save(tmp_path / "w.npy", array)
    read = latents.read_dlatents(tmp_path / "w.npy", 4, 6)
    expected = array.reshape([-1, shape[-2] if len(shape) > 1 else 1, 6])
    assert read.dtype == np.float32
    assert read.shape == (len(expected), 4, 6)
    np.testing.assert_array_equal(read, np.broadcast_to(expected, read.shape))


@pytest.mark.parametrize("keys, wanted", [(["dlatents"], 0), (["x", "w"], 1), (["one"], 0), (["w", "dlatents"], 1)])
def test_which_array_of_a_file(tmp_path, keys, wanted):
    np.savez(tmp_path / "w.npz", **{key: np.full([4, 6], number) for number, key in enumerate(keys)})
    assert (latents.read_dlatents(tmp_path / "w.npz", 4, 6) == wanted).all()


@pytest.mark.parametrize("shape", [[5, 6], [4, 7], [1, 5], [2, 5, 6], [2, 4, 7], [1, 1, 4, 6], [], [7]])
def test_latents_of_another_network(tmp_path, shape):
    np.save(tmp_path / "w.npy", np.zeros(shape))
    with pytest.raises(UserError) as caught:
        latents.read_dlatents(tmp_path / "w.npy", 4, 6)
    message = str(caught.value)
    assert f"{tmp_path / 'w.npy'}: latents for this network must be [4, 6] or [1, 6]" in message
    assert message.endswith(f"got {shape}")


def with_text(path):
    path.write_text("no array")


def with_objects(path):
    np.save(path, np.array([{}], dtype=object))


def with_words(path):
    np.save(path, np.array(["a"]))


def with_holes(path):
    np.save(path, np.full([4, 6], np.nan))


def with_nothing(path):
    np.save(path, np.zeros([0, 4, 6]))


def cut_off(path):
    np.save(path, np.zeros([4, 6]))
    path.write_bytes(path.read_bytes()[:-8])


@pytest.mark.parametrize(
    "make, problem",
    [
        (lambda path: None, "could not read {path}: No such file or directory"),
        (lambda path: path.mkdir(), "could not read {path}: Is a directory"),
        (lambda path: path.write_bytes(b""), "{path} is no file of NumPy numbers, or damaged"),
        (with_text, "{path} is no file of NumPy numbers, or damaged"),
        (with_objects, "{path} is no file of NumPy numbers, or damaged"),
        (cut_off, "{path} is no file of NumPy numbers, or damaged"),
        (with_words, "{path}: latents must be numbers, got an array of <U1"),
        (with_nothing, "{path}: holds no pictures"),
        (with_holes, "{path}: holds numbers that are not finite"),
    ],
)
def test_files_that_hold_no_latents(tmp_path, make, problem):
    path = tmp_path / "w.npy"
    make(path)
    with pytest.raises(UserError) as caught:
        latents.read_dlatents(path, 4, 6)
    assert str(caught.value) == problem.format(path=path)


def test_other_mistakes_with_files(tmp_path):
    np.savez(tmp_path / "two.npz", a=np.zeros(6), b=np.zeros(6))
    with pytest.raises(UserError, match="expected an array named dlatents or w, or a single one; got a, b"):
        latents.read_dlatents(tmp_path / "two.npz", 4, 6)
    data = bytearray((tmp_path / "two.npz").read_bytes())
    data[60:90] = bytes(30)
    (tmp_path / "damaged.npz").write_bytes(data)
    (tmp_path / "w.txt").write_text("1")
    for name, problem in (("damaged.npz", "damaged"), ("w.txt", "latents are read from .npz and .npy files")):
        with pytest.raises(UserError, match=problem):
            latents.read_dlatents(tmp_path / name, 4, 6)
