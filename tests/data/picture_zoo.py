"""Pictures as people have them: every format and mode, damaged in every way, under every kind of name."""

import io
import os
import struct
import zlib

import numpy as np
import PIL.Image
import PIL.ImageCms


def photo(size=(96, 96), seed=0):
    """Something like a photo, RGB: light, large shapes of many colours and fine grain, the same for the same seed."""
    random = np.random.RandomState(seed)
    coarse = PIL.Image.fromarray(random.randint(0, 256, [5, 5, 3]).astype(np.uint8))
    smooth = np.asarray(coarse.resize(size, PIL.Image.Resampling.BICUBIC), np.float32)
    grain = random.randn(size[1], size[0], 1) * 12
    return PIL.Image.fromarray((smooth * 0.8 + 25 + grain).clip(0, 255).astype(np.uint8))


def chunk(kind, data):
    """A chunk of a PNG file."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def deep_png(pixels):
    """A PNG file of 16 bits a channel, which Pillow writes for grey only: uint16 `[H, W, 3]` -> bytes."""
    height, width, _ = pixels.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def icc_profile(red=(0.64, 0.33), green=(0.21, 0.71), blue=(0.15, 0.06), gamma=2.2, description="test"):
    """A matrix profile, by default close to Adobe RGB: ICC.1:2001-04, sections 6.1 and 6.5, written out by hand."""

    def xyz(x, y):
        return np.array([x / y, 1, (1 - x - y) / y])

    primaries = np.stack([xyz(*red), xyz(*green), xyz(*blue)], 1)
    white_d65, white_d50 = xyz(0.3127, 0.3290), np.array([0.9642, 1, 0.8249])
    cone = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])  # Bradford
    adapt = np.linalg.inv(cone) @ np.diag(cone @ white_d50 / (cone @ white_d65)) @ cone
    columns = (adapt @ primaries @ np.diag(np.linalg.solve(primaries, white_d65))).T

    def fixed(values):
        return b"".join(struct.pack(">i", round(float(value) * 65536)) for value in values)

    text = description.encode() + b"\0"
    tags = {
        b"desc": b"desc" + bytes(4) + struct.pack(">I", len(text)) + text + bytes(8 + 3 + 67),
        b"wtpt": b"XYZ " + bytes(4) + fixed(white_d50),
        b"cprt": b"text" + bytes(4) + b"none\0",
        **{name: b"XYZ " + bytes(4) + fixed(column) for name, column in zip((b"rXYZ", b"gXYZ", b"bXYZ"), columns)},
        **dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), b"curv" + struct.pack(">IIH", 0, 1, round(gamma * 256))),
    }
    table, body, offset = struct.pack(">I", len(tags)), b"", 128 + 4 + 12 * len(tags)
    for name, data in tags.items():
        data += bytes(-len(data) % 4)
        table += name + struct.pack(">II", offset + len(body), len(data))
        body += data
    head = struct.pack(">I4sI4s4s4s", 128 + len(table) + len(body), b"test", 0x02100000, b"mntr", b"RGB ", b"XYZ ")
    head += bytes(12) + b"acsp" + bytes(28) + fixed(white_d50)
    return head.ljust(128, b"\0") + table + body


def cmyk_profile(black_lightness=51):
    """A table of 2x2x2x2 inks -> Lab (ICC.1:2001-04, 6.5.8, lut8Type): inks darken, black by its own amount."""
    inks = np.array(np.meshgrid([0, 1], [0, 1], [0, 1], [0, 1], indexing="ij")).reshape(4, -1).T
    lightness = (255 - inks[:, :3].sum(axis=1) * 60 - inks[:, 3] * (255 - black_lightness)).clip(0, 255)
    table = np.stack([lightness, np.full(16, 128), np.full(16, 128)], 1).astype(np.uint8).tobytes()
    ramp = bytes(range(256))
    matrix = b"".join(struct.pack(">i", 65536 * (i % 4 == 0)) for i in range(9))
    lut = b"mft1" + bytes(4) + bytes([4, 3, 2, 0]) + matrix + ramp * 4 + table + ramp * 3
    lut += bytes(-len(lut) % 4)
    white = b"XYZ " + bytes(4) + b"".join(struct.pack(">i", round(x * 65536)) for x in (0.9642, 1, 0.8249))
    start = 128 + 4 + 24
    tags = struct.pack(">I", 2) + b"A2B0" + struct.pack(">II", start, len(lut))
    tags += b"wtpt" + struct.pack(">II", start + len(lut), len(white))
    size = start + len(lut) + len(white)
    head = struct.pack(">I4sI4s4s4s", size, b"test", 0x02100000, b"prtr", b"CMYK", b"Lab ")
    head += bytes(12) + b"acsp" + bytes(28) + white[8:]
    return head.ljust(128, b"\0") + tags + lut + white


def encoded(image, kind="PNG", **options):
    """The bytes of a file."""
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def exif(orientation):
    tags = PIL.Image.Exif()
    tags[0x0112] = orientation
    return tags


def with_alpha(image):
    """RGBA, the left half transparent."""
    alpha = np.full([image.height, image.width], 255, np.uint8)
    alpha[:, : image.width // 2] = 0
    image = image.convert("RGBA")
    image.putalpha(PIL.Image.fromarray(alpha))
    return image


def special():
    """`{name: (bytes of a file that can be read, the kinds of findings it must give)}`, 96x96, each another picture."""
    photos = iter([photo(seed=seed) for seed in range(100, 130)])
    frames = [next(photos) for _ in range(3)]
    palette = with_alpha(next(photos)).quantize(32, method=PIL.Image.Quantize.FASTOCTREE)
    deep = np.asarray(next(photos)).astype(np.uint16) * 257
    grey = next(photos).convert("L")
    return {
        "plain.png": (encoded(next(photos)), set()),
        "plain.jpg": (encoded(next(photos), "JPEG", quality=95), set()),
        "plain.bmp": (encoded(next(photos), "BMP"), set()),
        "plain.webp": (encoded(next(photos), "WEBP", lossless=True), set()),
        "srgb.jpg": (
            encoded(
                next(photos), "JPEG", quality=95,
                icc_profile=PIL.ImageCms.ImageCmsProfile(PIL.ImageCms.createProfile("sRGB")).tobytes(),
            ),
            set(),
        ),
        "no ending": (encoded(next(photos), "JPEG", quality=95), set()),
        "deep.png": (deep_png(deep), {"16-bit"}),
        "deep grey.png": (encoded(PIL.Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)), {"16-bit", "grey"}),
        "grey.tif": (encoded(next(photos).convert("L"), "TIFF"), {"grey"}),
        "grey alpha.png": (encoded(with_alpha(next(photos)).convert("LA")), {"grey", "transparency"}),
        "bilevel.png": (encoded(next(photos).convert("1")), {"grey"}),
        "cmyk.jpg": (encoded(next(photos).convert("CMYK"), "JPEG", quality=95), {"CMYK"}),
        "cmyk.tif": (encoded(next(photos).convert("CMYK"), "TIFF"), {"CMYK"}),
        "palette.gif": (encoded(palette, "GIF", transparency=0), {"palette", "transparency"}),
        "alpha.png": (encoded(with_alpha(next(photos))), {"transparency"}),
        "film.gif": (encoded(frames[0], "GIF", save_all=True, append_images=frames[1:]), {"animated", "palette"}),
        "film.webp": (
            encoded(frames[1], "WEBP", save_all=True, append_images=frames[2:], quality=95), {"animated"}
        ),
        "pages.tif": (encoded(frames[2], "TIFF", save_all=True, append_images=frames[:1]), {"animated"}),
        "turned.jpg": (encoded(next(photos), "JPEG", quality=95, exif=exif(6)), {"EXIF-rotated"}),
        "wide.jpg": (encoded(next(photos), "JPEG", quality=95, icc_profile=icc_profile()), {"colour profile"}),
        "odd.jpg": (
            encoded(next(photos), "JPEG", quality=95, icc_profile=b"no profile"), {"useless colour profile"}
        ),
        "turned.tif": (encoded(next(photos), "TIFF", exif=exif(6)), {"EXIF-rotated"}),
        "deep clear.png": (
            encoded(PIL.Image.fromarray(np.asarray(next(photos).convert("L")) * np.uint16(257)), transparency=25700),
            {"16-bit", "grey", "transparency"},
        ),
    }  # fmt: skip


def broken():
    """`{name: (bytes, words that the finding must hold)}` of files that are no pictures, though they should be."""
    jpeg, png = encoded(photo(seed=1), "JPEG"), encoded(photo(seed=2))
    heic = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(64)
    return {
        "cut.jpg": (jpeg[: len(jpeg) // 2], "truncated"),
        "cut.png": (png[: len(png) // 2], "truncated"),
        "header only.png": (png[:40], ""),
        "page.jpg": (b"\n<!DOCTYPE html><html><body>404</body></html>", "web page"),
        "empty.jpg": (b"", "empty"),
        "noise.png": (bytes(range(256)) * 4, "not readable"),
        "phone.HEIC": (heic, "HEIC"),
        "renamed.jpg": (heic, "HEIC"),
        "raw.NEF": (encoded(photo((16, 12)), "TIFF"), "raw"),
        "int.tif": (encoded(PIL.Image.fromarray(np.full([16, 16], 70_000, np.int32)), "TIFF"), "32 bits have no known"),
        "float.tif": (encoded(PIL.Image.fromarray(np.ones([16, 16], np.float32)), "TIFF"), "no known range"),
    }


NAMES = [
    "äöü €.png",
    "雪 🦊.png",
    "new\nline.png",
    "bell\a\x1b[31mred.png",
    "<script>alert('x')</script>.png".replace("/", "∕"),
    "\"quoted\" & 'single'.png",
    "-rf.png",
    "100%25.png",
    "a:b?c#d.png",
    "no\udcffutf8.png",
    "two.dots.png",
    "x" * 240 + ".png",
]


def fill(folder, files):
    """Writes `{name: (bytes, …)}`."""
    for name, (data, *_) in files.items():
        path = os.path.join(folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(data)


def close(monkeypatch, name):
    """No folder of this name can be listed any more, as one without permission: root would not notice that."""
    scandir = os.scandir

    def deny(path):
        if str(path).endswith(name):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", deny)
