"""What the synthesis networks of all generations share: the check of w, and noise (F3)."""

import keras

from tf_stylegan.errors import UserError
from tf_stylegan.networks.base import Network, check_choice
from tf_stylegan.ops.random import as_source

NOISE_MODES = ("const", "random", "none")


class Synthesis(Network):
    """Base of the synthesis networks; a sub-class calls `set_up` in its constructor and `add_noise` in `build`."""

    def set_up(self, resolution, num_channels, dlatent_size, num_layers, randomize_noise, noise_sizes):
        """num_layers: styles in w; noise_sizes: side of each noise map, in the order of the layers."""
        self.resolution, self.num_channels, self.dlatent_size = resolution, num_channels, dlatent_size
        self.num_layers, self.randomize_noise, self.noise_sizes = num_layers, randomize_noise, noise_sizes

    def add_noise(self):
        """Makes the stored noise maps `noise0`, `noise1`, … `[1, r, r, 1]`, never trained."""
        self.noise = [
            self.add_weight(
                name=f"noise{i}",
                shape=[1, size, size, 1],
                initializer=keras.initializers.RandomNormal(stddev=1),
                trainable=False,
            )
            for i, size in enumerate(self.noise_sizes)
        ]

    def check_dlatents(self, dlatents):
        if dlatents.shape.rank != 3 or list(dlatents.shape[1:]) != [self.num_layers, self.dlatent_size]:
            raise UserError(f"dlatents must be [N, {self.num_layers}, {self.dlatent_size}], got {dlatents.shape}")

    def noise_maps(self, mode, batch, seed, maps=None):
        """Noise for every layer.

        Args:
            mode: one of NOISE_MODES, None for the network's own.
            batch: number of samples, may be a tensor.
            seed: of "random" noise, int32 `[2]`, `ops.random.Source` or None.
            maps: in place of the stored ones for "const".
        Returns:
            list of `[1 or N, r, r, 1]`, of None for "none".
        """
        if mode is None:
            mode = "random" if self.randomize_noise else "const"
        check_choice("noise_mode", mode, NOISE_MODES)
        stored = self.noise if maps is None else maps
        if len(stored) != len(self.noise):
            raise UserError(f"noise must be {len(self.noise)} maps for this network, got {len(stored)}")
        if mode == "none":
            return [None] * len(self.noise)
        if mode == "const":
            return list(stored)
        source = as_source(seed)
        return [source.fold_in(i).normal([batch, size, size, 1]) for i, size in enumerate(self.noise_sizes)]
