"""The generator: mapping, truncation or style mixing, synthesis, and the running average of w (`G_main`)."""

import inspect
import math

import tensorflow as tf

from tf_stylegan.errors import UserError
from tf_stylegan.layers.core import serializable
from tf_stylegan.networks.base import DTYPES, Network, check_choice
from tf_stylegan.networks.growing import Lod
from tf_stylegan.networks.mapping import Mapping
from tf_stylegan.networks.synthesis_stylegan2 import SynthesisStyleGAN2
from tf_stylegan.networks.synthesis_stylegan_revised import SynthesisStyleGANRevised
from tf_stylegan.ops import random


@serializable
class Generator(Network):
    """`G_main` of training/networks_stylegan2.py and of StyleGAN2-ADA's networks.py: latents to pictures.

    `Gs.mapping(latents, labels)` and `Gs.synthesis(dlatents, noise_mode=…)` are its two parts, models themselves.

    Args:
        truncation_psi: how far to keep from the average w, where a call does not say; 1 or None is no truncation.
        truncation_cutoff: number of styles that are truncated; None for all.
        dlatent_avg_beta: decay of the running average of w, per batch in training; None leaves it alone.
        style_mixing_prob: probability of mixing two styles in training; None or 0 for never.
        mapping_func, synthesis_func: names of the parts, as in the original. "G_synthesis" is StyleGAN2-ADA's, in which
            labels are embedded and mapping layers are as wide as w, unless `embed_labels` and `mapping_fmaps` say else.
        **kwargs: keywords of the parts (`resolution`, `label_size`, …), each handed to those that know it.
    Raises:
        UserError: for a keyword that neither part knows.
    """

    dtypes = DTYPES  # the parts are stricter where they must
    mappings = {"G_mapping": Mapping}
    syntheses = {
        "G_synthesis_stylegan2": SynthesisStyleGAN2,
        "G_synthesis_stylegan_revised": SynthesisStyleGANRevised,
        "G_synthesis": SynthesisStyleGAN2,
    }
    ada_defaults = {"embed_labels": True, "mapping_fmaps": None}

    def __init__(
        self,
        truncation_psi=0.5,
        truncation_cutoff=None,
        dlatent_avg_beta=0.995,
        style_mixing_prob=0.9,
        mapping_func="G_mapping",
        synthesis_func="G_synthesis_stylegan2",
        name="G",
        **kwargs,
    ):
        super().__init__(locals())
        self.truncation_psi, self.truncation_cutoff = truncation_psi, truncation_cutoff
        self.dlatent_avg_beta, self.style_mixing_prob = dlatent_avg_beta, style_mixing_prob
        check_choice("mapping_func", mapping_func, self.mappings)
        check_choice("synthesis_func", synthesis_func, self.syntheses)
        parts = self.mappings[mapping_func], self.syntheses[synthesis_func]
        self.is_ada = parts[1] is SynthesisStyleGAN2 and synthesis_func == "G_synthesis"
        if self.is_ada:
            kwargs = {**self.ada_defaults, **kwargs}
        known = [
            set(inspect.signature(part.__init__).parameters) - {"self", "name", "dlatent_broadcast"} for part in parts
        ]
        unknown = sorted(set(kwargs) - known[0] - known[1])
        if unknown:
            raise UserError(
                f"{name}: unknown keyword {', '.join(unknown)}; known: {', '.join(sorted(known[0] | known[1]))}"
            )
        self.synthesis = parts[1](**{k: v for k, v in kwargs.items() if k in known[1]})
        self.num_layers = self.synthesis.num_layers
        known[0] -= {"dtype"}  # half precision is for features; w stays exact
        self.mapping = parts[0](
            dlatent_broadcast=self.num_layers, **{k: v for k, v in kwargs.items() if k in known[0]}
        )  # fmt: skip
        self.latent_size, self.label_size = self.mapping.latent_size, self.mapping.label_size
        self.resolution, self.num_channels = self.synthesis.resolution, self.synthesis.num_channels
        self.grows = self.synthesis.grows

    def build(self, input_shape=None):
        # Assigned inside replicas: without an aggregation each replica's copy would drift off on its own.
        state = {"trainable": False, "initializer": "zeros", "aggregation": "mean"}
        self.lod = None if self.is_ada else self.add_weight(name="lod", shape=[], **state)
        self.dlatent_avg = self.add_weight(name="dlatent_avg", shape=[self.mapping.dlatent_size], **state)
        self.mapping.build()
        self.synthesis.build()

    @property
    def w_avg(self):
        """Running average of w, `[dlatent_size]`: the name used by later papers for `dlatent_avg`."""
        return self.dlatent_avg

    def call(
        self,
        latents,
        labels=None,
        truncation_psi=None,
        truncation_cutoff=None,
        noise_mode=None,
        seed=None,
        training=False,
        lod=None,
    ):
        """Draws pictures.

        Args:
            latents: `[N, latent_size]`, normally distributed.
            labels: `[N, label_size]`; None for zeros.
            truncation_psi: None for the network's own, 1 for no truncation. Ignored in training.
            truncation_cutoff: None for the network's own; `num_layers` truncates every style.
            noise_mode: "const", "random", "none"; None for the network's own (`randomize_noise`).
            seed: of everything random: int32 `[2]`, `ops.random.Source`, or None for draws that never repeat.
            training: mix styles and move the average of w instead of truncating.
            lod: level of detail of a progressively grown network, a number or `growing.Lod`; None: its `lod` variable.
        Returns:
            `[N, H, W, C]` float32, about [-1, 1].
        """
        source = random.as_source(seed)
        if training:
            dlatents = self.training_dlatents(latents, labels, source.fold_in(1), lod)
        else:
            dlatents = self.truncate(self.mapping(latents, labels), truncation_psi, truncation_cutoff)
        return self.synthesize(dlatents, noise_mode, source.fold_in(0), lod=lod)

    def synthesize(self, dlatents, noise_mode=None, seed=None, noise=None, lod=None, full_size=True):
        """`synthesis`, with a level of detail only where the network has such.

        Args:
            lod: as `call`.
            full_size: False leaves pictures of a lower level of detail at its size.
            the others: as `synthesis`.
        """
        grown = {"lod": Lod.of(lod, self.lod), "full_size": full_size} if self.grows else {}
        return self.synthesis(dlatents, noise_mode=noise_mode, seed=seed, noise=noise, **grown)

    def truncate(self, dlatents, truncation_psi=None, truncation_cutoff=None):
        """Draws w towards its average (StyleGAN, appendix B): `[N, num_layers, dlatent_size]` in and out."""
        dlatents = tf.cast(dlatents, tf.float32)  # NumPy computes in float64
        psi = self.truncation_psi if truncation_psi is None else truncation_psi
        cutoff = self.truncation_cutoff if truncation_cutoff is None else truncation_cutoff
        if psi is None or (isinstance(psi, int | float) and psi == 1):
            return dlatents
        if isinstance(psi, int | float) and not math.isfinite(psi):
            raise UserError(f"truncation_psi must be a finite number, got {psi}")
        if isinstance(cutoff, int) and cutoff < 0:
            raise UserError(f"truncation_cutoff must be a number of styles, 0 or more, got {cutoff}")
        if cutoff is not None:
            psi = tf.where(tf.range(self.num_layers)[:, None] < cutoff, tf.cast(psi, tf.float32), 1.0)
        return self.dlatent_avg + (dlatents - self.dlatent_avg) * psi

    def training_dlatents(self, latents, labels=None, seed=None, lod=None):
        """w as training sees it: the running average is moved, styles are mixed.

        Args:
            latents, labels: as `call`.
            seed: int32 `[2]`, `ops.random.Source` or None. Latents to mix in are dealt to replicas, the cut is shared.
            lod: level of detail, as `call`: styles are mixed among the layers that are in use.
        Returns:
            `[N, num_layers, dlatent_size]`.
        """
        dlatents = self.mapping(latents, labels)
        if self.dlatent_avg_beta is not None:
            mean = tf.reduce_mean(dlatents[:, 0], axis=0)
            moved = mean + (self.dlatent_avg - mean) * self.dlatent_avg_beta
            finite = tf.reduce_all(tf.math.is_finite(moved))  # one bad batch must not poison the average for good
            self.dlatent_avg.assign(tf.where(finite, moved, tf.convert_to_tensor(self.dlatent_avg)))
        layers = self.num_layers - (2 * Lod.of(lod, self.lod).floor if self.grows else 0)
        if not self.style_mixing_prob or layers < 2:
            return dlatents
        source = random.as_source(seed)
        latents2 = source.fold_in(0).normal([tf.shape(latents)[0], self.latent_size])
        dlatents2 = self.mapping(latents2, labels)
        mix, where = tf.unstack(source.fold_in(1).shared().uniform([2]))
        cut = 1 + tf.cast(where * tf.cast(layers - 1, tf.float32), tf.int32)  # 1 … layers − 1
        cut = tf.where(mix < self.style_mixing_prob, tf.minimum(cut, layers - 1), layers)
        return tf.where(tf.range(self.num_layers)[:, None] < cut, dlatents, dlatents2)
