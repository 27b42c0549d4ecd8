"""Folders of pictures with everything in them: what check finds, says and returns."""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import PIL.Image
import PIL.ImageFilter
import pytest
from data import picture_zoo as zoo
from data.picture_zoo import photo

from tf_stylegan import cli
from tf_stylegan.data import check, check_text
from tf_stylegan.errors import UserError
from tools import prepare_images

ROOT = Path(__file__).resolve().parents[2]


def kinds_of(result):
    """`{kind: {path: detail}}`."""
    return {p.kind: {finding.path: finding.detail for finding in p.findings} for p in result.problems}


def must_fix(result):
    return {problem.kind for problem in result.problems if problem.must_fix}


def run(capsys, *arguments):
    """(exit code, lines printed, lines of errors) of the command."""
    code = cli.run(prepare_images.main, ["check", *map(str, arguments)])
    printed = capsys.readouterr()
    return code, printed.out.splitlines(), [line for line in printed.err.splitlines() if "it/s" not in line]


def good_folder(folder, count=6, size=(64, 64)):
    for number in range(count):
        photo(size, seed=number).save(folder / f"{number}.png")


# What is found


def test_a_good_folder(folder, capsys):
    good_folder(folder)
    result = check.check(folder)
    assert (result.problems, result.num_pictures, result.others) == ([], 6, [])
    code, lines, _ = run(capsys, folder)
    assert code == 0 and lines[-1] == "nothing to complain about" and lines[1] == "sizes: 64x64 (6)"


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_every_kind_of_picture(folder):
    special = zoo.special()
    zoo.fill(folder, special)
    found = kinds_of(check.check(folder, size=64))
    expected = {}
    for name, (_, kinds) in special.items():
        for kind in kinds:
            expected.setdefault(kind, set()).add(name)
    assert {kind: set(findings) for kind, findings in found.items()} == expected
    assert found["animated"] == {
        "film.gif": "GIF, 3 frames", "film.webp": "WEBP, 2 frames", "pages.tif": "TIFF, 2 frames"
    }  # fmt: skip


def test_every_kind_of_damage(folder):
    good_folder(folder, 1)
    zoo.fill(folder / "sub", zoo.broken())
    (folder / "gone.png").symlink_to(folder / "nowhere")
    result = check.check(folder)
    damaged = kinds_of(result)["damaged"]
    assert must_fix(result) == {"damaged"} and result.num_must_fix == len(zoo.broken()) + 1
    assert damaged.pop("gone.png") == "No such file or directory"
    assert set(damaged) == {f"sub/{name}" for name in zoo.broken()}
    for name, (_, words) in zoo.broken().items():
        assert words in damaged[f"sub/{name}"] and "\n" not in damaged[f"sub/{name}"]


def test_files_without_permission(folder, monkeypatch):
    good_folder(folder, 2)
    (folder / "closed").mkdir()
    (folder / "notes.txt").write_text("secret")
    opened, scanned = PIL.Image.open, check.survey.image_files.os.scandir

    def deny(function, names):
        def wrapped(path, *args, **kwargs):
            if Path(path).name in names:
                raise PermissionError(13, "Permission denied", str(path))
            return function(path, *args, **kwargs)

        return wrapped

    monkeypatch.setattr(PIL.Image, "open", deny(opened, ("1.png", "notes.txt")))
    monkeypatch.setattr(check.survey.image_files.os, "scandir", deny(scanned, ("closed",)))
    result = check.check(folder)
    assert kinds_of(result) == {"damaged": {"1.png": "Permission denied", "closed": "folder: Permission denied"}}
    assert result.others == ["notes.txt"]


def test_other_files_are_counted_and_harmless(folder, capsys):
    good_folder(folder)
    for name in (".DS_Store", "._0.png", "Thumbs.db", "notes.txt", "film.mp4"):
        (folder / name).write_bytes(b"nothing")
    (folder / ".hidden").mkdir()
    (folder / ".hidden" / "bad.png").write_bytes(b"")
    (folder / "loop").symlink_to(folder)
    assert len(check.check(folder).others) == 5 and check.check(folder).problems == []
    code, lines, _ = run(capsys, folder)
    assert code == 0 and "6 pictures" in lines[0] and "5 other files (.DS_Store, ._0.png, Thumbs.db, …)" in lines[0]


