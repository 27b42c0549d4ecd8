"""Small networks whose every variable is a random number, so that nothing hides behind a zero."""

import numpy as np
import tensorflow as tf

from tf_stylegan.networks.registry import build_network

SIZES = {"resolution": 16, "fmap_base": 64, "fmap_max": 8}
SMALL = {**SIZES, "latent_size": 8, "dlatent_size": 8, "mapping_fmaps": 8, "mapping_layers": 2}


def normal(*shape):
    """Unit normal numbers; the same for the same shape."""
    return tf.constant(np.random.RandomState(len(shape) + sum(shape)).randn(*shape).astype(np.float32))


def randomise(network, seed=0):
    """Fills all variables with numbers of a size at which the network stays well behaved; returns the network."""
    rnd = np.random.RandomState(seed)
    for variable in network.variables:
        noise = rnd.randn(*variable.shape)
        last = variable.path.rsplit("/", 1)[-1]
        if last == "lod":
            noise = 0.0
        elif last == "weight" and "/Dense" in variable.path and "mapping" in variable.path:
            noise *= 100  # 1 / lrmul
        elif last in ("bias", "mod_bias", "noise_strength", "dlatent_avg"):
            noise *= 0.3
        variable.assign(noise)
    return network


def make_g(**keywords):
    return randomise(build_network("G_main", **{**SMALL, "name": "G", **keywords}))


def make_d(**keywords):
    return randomise(build_network("D_stylegan2", **{**SIZES, "name": "D", **keywords}))
