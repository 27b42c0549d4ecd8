"""Small networks whose every variable is a random number, so that nothing hides behind a zero."""

import numpy as np
import tensorflow as tf

from tf_stylegan.networks.registry import build_network

SIZES = {"resolution": 16, "fmap_base": 64, "fmap_max": 8}
SMALL = {**SIZES, "latent_size": 8, "dlatent_size": 8, "mapping_fmaps": 8, "mapping_layers": 2}
CONVOLUTIONS = ("Conv2D", "TfStylegan>Conv2d")  # how the types of operations begin: TensorFlow's, the compiled ones


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


# The progressively grown networks: kind -> (generator's function, its keywords, discriminator's function).
GROWING = {
    "config-a": ("G_style", SMALL, "D_basic"),
    "config-d": ("G_main", {**SMALL, "synthesis_func": "G_synthesis_stylegan_revised"}, "D_stylegan"),
    "progan": ("G_paper", {**SIZES, "latent_size": 8}, "D_paper"),
}


def make_growing_g(kind, **keywords):
    func, small, _ = GROWING[kind]
    return randomise(build_network(func, **{"name": "G", **small, "num_channels": 3, **keywords}))


def make_growing_d(kind, **keywords):
    return randomise(build_network(GROWING[kind][2], **{"name": "D", **SIZES, "num_channels": 3, **keywords}))


def draw(G, latents, labels=None, **kwargs):
    """Pictures without truncation and randomness; ProGAN's generator knows neither."""
    plain = {"noise_mode": "const", "truncation_psi": 1} if hasattr(G, "synthesis") else {}
    return G(latents, labels, **{**plain, **kwargs})
