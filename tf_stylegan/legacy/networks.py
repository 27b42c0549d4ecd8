"""Between legacy files and Keras networks (F4): `load_networks` and `save_networks`."""

import dataclasses
import inspect
import mmap
import warnings

import numpy as np

from tf_stylegan.errors import UserError
from tf_stylegan.layers.core import weights_from
from tf_stylegan.legacy import pickle_io
from tf_stylegan.legacy.names import check_variables, from_legacy, get_variables, listed, shown
from tf_stylegan.legacy.pickle_names import NETWORK_CLASSES
from tf_stylegan.legacy.reading import choose_generator, read_records
from tf_stylegan.legacy.torch_layouts import lacks_average
from tf_stylegan.networks.base import Network
from tf_stylegan.networks.generator import Generator
from tf_stylegan.networks.progan import DiscriminatorProGAN, GeneratorProGAN
from tf_stylegan.networks.registry import NETWORKS, build_network
from tf_stylegan.networks.stylegan1 import (
    DiscriminatorStyleGAN1,
    GeneratorStyleGAN1,
    MappingStyleGAN1,
    SynthesisStyleGAN1,
)

# Our pickles carry a comment where the original's carry their source text, which those execute on loading.
SOURCE_COMMENT = "# written by tf_stylegan; the networks are those of {} of {}\n"
_HOMES = {
    2: ("networks.py", "tkarras/progressive_growing_of_gans"),
    3: ("training/networks_stylegan.py", "NVlabs/stylegan"),
    4: ("training/networks_stylegan2.py", "NVlabs/stylegan2"),
    5: ("training/networks.py", "NVlabs/stylegan2-ada"),
}
_STYLEGAN1 = (GeneratorStyleGAN1, MappingStyleGAN1, SynthesisStyleGAN1, DiscriminatorStyleGAN1)

# What the originals let a caller set at run time or for training; found in files, it says nothing about the network.
_RUN_TIME = {
    *("is_training", "is_validation", "return_dlatents", "is_template_graph", "components"),
    *("truncation_psi_val", "truncation_cutoff_val", "dlatent_broadcast"),
    *("augment_strength", "adaptive_dropout", "freeze_layers", "pagan_fade", "score_size", "w_avg_beta"),
}
# Written out even at their defaults, since readers differ in theirs (stylegan2-ada-pytorch in mapping_fmaps and
# mbstd_group_size).
_PORTABLE = {
    *("num_channels", "resolution", "label_size", "latent_size", "dlatent_size", "fmap_base", "fmap_max"),
    *("mapping_layers", "mapping_fmaps", "mapping_lrmul", "mapping_nonlinearity", "architecture", "nonlinearity"),
    *("resample_kernel", "mbstd_group_size", "mbstd_num_features"),
}
_OF_LABEL_MAPPING = {"mapping_layers", "mapping_fmaps", "mapping_lrmul"}  # of a discriminator that embeds its labels
_OWN_VARIABLES = ("lod", "dlatent_avg")  # of a generator; the rest belongs to its parts


_MAX_MESSAGE = 4000  # characters: keywords are quoted, and a file may hold any


class _Misfit(Exception):
    """A variable is missing or of another shape."""


def load_networks(path, only=None, precision=None):
    """Opens a file of networks without running anything that is in it.

    Args:
        path: a network pickle of this project, of NVlabs/stylegan2, stylegan2-ada, stylegan or ProGAN, of
            stylegan2-ada-pytorch or stylegan3 (its StyleGAN2 models), a `.pt` checkpoint as rosinality's, or an `.npz`
            or `.keras` file of this project; or what `download.local_path` makes a path of: an address, or the name of
            a published network.
        only: name of the one network that is wanted, for example "Gs".
        precision: "float32", "bfloat16" or "float16" for the features inside; None for what the file says.
    Returns:
        tuple of built Keras networks as the file has them, usually (G, D, Gs); draw with Gs, the moving average. With
        `only`, that network alone.
    Raises:
        UserError: the file cannot be read, is unsafe, damaged, or of a network this version does not know.
    """
    records = read_records(path)
    if only is None:
        return tuple(network_from_record(record, path, precision) for record in records)
    for record in records:
        if record.name == only:
            return network_from_record(record, path, precision)
    raise UserError(f"{path} holds no network named {only!r}, only {listed(record.name for record in records)}")


def load_generator(path, precision=None):
    """The generator to draw with: Gs, the moving average, else the last generator in a file of networks.

    Args:
        path, precision: as `load_networks`.
    Returns:
        the built Keras network; the others of the file are left alone.
    Raises:
        UserError: as `load_networks`, or there is no generator.
    """
    records = read_records(path)
    generator = choose_generator(records)
    if generator is None:
        raise UserError(f"{path} holds no generator, only {listed(f'{r.name} ({r.func})' for r in records)}")
    return network_from_record(generator, path, precision)


