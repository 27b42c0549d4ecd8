"""A folder of pictures as they were collected -> one of squares of one size, ready for create_from_images."""

import collections
import concurrent.futures
import functools
import os
import sys

from tqdm import tqdm

from tf_stylegan.data import crop as crops
from tf_stylegan.data import duplicates, image_files, resize, survey
from tf_stylegan.data import labels as label_files
from tf_stylegan.data.check import DISTANCE, MIN_SIZE, MOST_ASPECT, SHARPNESS, check_options, keep_first
from tf_stylegan.data.fingerprint import fingerprint, look_and_color
from tf_stylegan.data.parallel import num_cores, ordered
from tf_stylegan.data.prepared_folder import PreparedFolder, Record, output_names
from tf_stylegan.data.words import counted, printable, say, shorten
from tf_stylegan.errors import UserError

_COMPRESSION = 2  # of zlib's 9: at 1024x1024 five times quicker than the usual 6 for a quarter more bytes


def prepare(
    source,
    target,
    size=None,
    crop="center",
    resize_filter="auto",
    drop_duplicates=False,
    distance=DISTANCE,
    drop_blurred=False,
    blur=SHARPNESS,
    min_size=MIN_SIZE,
    background="white",
    label_file=None,
    skip_bad=False,
    force=False,
    num_threads=None,
):
    """Makes an 8-bit sRGB PNG file of every picture, in the same sub-folders of the target; prints a summary.

    Nothing is visible in `target` before all pictures are done. An interrupted run goes on when it is called again; a
    later one does what is new, and ends with what a fresh one would have made.

    Args:
        source: folder of pictures, searched recursively; it is only read.
        target: folder to write, see `prepared_folder.PreparedFolder`.
        size: height = width to scale to, a power of two; None to keep the pixels.
        crop, resize_filter: see `crop.fit` and `resize.resize`.
        drop_duplicates: keep one of each group of pictures that come out equal, or that are alike, before or after,
            in all but `distance` bits of their hash (None: only equal ones).
        drop_blurred: leave out those that come out with a sharpness below `blur`.
        min_size: leave out those whose shorter side has fewer pixels.
        background: colour laid under transparent pixels and of the bars of crop "pad", as text.
        label_file: JSON or CSV, see `labels.from_file`; None for `source`/dataset.json if there is one. What it says
            of the pictures that stay is written to `target`/dataset.json.
        skip_bad: leave out pictures that cannot be read rather than stopping.
        force: begin afresh, see `PreparedFolder`.
        num_threads: None for all cores.
    Returns:
        number of pictures in `target`.
    Raises:
        UserError: for options and folders that cannot be, and, when all else is done, for pictures that cannot be read.
    """
    source, target, label_file = os.fspath(source), os.fspath(target), label_file and os.fspath(label_file)
    check_options(size, min_size, distance, blur, num_threads)
    if crop not in crops.METHODS or resize_filter not in resize.FILTERS:
        raise UserError(
            f"--crop is one of {', '.join(crops.METHODS)}, --filter of {', '.join(resize.FILTERS)}; "
            f"got {crop} and {resize_filter}"
        )
    color = image_files.parse_color(background)
    _check_apart(source, target)
    with concurrent.futures.ThreadPoolExecutor(num_threads or num_cores()) as pool:
        images, bad, others = survey.survey(pool, source)
        num_pictures = len(images) + len(bad)
        _check_links(source, target, images)
        dropped = {}  # path -> (kind, reason)
        for image in images:
            if min(image.size) < min_size:
                dropped[image.path] = "too small", f"{image.size[0]}x{image.size[1]}, less than {min_size}"
        images = [image for image in images if image.path not in dropped]
        if crop == "none":
            _check_shapes(images)
        outputs = output_names([image.path for image in images])
        label_file = label_file or label_files.of_folder(source)
        table = label_files.from_file(label_file, list(outputs), [*bad, *dropped]) if label_file else None
        settings = {
            "source": os.path.relpath(os.path.realpath(source), os.path.realpath(target)),
            "size": size,
            "crop": crop,
            "filter": resize_filter,
            "background": list(color),
            "labels": label_file and os.path.basename(label_file),
        }
        fit = functools.partial(crops.fit, size=size, crop=crop, method=resize_filter, background=color)
        channels = 1 if all(image.is_grey for image in images) else 3
        with PreparedFolder(target, settings, force) as folder:
            folder.check_places([*outputs.values(), *[label_files.FILE] * (table is not None)])
            work = _Work(pool, source, folder, outputs, channels, color, fit)
            work.do(path for path in outputs if not work.is_done(path))
            folder.records = {path: folder.records[path] for path in outputs if work.is_done(path)}
            bad.update(work.bad)
            if bad and not skip_bad:
                raise _bad(bad, num_pictures, source, folder)
            dropped.update(choose(list(folder.records.values()), drop_duplicates, distance, drop_blurred, blur))
            kept = _publish(folder, work, dropped, table)
            bad.update(work.bad)
            folder.write_log(_log(kept, dropped, bad, others))
    _print_summary(target, folder.log_file, work.num_made, kept, dropped, bad, others)
    _print_next(target, kept, table is not None, is_square=bool(size) and crop != "none")
    return len(kept)


