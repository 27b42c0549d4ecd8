"""Looking into films: with imageio-ffmpeg's reader, since ffprobe is on few machines."""

import os

import imageio_ffmpeg
import numpy as np
import PIL.Image


def read_film(path):
    """Every frame of a film, and what its file says of itself.

    Returns:
        (uint8 `[F, H, W, 3]`, dict with `codec`, `pix_fmt`, `fps`, `duration`); of a folder of frames an empty dict.
    """
    if os.path.isdir(path):
        names = sorted(os.listdir(path))
        assert names == [f"{number:06d}.png" for number in range(len(names))]
        return np.stack([np.asarray(PIL.Image.open(os.path.join(path, name)).convert("RGB")) for name in names]), {}
    reader = imageio_ffmpeg.read_frames(os.fspath(path))
    about = next(reader)
    width, height = about["size"]
    return np.stack([np.frombuffer(data, np.uint8).reshape(height, width, 3) for data in reader]), about


def assert_loops(frames, slack=1.5, least=0.01):
    """The step from the last frame to the first is like the steps beside it, and something moves."""
    frames = frames.astype(np.float64)
    steps = [np.sqrt(np.mean((frames[i] - frames[i - 1]) ** 2)) for i in range(len(frames))]  # 0: from the last one
    assert max(steps) > least, "a still picture"
    assert steps[0] <= slack * max(steps[1], steps[-1]), f"jumps: {steps[0]:.3g} beside {steps[-1]:.3g}, {steps[1]:.3g}"
    assert steps[0] >= min(steps[1], steps[-1]) / slack / 2, "a frame comes twice"
