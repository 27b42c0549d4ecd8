"""Between the variables of a Keras network and the names and layouts of legacy files (F1, NumPy only).

Layers carry the original's scopes, so a path less the network's own name *is* the legacy name
(`G/G_synthesis/4x4/Conv/weight` → `G_synthesis/4x4/Conv/weight`). Kernels keep HWIO; only pictures differ in layout.
"""

import numpy as np

from tf_stylegan.errors import UserError


def legacy_name(network, variable):
    """Legacy name of a variable of a built network (or of a part of one): its path within that network."""
    return variable.path.removeprefix(f"{network.path}/")


def to_legacy(name, array):
    """Array in the legacy layout: the constant and the noise maps are `[1, C, H, W]` there."""
    array = np.asarray(array)
    return array.transpose(0, 3, 1, 2) if _is_picture(name) else array


def from_legacy(name, array):
    """The reverse of `to_legacy`."""
    array = np.asarray(array)
    return array.transpose(0, 2, 3, 1) if _is_picture(name) and array.ndim == 4 else array


def _is_picture(name):
    last = name.rsplit("/", 1)[-1]
    return last == "const" or (last.startswith("noise") and last[5:].isdigit())


def get_variables(network):
    """All variables of a built network: dict of legacy names to arrays in the legacy layout."""
    names = [legacy_name(network, v) for v in network.variables]
    if len(set(names)) != len(names):
        raise RuntimeError(f"{network.name}: two variables share a path")
    return {name: to_legacy(name, v.numpy()) for name, v in zip(names, network.variables)}


def set_variables(network, arrays):
    """Fills every variable of a built network from legacy arrays, all or none.

    Raises:
        UserError: listing what is missing, left over, or of another shape.
    """
    variables = {legacy_name(network, v): v for v in network.variables}
    problems = []
    missing, extra = sorted(variables.keys() - arrays.keys()), sorted(arrays.keys() - variables.keys())
    if missing:
        problems.append(f"missing: {', '.join(missing)}")
    if extra:
        problems.append(f"left over: {', '.join(extra)}")
    converted = {name: from_legacy(name, arrays[name]) for name in variables.keys() & arrays.keys()}
    for name in sorted(converted):
        if converted[name].shape != tuple(variables[name].shape):
            problems.append(f"{name} is {list(converted[name].shape)}, the network has {list(variables[name].shape)}")
    if problems:
        raise UserError(f"the variables do not fit network {network.name}: {'; '.join(problems)}")
    for name, array in converted.items():
        variables[name].assign(array)