def _publish(folder, work, dropped, table):
    """Puts the pictures that are not dropped in place, with their labels; their records."""
    kept = [record for path, record in folder.records.items() if path not in dropped]
    work.do(record.path for record in kept if not folder.is_there(record))  # an earlier run had dropped it
    kept = [folder.records[record.path] for record in kept if record.path not in work.bad]
    if not kept:
        raise UserError(f"no picture of {work.source} would be left; nothing was written to {folder.directory}")
    folder.publish(kept, {record.output: table[record.path] for record in kept} if table is not None else None)
    return kept


class _Work:
    """Making the pictures: what of it is done, and doing the rest on all cores."""

    def __init__(self, pool, source, folder, outputs, channels, background, fit):
        self.source = source
        self._pool, self._folder, self._outputs = pool, folder, outputs
        self._channels, self._background, self._fit = channels, background, fit
        self.bad, self.num_made = {}, 0

    def is_done(self, path):
        """Whether there is a record of this file as it is now, with the name and the channels it is to get."""
        record = self._folder.records.get(path)
        if record is None or (record.output, record.channels) != (self._outputs[path], self._channels):
            return False
        try:
            return (record.num_bytes, record.mtime_ns) == _state(os.path.join(self.source, path))
        except OSError:
            return False

    def do(self, paths):
        """Makes these pictures: counts those that came out in `num_made`, notes the others in `bad`."""
        paths = list(paths)
        bar = tqdm(ordered(self._pool, self._make, paths), "pictures", len(paths), disable=None if paths else True)
        try:
            for path, result in bar:
                if isinstance(result, Record):
                    self._folder.add(result)
                    self.num_made += 1
                else:
                    self.bad[path] = result
        except (KeyboardInterrupt, SystemExit):
            print(self._folder.again, file=sys.stderr)
            raise

    def _make(self, path):
        file, output = os.path.join(self.source, path), self._outputs[path]
        try:
            num_bytes, mtime_ns = _state(file)
            image, notes = image_files.read(file, self._background, srgb=True)
        except image_files.DamagedImageError as error:
            return path, error.reason
        except OSError as error:
            return path, error.strerror or str(error)
        size, (look, color) = image.size, look_and_color(image)
        if self._channels == 3 and image.mode == "L":
            notes.append("grey to RGB")
        image, more = self._fit(image.convert("L" if self._channels == 1 else "RGB"))
        image.info = {}  # or the old colour profile would go with the new colours
        try:
            staged = self._folder.staged(output)
            image.save(staged, "PNG", compress_level=_COMPRESSION)
            output_bytes = os.path.getsize(staged)
        except OSError as error:
            raise UserError(
                f"could not write {output} in {self._folder.directory}: {error.strerror or error}; "
                f"then {self._folder.again}"
            ) from error
        before, after = (path, num_bytes, mtime_ns, size, look, color), (output, output_bytes, self._channels)
        return path, Record(*before, *after, (*notes, *more), fingerprint(image))


def _state(file):
    """(bytes, time of the last change) of a file, by which a run knows that it has done it before."""
    status = os.stat(file)
    return status.st_size, status.st_mtime_ns


