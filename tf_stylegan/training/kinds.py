"""What kinds of networks there are, and which configuration trains which (F4).

`Preset` and `Networks` of `config` both name a pair of networks, and are both meant by "pair" here.
"""

import inspect
import typing

from tf_stylegan.config import PRESETS
from tf_stylegan.layers.core import weights_from
from tf_stylegan.networks.generator import Generator
from tf_stylegan.networks.registry import NETWORKS, build_network


class Kind(typing.NamedTuple):
    """What makes networks of one size have the same variables."""

    network: type
    synthesis: type | None  # of a generator
    architecture: str | None  # where there is a choice


def kind_of(func, kwargs):
    """The Kind of a network, from the name of its function and its keywords."""
    network, synthesis = NETWORKS[func], None
    if issubclass(network, Generator):
        default = inspect.signature(network.__init__).parameters["synthesis_func"].default
        synthesis = network.syntheses[kwargs.get("synthesis_func", default)]
    return Kind(network, synthesis, kwargs.get("architecture"))


def kinds(pair):
    """[Kind of G, Kind of D], or G's alone where there is no D."""
    found = [kind_of(pair.G_func, pair.G_kwargs)]
    return [*found, kind_of(pair.D_func, pair.D_kwargs)] if pair.D_func else found


def same_kinds(pair, other):
    """Whether two pairs are of the same kinds; where one lacks a D, whether their Gs are."""
    return all(one == two for one, two in zip(kinds(pair), kinds(other), strict=False))


def describe(pair):
    """For people: "G_main (skip) and D_stylegan2 (resnet)"."""
    names = []
    for func, kwargs in ((pair.G_func, pair.G_kwargs), (pair.D_func, pair.D_kwargs)):
        detail = kwargs and (kwargs.get("architecture") or kwargs.get("synthesis_func"))
        names += [f"{func} ({detail})" if detail else func] if func else []
    return " and ".join(names)


def configs_for(pair):
    """Names of the configurations whose networks are of these kinds."""
    return [name for name, preset in PRESETS.items() if same_kinds(pair, preset)]


def discriminator_config(config, G_func, G_kwargs):
    """Name of a configuration whose discriminator goes with a generator: `config`, unless its generator is another."""
    for name in (config, *PRESETS):
        if kind_of(PRESETS[name].G_func, PRESETS[name].G_kwargs)[:2] == kind_of(G_func, G_kwargs)[:2]:
            return name
    return config


def complete(func, kwargs):
    """Spells out a network's keywords and looks at its variables, without making them.

    Returns:
        (keywords with all defaults, dict of variables' names to shapes).
    Raises:
        UserError, TypeError, ValueError, ArithmeticError: keywords that make no network.
    """
    shapes = {}

    def look(path, shape):
        shapes[path.partition("/")[2]] = tuple(shape)

    with weights_from(look):
        network = build_network(func, **kwargs)
    parts = [network.mapping, network.synthesis] if isinstance(network, Generator) else []
    found = {}
    for part in (*parts, network):
        found.update(part.keywords)
    found.pop("dlatent_broadcast", None)  # the generator sees to that
    return {name: list(value) if isinstance(value, tuple) else value for name, value in found.items()}, shapes
