"""Labels from class folders and from files: every form, every mistake, what is printed about them."""

import json
import re
import unicodedata

import numpy as np
import PIL.Image
import pytest
from data.image_folders import class_folders, convert_folder, images_of, picture, refused

from tf_stylegan.data import labels
from tf_stylegan.data.tfrecord import RecordWriter
from tf_stylegan.errors import UserError


def test_class_folders(folder, capsys):
    class_folders(folder)
    info = convert_folder(folder, class_folders=True, shuffle=False)
    assert info.load_labels().tolist() == [[1, 0], [1, 0], [0, 1]]
    printed = capsys.readouterr().out
    assert "classes: 0 = cat, 1 = dog" in printed and "labels: 2 classes (0: 2, 1: 1)\n" in printed
    picture().save(folder / "loose.png")
    with pytest.raises(UserError, match=r"--class-folders: 1 image lies in no sub-folder \(loose.png\)"):
        convert_folder(folder, class_folders=True, force=True)


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([[1, 0], [0, 1]], [0, 1]),
        ([[1, 0, 0], [0, 1, 0]], [[1, 0, 0], [0, 1, 0]]),  # as numbers they would become two classes
        ([[0.5, 0.5], [0, 1]], [[0.5, 0.5], [0, 1]]),
        ([[1], [1]], [[1], [1]]),
    ],
)
def test_rows_are_written_so_that_they_come_back(rows, expected):
    rows = np.array(rows, np.float32)
    assert labels.to_plain(rows) == expected
    np.testing.assert_array_equal(labels.to_array(labels.to_plain(rows)), rows)


