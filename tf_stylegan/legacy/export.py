"""Networks for other programs: Keras' own files, also read back, and TensorFlow's SavedModel (F4)."""

import contextlib
import io
import json
import math
import os
import shutil
import struct
import zipfile
import zlib

import h5py  # Keras' own dependency
import keras
import numpy as np
import tensorflow as tf

from tf_stylegan.errors import UserError
from tf_stylegan.layers.core import weights_from
from tf_stylegan.legacy.pickle_values import CorruptPickleError
from tf_stylegan.networks.generator import Generator
from tf_stylegan.networks.registry import NETWORKS, build_network
from tf_stylegan.ops.upfirdn_2d import portable

_CONFIG, _WEIGHTS = "config.json", "model.weights.h5"  # members of a .keras archive
_MAX_CONFIG = 1 << 20  # bytes; ours have about 1000


# ---- .keras


def write_keras(path, network):
    """Writes one network as Keras does, atomically.

    `keras.saving.load_model` opens it in a program that has imported `tf_stylegan.networks.registry`; `read_keras` does
    so without following what the file names.

    Args:
        path: file to write; Keras asks for the ending .keras.
        network: built Keras network of `NETWORKS`.
    Raises:
        UserError: another ending, or the file cannot be written.
    """
    path = os.fspath(path)
    if not path.endswith(".keras"):
        raise UserError(f"{path}: a file in Keras' format must end in .keras")
    temporary = f"{path}.tmp-{os.getpid()}.keras"
    try:
        network.save(temporary)
        os.replace(temporary, path)
    except OSError as error:
        raise UserError(f"could not write {path}: {error.strerror or error}") from error
    finally:
        with contextlib.suppress(OSError):
            os.unlink(temporary)


def read_keras(path):
    """Reads one of our networks from a `.keras` file, without importing or running anything that the file names.

    The network is built from its keywords alone, after a look at how much they ask for; the weights follow by shape.

    Returns:
        the built Keras network.
    Raises:
        CorruptPickleError: damaged, or more is claimed than is there.
        UserError: the file cannot be opened, or is of another model than ours.
    """
    path = os.fspath(path)
    if not os.path.isfile(path):
        raise UserError(f"could not read {path}: {'not a file' if os.path.exists(path) else 'No such file'}")
    if not path.endswith(".keras"):
        raise UserError(f"{path}: a file in Keras' format must end in .keras")
    try:
        func, keywords, size = _read_config(path)
        shapes = []
        with weights_from(lambda path, shape: shapes.append(shape)):
            build_network(func, **keywords)
        if sum(map(math.prod, shapes)) * 4 > size:
            raise _corrupt(path, "its keywords ask for a larger network than it has weights for")
        with weights_from(lambda path, shape: np.zeros(shape, np.float32)):  # nothing is drawn to be overwritten
            network = build_network(func, **keywords)
        network.load_weights(path)
    except UserError as error:
        raise type(error)(str(error) if path in str(error) else f"{path}: {error}") from error
    except OSError as error:
        raise _corrupt(path, error.strerror or error) from error
    except (zipfile.BadZipFile, zlib.error, EOFError, struct.error, NotImplementedError, RuntimeError) as error:
        raise _corrupt(path, f"it is damaged ({error})") from error
    except (
        ArithmeticError,
        AttributeError,
        LookupError,
        TypeError,
        ValueError,
    ) as error:  # h5py's, Keras'
        raise _corrupt(path, error) from error
    return network


def _corrupt(path, what):
    return CorruptPickleError(
        f"{path} cannot be read as a network in Keras' format: {' '.join(str(what).split())[:300]}"
    )


def _read_config(path):
    """(name of the function, checked keywords, bytes of the weights member)."""
    with zipfile.ZipFile(path) as archive:
        config, weights = (archive.getinfo(name) for name in (_CONFIG, _WEIGHTS))
        # Keras packs nothing; of what is packed by bz2 or LZMA, `zipfile` unpacks any number of bytes at once.
        if any(info.compress_type != zipfile.ZIP_STORED for info in (config, weights)):
            raise _corrupt(path, "its members are packed, which Keras does not do: pack it again with zip -0")
        if config.file_size > _MAX_CONFIG or weights.file_size > os.path.getsize(path):
            raise _corrupt(path, f"its members claim {config.file_size} and {weights.file_size} bytes")
        config = json.loads(archive.read(config))
        _check_arrays(path, archive.read(weights))
    kinds = {keras.saving.get_registered_name(cls): func for func, cls in reversed(NETWORKS.items())}
    kind = config["registered_name"]
    if kind not in kinds:
        raise UserError(f"{path} is a Keras model of kind {str(kind)[:80]!a}, not one of {', '.join(kinds)}")
    keywords = config["config"]
    for name, value in keywords.items():
        parts = value if isinstance(value, list) else [value]
        if not all(part is None or isinstance(part, bool | int | float | str) for part in parts):
            raise UserError(f"{path}: the keyword {name[:80]!a} is no plain value")
    return kinds[kind], keywords, weights.file_size


