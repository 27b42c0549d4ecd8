"""Folders made ready: every kind of picture, what stays and what goes, going on after a stop, labels, mistakes."""

import json

import numpy as np
import PIL.Image
import PIL.ImageFilter
import pytest
from data import picture_zoo as zoo
from data.picture_zoo import photo
from data.prepare_helpers import fill, log_of, refused, tree

from tf_stylegan import cli
from tf_stylegan.data import check, convert, image_files, prepare
from tf_stylegan.data.dataset import find_dataset
from tf_stylegan.data.levels import make_levels
from tf_stylegan.errors import UserError
from tools import prepare_images


@pytest.fixture
def out(folder):
    return folder.parent / "out"


# Pictures


@pytest.mark.parametrize("crop", ["center", "smart", "pad"])
def test_check_has_nothing_to_say_about_what_was_prepared(folder, out, crop):
    zoo.fill(folder, zoo.special() | {f"sub/{name}": entry for name, entry in zoo.broken().items()})
    zoo.fill(folder, {f"names/{name}": (zoo.encoded(photo(seed=i)),) for i, name in enumerate(zoo.NAMES)})
    photo((120, 70), seed=40).save(folder / "flat.png")
    photo((120, 70), seed=40).save(folder / "copy.bmp")
    photo((120, 70), seed=40).resize((110, 64)).save(folder / "near.jpg")
    photo(seed=41).filter(PIL.ImageFilter.GaussianBlur(4)).save(folder / "soft.png")
    PIL.Image.new("RGB", (90, 90), "red").save(folder / "red.png")
    before = tree(folder)
    options = {"size": 64, "crop": crop, "drop_duplicates": True, "drop_blurred": True}
    count = prepare.prepare(folder, out, skip_bad=True, **options)
    assert tree(folder) == before
    result = check.check(out)
    assert result.problems == [] and result.num_pictures == count == len(zoo.special()) + len(zoo.NAMES) + 1
    assert {(p.size, p.mode, p.format) for p in result.pictures} == {((64, 64), "RGB", "PNG")}
    results = [row["result"] for row in log_of(out).values()]
    assert results.count("unreadable") == len(zoo.broken())
    assert (results.count("exact duplicate"), results.count("near duplicate"), results.count("blurred")) == (1, 1, 2)


def test_pixels_of_every_kind(folder, out):
    zoo.fill(folder, zoo.special())
    prepare.prepare(folder, out)
    names = {row["file"]: row["output"] for row in log_of(out).values()}
    for name in zoo.special():
        expected, _ = image_files.read(folder / name, (255, 255, 255), srgb=True)
        with PIL.Image.open(out / names[name]) as image:
            np.testing.assert_array_equal(image, expected.convert("RGB"))
            assert not {"icc_profile", "transparency", "exif"} & set(image.info), name


@pytest.mark.parametrize("resize_filter", ["auto", "box", "area"])
def test_shrinking_by_a_whole_number_gives_the_records_of_the_large_pictures(folder, out, resize_filter):
    noise = np.random.RandomState(0).randint(0, 256, [2, 64, 64, 3]).astype(np.uint8)
    for number, pixels in enumerate(noise):
        PIL.Image.fromarray(pixels).save(folder / f"{number}.png")
    prepare.prepare(folder, out, size=16, resize_filter=resize_filter)
    for number, pixels in enumerate(noise):
        level = list(make_levels(pixels.transpose(2, 0, 1)))[2]
        np.testing.assert_array_equal(PIL.Image.open(out / f"{number}.png"), level.transpose(1, 2, 0))


def test_grey_stays_grey_when_all_are(folder, out):
    for number in range(2):
        photo(seed=number).convert("L").save(folder / f"{number}.png")
    prepare.prepare(folder, out, size=32)
    assert PIL.Image.open(out / "0.png").mode == "L"
    photo(seed=5).save(folder / "color.png")
    prepare.prepare(folder, out, size=32)  # then all are made anew
    assert {PIL.Image.open(path).mode for path in out.glob("*.png")} == {"RGB"}
    assert log_of(out)["0.png"]["done"] == "grey to RGB, shrunk"


def test_background(folder, out):
    zoo.with_alpha(photo()).save(folder / "a.png")
    photo((40, 80)).save(folder / "b.png")
    prepare.prepare(folder, out, size=64, crop="pad", background="#102030")
    assert np.asarray(PIL.Image.open(out / "a.png"))[:, :28].reshape(-1, 3).tolist() == [[16, 32, 48]] * 64 * 28
    assert np.asarray(PIL.Image.open(out / "b.png"))[:, :16].reshape(-1, 3).tolist() == [[16, 32, 48]] * 64 * 16


# What is dropped


