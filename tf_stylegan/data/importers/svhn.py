"""SVHN's cropped digits: the authors' MATLAB file, or the pickles that the original tool took."""

import os

import numpy as np

from tf_stylegan.data.importers.common import (
    check_array,
    check_classes,
    check_files,
    check_folder,
    needs,
    note_count,
    read_pickle,
    write_arrays,
)
from tf_stylegan.data.tfrecord import check_free
from tf_stylegan.errors import UserError

_MATLAB_FILE = "train_32x32.mat"
_PICKLES = [f"train_{number}.pkl" for number in range(1, 4)]
_NUM_IMAGES, _NUM_CLASSES = 73_257, 10


def create_svhn(tfrecord_dir, svhn_dir, force=False):
    """SVHN's training images, 32x32 RGB, with one-hot labels; class 0 is the digit 0.

    Args:
        tfrecord_dir: folder to write.
        svhn_dir: folder of `train_32x32.mat`, or of `train_1.pkl` to `train_3.pkl`, each a pickled pair of images
            uint8 `[N, 3, 32, 32]` and classes `[N]`.
        force: replace a data set that is there.
    Returns:
        number of images written.
    Raises:
        UserError: a file is missing, damaged or of another kind; nothing has been written then.
    """
    check_free(tfrecord_dir, force)
    check_folder(svhn_dir, "SVHN")
    if os.path.isfile(path := os.path.join(svhn_dir, _MATLAB_FILE)):
        images, classes = _read_matlab(path)
    elif os.path.isfile(os.path.join(svhn_dir, _PICKLES[0])):
        check_files(svhn_dir, _PICKLES, "SVHN's pickles")
        parts = [_read_pickled(os.path.join(svhn_dir, name)) for name in _PICKLES]
        images, classes = (np.concatenate(arrays) for arrays in zip(*parts))
    else:
        raise UserError(f"no {_MATLAB_FILE} in {svhn_dir}; give the folder of SVHN's cropped digits (format 2)")
    note_count("SVHN", _NUM_IMAGES, len(images))
    return write_arrays(tfrecord_dir, images, classes, _NUM_CLASSES, force)


def _read_matlab(path):
    with needs("scipy", "SVHN's MATLAB file"):
        import scipy.io
    try:
        content = scipy.io.loadmat(path, variable_names=["X", "y"])
    except Exception as error:  # a damaged file ends in errors of every kind
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"{path} is no MATLAB file, or damaged ({reason}); download it again") from error
    if not {"X", "y"} <= content.keys():
        raise UserError(f"{path}: expected the arrays X and y in it; SVHN's cropped digits (format 2) have them")
    images, classes = np.asarray(content["X"]), np.asarray(content["y"])
    check_array(images, (32, 32, 3, None), f"{path}: X")  # HWCN
    classes = check_classes(classes.reshape(-1), images.shape[3], _NUM_CLASSES + 1, f"{path}: y")
    images = np.ascontiguousarray(images.transpose(3, 2, 0, 1))  # NCHW, so that picking images out is quick
    return images, classes % _NUM_CLASSES  # MATLAB counts from 1: the digit 0 is its class 10


def _read_pickled(path):
    pair = read_pickle(path)
    if type(pair) not in (tuple, list) or len(pair) != 2 or not all(isinstance(part, np.ndarray) for part in pair):
        raise UserError(f"{path}: expected a pair of arrays, images and classes")
    check_array(pair[0], (None, 3, 32, 32), path)
    return pair[0], check_classes(pair[1], len(pair[0]), _NUM_CLASSES, path)
