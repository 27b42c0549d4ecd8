"""What every reader of network files returns and every writer takes: `NetworkRecord` (standard library and NumPy)."""

from dataclasses import dataclass, field

from tf_stylegan.errors import UserError
from tf_stylegan.legacy.pickle_limits import MAX_LEVELS, MAX_NAME, MAX_NETWORKS, VERSIONS
from tf_stylegan.legacy.pickle_names import NETWORK_CLASSES

STATE_FIELDS = ("version", "name", "static_kwargs", "components", "build_module_src", "build_func_name", "variables")
_KINDS = dict.fromkeys(("name", "func", "source", "origin"), str) | dict.fromkeys(
    ("static_kwargs", "components", "variables", "extra"), dict
)


@dataclass(frozen=True, eq=False)
class NetworkRecord:
    """One network of a pickle. Treat it as read-only; `dataclasses.replace` makes changed copies.

    Args:
        name: the network's name, "G" or "G_synthesis".
        func: name of the function that built it (`build_func_name`), "G_main".
        version: 2, 3, 4 or 5.
        static_kwargs: keywords it was built with, plain values.
        components: `{"synthesis": NetworkRecord, "mapping": NetworkRecord}` for generators, else empty.
        variables: its own variables in the file's order, without those of components: `{"4x4/Conv/weight": array}`.
            Arrays that were read are read-only views of the file, perhaps unaligned.
        source: text of the module that built it (`build_module_src`, PyTorch's `module_src`), verbatim; never executed.
        class_path: pickled class, one of `NETWORK_CLASSES`.
        extra: the rest of the state, such as version 5's `input_shapes`, `output_shapes`, `input_names` and
            `output_names`.
        origin: the family of the file it was read from: "dnnlib" (TensorFlow), "stylegan2-ada-pytorch", "stylegan3" or
            "rosinality". Records of the PyTorch families have StyleGAN2-ADA's names, layouts and keywords, version 5.
    """

    name: str
    func: str
    version: int = 4
    static_kwargs: dict = field(default_factory=dict)
    components: dict = field(default_factory=dict)
    variables: dict = field(default_factory=dict, repr=False)
    source: str = field(default="", repr=False)
    class_path: str = NETWORK_CLASSES[0]
    extra: dict = field(default_factory=dict)
    origin: str = "dnnlib"

    def all_variables(self):
        """`{"dlatent_avg": array, "G_synthesis/4x4/Const/const": array, …}`: its own and its components' variables.

        A component's variables stand behind the component network's own name (not its key in `components`).
        """
        result = dict(self.variables)
        for component in self.components.values():
            for name, value in component.all_variables().items():
                result[f"{component.name}/{name}"] = value
        return result


def has_clash(record):
    """Whether two variables of a network get the same full name."""
    total = len(record.variables) + sum(len(part.all_variables()) for part in record.components.values())
    return len(record.all_variables()) != total


def check_records(records):
    """What a writer was given, one record or several, as a tuple.

    Raises:
        UserError: no records, or such as readers refuse; the message says where.
    """
    records = (records,) if isinstance(records, NetworkRecord) else tuple(records)
    if not records:
        raise UserError("write takes at least one network, got none")
    if sum(map(_check, records)) > MAX_NETWORKS:
        raise UserError(f"a file of networks may hold {MAX_NETWORKS} of them, components included")
    return records


def _check(record, level=1):
    """Number of networks in a record."""
    if not isinstance(record, NetworkRecord):
        raise UserError(f"write takes NetworkRecord, got {type(record).__name__}")
    for key, kind in _KINDS.items():
        value = getattr(record, key)
        if not isinstance(value, kind) or (kind is dict and not all(isinstance(k, str) for k in value)):
            raise UserError(
                f"{key} of network {record.name} must be a {kind.__name__}{' with text as keys' * (kind is dict)}, "
                f"got {type(value).__name__}"
            )
    for name in (record.name, record.func, record.origin, *record.components, *record.variables):
        if len(name) > MAX_NAME:
            raise UserError(f"a name in network {record.name[:40]} has {len(name)} characters, {MAX_NAME} are allowed")
    if record.version not in VERSIONS or record.class_path not in NETWORK_CLASSES:
        raise UserError(
            f"network {record.name}: version must be one of {VERSIONS} and class_path one of {NETWORK_CLASSES}, "
            f"got {record.version!r} and {record.class_path!r}"
        )
    if clash := set(record.extra) & set(STATE_FIELDS):
        raise UserError(f"network {record.name}: extra may not hold {sorted(clash)}, which have fields of their own")
    if level > MAX_LEVELS:
        raise UserError(f"network {record.name}: more than {MAX_LEVELS} networks within each other")
    count = 1 + sum(_check(component, level + 1) for component in record.components.values())
    if has_clash(record):
        raise UserError(f"network {record.name}: two variables would have the same name")
    return count
