"""The folder that `prepare` fills: pictures are made in a hidden corner of it and appear when all of them are there.

`DST/.prepare/journal.jsonl` begins with the settings and with all that was ever made; every further line tells of one
picture that is done, so that a run that was interrupted goes on where it stopped, and a later run does only what is
new. `DST/.prepare/pictures/` holds what has not been moved to its place yet, `DST/.prepare/log.csv` says what became of
every file of the source. Hidden folders are passed over by create_from_images and by check.

What is in DST changes at one moment only, when everything is done (`publish`). A run that fails before, whatever it was
asked to do, leaves it as it is.
"""

import collections
import contextlib
import csv
import dataclasses
import json
import os
import shutil

from tf_stylegan.data import labels as label_files
from tf_stylegan.data.fingerprint import Fingerprint
from tf_stylegan.data.words import shorten
from tf_stylegan.errors import UserError
from tf_stylegan.files import advice, atomic_write, locked, make_dir, remove_empty

_CORNER = ".prepare"
_PNG_END = bytes.fromhex("0000000049454e44ae426082")  # the last chunk, which is always the same
_MAX_NAME = 255  # bytes, of file systems


def output_names(paths):
    """Names of the pictures made: the ending becomes .png; of files that only differ in theirs, others keep it before.

    Args:
        paths: relative paths with "/", in any order; the names do not depend on it.
    Returns:
        `{path: name}`, sorted by path; no two equal, also where a and A are one letter, and none too long for a file.
    """
    paths = sorted(paths)
    stems = {path: path.rpartition("/")[0] + "/" * ("/" in path) + _stem(path) for path in paths}
    common = collections.Counter(stem.casefold() for stem in stems.values())
    taken, names = {folder.casefold() for folder in _folders(paths)}, {}
    plain = {
        path
        for path, stem in stems.items()
        if (common[stem.casefold()] == 1 or path.lower().endswith(".png")) and _name(stem) == f"{stem}.png"
    }
    for is_plain in (True, False):  # nobody else may take the name of one that can have its plain name
        for path in paths:
            if (path in plain) is not is_plain:
                continue
            base, number = stems[path] if is_plain else path, 1
            while (name := _name(base, number)).casefold() in taken:
                number += 1
            taken.add(name.casefold())
            names[path] = name
    return {path: names[path] for path in paths}


def _name(base, number=1):
    """`base.png`, `base-2.png`, …; the end of the base goes where the file's name would be too long."""
    folder, slash, stem = base.rpartition("/")
    end = f"-{number}.png" if number > 1 else ".png"
    while len(os.fsencode(stem + end)) > _MAX_NAME:
        stem = stem[:-1]
    return folder + slash + stem + end


def _stem(path):
    return os.path.splitext(path.rpartition("/")[2])[0]


def _folders(paths):
    """All folders that these relative paths lie in, and those above."""
    return {path[:end] for path in paths for end, sign in enumerate(path) if sign == "/"}


@dataclasses.dataclass(frozen=True)
class Record:
    """A picture that is done: path, bytes and time of the file it was made from, upright size, look and color of that
    (see `Fingerprint`); path and bytes of the picture made, its channels, what was done, and its fingerprint."""

    path: str
    num_bytes: int
    mtime_ns: int
    size: tuple
    look: int
    color: tuple
    output: str
    output_bytes: int
    channels: int
    notes: tuple
    fingerprint: Fingerprint

    def to_json(self):
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, line):
        values = json.loads(line)
        values["fingerprint"] = Fingerprint(**values["fingerprint"])
        return cls(**{name: tuple(x) if isinstance(x, list) else x for name, x in values.items()})