def test_sizes_as_create_from_images_wants_them(folder):
    good_folder(folder, 3)
    photo((64, 32), seed=11).save(folder / "flat.png")
    photo((32, 32), seed=12).save(folder / "small.png")
    photo((60, 60), seed=13).save(folder / "odd.png")
    photo((2, 2), seed=14).save(folder / "tiny.png")
    result = check.check(folder, blur=0)
    assert must_fix(result) == {"too small", "wrong size"} and result.num_must_fix == 4
    assert kinds_of(result) == {
        "too small": {"tiny.png": "2x2, less than 4"},
        "wrong size": {
            "flat.png": "64x32 (not square, most are 64x64)",
            "odd.png": "60x60 (not a power of two from 4)",
            "small.png": "32x32 (most are 64x64)",
        },
    }


def test_sizes_as_prepare_makes_them(folder):
    good_folder(folder, 3)
    photo((64, 32), seed=11).save(folder / "flat.png")
    photo((60, 60), seed=13).save(folder / "odd.png")
    result = check.check(folder, size=64, min_size=40, blur=0)
    assert must_fix(result) == {"too small"}
    assert kinds_of(result) == {
        "too small": {"flat.png": "64x32, less than 40"}, "enlarged": {"odd.png": "60x60 to 64"}
    }  # fmt: skip
    photo((404, 4), seed=14).save(folder / "line.png")
    found = kinds_of(check.check(folder, size=4, blur=0))
    assert found == {"not square": {"flat.png": "64x32", "line.png": "404x4, too long for --crop=none"}}


def test_upright_sizes_count(folder):
    photo((64, 32)).save(folder / "a.jpg", exif=zoo.exif(6))
    assert kinds_of(check.check(folder, size=32))["not square"] == {"a.jpg": "32x64"}


def test_duplicates(folder):
    good_folder(folder, 4)
    original = photo((80, 80), seed=20)
    original.save(folder / "b.png")
    (folder / "sub").mkdir()
    original.save(folder / "sub" / "a.webp", lossless=True)
    original.save(folder / "c.jpg", quality=70)
    original.resize((64, 64)).save(folder / "d.jpg")
    flipped = original.transpose(PIL.Image.Transpose.FLIP_LEFT_RIGHT)
    flipped.save(folder / "flipped.png")
    result = check.check(folder, size=64)
    assert not must_fix(result)
    same, alike = result.problems
    assert (same.kind, alike.kind, same.count, alike.count) == ("same", "alike", 1, 2)
    # Of most pixels, then of most bytes: the PNG file is kept, and found once, not again with its copy.
    assert same.findings == [check.Finding("b.png", others=(("sub/a.webp", ""),))]
    assert (alike.findings[0].path, {path for path, _ in alike.findings[0].others}) == ("b.png", {"c.jpg", "d.jpg"})
    assert [problem.kind for problem in check.check(folder, size=64, distance=None).problems] == ["same"]


def test_blurred_and_flat(folder):
    good_folder(folder, 3)
    photo(seed=5).filter(PIL.ImageFilter.GaussianBlur(3)).save(folder / "soft.png")
    PIL.Image.new("RGB", (96, 96), "red").save(folder / "flat.png")
    problem = check.check(folder, size=64).problems[0]
    assert problem.kind == "blurred" and not problem.must_fix
    assert [finding.path for finding in problem.findings] == ["flat.png", "soft.png"]  # the worst first
    assert [p.kind for p in check.check(folder, size=64, blur=0).problems] == []
    assert len(check.check(folder, size=64, blur=1e9).problems[0].findings) == 5


def test_16_bits_of_which_few_are_used_are_told(folder):
    levels = np.asarray(photo()).astype(np.uint16)
    for name, top in (("dark", 16), ("light", 257)):
        zoo.fill(folder, {f"{name}.png": (zoo.deep_png(levels * top),)})
        PIL.Image.fromarray(levels[:, :, 1] * top).save(folder / f"{name} grey.tif")
    found = kinds_of(check.check(folder, blur=0, distance=None))
    assert set(found["dark 16-bit"]) == {"dark.png", "dark grey.tif"} and len(found["16-bit"]) == 4


