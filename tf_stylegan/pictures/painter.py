"""Seeds and latents to pictures (F5)."""

import copy
import math

import numpy as np
import tensorflow as tf

from tf_stylegan import images
from tf_stylegan.errors import UserError
from tf_stylegan.networks.generator import Generator
from tf_stylegan.networks.growing import Lod
from tf_stylegan.pictures.latents import NOISE_MODES

_LARGEST_BATCH = 16
_PIXELS_AT_ONCE = 4 * 256 * 256
_LATENTS_AT_ONCE = 1024


def class_labels(Gs, class_index, count):
    """Labels `[count, label_size]` of one class; None is no class (zeros), the only choice without labels."""
    if class_index is not None and not 0 <= class_index < Gs.label_size:
        what = f"0 … {Gs.label_size - 1}" if Gs.label_size else "this network has no classes; leave the option out"
        raise UserError(f"--class={class_index} is out of range: {what}")
    labels = np.zeros([count, Gs.label_size], np.float32)
    if class_index is not None:
        labels[:, class_index] = 1
    return labels


def seed_latents(Gs, seed):
    """Latents `[1, latent_size]` of a seed, float32, the same in every program of the family."""
    return np.random.RandomState(seed).randn(1, Gs.latent_size).astype(np.float32)


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


class Painter:
    """Draws with one network: seeds or latents to w, w to pictures. Every command and the web page draw through it.

    `latents_of(seed)` → `dlatents(latents)` → `truncated(w)` → `draw(w, noise)`; `paint(latents, noise)` is the last
    three at once, and the only way for a ProGAN, which has neither w nor noise. Graphs are traced once per batch size
    and shared with what `variant` makes; calls keep no state, so threads may share a Painter.

    Args:
        Gs: Generator or GeneratorProGAN; its `dtype` decides the precision of the features.
        truncation_psi, truncation_cutoff: as `Generator.call`; a ProGAN ignores them.
        noise_mode: "seed": the noise belongs to the seed, as in the original's run_generator.py; "const": the stored
            maps, as in stylegan2-ada-pytorch; "random": noise that never repeats; "none".
        class_index: class of a conditional network, or None.
    Raises:
        UserError: for an unknown noise mode or class, and for a psi or cutoff that cannot be.
    """

    def __init__(self, Gs, truncation_psi=None, truncation_cutoff=None, noise_mode="seed", class_index=None):
        self.Gs, self.has_w = Gs, isinstance(Gs, Generator)
        self._graphs = {}  # by what they are for, see _graph
        if self.has_w:
            self._map = _graph_of(Gs.mapping, [[None, Gs.latent_size], [None, Gs.label_size]])
        self._set(truncation_psi, truncation_cutoff, noise_mode, class_index)

    def _set(self, truncation_psi, truncation_cutoff, noise_mode, class_index):
        if noise_mode not in NOISE_MODES:
            raise UserError(f"--noise-mode={noise_mode} must be one of {', '.join(NOISE_MODES)}")
        self.truncation_psi, self.truncation_cutoff = truncation_psi, truncation_cutoff
        self.noise_mode, self.class_index = noise_mode, class_index
        self._labels = class_labels(self.Gs, class_index, 1)
        if self.has_w:
            if truncation_cutoff is not None and not 0 <= truncation_cutoff <= self.num_layers:
                problem = f"is out of range: this network has {self.num_layers} styles, so from 0 to {self.num_layers}"
                raise UserError(f"--truncation-cutoff={truncation_cutoff} {problem}")
            self.truncated(np.zeros([1, self.num_layers, self.w_size], np.float32))  # complain now, not in the film

    def variant(self, **options):
        """A Painter of the same network and graphs with some of the options of the constructor changed."""
        kept = ("truncation_psi", "truncation_cutoff", "noise_mode", "class_index")
        other = copy.copy(self)
        other._set(**{**{name: getattr(self, name) for name in kept}, **options})
        return other

    @property
    def num_layers(self):
        """Styles in w."""
        return self._need_w().num_layers

    @property
    def acting_layers(self):
        """Styles that act: those of resolutions that a growing network has not reached do not yet."""
        Gs = self._need_w()
        return max(Gs.num_layers - (2 * Lod.of(None, Gs.lod).floor if Gs.grows else 0), 1)

    @property
    def w_size(self):
        """Width of w."""
        return self._need_w().mapping.dlatent_size

    @property
    def w_avg(self):
        """The average w, float32 `[w_size]`."""
        return self._need_w().w_avg.numpy()

    @property
    def psi(self):
        """The truncation psi that is in force: the Painter's, else the network's, else 1."""
        own = self._need_w().truncation_psi
        return next((psi for psi in (self.truncation_psi, own) if psi is not None), 1.0)

    def _need_w(self):
        if not self.has_w:
            raise UserError("this needs a network with intermediate latents w (StyleGAN and later); a ProGAN has none")
        return self.Gs

    @property
    def batch_size(self):
        """How many pictures are drawn at a time, a power of two: bounded by memory, not by what is fastest."""
        return 2 ** int(math.log2(max(min(_PIXELS_AT_ONCE // self.Gs.resolution**2, _LARGEST_BATCH), 1)))

    @property
    def picture_shape(self):
        """(H, W, C) of the pictures, as a graph that draws them has it."""
        graph = next(iter(self._graphs.values()), None) or self.prepare(self.batch_size)
        return tuple(graph.structured_outputs.shape[1:])

    def prepare(self, count):
        """Traces the graph that `count` pictures will need, so that mistakes show before anything is drawn."""
        batch, maps = self._batch_for(count), []
        if self.noise_mode == "seed" and self.has_w:
            maps = [[batch, *stored.shape[1:]] for stored in self.Gs.synthesis.noise]
        return self._graph(batch, maps)

    def _batch_for(self, count):
        return min(self.batch_size, 2 ** math.ceil(math.log2(max(count, 1))))  # few sizes, few graphs

    @property
    def _graph_mode(self):
        return "const" if self.noise_mode == "seed" else self.noise_mode

    def latents_of(self, seed):
        """(latents `[1, latent_size]`, noise): what `draw` and `paint` take for this seed's picture, float32.

        The noise is a list of maps `[1, h, w, 1]` in the noise mode "seed", None in the others.
        """
        if self.noise_mode == "seed" and self.has_w:
            return seed_inputs(self.Gs, seed)
        return seed_latents(self.Gs, seed), None

    def stored_noise(self):
        """The maps that came with the network, a list of `[1, h, w, 1]`."""
        return [stored.numpy() for stored in self._need_w().synthesis.noise]

    def dlatents(self, latents):
        """w of latents `[N, latent_size]`, a copy per layer, not truncated: float32 `[N, num_layers, w_size]`."""
        self._need_w()
        latents = np.asarray(latents, np.float32)
        labels = np.repeat(self._labels, len(latents), 0)
        starts = range(0, max(len(latents), 1), _LATENTS_AT_ONCE)
        parts = [(latents[i : i + _LATENTS_AT_ONCE], labels[i : i + _LATENTS_AT_ONCE]) for i in starts]
        return np.concatenate([self._map(*map(tf.constant, part)).numpy() for part in parts])

    def truncated(self, dlatents, psi=None, cutoff=None):
        """w drawn towards its average, as `Generator.truncate`, in NumPy.

        Args:
            dlatents: `[N, num_layers, w_size]`.
            psi: number, or one per sample `[N]`; None for the Painter's, and if that is None the network's.
            cutoff: number of styles that are truncated; None as psi.
        Returns:
            float32, the shape of `dlatents`.
        """
        own = self._need_w()
        psi = self.psi if psi is None else psi
        cutoff = next((c for c in (cutoff, self.truncation_cutoff, own.truncation_cutoff) if c is not None), None)
        psi = np.asarray(psi, np.float32)
        if not np.isfinite(psi).all():
            raise UserError(f"truncation_psi must be a finite number, got {psi}")
        dlatents = np.asarray(dlatents, np.float32)
        if (psi == 1).all():
            return dlatents
        psi = np.broadcast_to(psi.reshape(-1, 1, 1), [len(dlatents), dlatents.shape[1], 1])
        if cutoff is not None:
            psi = np.where(np.arange(dlatents.shape[1])[:, None] < cutoff, psi, np.float32(1))
        return self.w_avg + (dlatents - self.w_avg) * psi

    def draw(self, dlatents, noise=None):
        """Pictures of w, which is taken as it is: truncate first.

        Args:
            dlatents: `[N, num_layers, w_size]`.
            noise: list of maps `[N or 1, h, w, 1]` in place of what the noise mode says; None: the stored maps in the
                modes "const" and "seed", fresh ones in "random".
        Returns:
            uint8 `[N, H, W, C]`.
        """
        self._need_w()
        return self._in_batches(np.asarray(dlatents, np.float32), noise)

    def paint(self, latents, noise=None):
        """Pictures of latents `[N, latent_size]`, truncated; `noise` and result as `draw`. Any network."""
        if self.has_w:
            return self.draw(self.truncated(self.dlatents(latents)), noise)
        return self._in_batches(np.asarray(latents, np.float32), None)

    def seed_pictures(self, seeds):
        """Yields (seed, uint8 `[H, W, C]`) for each of a list of seeds, drawn in batches."""
        batch = min(self.batch_size, len(seeds))
        for start in range(0, len(seeds), batch or 1):
            chunk = seeds[start : start + batch]
            inputs = [self.latents_of(seed) for seed in chunk]
            inputs += [inputs[-1]] * (batch - len(chunk))  # as large as the others, for their graph
            latents, maps = zip(*inputs)
            noise = maps[0] and [np.concatenate(same) for same in zip(*maps)]
            yield from zip(chunk, self.paint(np.concatenate(latents), noise))

    def _in_batches(self, inputs, noise):
        """Inputs `[N, …]` to uint8 pictures, a batch at a time; UserError for inputs that are not finite."""
        if not np.isfinite(inputs).all():
            raise UserError("the latents are not finite: an option is too large, or the network's training had failed")
        count, drawn = len(inputs), []
        batch = self._batch_for(count)
        for start in range(0, count, batch):
            part = _filled(inputs[start : start + batch], batch)
            maps = [_filled(m if len(m) == 1 else m[start : start + batch], batch) for m in noise or ()]
            extra = maps if self.has_w else [np.repeat(self._labels, batch, 0)]
            graph = self._graph(batch, [m.shape for m in maps])
            pictures = graph(*(tf.constant(array, tf.float32) for array in [part, *extra]))
            drawn.append(images.to_uint8(pictures[: count - start].numpy()))
        return np.concatenate(drawn) if drawn else np.zeros([0, *self.picture_shape], np.uint8)

    def _graph(self, batch, noise_shapes):
        """The graph for so many pictures at a time: (w, noise maps …), for a ProGAN (latents, labels), to pictures.

        Graphs are looked up here rather than by tf.function, which warns of every few new sizes.
        """
        Gs, mode = self.Gs, "const" if noise_shapes else self._graph_mode
        key = batch, mode, bool(noise_shapes)
        if key not in self._graphs:
            if self.has_w:
                shapes = [[batch, self.num_layers, self.w_size], *noise_shapes]

                def draw(w, *maps):
                    return Gs.synthesize(w, noise_mode=mode, noise=maps or None)
            else:
                shapes, draw = [[batch, Gs.latent_size], [batch, Gs.label_size]], Gs
            self._graphs[key] = _graph_of(draw, shapes)
        return self._graphs[key]


def _graph_of(function, shapes):
    """A function of tensors traced for float32 arguments of these shapes."""
    specs = [tf.TensorSpec(shape, tf.float32) for shape in shapes]
    # Without autograph, which would wrap a UserError in a story of its own.
    return tf.function(lambda *tensors: function(*tensors), autograph=False).get_concrete_function(*specs)


def _filled(array, count):
    """`array` with its last row repeated up to `count` rows: one size, one graph; the surplus is thrown away."""
    missing = count - len(array)
    return np.concatenate([array, np.repeat(array[-1:], missing, 0)]) if missing else array
