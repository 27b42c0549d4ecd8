"""What every reader of network files returns: `NetworkRecord` (standard library and NumPy)."""

from dataclasses import dataclass, field

from tf_stylegan.legacy.pickle_names import NETWORK_CLASSES


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