def test_adobe_rgb_without_a_profile_is_told(folder):
    for number, (name, color_space, index, profile) in enumerate(
        [("adobe", 0xFFFF, "R03", None), ("srgb", 1, "R98", None), ("other", 0xFFFF, "R98", None),
         ("whole", 0xFFFF, "R03", zoo.icc_profile())]
    ):  # fmt: skip
        tags = PIL.Image.Exif()
        tags[0x8769] = {0xA001: color_space, 0xA005: {1: index}}
        photo(seed=number).save(folder / f"{name}.jpg", exif=tags, quality=95, icc_profile=profile)
    found = kinds_of(check.check(folder, size=64))
    assert set(found["Adobe RGB"]) == {"adobe.jpg"} and set(found["colour profile"]) == {"whole.jpg"}


def test_huge_pictures_are_told_in_words_of_our_own(folder, monkeypatch):
    monkeypatch.setattr(PIL.Image, "MAX_IMAGE_PIXELS", 1_500_000)
    PIL.Image.new("1", (2000, 2000)).save(folder / "a.png")
    assert kinds_of(check.check(folder, blur=0)) == {
        "damaged": {"a.png": "4 megapixels, at most 3 are read; scale it down"}
    }


def test_grey_is_only_worth_a_word_among_colors(folder):
    for number in range(3):
        photo((64, 64), seed=number).convert("L").save(folder / f"{number}.png")
    assert check.check(folder).problems == []
    photo((64, 64), seed=7).save(folder / "color.png")
    assert kinds_of(check.check(folder)) == {"grey": dict.fromkeys(["0.png", "1.png", "2.png"], "")}


def test_names_of_all_kinds(folder, capsys):
    zoo.fill(folder, dict.fromkeys(zoo.NAMES, (b"",)))
    code, lines, _ = run(capsys, folder, "--all")
    assert code == 1 and lines[-1] == f"{len(zoo.NAMES)} of {len(zoo.NAMES)} pictures must be fixed"
    assert "    bell\\x07\\x1b[31mred.png: an empty file" in lines and "    new\\nline.png: an empty file" in lines
    assert all(line.isprintable() for line in lines)


def test_the_result_does_not_depend_on_the_threads(folder):
    zoo.fill(folder, zoo.special() | zoo.broken())
    one, many = check.check(folder, num_threads=1), check.check(folder, num_threads=7)
    assert (one.pictures, one.bad, one.problems) == (many.pictures, many.bad, many.problems)


def test_all_threads_work(folder, monkeypatch):
    good_folder(folder, 8)
    names = set()
    barrier = threading.Barrier(4, timeout=20)  # passed only when four are at work at once

    def examine(*_):
        barrier.wait()
        names.add(threading.current_thread().name)

    monkeypatch.setattr(check, "examine", examine)
    with pytest.raises(UserError, match="no pictures"):
        check.check(folder, num_threads=4)
    assert len(names) == 4


# What is said


def test_exit_codes_and_first_findings(folder, capsys):
    for number in range(13):
        zoo.fill(folder, {f"{number:02d}.png": (b"",)})
    good_folder(folder, 2)
    code, lines, _ = run(capsys, folder)
    assert code == 1 and "Must be fixed" in lines and "  Damaged or unreadable: 13" in lines
    assert "    09.png: an empty file" in lines and "    10.png: an empty file" not in lines
    assert "    … and 3 more (--all lists them)" in lines and lines[-1] == "13 of 15 pictures must be fixed"
    assert "    12.png: an empty file" in run(capsys, folder, "--all")[1]


def test_ten_thousand_findings_stay_readable():
    bad = {f"{number}.png": "an empty file" for number in range(10_000)}
    group = check.Finding("0.png", others=tuple((path, "2 bits") for path in bad))
    problems = [*check.judge([], bad), check.Problem("alike", False, [group])]
    text = check_text.to_text(check.Result("x", [], bad, [], problems, 1))
    assert len(text.splitlines()) < 30 and len(text) < 3000 and "and 9,990 more" in text
    assert text.splitlines()[-1] == "10,000 of 10,000 pictures must be fixed"


