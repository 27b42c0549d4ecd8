"""From the original's function names to classes (F3)."""

from tf_stylegan.errors import UserError
from tf_stylegan.networks.discriminator_stylegan import DiscriminatorStyleGAN
from tf_stylegan.networks.discriminator_stylegan2 import DiscriminatorStyleGAN2
from tf_stylegan.networks.generator import Generator
from tf_stylegan.networks.progan import DiscriminatorProGAN, GeneratorProGAN
from tf_stylegan.networks.stylegan1 import DiscriminatorStyleGAN1, GeneratorStyleGAN1

NETWORKS = {
    "G_main": Generator,
    "G_style": GeneratorStyleGAN1,
    "D_stylegan2": DiscriminatorStyleGAN2,
    "D_stylegan": DiscriminatorStyleGAN,
    "D_basic": DiscriminatorStyleGAN1,
    "G_paper": GeneratorProGAN,
    "D_paper": DiscriminatorProGAN,
    "D_main": DiscriminatorStyleGAN2,
}
# What StyleGAN2-ADA's discriminator, of the same class, is when nothing else is said.
DEFAULTS = {"D_main": {"embed_labels": True, "mbstd_group_size": None}}


def build_network(func, **kwargs):
    """Makes a network with its weights.

    Args:
        func: name of the original's function, with or without its module, as in "training.networks_stylegan2.G_main".
        **kwargs: its keywords; `name` is the network's.
    Returns:
        the Keras model, built.
    Raises:
        UserError: for a name or a keyword nobody knows.
    """
    name = func.rsplit(".", 1)[-1]
    if name not in NETWORKS:
        raise UserError(f"unknown network {func!r}; known: {', '.join(NETWORKS)}")
    try:
        network = NETWORKS[name](**{**DEFAULTS.get(name, {}), **kwargs})
    except TypeError as error:
        raise UserError(f"{name}: {error}; a keyword of another kind of network?") from error
    network.build()
    return network
