"""Between the variables of a Keras network and the names and layouts of legacy files (F1, NumPy only).

Layers carry the original's scopes, so a path less the network's own name *is* the legacy name
(`G/G_synthesis/4x4/Conv/weight` → `G_synthesis/4x4/Conv/weight`). Kernels keep HWIO; only pictures differ in layout.
"""

import numpy as np

from tf_stylegan.errors import UserError

_LISTED = 12  # names in a message


def shown(name):
    """A name from a file for a message: short, and nothing in it that a terminal might obey."""
    return ascii(str(name))[1:-1][:60]


def listed(names):
    """Some names from a file for a message, in their order; however many there are, the line is short."""
    names = list(names)
    return (", ".join(map(shown, names[:_LISTED])) or "nothing") + _more(names)


def _more(items):
    return f" and {len(items) - _LISTED} more" * (len(items) > _LISTED)


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
    arrays = {name: from_legacy(name, array) for name, array in arrays.items()}
    check_variables(network.name, {name: v.shape for name, v in variables.items()}, arrays)
    for name, variable in variables.items():
        variable.assign(arrays[name])


def check_variables(network_name, shapes, arrays):
    """UserError unless `arrays` (already of our layout) are exactly those of `shapes`, both dicts by legacy name."""
    problems = []
    missing, extra = sorted(shapes.keys() - arrays.keys()), sorted(arrays.keys() - shapes.keys())
    if missing:
        problems.append(f"missing: {listed(missing)}")
    if extra:
        problems.append(f"left over: {listed(extra)}")
    other = [name for name in sorted(shapes.keys() & arrays.keys()) if list(arrays[name].shape) != list(shapes[name])]
    for name in other[:_LISTED]:
        found = str(list(arrays[name].shape))[:60]
        problems.append(f"{shown(name)} is {found}, the network has {list(shapes[name])}")
    if problems:
        raise UserError(f"the variables do not fit network {shown(network_name)}: {'; '.join(problems)}{_more(other)}")