def _check_arrays(path, data):
    """Refuses HDF5 whose arrays are larger than their file: those in chunks may claim what is not there, or swell."""
    arrays = []
    with h5py.File(io.BytesIO(data), "r") as file:
        file.visititems(lambda _, item: arrays.append(item) if isinstance(item, h5py.Dataset) else None)
        if any(array.chunks for array in arrays):
            raise _corrupt(path, "its weights are in chunks, which Keras does not write")
        claimed = sum(math.prod(array.shape or ()) * array.dtype.itemsize for array in arrays)
    if claimed > len(data):
        raise _corrupt(path, f"its weights claim {claimed} bytes, the file has {len(data)}")


# ---- SavedModel


def write_saved_model(path, network):
    """Writes one network as a SavedModel, which `tf.saved_model.load` opens without this package.

    Its signatures take and give float32, pictures `[N, H, W, C]` in about [-1, 1], any N; noise is that stored with the
    network, so that results repeat. `labels` `[N, label_size]` are asked for by conditional networks only: a signature
    has no optional inputs, and an empty one would be in everybody's way.

    * generators: `mapping(latents, labels)` gives `dlatents` `[N, num_layers, dlatent_size]`, not truncated;
      `synthesis(dlatents)` gives `images`; `generate(latents, labels, truncation_psi)` gives `images`, truncation_psi a
      scalar, 1 for none;
    * ProGAN's generator: `generate(latents, labels)`;
    * discriminators: `scores(images, labels)` gives `scores` `[N, 1]`.

    Args:
        path: folder to write; it may exist if it is empty.
        network: built Keras network of `NETWORKS`.
    Raises:
        UserError: the folder is not empty, or cannot be written.
    """
    path = os.fspath(path).rstrip("/")
    check_folder(path)
    module = tf.Module()
    module.weights_ = [variable.value for variable in network.variables]  # functions do not keep them
    temporary = f"{path}.tmp-{os.getpid()}"
    try:
        tf.saved_model.save(module, temporary, signatures=_signatures(network))
        os.replace(temporary, path)
    except (OSError, tf.errors.OpError) as error:
        reason = getattr(error, "strerror", None) or getattr(error, "message", None) or error
        raise UserError(f"could not write {path}: {' '.join(str(reason).split())[:300]}") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def check_folder(path):
    """UserError unless a SavedModel can be put there: nothing, or an empty folder."""
    if os.path.lexists(path) and (not os.path.isdir(path) or os.listdir(path)):
        raise UserError(f"{path} exists and is not an empty folder; give a new one")


def _signatures(network):
    """`{name: concrete function}`."""
    labels = {"labels": [None, network.label_size]} if network.label_size else {}

    def signature(function, **inputs):
        specs = {name: tf.TensorSpec(shape, name=name) for name, shape in inputs.items()}
        with portable():
            return tf.function(function, autograph=False).get_concrete_function(**specs)

    if not hasattr(network, "latent_size"):
        size = [None, network.resolution, network.resolution, network.num_channels]
        return {
            "scores": signature(lambda images, labels=None: {"scores": network(images, labels)}, images=size, **labels)
        }
    inputs = {"latents": [None, network.latent_size], **labels}
    if not isinstance(network, Generator):
        return {"generate": signature(lambda latents, labels=None: {"images": network(latents, labels)}, **inputs)}

    mapping = signature(lambda latents, labels=None: {"dlatents": network.mapping(latents, labels)}, **inputs)
    synthesis = signature(
        lambda dlatents: {"images": network.synthesize(dlatents, noise_mode="const")},
        dlatents=[None, network.num_layers, network.mapping.dlatent_size],
    )

    def generate(truncation_psi, **inputs):  # calls the other two: their graphs are not written twice
        dlatents = mapping(**inputs)["dlatents"]
        return synthesis(dlatents=network.truncate(dlatents, truncation_psi))

    return {
        "mapping": mapping,
        "synthesis": synthesis,
        "generate": signature(generate, truncation_psi=[], **inputs),
    }