def test_labels_follow_the_shuffled_images(folder):
    for number in range(20):
        PIL.Image.new("L", (8, 8), number).save(folder / f"{number:02d}.png")
    file = folder.parent / "labels.json"
    file.write_text(json.dumps({f"{number:02d}.png": [number, 0.5] for number in range(20)}))
    (folder / "03.png").write_bytes((folder / "03.png").read_bytes()[:45])  # and a damaged one drops out
    info = convert_folder(folder, label_file=str(file), skip_bad=True)
    shown = [int(image[0, 0, 0]) for image in images_of(info)]
    assert sorted(shown) == [n for n in range(20) if n != 3] and shown != sorted(shown)
    np.testing.assert_array_equal(info.load_labels(), [[n, 0.5] for n in shown])


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("a.json", '{"labels": [["x/1.png", 2], ["2.png", 0]]}', [[0, 0, 1], [1, 0, 0]]),
        ("a.json", '{"./x\\\\1.png": 1, "2.png": 0}', [[0, 1], [1, 0]]),
        ("a.json", '{"x/1.png": [0.25, 3], "2.png": [1, 2]}', [[0.25, 3], [1, 2]]),
        ("a.csv", "path,label\r\nx/1.png,1\r\n2.png,0\r\n", [[0, 1], [1, 0]]),
        ("a.csv", "\ufeffx/1.png,0.5\n\n2.png,1.0\n", [[0.5], [1]]),
        ("a.csv", "\ufeffpath,label\nx/1.png,1\n2.png,0\n", [[0, 1], [1, 0]]),  # as Excel saves it
        ("a.json", '\ufeff{"x/1.png": 0, "2.png": 1}', [[1, 0], [0, 1]]),
        ("a.csv", '2.png,3,4\n"x/1.png",1,2\n', [[1, 2], [3, 4]]),
    ],
)
def test_label_files(tmp_path, name, text, expected):
    (tmp_path / name).write_text(text, encoding="utf-8")
    found = labels.from_file(str(tmp_path / name), ["x/1.png", "2.png"])
    assert labels.to_array(list(found.values())).tolist() == expected


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        (
            "a.json",
            '{"1.png": 0, "3.png": 1, "4.png": 1}',
            r"1 of 2 images has no label \(2.png\); 2 labels are for no image",
        ),
        ("a.json", "[1, 2]", 'expected {"labels"'),
        ("a.json", '{"labels": null}', 'expected {"labels"'),
        ("a.json", '{"1.png": 0, "2.png": 0, "3.png": 1}', r"1 label is for no image \(3.png\)"),
        ("a.json", '{"labels": [["1.png", 0], ["2.png"]]}', r'list of \["path", label\], entry 1 is \["2.png"\]'),
        ("a.json", "{oops", "not readable as a label file"),
        ("a.json", '{"1.png": "cat", "2.png": 0}', "label of 1.png must be a class number .* got 'cat'"),
        ("a.json", '{"1.png": -1, "2.png": 0}', "got -1"),
        ("a.json", '{"1.png": true, "2.png": 0}', "got True"),
        ("a.json", '{"1.png": [NaN], "2.png": [0]}', r"got \[nan\]"),
        ("a.json", '{"1.png": 1, "2.png": [0, 1]}', "got a class number for 1.png, 2 numbers in a list for 2.png"),
        (
            "a.json",
            '{"1.png": [1], "2.png": [0, 1]}',
            "lists of one length, got 1 number in a list for 1.png, 2 numbers",
        ),
        ("a.json", '{"1.png": 9999999999, "2.png": 0}', r"go up to 9999999999 \(of 1.png\); .* without large gaps"),
        ("a.csv", "1.png,cat\n2.png,dog\n", "label of 1.png is no number: cat"),
        ("a.csv", "1.png,1\n2.png,0\n1.png,0\n", "1.png has two labels, 1 and 0"),
        ("a.csv", "1.png,\n2.png,0\n", "label of 1.png is no number"),
        ("a.csv", "1.png\n2.png,0\n", "expected path,label separated by commas, got '1.png'"),
        ("a.csv", "path;label\n1.png;0\n2.png;1\n", "expected path,label separated by commas, got 'path;label'"),
        ("a.csv", "\ufeff1.png;0\n2.png;1\n", "expected path,label separated by commas, got '1.png;0'"),
        ("a.csv", "1.png\t0\n2.png\t1\n", "expected path,label separated by commas"),
    ],
)
def test_bad_label_files(folder, name, text, message):
    picture().save(folder / "1.png")
    picture().save(folder / "2.png")
    (folder.parent / name).write_text(text, encoding="utf-8")
    file = str(folder.parent / name)
    assert re.match(f"{re.escape(file)}: .*{message}", refused(folder, label_file=file))


def test_label_file_that_is_no_utf8(folder):
    picture().save(folder / "1.png")
    (folder.parent / "a.csv").write_text("1.png,0\n", encoding="utf-16")
    refused(folder, "a.csv: not readable", "save it as UTF-8", label_file=str(folder.parent / "a.csv"))


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0, 2, 4], "labels: 5 classes (0: 1, 1: 0, 2: 1, 3: 0, 4: 1)\nnote: classes 1, 3 have no images\n"),
        ([0, 2, 2], "labels: 3 classes (0: 1, 1: 0, 2: 2)\nnote: class 1 has no images\n"),
        ([0, 1, 1], "labels: 2 classes (0: 1, 1: 2)\n"),
        ([[0.5, -2], [1, 2], [3, 4]], "labels: 2 numbers, -2 to 4\n"),
        ([0, 1, 13], "9: 0, and 4 more)\nnote: classes 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, and 1 more have no images\n"),
    ],
)
def test_what_is_printed_of_labels(folder, capsys, values, expected):
    for number in range(3):
        picture(seed=number).save(folder / f"{number}.png")
    file = folder.parent / "labels.json"
    file.write_text(json.dumps({f"{number}.png": value for number, value in enumerate(values)}))
    convert_folder(folder, label_file=str(file))
    printed = capsys.readouterr().out
    assert expected in printed and ("note" in printed) == ("note" in expected)


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_names_may_be_spelt_as_macos_does(folder, form):
    """Archives from there bring ä as a and dots; the label file may be from another machine, or the other way round."""
    other = {"NFC": "NFD", "NFD": "NFC"}[form]
    for number, name in enumerate(("ä.png", "o.png")):
        picture(seed=number).save(folder / unicodedata.normalize(form, name))
    file = folder.parent / "labels.csv"
    file.write_text(unicodedata.normalize(other, "ä.png,1\no.png,0\n"))
    assert convert_folder(folder, label_file=str(file), shuffle=False).load_labels().shape == (2, 2)
    file.write_text(file.read_text() + unicodedata.normalize(form, "ä.png,0\n"))
    with pytest.raises(UserError, match="has two labels, 1 and 0"):
        convert_folder(folder, label_file=str(file), force=True)


