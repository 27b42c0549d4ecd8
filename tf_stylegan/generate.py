"""Seeds to pictures (F5)."""

import re

import numpy as np
import tensorflow as tf

from tf_stylegan import images
from tf_stylegan.errors import UserError
from tf_stylegan.networks.generator import Generator

NOISE_MODES = ("seed", "const", "random", "none")


def parse_seeds(text):
    """`"0,1,66-70"` to `[0, 1, 66, 67, 68, 69, 70]`: sorted, each once; UserError for anything else."""
    seeds = set()
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d+)\s*(?:-\s*(\d+)\s*)?", part)
        if not match:
            raise UserError(f"--seeds={text}: {part.strip()!r} is neither a number nor a range such as 66-70")
        first, last = int(match[1]), int(match[2] or match[1])
        if last >= 2**32:
            raise UserError(f"--seeds={text}: {last} is out of range; a seed is from 0 to {2**32 - 1}")
        if not 0 <= last - first < 10**6:
            raise UserError(f"--seeds={text}: {part.strip()!r} must go upwards, over a million seeds at most")
        seeds.update(range(first, last + 1))
    return sorted(seeds)


def class_labels(Gs, class_index, count):
    """Labels `[count, label_size]` of one class; None is no class (zeros), the only choice without labels."""
    if class_index is not None and not 0 <= class_index < Gs.label_size:
        what = f"0 … {Gs.label_size - 1}" if Gs.label_size else "this network has no classes; leave the option out"
        raise UserError(f"--class={class_index} is out of range: {what}")
    labels = np.zeros([count, Gs.label_size], np.float32)
    if class_index is not None:
        labels[:, class_index] = 1
    return labels


def seed_inputs(Gs, seed):
    """What run_generator.py of NVlabs/stylegan2 draws for a seed: latents first, then every noise map in order.

    Returns:
        (latents `[1, latent_size]`, list of noise maps `[1, r, r, 1]`), float32; no maps for a ProGAN.
    """
    rnd = np.random.RandomState(seed)
    latents = rnd.randn(1, Gs.latent_size).astype(np.float32)
    stored = Gs.synthesis.noise if isinstance(Gs, Generator) else []
    maps = [rnd.randn(*v.shape).astype(np.float32) for v in stored]  # one channel: NCHW draws are NHWC draws
    return latents, maps


def seed_images(Gs, seeds, truncation_psi=None, truncation_cutoff=None, noise_mode="seed", class_index=None):
    """Draws one picture per seed.

    Args:
        Gs: Generator, or GeneratorProGAN, which has neither truncation nor noise.
        seeds: list of integers in 0 … 2^32 − 1.
        truncation_psi, truncation_cutoff: as `Generator.call`.
        noise_mode: "seed": the noise belongs to the seed, as in the original's run_generator.py; "const": the stored
            maps, as in stylegan2-ada-pytorch; "random": noise that never repeats; "none".
        class_index: class of a conditional network, or None.
    Yields:
        (seed, uint8 `[H, W, C]`).
    """
    if noise_mode not in NOISE_MODES:
        raise UserError(f"--noise-mode={noise_mode} must be one of {', '.join(NOISE_MODES)}")
    batch = max(min((256 * 256 * 4) // Gs.resolution**2, 16, len(seeds)), 1)
    labels = tf.constant(class_labels(Gs, class_index, batch))
    mode = "const" if noise_mode == "seed" else noise_mode

    @tf.function(autograph=False)  # which would wrap a UserError in a story of its own
    def draw(latents, noise):
        if not isinstance(Gs, Generator):
            return Gs(latents, labels)
        w = Gs.truncate(Gs.mapping(latents, labels), truncation_psi, truncation_cutoff)
        return Gs.synthesize(w, noise_mode=mode, noise=noise)

    for start in range(0, len(seeds), batch):
        chunk = seeds[start : start + batch]
        inputs = [seed_inputs(Gs, seed) for seed in chunk]
        inputs += [inputs[-1]] * (batch - len(chunk))  # one size, one graph; the surplus is thrown away
        latents = np.concatenate([latents for latents, _ in inputs])
        noise = None
        if noise_mode == "seed":
            noise = [np.concatenate(maps) for maps in zip(*(maps for _, maps in inputs))]
        pictures = images.to_uint8(draw(latents, noise).numpy())
        yield from zip(chunk, pictures)