def choose(records, drop_duplicates, distance, drop_blurred, blur):
    """Which pictures are left out, `{path: (kind, reason)}`; blurred ones first, so that a sharp duplicate stays."""
    dropped = {}
    if drop_blurred:
        for record in records:
            if record.fingerprint.sharpness < blur:
                dropped[record.path] = "blurred", f"sharpness {record.fingerprint.sharpness:.1f}"
    if drop_duplicates:
        left = sorted((record for record in records if record.path not in dropped), key=keep_first)
        prints = [record.fingerprint for record in left]
        for first, copies in duplicates.exact([p.digest for p in prints], range(len(left))).items():
            dropped.update({left[i].path: ("exact duplicate", f"of {left[first].path}") for i in copies})
        # As check sees them before and after: a smart crop can make copies differ, and others alike.
        looks = [
            ([r.look for r in left], [r.color for r in left]),
            ([p.look for p in prints], [p.color for p in prints]),
        ]
        for stage, (look, color) in zip(("", " when scaled"), looks if distance is not None else []):
            order = [number for number, record in enumerate(left) if record.path not in dropped]
            for first, group in duplicates.near(look, color, order, distance).items():
                for i, bits in group:
                    dropped[left[i].path] = "near duplicate", f"of {left[first].path}, {bits} bits{stage}"
    return dropped


def _check_apart(source, target):
    """Raises UserError when one of the two folders is, or lies in, the other."""
    inner, outer = os.path.realpath(target), os.path.realpath(source)
    if os.path.commonpath([inner, outer]) in (inner, outer):
        raise UserError(
            f"{target} and {source} lie in one another; write the pictures to a folder beside {source}, which stays "
            "as it is"
        )


def _check_links(source, target, images):
    """Raises UserError when a linked folder leads from the source into the target."""
    target = os.path.realpath(target)
    for folder in sorted({os.path.dirname(image.path) for image in images}):
        if (os.path.realpath(os.path.join(source, folder)) + os.sep).startswith(target + os.sep):
            raise UserError(f"{os.path.join(source, folder)} is a link into {target}; choose another folder to write")


def _check_shapes(images):
    """Raises UserError for pictures that keep their shape and are so long that they could not be held in memory."""
    found = [image for image in images if max(image.size) > MOST_ASPECT * min(image.size)]
    if found:
        names = shorten(f"{image.path} {image.size[0]}x{image.size[1]}" for image in found)
        raise UserError(
            f"--crop=none: {counted(len(found), 'picture is', 'pictures are')} more than {MOST_ASPECT} times as long "
            f"as wide ({names}); take them out, or choose another --crop"
        )


def _bad(bad, num_pictures, source, folder):
    is_one = len(bad) == 1
    num_done = len(folder.records)
    then = f"; the {num_done:,} done are kept: {folder.again}" if num_done else ", and run again"
    return UserError(
        f"{len(bad)} of {counted(num_pictures, 'picture')} in {source} cannot be read; replace "
        f"{'it' if is_one else 'them'}, or leave {'it' if is_one else 'them'} out with --skip-bad"
        f"{then}:" + "".join(f"\n  {printable(path)}: {reason}" for path, reason in sorted(bad.items()))
    )


def _log(kept, dropped, bad, others):
    rows = [(record.path, "written", record.output, "", ", ".join(record.notes)) for record in kept]
    rows += [(path, kind, "", reason, "") for path, (kind, reason) in dropped.items()]
    rows += [(path, "unreadable", "", reason, "") for path, reason in bad.items()]
    rows += [(path, "no picture", "", "", "") for path in others]
    return [tuple(map(printable, row)) for row in sorted(rows)]


def _print_summary(target, log_file, num_made, kept, dropped, bad, others):
    say(f"{counted(len(kept), 'picture')} in {target}, {num_made:,} made by this run")
    done = collections.Counter(note for record in kept for note in record.notes)
    if done:
        say("done: " + ", ".join(f"{count:,} {note}" for note, count in sorted(done.items())))
    left_out = collections.Counter(kind for kind, _ in dropped.values())
    left_out.update(["unreadable"] * len(bad))
    if left_out:
        texts = (counted(n, kind) if "duplicate" in kind else f"{n} {kind}" for kind, n in sorted(left_out.items()))
        say(f"left out: {', '.join(texts)}")
    if others:
        say(f"ignored {counted(len(others), 'file that is no picture', 'files that are no pictures')}")
    say(f"what became of each file: {log_file}")


def _print_next(target, kept, has_labels, is_square):
    options = "" if is_square else " --crop --resize=N"
    if not has_labels and all("/" in record.output for record in kept):
        options = f" [--class-folders]{options}"
    say(f"next: python tools/convert_tfrecords.py create_from_images datasets/NAME {target}{options}")