def save_networks(path, networks):
    """Writes networks as one pickle in the layout of their originals (versions 2 to 5), atomically.

    Networks that were loaded keep what else their file said of them, its source text included.

    Args:
        path: file to write.
        networks: one network, or several: by custom (G, D, Gs).
    """
    networks = [networks] if isinstance(networks, Network) else networks
    pickle_io.write(path, [record_from_network(network) for network in networks])


def network_options(record, where="pickle"):
    """What `build_network` takes to make the network of a NetworkRecord.

    Args:
        record: NetworkRecord.
        where: file, for messages.
    Returns:
        (func, keywords, unknown): the function's name, keywords that the network takes, and the sorted names of those
        it does not know.
    Raises:
        UserError: for an unknown kind of network.
    """
    func = record.func.rsplit(".", 1)[-1]
    if func not in NETWORKS:
        raise UserError(
            f"{where}: {shown(record.name)} is a network of kind '{shown(record.func)}'; this version knows "
            f"{', '.join(NETWORKS)}"
        )
    keywords = dict(record.static_kwargs)
    for part, component in record.components.items():
        keywords = {**component.static_kwargs, **keywords, f"{part}_func": component.func.rsplit(".", 1)[-1]}
    known = _known_keywords(func, keywords)
    return func, {k: v for k, v in keywords.items() if k in known}, sorted(keywords.keys() - known - _RUN_TIME)


def network_from_record(record, where="pickle", precision=None):
    """Builds the Keras network of a NetworkRecord; `where` is for messages, `precision` as in `load_networks`.

    Its weights are made from the record's arrays: nothing is initialised twice, and nothing is allocated for what a
    file only claims. The record without its arrays is kept as `legacy_record`.
    """
    func, keywords, unknown = network_options(record, where)
    if precision is not None:
        keywords["dtype"] = precision
    try:
        network = _build_filled(func, record, keywords)
    except (
        TypeError,
        ValueError,
        ArithmeticError,
    ) as error:  # files hold any value; Keras refuses some
        others = f"; its keywords {listed(unknown)} are not known here" if unknown else ""
        raise UserError(f"{where}: {str(error)[:_MAX_MESSAGE]}{others}") from error
    if lacks_average(record):
        _give_average(network)
    damaged = [v.path.partition("/")[2] for v in network.variables if not np.all(np.isfinite(v))]
    if damaged:
        warnings.warn(
            f"{where}: {shown(record.name)} has numbers that are not finite in {listed(damaged)}: it is damaged, or "
            "its training had failed",
            stacklevel=2,
        )
    if unknown:
        warnings.warn(
            f"{where}: {shown(record.name)} has keywords this version does not know: {listed(unknown)}", stacklevel=2
        )
    network.legacy_record = _without_arrays(record)
    _release_pages(record)
    return network


def _give_average(network):
    """Sets the average of w to the mean of mapped latents, always the same ones."""
    rnd, means = np.random.RandomState(0), []
    for _ in range(16):  # a few at a time: w comes with a copy for every layer
        latents, labels = rnd.randn(256, network.latent_size), np.zeros([256, network.label_size], np.float32)
        if network.label_size:
            labels[np.arange(256), rnd.randint(network.label_size, size=256)] = 1
        means.append(np.mean(network.mapping(latents, labels)[:, 0], axis=0))
    network.dlatent_avg.assign(np.mean(means, axis=0))