def test_json(folder, tmp_path, capsys):
    good_folder(folder, 2)
    photo((64, 64), seed=1).save(folder / "copy.bmp")
    zoo.fill(folder, {"no\udcffutf8.png": (b"",), "notes.txt": (b"x",)})
    assert run(capsys, folder, f"--json={tmp_path}/found.json")[0] == 1
    content = json.loads((tmp_path / "found.json").read_text())
    assert (content["pictures"], content["must_fix"], content["other_files"]) == (4, 1, ["notes.txt"])
    kinds = {problem["kind"]: problem for problem in content["problems"]}
    assert kinds["damaged"]["findings"] == [{"path": "no\udcffutf8.png", "detail": "an empty file"}]
    assert kinds["damaged"]["must_fix"] and not kinds["same"]["must_fix"]
    assert kinds["same"]["findings"][0]["others"] == [{"path": "1.png", "detail": ""}]


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["{folder}/nowhere"], "does not exist"),
        (["{folder}/file"], "is a file"),
        (["{folder}/empty"], "no pictures in"),
        (["{folder}", "--size=100"], "--size must be a power of two"),
        (["{folder}", "--min-size=0"], "--min-size must be at least 1"),
        (["{folder}", "--distance=33"], "--distance must be 0 to 32 bits, or off"),
        (["{folder}", "--blur=-1"], "--blur must be a number from 0"),
        (["{folder}", "--blur=nan"], "--blur must be a number from 0"),
        (["{folder}", "--threads=0"], "--threads must be at least 1"),
        (["{folder}", "--json={folder}/nowhere/x.json"], "--json="),
        (["{folder}", "--report={folder}"], "--report="),
    ],
)
def test_mistakes_are_one_line(folder, capsys, arguments, words):
    (folder / "empty").mkdir()
    (folder / "file").write_text("x")
    good_folder(folder, 1)
    code, lines, errors = run(capsys, *(text.format(folder=folder) for text in arguments))
    assert (code, lines, len(errors)) == (2, [], 1) and errors[0].startswith("error: ") and words in errors[0]


@pytest.mark.parametrize("other", ["x", "./x", "link"])
def test_page_and_json_are_two_files(folder, tmp_path, capsys, other):
    good_folder(folder, 2)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "link").symlink_to("x")
    code, lines, errors = run(capsys, folder, f"--report={tmp_path}/out/x", f"--json={tmp_path}/out/{other}")
    assert (code, lines, len(errors)) == (2, [], 1)
    assert errors[0].startswith("error: --json and --report are the same file, ")
    assert os.listdir(tmp_path / "out") == ["link"]


def test_no_file_of_the_folder_is_overwritten(folder, capsys):
    good_folder(folder, 2)
    (folder / "dataset.json").write_text("{}")
    (folder / "link.json").symlink_to(folder / sorted(os.listdir(folder))[0])
    before = {path: path.read_bytes() for path in folder.iterdir()}
    names = [path.name for path in before if path.name != "link.json"]
    for option, name in [("--json", name) for name in names] + [("--report", name) for name in names]:
        code, lines, errors = run(capsys, folder, f"{option}={folder / name}")
        assert (code, lines) == (2, []) and "which is only read; choose another name" in errors[0]
    for _ in range(2):  # a report of our own may be made again
        assert run(capsys, folder, f"--report={folder}/report.html", f"--json={folder}/found.json")[0] in (0, 1)
    assert {path: path.read_bytes() for path in before} == before


def test_the_command_needs_no_tensorflow(folder):
    good_folder(folder, 2)
    code = (
        "import sys; from tools import prepare_images; code = prepare_images.main(sys.argv[1:]); "
        "assert not {'tensorflow', 'keras', 'cv2', 'scipy'} & set(sys.modules); sys.exit(code)"
    )
    command = [sys.executable, "-c", code, "check", str(folder), "--distance=off"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0 and done.stderr == "" and done.stdout.endswith("nothing to complain about\n")


def test_pixels_of_special_files_are_judged_as_they_are_seen(folder):
    """Transparent or turned, a picture equals one that was saved as it looks."""
    image = zoo.with_alpha(photo(seed=3))
    image.save(folder / "a.png")
    PIL.Image.alpha_composite(PIL.Image.new("RGBA", image.size, "white"), image).convert("RGB").save(folder / "b.bmp")
    turned = photo((40, 60), seed=4)
    turned.transpose(PIL.Image.Transpose.ROTATE_90).save(folder / "c.png", exif=zoo.exif(6))
    turned.save(folder / "d.bmp")
    groups = [{f.path, *(path for path, _ in f.others)} for f in check.check(folder).problems[1].findings]
    assert groups == [{"a.png", "b.bmp"}, {"c.png", "d.bmp"}]
    assert np.asarray(PIL.Image.open(folder / "c.png")).shape == (40, 60, 3)