@pytest.mark.parametrize(
    ("text", "is_told"),
    [("0.0\n1.0\n2.0", True), ("0\n1\n2", False), ("0.0\n1.0\n2.5", False), ("0.0,1\n1,1\n2,1", False)],
)
def test_classes_as_pandas_writes_them_are_told(tmp_path, capsys, text, is_told):
    (tmp_path / "a.csv").write_text("".join(f"{n}.png,{row}\n" for n, row in enumerate(text.split("\n"))))
    labels.from_file(str(tmp_path / "a.csv"), ["0.png", "1.png", "2.png"])
    assert ("note: the labels are whole numbers with a point (0.0, …)" in capsys.readouterr().out) == is_told


def test_the_label_file_in_the_folder_is_used(folder, capsys):
    class_folders(folder)
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.png"))
    file = folder / "dataset.json"
    file.write_text(json.dumps({"labels": [[name, number] for number, name in enumerate(names)]}))
    assert convert_folder(folder, shuffle=False).load_labels().tolist() == np.eye(3).tolist()
    printed = capsys.readouterr().out
    assert f"labels are those of {file} (--ignore-labels leaves them out)\n" in printed and "ignored" not in printed
    assert convert_folder(folder, ignore_labels=True, force=True).label_size == 0
    assert convert_folder(folder, class_folders=True, force=True).label_size == 2
    file.write_text('{"labels": null}')
    assert convert_folder(folder, force=True).label_size == 0
    file.write_text('{"images": [{"id": 1}]}')
    with pytest.raises(UserError, match=r"dataset.json: .*; --ignore-labels leaves the labels out$"):
        convert_folder(folder, force=True)
    refused(folder / "cat", "exclude each other", ignore_labels=True, class_folders=True)


def test_labels_are_held_once(folder, monkeypatch):
    """Of a million images with a thousand classes they are four gigabytes."""
    for number in range(3):
        picture((64, 64), seed=number).save(folder / f"{number}.png")
    (folder / "dataset.json").write_text('{"0.png": 0, "1.png": 1, "2.png": 2}')
    made, given = [], []
    to_array, set_labels = labels.to_array, RecordWriter.set_labels
    monkeypatch.setattr(labels, "to_array", lambda *args: made.append(to_array(*args)) or made[-1])
    monkeypatch.setattr(RecordWriter, "set_labels", lambda self, table: given.append(table) or set_labels(self, table))
    info = convert_folder(folder)
    assert given[0] is made[0]
    (folder / "1.png").write_bytes((folder / "1.png").read_bytes()[:3000])
    classes = convert_folder(folder, skip_bad=True, force=True, shuffle=False).load_labels()
    assert classes.tolist() == given[1].tolist() == [[1, 0, 0], [0, 0, 1]]
    table = np.zeros([2, 3], np.float32)
    monkeypatch.setattr(np, "load", lambda *args, **kwargs: table)
    assert np.shares_memory(info.load_labels(), table)


def test_label_file_missing_or_in_the_way(folder):
    picture().save(folder / "1.png")
    refused(folder, "label file nowhere.json does not exist", label_file="nowhere.json")
    refused(folder, "is a folder", label_file=str(folder))
    refused(folder, "exclude each other", label_file="x.json", class_folders=True)