def test_of_duplicates_the_largest_stays(folder, out):
    fill(folder, 2)
    large = photo((128, 128), seed=30)
    large.save(folder / "z large.jpg", quality=90)
    large.resize((64, 64), PIL.Image.Resampling.BOX).save(folder / "a small.png")
    prepare.prepare(folder, out, size=32, drop_duplicates=True)
    assert set(tree(out)) == {"0.png", "1.png", "z large.png"}
    row = log_of(out)["a small.png"]
    assert row["result"] == "near duplicate" and row["reason"].startswith("of z large.jpg, ")
    prepare.prepare(folder, out, size=32, drop_duplicates=True, distance=None)
    assert set(tree(out)) == {"0.png", "1.png", "z large.png", "a small.png"}


def test_a_sharp_duplicate_stays_rather_than_a_larger_blurred_one(folder, out):
    fill(folder, 2)
    image = photo((96, 96), seed=30)
    image.save(folder / "sharp.png")
    image.filter(PIL.ImageFilter.GaussianBlur(1.5)).resize((200, 200)).save(folder / "soft.png")
    prepare.prepare(folder, out, size=64, drop_duplicates=True)
    assert set(tree(out)) == {"0.png", "1.png", "soft.png"}
    prepare.prepare(folder, out, size=64, drop_duplicates=True, drop_blurred=True, blur=60)
    assert set(tree(out)) == {"0.png", "1.png", "sharp.png"}


def test_copies_may_show_before_scaling_or_after(folder, out):
    fill(folder, 2)
    middle, sides = photo((96, 96), seed=30), [photo((60, 96), seed=seed) for seed in (31, 32)]
    for number, side in enumerate(sides):  # alike when the sides are cut off
        wide = PIL.Image.new("RGB", (216, 96))
        wide.paste(side, (0, 0))
        wide.paste(middle, (60, 0))
        wide.paste(side, (156, 0))
        wide.save(folder / f"wide{number}.jpg", quality=80)
    prepare.prepare(folder, out, size=64, drop_duplicates=True)
    assert set(tree(out)) == {"0.png", "1.png", "wide1.png"}  # of equal size, the one of more bytes
    assert log_of(out)["wide0.jpg"]["reason"].endswith("bits when scaled")


def test_pictures_without_end_do_not_keep_their_shape(folder, out):
    fill(folder, 1)
    photo((404, 4)).save(folder / "line.png")
    refused(
        folder, out, r"--crop=none: 1 picture is more than 100 times as long as wide \(line.png 404x4\)", crop="none"
    )
    assert prepare.prepare(folder, out, size=32, crop="center") == 2


def test_min_size(folder, out):
    fill(folder, 2)
    photo((3, 90), seed=8).save(folder / "thin.png")  # check says that it is too small
    photo((200, 63), seed=9).save(folder / "low.png")
    prepare.prepare(folder, out, size=32, min_size=64)
    assert set(tree(out)) == {"0.png", "1.png"}
    assert log_of(out)["low.png"]["reason"] == "200x63, less than 64"
    prepare.prepare(folder, out, size=32)
    assert set(tree(out)) == {"0.png", "1.png", "low.png"} and log_of(out)["thin.png"]["reason"].endswith("less than 4")


def test_nothing_left_is_a_mistake(folder, out):
    PIL.Image.new("RGB", (64, 64)).save(folder / "a.png")
    refused(folder, out, "no picture of .* would be left", drop_blurred=True)


def test_summary(folder, out, capsys):
    fill(folder, 3)
    photo((80, 64), seed=0).save(folder / "copy.bmp")
    (folder / "notes.txt").write_text("x")
    prepare.prepare(folder, out, size=32, drop_duplicates=True)
    assert capsys.readouterr().out.splitlines() == [
        f"3 pictures in {out}, 4 made by this run",
        "done: 3 cropped, 3 shrunk",
        "left out: 1 exact duplicate",
        "ignored 1 file that is no picture",
        f"what became of each file: {out}/.prepare/log.csv",
        f"next: python tools/convert_tfrecords.py create_from_images datasets/NAME {out}",
    ]


# Folders and labels


def test_class_folders(folder, out, capsys):
    for number, name in enumerate(["cat/1.jpg", "cat/2.png", "dog/deep/1.png"]):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        photo(seed=number).save(folder / name)
    prepare.prepare(folder, out, size=32)
    assert set(tree(out)) == {"cat/1.png", "cat/2.png", "dog/deep/1.png"}
    assert capsys.readouterr().out.endswith(f"{out} [--class-folders]\n")
    convert.create_from_images(out.parent / "set", out, class_folders=True, shuffle=False)
    info = find_dataset(out.parent / "set")
    assert (info.num_images, info.resolution, info.label_size) == (3, 32, 2)
    assert "ignored" not in capsys.readouterr().out  # what prepare keeps for itself is in nobody's way


