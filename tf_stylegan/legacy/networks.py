"""Between legacy pickles and Keras networks (F4): `load_networks` and `save_networks`."""

import inspect
import warnings

from tf_stylegan.errors import UserError
from tf_stylegan.legacy import pickle_io
from tf_stylegan.legacy.names import get_variables, set_variables
from tf_stylegan.networks.generator import Generator
from tf_stylegan.networks.registry import NETWORKS, build_network

# Our pickles carry a comment where the original's carry their source text, which those execute on loading.
SOURCE_COMMENT = (
    "# written by tf_stylegan; the networks are those of training/networks_stylegan2.py of NVlabs/stylegan2\n"
)

# What the original lets a caller set at run time; found in files, it says nothing about the network.
_RUN_TIME = {
    *("is_training", "is_validation", "return_dlatents", "is_template_graph", "components"),
    *("truncation_psi_val", "truncation_cutoff_val"),
}
# Written out even at their defaults, since readers differ in theirs (stylegan2-ada-pytorch in mapping_fmaps and
# mbstd_group_size).
_PORTABLE = {
    *("num_channels", "resolution", "label_size", "latent_size", "dlatent_size", "fmap_base", "fmap_max"),
    *("mapping_layers", "mapping_fmaps", "mapping_lrmul", "mapping_nonlinearity", "architecture", "nonlinearity"),
    *("resample_kernel", "mbstd_group_size", "mbstd_num_features"),
}
_OWN_VARIABLES = ("lod", "dlatent_avg")  # of a generator; the rest belongs to its parts


def load_networks(path):
    """Opens a network pickle without running anything that is in it.

    Args:
        path: a `.pkl` of this project, of NVlabs/stylegan2 (configs a to f), of NVlabs/stylegan or of ProGAN.
    Returns:
        tuple of built Keras networks as the file has them, usually (G, D, Gs); draw with Gs, the moving average.
    Raises:
        UserError: the file cannot be read, is unsafe, damaged, or of a network this version does not know.
    """
    return tuple(network_from_record(record, path) for record in pickle_io.read(path))


def load_generator(path):
    """The generator to draw with: the last one in a network pickle, by custom the moving average Gs.

    Returns:
        the built Keras network; the others of the file are left alone.
    Raises:
        UserError: as `load_networks`, or there is no generator.
    """
    records = pickle_io.read(path)
    generators = [record for record in records if record.func.rsplit(".", 1)[-1].startswith("G_")]
    if not generators:
        raise UserError(f"{path} holds no generator, only {', '.join(f'{r.name} ({r.func})' for r in records)}")
    return network_from_record(generators[-1], path)


def save_networks(path, networks):
    """Writes networks as one pickle in the layout of version 4 (NVlabs/stylegan2), atomically.

    Args:
        path: file to write.
        networks: generators and discriminators, by custom (G, D, Gs).
    """
    pickle_io.write(path, [record_from_network(network) for network in networks])


def network_from_record(record, where="pickle"):
    """Builds the Keras network of a NetworkRecord; `where` is for messages."""
    func = record.func.rsplit(".", 1)[-1]
    if func not in NETWORKS:
        raise UserError(
            f"{where}: {record.name} is a network of kind {record.func!r}; this version knows {', '.join(NETWORKS)}"
        )
    keywords = dict(record.static_kwargs)
    for part, component in record.components.items():
        keywords = {**component.static_kwargs, **keywords, f"{part}_func": component.func.rsplit(".", 1)[-1]}
    known = _known_keywords(func, keywords)
    try:
        network = build_network(func, name=record.name, **{k: v for k, v in keywords.items() if k in known})
        set_variables(network, record.all_variables())
    except (TypeError, ValueError) as error:  # a file may hold any value, and Keras refuses some with plain errors
        raise UserError(f"{where}: {error}") from error
    unknown = sorted(keywords.keys() - known - _RUN_TIME - {"dlatent_broadcast"})
    if unknown:
        warnings.warn(
            f"{where}: {record.name} has keywords this version does not know: {', '.join(unknown)}", stacklevel=2
        )
    return network


def record_from_network(network):
    """The NetworkRecord of a Keras network, variables as NumPy arrays in the legacy layout."""
    func = next(name for name, cls in NETWORKS.items() if type(network) is cls)
    if not isinstance(network, Generator):
        return _record(network, func, get_variables(network))
    parts = {"synthesis": network.synthesis, "mapping": network.mapping}
    components = {
        part: _record(component, network.keywords[f"{part}_func"], get_variables(component))
        for part, component in parts.items()
    }
    own = get_variables(network)
    return _record(network, func, {name: own[name] for name in _OWN_VARIABLES}, components)


def _record(network, func, variables, components=None):
    return pickle_io.NetworkRecord(
        name=network.name,
        func=func,
        static_kwargs=_keywords_to_write(network),
        components=components or {},
        variables=variables,
        source=SOURCE_COMMENT,
    )


def _keywords_to_write(network):
    """What differs from the defaults, and what readers disagree on; a generator gets the keywords of its parts too."""
    keywords, classes = dict(network.keywords), [type(network)]
    if isinstance(network, Generator):
        parts = [network.mapping, network.synthesis]
        classes += [type(part) for part in parts]
        keywords = {**parts[0].keywords, **parts[1].keywords, **keywords}
        del keywords["dlatent_broadcast"]
    defaults = _defaults(classes)
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in keywords.items()
        if name in _PORTABLE or value != defaults.get(name)
    }


def _defaults(classes):
    """Keywords of networks with their defaults; the first class wins."""
    defaults = {}
    for cls in reversed(classes):
        for name, parameter in inspect.signature(cls.__init__).parameters.items():
            default = parameter.default
            defaults[name] = list(default) if isinstance(default, tuple) else default
    return defaults


def _known_keywords(func, keywords):
    """Names of the keywords that the network behind a function name takes, those of a generator's parts included."""
    classes = [NETWORKS[func]]
    if issubclass(classes[0], Generator):
        own = _defaults(classes)
        for part, table in (("mapping_func", classes[0].mappings), ("synthesis_func", classes[0].syntheses)):
            classes += [cls for name, cls in table.items() if name == keywords.get(part, own[part])]
    return _defaults(classes).keys() - {"self", "kwargs", "name", "dlatent_broadcast"}
