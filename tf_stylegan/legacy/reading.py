"""Which reader opens a file, and which of its networks is meant; TensorFlow is loaded for `.keras` files only (F4)."""

import os

from tf_stylegan.download import local_path
from tf_stylegan.legacy import npz_io, pickle_io


def needs_tensorflow(path):
    """Whether `read_records` loads TensorFlow for a file."""
    return os.fsdecode(path).endswith(".keras")


def read_records(path):
    """NetworkRecords of any file of networks.

    Args:
        path: as `load_networks`: anything that `download.local_path` makes a path of.
    Returns:
        tuple of NetworkRecord.
    Raises:
        UserError: the file cannot be read, is unsafe or damaged.
    """
    path = local_path(path)
    if needs_tensorflow(path):
        from tf_stylegan.legacy import export, networks

        return (networks.record_from_network(export.read_keras(path)),)
    return npz_io.read(path) if os.fsdecode(path).endswith(".npz") else pickle_io.read(path)


def choose_generator(records):
    """The record of the generator to draw with: Gs, the moving average, else the last one; None where there is none."""
    generators = [record for record in records if record.func.rpartition(".")[2].startswith("G_")]
    return next((record for record in generators if record.name == "Gs"), generators[-1] if generators else None)