@pytest.mark.parametrize("file", ["dataset.json", "elsewhere.csv"])
def test_labels_go_with_their_pictures(folder, out, file):
    fill(folder, 3)
    photo(seed=9).save(folder / "0.jpg")
    photo((80, 64), seed=1).save(folder / "copy.bmp")
    zoo.fill(folder, {"cut.png": zoo.broken()["cut.png"]})
    given_labels = {"0.png": 4, "0.jpg": 3, "1.png": 2, "2.png": 1, "copy.bmp": 2, "cut.png": 0}
    if file.endswith("json"):
        (folder / file).write_text(json.dumps({"labels": list(given_labels.items())}))
    else:
        file = folder.parent / file
        file.write_text("".join(f"{path},{label}\n" for path, label in given_labels.items()))
    label_file = None if file == "dataset.json" else file
    prepare.prepare(folder, out, size=32, drop_duplicates=True, skip_bad=True, label_file=label_file)
    labels = json.loads((out / "dataset.json").read_text())["labels"]
    assert labels == [["0.jpg.png", 3], ["0.png", 4], ["2.png", 1], ["copy.png", 2]]
    convert.create_from_images(out.parent / "set", out, label_file=str(out / "dataset.json"))
    assert find_dataset(out.parent / "set").label_size == 5


def test_label_files_that_say_nothing_or_do_not_fit(folder, out):
    fill(folder, 2)
    (folder / "dataset.json").write_text('{"labels": null}')
    prepare.prepare(folder, out, size=32)
    assert set(tree(out)) == {"0.png", "1.png"}
    (folder / "dataset.json").write_text('{"labels": [["0.png", 1.5], ["gone.png", 2]]}')
    refused(folder, out.parent / "other", "dataset.json: label of 0.png must be")
    (folder / "dataset.json").write_text('{"labels": [["0.png", [1.5]], ["gone.png", [2]]]}')
    refused(folder, out.parent / "other", "1 of 2 images has no label .*1 label is for no image")
    (folder / "dataset.json").write_text("[")
    refused(folder, out.parent / "other", "not readable as a label file")
    (folder / "dataset.json").write_text('{"labels": [["0.png", [1.5]], ["1.png", [2]]]}')
    refused(folder, out, "was prepared with labels none, now it is labels dataset.json", size=32)
    prepare.prepare(folder, out, size=32, force=True)
    assert json.loads(tree(out)["dataset.json"]) == {"labels": [["0.png", [1.5]], ["1.png", [2]]]}
    (folder / "dataset.json").unlink()
    prepare.prepare(folder, out, size=32, force=True)
    assert set(tree(out)) == {"0.png", "1.png"}


# Mistakes


def test_the_originals_are_never_written_to(folder, out):
    fill(folder, 2)
    refused(folder, folder, "lie in one another", force=True)
    refused(folder, folder / "sub", "lie in one another", force=True)
    refused(folder, folder.parent, "lie in one another", force=True)
    (folder.parent / "link").symlink_to(folder)
    refused(folder, folder.parent / "link", "lie in one another", force=True)
    (folder / "sub").mkdir()
    photo(seed=5).save(folder / "sub" / "a.png")
    before = tree(folder)
    out.mkdir()
    (out / "sub").symlink_to(folder / "sub")  # would lead the results among the originals
    with pytest.raises(UserError, match=r"sub is a link to somewhere else"):
        prepare.prepare(folder, out, size=32, force=True)
    assert tree(folder) == before


def test_a_source_that_links_into_the_target_is_refused(folder, out):
    fill(folder, 1)
    fill(out, 1)
    (folder / "sub").symlink_to(out)
    refused(folder, out, "is a link into", size=32, force=True)


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["{folder}/nowhere", "{out}"], "does not exist"),
        (["{folder}/0.png", "{out}"], "is a file; give the folder"),
        (["{folder}", "{folder}/../file"], "is a file; give a folder"),
        (["{folder}/empty", "{out}"], "no pictures in"),
        (["{folder}", "{out}", "--size=48"], "--size must be a power of two"),
        (["{folder}", "{out}", "--background=nocolor"], "--background"),
        (["{folder}", "{out}", "--threads=0"], "--threads must be at least 1"),
        (["{folder}", "{out}", "--labels={folder}/none.csv"], "label file"),
        (["{folder}", "{folder}/../file/out"], "could not make the folder"),
    ],
)
def test_mistakes_are_one_line(folder, out, capsys, arguments, words):
    fill(folder, 1)
    (folder / "empty").mkdir()
    (folder.parent / "file").write_text("x")
    code = cli.run(prepare_images.main, ["prepare", *(text.format(folder=folder, out=out) for text in arguments)])
    printed = capsys.readouterr()
    errors = [line for line in printed.err.splitlines() if "it/s" not in line]
    assert (code, printed.out, len(errors)) == (2, "", 1) and words in errors[0]
    assert not out.exists()


def test_the_command(folder, out, capsys):
    fill(folder, 2)
    arguments = ["prepare", str(folder), str(out), "--size=32", "--crop=smart", "--filter=area", "--drop-duplicates"]
    assert cli.run(prepare_images.main, [*arguments, "--distance=off", "--drop-blurred", "--blur=1"]) == 0
    assert set(tree(out)) == {"0.png", "1.png"} and "2 pictures in" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="2"):
        prepare_images.main([*arguments, "--crop=round"])
    with pytest.raises(UserError, match="--crop is one of"):
        prepare.prepare(folder, out, crop="round")