class PreparedFolder:
    """Opens the folder, makes it if need be, and keeps other processes out of it until the `with` block ends.

    Args:
        directory: the folder; empty, of an earlier run with the same settings or that did not finish, or `force`.
        settings: dict of what decides how pictures come out, texts and numbers.
        force: True to begin afresh: in the end what earlier runs made is replaced, whatever their settings. Other files
            stay, and none of them is overwritten.
    Attributes:
        records: `{path: Record}` of the pictures that an earlier run has done.
        again: words that tell how to go on after a stop.
    Raises:
        UserError: when the folder holds other things, or what other settings made, and when it cannot be written.
    """

    def __init__(self, directory, settings, force=False):
        self.directory = os.path.abspath(directory)
        self._settings, self._force = settings, force
        self._corner = os.path.join(self.directory, _CORNER)
        self._journal_file = os.path.join(self._corner, "journal.jsonl")
        self._staged = os.path.join(self._corner, "pictures")
        self.again = f"run the same command again{', without --force,' * force} to go on"
        self.log_file = os.path.join(directory, _CORNER, "log.csv")
        self.records = {}
        self._outputs = collections.defaultdict(set)  # name -> bytes, of all files that were ever made
        self._journal, self._made, self._stack = None, [], contextlib.ExitStack()
        if os.path.exists(self.directory) and not os.path.isdir(self.directory):
            raise UserError(f"{directory} is a file; give a folder")
        if not force and not os.path.exists(self._journal_file):
            visible = os.path.isdir(directory) and [name for name in os.listdir(directory) if not name.startswith(".")]
            if visible:
                raise UserError(
                    f"{directory} is not empty and not of prepare's making; choose another folder, or --force to "
                    "write beside what is there"
                )

    def __enter__(self):
        self._made = make_dir(self._staged)
        with contextlib.ExitStack() as stack:
            stack.enter_context(locked(self._corner))
            self._read_journal()
            with atomic_write(self._journal_file, "w") as file:  # without what a crash may have left of the last line
                file.write(json.dumps({"prepare": 1, "settings": self._settings, "made": self._all_made()}) + "\n")
                file.writelines(f"{record.to_json()}\n" for record in self.records.values())
            self._journal = stack.enter_context(open(self._journal_file, "a", encoding="utf-8", buffering=1))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, kind, error, traceback):
        self._stack.close()
        if kind is not None and not self._outputs:  # nothing to go on with, nor to clear away later
            shutil.rmtree(self._staged, ignore_errors=True)
            with contextlib.suppress(OSError):
                os.unlink(self._journal_file)
            remove_empty(self._made)

    def _all_made(self):
        return [[name, num_bytes] for name, sizes in sorted(self._outputs.items()) for num_bytes in sorted(sizes)]

    def _read_journal(self):
        if not os.path.exists(self._journal_file):
            return
        with open(self._journal_file, encoding="utf-8", errors="replace") as file:
            lines = file.read().splitlines()
        try:
            settings = json.loads(lines[0])["settings"]
        except (IndexError, ValueError, KeyError, TypeError) as error:
            settings = {}
            if not self._force:
                raise UserError(f"{self._journal_file} is damaged; --force begins afresh") from error
        for line in lines:
            with contextlib.suppress(ValueError, TypeError, KeyError, AttributeError):  # cut off by a crash
                if "made" in (values := json.loads(line)):
                    for name, num_bytes in values["made"]:
                        self._outputs[name].add(num_bytes)
                else:
                    self._note(Record.from_json(line))
        finished = any(os.path.lexists(os.path.join(self.directory, name)) for name in self._outputs)
        if self._force or (settings != self._settings and not finished):
            self.records = {}
        elif settings != self._settings:
            keys = [key for key in self._settings if settings.get(key) != self._settings[key]]
            old, new = (
                ", ".join(f"{key.replace('_', '-')} {_word(values.get(key))}" for key in keys)
                for values in (settings, self._settings)
            )
            raise UserError(
                f"{self.directory} was prepared with {old}, now it is {new}; choose another folder, or --force to "
                "begin afresh"
            )

    def _not_written(self, path, error):
        return UserError(f"could not write {path}: {error.strerror}. {advice(error.strerror)} Or {self.again}")

    def staged(self, output):
        """Where to write a picture: a path in the hidden corner, its folder made."""
        path = os.path.join(self._staged, output)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        return path

    def add(self, record):
        """Notes that a picture is done."""
        self._write(record.to_json())
        self._note(record)

    def _note(self, record):
        self.records[record.path] = record
        self._outputs[record.output].add(record.output_bytes)

    def _write(self, line):
        try:
            self._journal.write(line + "\n")
        except OSError as error:
            raise self._not_written(self._journal_file, error) from error

    def is_there(self, record):
        """Whether the picture of a record exists, whole, in its place or not yet there."""
        return any(
            os.path.isfile(path) and os.path.getsize(path) == record.output_bytes
            for path in (os.path.join(root, record.output) for root in (self._staged, self.directory))
        )

    def check_places(self, names):
        """Raises UserError when these cannot be written: a linked folder leads out, or others' files are in the way.

        Args:
            names: those of pictures, and `label_files.FILE` if there will be labels.
        """
        for folder in sorted({os.path.dirname(name) for name in names}):
            place = os.path.join(self.directory, folder)
            if os.path.realpath(place) != os.path.join(os.path.realpath(self.directory), folder).rstrip("/"):
                raise UserError(f"{place} is a link to somewhere else; prepare writes into {self.directory} only")
        for folder in sorted(_folders(names)):
            place = os.path.join(self.directory, folder)
            if os.path.lexists(place) and not os.path.isdir(place) and not self._is_ours(place, folder):
                raise UserError(f"{place} is a file where a folder must be; move it away. Nothing was changed there")
        others = [name for name in sorted(names) if not self._may_replace(name)]
        if others:
            these, them = ("this file", "it") if len(others) == 1 else (f"these {len(others):,} files", "them")
            raise UserError(
                f"{self.directory}: prepare would write over {these}, not, or no longer, of its making: "
                f"{shorten(others)}; move {them} away, or choose another folder. Nothing was changed there"
            )

    def _may_replace(self, name):
        path = os.path.join(self.directory, name)
        if not os.path.lexists(path) or self._is_ours(path, name):
            return True
        # Cut short when the machine went down, which no edited picture is.
        return name in self._outputs and name != label_files.FILE and os.path.isfile(path) and not _is_whole_png(path)

    def _is_ours(self, path, name):
        is_file = os.path.isfile(path) and not os.path.islink(path)
        return is_file and os.path.getsize(path) in self._outputs.get(name, ())

    def publish(self, kept, labels=None):
        """Moves pictures to their places, and removes those of earlier runs that are not among them.

        Args:
            kept: list of Record.
            labels: `{output: label}` to write as dataset.json, or None.
        """
        outputs = {record.output for record in kept}
        names = outputs | {label_files.FILE} if labels is not None else outputs
        self.check_places(names)
        folders, old = _folders(outputs), self._outputs.keys() - names
        self._remove(old & folders)  # a picture whose name a folder has now
        try:
            for folder in sorted(folders):
                os.makedirs(os.path.join(self.directory, folder), exist_ok=True)
            for output in sorted(outputs):
                staged = os.path.join(self._staged, output)
                if os.path.exists(staged):
                    os.replace(staged, os.path.join(self.directory, output))
            if labels is not None:
                text = json.dumps({"labels": sorted(labels.items())}, indent=0)
                self._write(json.dumps({"made": [[label_files.FILE, len(text.encode())]]}))
                with atomic_write(os.path.join(self.directory, label_files.FILE), "w") as file:
                    file.write(text)
        except OSError as error:
            raise self._not_written(self.directory, error) from error
        self._remove(old)  # last: nothing that is there goes before all that is new has its place
        shutil.rmtree(self._staged, ignore_errors=True)

    def _remove(self, names):
        """Removes files of our making; a file that has taken the name of one is not."""
        for name in names:
            for path in (os.path.join(root, name) for root in (self._staged, self.directory)):
                with contextlib.suppress(OSError):
                    if self._is_ours(path, name):
                        os.unlink(path)
        for folder in sorted({os.path.dirname(name) for name in names}, key=len, reverse=True):
            with contextlib.suppress(OSError):  # only empty folders go
                if folder:
                    os.removedirs(os.path.join(self.directory, folder))

    def write_log(self, rows):
        """Writes log.csv.

        Args:
            rows: (file, result, output, reason, notes), texts.
        """
        with atomic_write(self.log_file, "w") as file:
            writer = csv.writer(file)
            writer.writerow(["file", "result", "output", "reason", "done"])
            writer.writerows(rows)


def _is_whole_png(path):
    with open(path, "rb") as file:
        file.seek(max(0, os.path.getsize(path) - len(_PNG_END)))
        return file.read() == _PNG_END


def _word(value):
    return "none" if value is None else value