def _release_pages(record):
    """Takes the pages of a mapped file out of this process' memory; the next reader brings them back."""
    for owner in record.all_variables().values():
        while isinstance(owner, np.ndarray):
            owner = owner.base
        if isinstance(owner, memoryview) and isinstance(owner.obj, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
            owner.obj.madvise(mmap.MADV_DONTNEED)
            return


def _build_filled(func, record, keywords):
    arrays = {name: from_legacy(name, array) for name, array in record.all_variables().items()}
    taken, shapes = set(), {}

    def fill(path, shape):
        name = path.partition("/")[2]
        if name not in arrays or list(arrays[name].shape) != shape:
            raise _Misfit
        taken.add(name)
        return np.array(arrays[name], np.float32, order="C")  # a copy: the file may go away or change

    def look(path, shape):
        shapes[path.partition("/")[2]] = shape

    try:
        with weights_from(fill):
            network = build_network(func, name=record.name, **keywords)
        if taken == arrays.keys():
            return network
    except _Misfit:
        pass
    with weights_from(look):
        build_network(func, name=record.name, **keywords)
    check_variables(record.name, shapes, arrays)
    raise RuntimeError(f"{record.name}: two variables share a path")


def _without_arrays(record):
    components = {part: _without_arrays(component) for part, component in record.components.items()}
    return dataclasses.replace(record, components=components, variables=dict.fromkeys(record.variables))


def record_from_network(network):
    """The NetworkRecord of a Keras network, variables as NumPy arrays in the legacy layout."""
    arrays = get_variables(network)
    template = getattr(network, "legacy_record", None)
    if template is not None:
        return _filled(template, arrays, _keywords_to_write(network))
    func, is_ada = _func(network)
    if not isinstance(network, Generator):
        return _record(network, func, is_ada, arrays)
    components = {}
    for part, component in (("synthesis", network.synthesis), ("mapping", network.mapping)):
        part_func = network.keywords[f"{part}_func"]
        components[part] = _record(component, part_func, is_ada, get_variables(component))
    own = {name: arrays[name] for name in _OWN_VARIABLES if name in arrays}
    return _record(network, func, is_ada, own, components)


def _filled(template, arrays, portable=None, prefix=""):
    """A record as it was read, with these arrays and, where readers could disagree, keywords spelled out."""
    components = {
        part: _filled(component, arrays, prefix=f"{prefix}{component.name}/")
        for part, component in template.components.items()
    }
    keywords = template.static_kwargs
    if portable and template.func.rsplit(".", 1)[-1] in ("G_main", "D_stylegan2", "D_main"):
        keywords = {**{name: portable[name] for name in portable if name in _PORTABLE}, **keywords}
    variables = {name: arrays[prefix + name] for name in template.variables}
    return dataclasses.replace(template, static_kwargs=keywords, components=components, variables=variables)


def _func(network):
    """(name of the function the originals build such a network with, whether it is StyleGAN2-ADA's)."""
    if isinstance(network, Generator):
        is_ada = network.is_ada
    else:
        is_ada = bool(network.keywords.get("embed_labels"))
    names = [name for name, cls in NETWORKS.items() if type(network) is cls]
    return names[-1] if is_ada else names[0], is_ada


def _record(network, func, is_ada, variables, components=None):
    is_progan = isinstance(network, GeneratorProGAN | DiscriminatorProGAN)
    version = 2 if is_progan else 3 if isinstance(network, _STYLEGAN1) else 5 if is_ada else 4
    return pickle_io.NetworkRecord(
        name=network.name,
        func=func,
        version=version,
        static_kwargs=_keywords_to_write(network),
        components=components or {},
        variables=variables,
        source=SOURCE_COMMENT.format(*_HOMES[version]),
        class_path=NETWORK_CLASSES[is_progan],
        extra=_interface(network) if is_ada else {},
    )


def _interface(network):
    """What version 5 tells of inputs and outputs, in the originals' layout."""
    batch, names = None, ("input_names", "output_names", "input_shapes", "output_shapes")
    if isinstance(network, Generator):
        inputs = {"latents_in": [batch, network.latent_size], "labels_in": [batch, network.label_size]}
        outputs = {"images_out": [batch, network.num_channels, network.resolution, network.resolution]}
    elif hasattr(network, "num_layers"):
        inputs = {"dlatents_in": [batch, network.num_layers, network.dlatent_size]}
        outputs = {"images_out": [batch, network.num_channels, network.resolution, network.resolution]}
    elif hasattr(network, "latent_size"):
        inputs = {"latents_in": [batch, network.latent_size], "labels_in": [batch, network.label_size]}
        outputs = {"dlatents_out": [batch, network.dlatent_broadcast, network.dlatent_size]}
    else:
        size = [network.num_channels, network.resolution, network.resolution]
        inputs = {"images_in": [batch, *size], "labels_in": [batch, network.label_size]}
        outputs = {"scores_out": [batch, 1]}
    return dict(zip(names, (list(inputs), list(outputs), list(inputs.values()), list(outputs.values()))))


def _keywords_to_write(network):
    """What differs from the defaults, and what readers disagree on; a generator gets the keywords of its parts too."""
    keywords, classes = dict(network.keywords), [type(network)]
    # The functions' names say whether labels are embedded; the type of the features is the reader's business.
    dropped = {"dlatent_broadcast", "embed_labels", "dtype"}
    if isinstance(network, Generator):
        parts = [network.mapping, network.synthesis]
        classes += [type(part) for part in parts]
        keywords = {**parts[0].keywords, **parts[1].keywords, **keywords}
        if network.is_ada:
            dropped.add("synthesis_func")  # the component says so, and other readers do not know the keyword
        if network.is_ada != bool(keywords.get("embed_labels")):  # unless they are mixed
            dropped.remove("embed_labels")
    elif "mbstd_group_size" in keywords and not keywords.get("embed_labels"):
        dropped |= _OF_LABEL_MAPPING
    defaults = _defaults(classes)
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in keywords.items()
        if name not in dropped and (name in _PORTABLE or value != defaults.get(name))
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
