"""The folder that `prepare` fills: pictures are made in a hidden corner of it and appear when all of them are there.

`DST/.prepare/journal.jsonl` begins with the settings; every further line tells of one picture that is done, so that a
run that was interrupted goes on where it stopped, and a later run does only what is new. `DST/.prepare/pictures/`
holds what has not been moved to its place yet, `DST/.prepare/log.csv` says what became of every file of the source.
Hidden folders are passed over by create_from_images and by check.
"""

import collections
import contextlib
import csv
import dataclasses
import json
import os
import shutil

from tf_stylegan.data.fingerprint import Fingerprint
from tf_stylegan.errors import UserError
from tf_stylegan.files import atomic_write, locked, make_dir

_CORNER = ".prepare"
LABELS = "dataset.json"
_AGAIN = "run the same command again to go on"


def output_names(paths):
    """Names of the pictures made: the ending becomes .png; of files that only differ in theirs, others keep it before.

    Args:
        paths: relative paths with "/", in any order; the names do not depend on it.
    Returns:
        `{path: name}`, sorted by path; no two equal, also where a and A are one letter.
    """
    paths = sorted(paths)
    stems = {path: path.rpartition("/")[0] + "/" * ("/" in path) + _stem(path) for path in paths}
    common = collections.Counter(stem.casefold() for stem in stems.values())
    folders = {parent for path in paths for parent in _parents(path)}
    taken, names = {folder.casefold() for folder in folders}, {}
    plain = {path for path, stem in stems.items() if common[stem.casefold()] == 1 or path.lower().endswith(".png")}
    for is_plain in (True, False):  # nobody else may take the name of one that can have its plain name
        for path in paths:
            if (path in plain) is not is_plain:
                continue
            base = stems[path] if is_plain else path
            name, number = f"{base}.png", 2
            while name.casefold() in taken:
                name, number = f"{base}-{number}.png", number + 1
            taken.add(name.casefold())
            names[path] = name
    return {path: names[path] for path in paths}


def _stem(path):
    return os.path.splitext(path.rpartition("/")[2])[0]


def _parents(path):
    parts = path.split("/")[:-1]
    return ["/".join(parts[: end + 1]) for end in range(len(parts))]


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
        directory: the folder; empty, of an earlier run with the same settings, or `force`.
        settings: dict of what decides how pictures come out, texts and numbers.
        force: True to begin afresh; what an earlier run made is removed, other files are left alone.
    Attributes:
        records: `{path: Record}` of the pictures that an earlier run has done.
    Raises:
        UserError: when the folder holds other things, or what other settings made, and when it cannot be written.
    """

    def __init__(self, directory, settings, force=False):
        self.directory = os.path.abspath(directory)
        self._settings, self._force = settings, force
        self._corner = os.path.join(self.directory, _CORNER)
        self._journal_file = os.path.join(self._corner, "journal.jsonl")
        self._staged = os.path.join(self._corner, "pictures")
        self.log_file = os.path.join(directory, _CORNER, "log.csv")
        self.records, self._outputs = {}, {}  # outputs: name -> bytes, of all that were ever made
        self._journal, self._made, self._stack = None, [], contextlib.ExitStack()
        if os.path.exists(self.directory) and not os.path.isdir(self.directory):
            raise UserError(f"{directory} is a file; give a folder")
        if not force and not os.path.exists(self._journal_file):
            visible = os.path.isdir(directory) and [name for name in os.listdir(directory) if not name.startswith(".")]
            if visible:
                raise UserError(
                    f"{directory} is not empty and not of prepare's making; choose another folder, or --force to "
                    "write among what is there"
                )

    def __enter__(self):
        folder = self._staged
        while not os.path.isdir(folder):
            self._made.append(folder)
            folder = os.path.dirname(folder)
        make_dir(self._staged)
        with contextlib.ExitStack() as stack:
            stack.enter_context(locked(self._corner))
            self._read_journal()
            with atomic_write(self._journal_file, "w") as file:  # without what a crash may have left of the last line
                file.write(json.dumps({"prepare": 1, "settings": self._settings}) + "\n")
                file.writelines(f"{record.to_json()}\n" for record in self.records.values())
            self._journal = stack.enter_context(open(self._journal_file, "a", encoding="utf-8", buffering=1))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, kind, error, traceback):
        self._stack.close()
        if kind is not None and not self.records:  # nothing to go on with
            shutil.rmtree(self._staged, ignore_errors=True)
            with contextlib.suppress(OSError):
                os.unlink(self._journal_file)
            for folder in self._made:
                with contextlib.suppress(OSError):  # only an empty folder goes
                    os.rmdir(folder)

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
        for line in lines[1:]:
            with contextlib.suppress(ValueError, TypeError, KeyError):  # the last line, when a crash cut it off
                record = Record.from_json(line)
                self.records[record.path] = record
                self._outputs[record.output] = record.output_bytes
        if self._force:
            self._remove(self._outputs)
            if settings.get("labels"):
                with contextlib.suppress(OSError):
                    os.unlink(os.path.join(self.directory, LABELS))
            self.records, self._outputs = {}, {}
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

    def staged(self, output):
        """Where to write a picture: a path in the hidden corner, its folder made."""
        path = os.path.join(self._staged, output)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        return path

    def add(self, record):
        """Notes that a picture is done."""
        try:
            self._journal.write(record.to_json() + "\n")
        except OSError as error:
            raise UserError(f"could not write {self._journal_file}: {error.strerror}; then {_AGAIN}") from error
        self.records[record.path] = record
        self._outputs[record.output] = record.output_bytes

    def is_there(self, record):
        """Whether the picture of a record exists, whole, in its place or not yet there."""
        return any(
            os.path.isfile(path) and os.path.getsize(path) == record.output_bytes
            for path in (os.path.join(root, record.output) for root in (self._staged, self.directory))
        )

    def publish(self, kept, labels=None):
        """Moves pictures to their places, and removes those of earlier runs that are not among them.

        Args:
            kept: list of Record.
            labels: `{output: label}` to write as dataset.json, or None.
        """
        outputs = {record.output for record in kept}
        self._remove(self._outputs.keys() - outputs)
        try:
            for folder in sorted({os.path.dirname(output) for output in outputs}):
                place = os.path.join(self.directory, folder)
                os.makedirs(place, exist_ok=True)
                if os.path.realpath(place) != os.path.join(os.path.realpath(self.directory), folder).rstrip("/"):
                    raise UserError(f"{place} is a link to somewhere else; prepare writes into {self.directory} only")
            for output in sorted(outputs):
                staged = os.path.join(self._staged, output)
                if os.path.exists(staged):
                    os.replace(staged, os.path.join(self.directory, output))
            if labels is not None:
                with atomic_write(os.path.join(self.directory, LABELS), "w") as file:
                    json.dump({"labels": sorted(labels.items())}, file, indent=0)
        except OSError as error:
            raise UserError(f"could not write {self.directory}: {error.strerror}; then {_AGAIN}") from error
        shutil.rmtree(self._staged, ignore_errors=True)

    def _remove(self, outputs):
        """Removes pictures of our making; a file that has taken the name of one is not."""
        for output in outputs:
            for path in (os.path.join(root, output) for root in (self._staged, self.directory)):
                with contextlib.suppress(OSError):
                    if os.path.getsize(path) == self._outputs[output]:
                        os.unlink(path)
        for folder in sorted({os.path.dirname(output) for output in outputs}, key=len, reverse=True):
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


def _word(value):
    return "none" if value is None else value
