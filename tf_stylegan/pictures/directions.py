"""Directions in w that change pictures most, from the weights alone: closed-form factorisation (F5).

Shen & Zhou 2021, "Closed-Form Factorization of Latent Semantics in GANs" (SeFa). Every layer turns w into its style by
a matrix. With those of the chosen styles stacked to A, a unit step n changes the styles by A·n, and the n for which
‖A·n‖ is largest are the eigenvectors of AᵀA with the largest eigenvalues.
"""

import dataclasses
import json
import zipfile
import zlib

import numpy as np

from tf_stylegan.errors import UserError
from tf_stylegan.files import atomic_write
from tf_stylegan.networks.growing import Lod
from tf_stylegan.networks.stylegan1 import SynthesisStyleGAN1
from tf_stylegan.networks.synthesis_stylegan_revised import SynthesisStyleGANRevised

_SAMPLES, _SAMPLES_AT_ONCE = 4096, 1024  # of w, for its standard deviation: known to 1 %
_KIND = ("generator", "synthesis", "resolution", "num_layers", "label_size")  # facts that directions hang on
_DAMAGED = (ValueError, EOFError, KeyError, TypeError, MemoryError, NotImplementedError, zipfile.BadZipFile, zlib.error)


@dataclasses.dataclass(frozen=True)
class Directions:
    """Directions in w, the strongest first.

    Args:
        vectors: float32 `[K, w_size]`, of unit length.
        eigenvalues: float32 `[K]`: how much a unit step changes the styles, squared; NaN where nobody knows.
        deviations: float32 `[K]`, the standard deviation of w along each: what a strength of 1 is.
        layers: numbers of the styles that they were found from and that edits change, a sorted list.
        network: facts of the network they were found in, {} where nobody knows; see `strangeness`.
    """

    vectors: np.ndarray
    eigenvalues: np.ndarray
    deviations: np.ndarray
    layers: list
    network: dict = dataclasses.field(default_factory=dict)

    def __len__(self):
        return len(self.vectors)

    def check_index(self, index, option="--direction"):
        """UserError unless there is a direction of this number."""
        if not 0 <= index < len(self):
            raise UserError(f"{option}={index} is out of range: there are {len(self)} directions, 0-{len(self) - 1}")

    def moved(self, dlatents, index, strengths, layers=None):
        """w moved along a direction; truncate first, so that an average face can be edited, too.

        Args:
            dlatents: `[N, num_layers, w_size]`.
            index: number of the direction.
            strengths: number, or one for each sample `[N]`, in standard deviations of w; 0 changes nothing.
            layers: numbers of the styles to change, None for `self.layers`; the others stay as they are.
        Returns:
            float32 `[N, num_layers, w_size]`.
        """
        self.check_index(index)
        dlatents = np.asarray(dlatents, np.float32)
        steps = np.broadcast_to(np.asarray(strengths, np.float32), [len(dlatents)]) * self.deviations[index]
        moved = dlatents.copy()
        layers = self.layers if layers is None else layers
        moved[:, layers] += steps[:, None, None] * self.vectors[index]
        return moved

    def strangeness(self, painter):
        """What tells the network they were found in from a Painter's, in words; "" for the same kind, or who knows."""
        here = _facts(painter)
        names = [name for name in _KIND if self.network.get(name, here[name]) != here[name]]
        return ", ".join(f"{name} {self.network[name]!r}, here {here[name]!r}" for name in names)

    def save(self, path):
        """Writes an .npz file that holds all of it, atomically."""
        with atomic_write(path) as file:
            np.savez(
                file,
                directions=self.vectors,
                eigenvalues=self.eigenvalues,
                deviations=self.deviations,
                layers=np.array(self.layers, np.int32),
                network=np.array(json.dumps(self.network)),
            )


def find(painter, layers=None, count=None):
    """The directions along which the styles of some layers change most.

    Args:
        painter: Painter of the network; its class is the one that `deviations` are of.
        layers: numbers of styles, None for all that the network uses.
        count: how many, None for as many as w has numbers.
    Returns:
        Directions; their signs make the number of largest magnitude positive.
    Raises:
        UserError: the network has no w or no styles, or not so many.
    """
    if count is not None and not 0 < count <= painter.w_size:
        raise UserError(
            f"--count={count} is out of range: w has {painter.w_size} numbers, so 1-{painter.w_size} directions"
        )
    weights = style_weights(painter)
    layers = list(range(len(weights))) if layers is None else sorted(layers)
    if not layers or not 0 <= layers[0] <= layers[-1] < len(weights):
        raise UserError(f"styles {layers} are out of range; this network has 0-{len(weights) - 1}")
    stacked = np.concatenate([weights[layer] for layer in layers], axis=1).astype(np.float64)  # Aᵀ: [w, styles]
    if not np.isfinite(stacked).all():
        raise UserError(
            "this network's weights are not finite numbers; take a snapshot from before its training failed"
        )
    eigenvalues, vectors = np.linalg.eigh(stacked @ stacked.T)  # ascending, vectors in columns
    eigenvalues, vectors = np.maximum(eigenvalues[::-1][:count], 0), vectors.T[::-1][:count]
    largest = np.argmax(np.round(np.abs(vectors), 6), axis=1)  # rounded: the first of equals, on any machine
    vectors = vectors * np.sign(vectors[np.arange(len(vectors)), largest])[:, None]
    vectors = vectors.astype(np.float32)
    deviations = deviations_along(painter, vectors)
    return Directions(vectors, eigenvalues.astype(np.float32), deviations, layers, _facts(painter))


def style_weights(painter):
    """The matrices that make styles of w, float32 `[w_size, channels]`, one for each style that is in use.

    Of StyleGAN2 they are those of the convolutions. A ToRGB shares the style of the layer that follows it and is left
    out, as it only weighs colours, except at the last style, which has nothing else. Of StyleGAN1 they are those of
    `StyleMod`, scales and shifts. Layers that a grown network does not use yet are left out.
    """
    count, synthesis = painter.num_layers, painter.Gs.synthesis
    unused = Lod.of(None, painter.Gs.lod).floor if painter.Gs.grows else 0  # resolutions
    used = synthesis.blocks[: len(synthesis.blocks) - unused]
    if isinstance(synthesis, SynthesisStyleGAN1):
        if count == 1:
            raise UserError("this network was made without styles (use_styles=False), so it has no directions to find")
        layers = [layer for block in used for layer in (block.start, *block.convs) if layer is not None]
        return [layer.style_mod.scaled_weight().numpy() for layer in layers]
    grown = isinstance(synthesis, SynthesisStyleGANRevised)
    to_rgb = synthesis.to_rgb[len(used) - 1] if grown else used[-1].to_rgb
    return [layer.scaled_mod_weight().numpy() for layer in (*(conv for block in used for conv in block.convs), to_rgb)]


def deviations_along(painter, vectors):
    """Standard deviations of w along unit vectors `[K, w_size]`: float32 `[K]`, the same in every run."""
    rnd, along = np.random.RandomState(0), []
    for _ in range(_SAMPLES // _SAMPLES_AT_ONCE):
        latents = rnd.randn(_SAMPLES_AT_ONCE, painter.Gs.latent_size).astype(np.float32)
        along.append(painter.dlatents(latents)[:, 0].astype(np.float64) @ vectors.T)
    return np.concatenate(along).std(axis=0).astype(np.float32)


def read(path, painter, layers=None):
    """Directions from a file, for this network.

    Args:
        path: `.npz` that `Directions.save` wrote, or `.npz` with a key `directions`, or `.npy`: `[K, w_size]` or
            `[w_size]`, as other tools write them; what it does not say is measured, or all layers.
        painter: Painter of the network that is to be edited.
        layers: numbers of styles in place of those that the file names.
    Raises:
        UserError: the file cannot be read, holds something else, or is of a network of another size.
    """
    arrays = _read_arrays(path)
    vectors = arrays["directions"]
    if vectors.ndim == 1:
        vectors = vectors[None]
    if vectors.dtype.kind not in "fiu" or vectors.ndim != 2 or not len(vectors):
        raise UserError(
            f"{path}: directions must be numbers [K, {painter.w_size}]; got {_described(arrays['directions'])}"
        )
    if vectors.shape[1] != painter.w_size:
        raise UserError(f"{path}: its directions are {vectors.shape[1]} wide, and this network's w is {painter.w_size}")
    lengths = np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
    if not np.isfinite(lengths).all() or not lengths.all():
        raise UserError(f"{path}: a direction must be of finite length above 0")
    vectors = (vectors / lengths).astype(np.float32)
    layers = arrays.get("layers", np.arange(painter.num_layers)) if layers is None else np.asarray(layers)
    if layers.dtype.kind not in "iu" or layers.ndim != 1 or not len(layers):
        raise UserError(f"{path}: layers must be whole numbers; got {_described(layers)}")
    if layers.min() < 0 or layers.max() >= painter.num_layers:
        raise UserError(
            f"{path}: its directions are of styles {layers.min()} to {layers.max()}; this network has "
            f"0-{painter.num_layers - 1}, so choose with --layers"
        )
    unknown = np.full([len(vectors)], np.nan, np.float32)
    deviations = arrays.get("deviations")
    if deviations is None:
        deviations = deviations_along(painter, vectors)
    numbers = {"eigenvalues": arrays.get("eigenvalues", unknown), "deviations": deviations}
    for name, array in numbers.items():
        if array.dtype.kind != "f" or array.shape != (len(vectors),):
            raise UserError(f"{path}: {name} must be {len(vectors)} numbers, one a direction; got {_described(array)}")
        numbers[name] = array.astype(np.float32)
    return Directions(
        vectors, layers=sorted({int(layer) for layer in layers}), network=arrays.get("network", {}), **numbers
    )


def _read_arrays(path):
    """What is in a file of directions, by name; a single array is `directions`."""
    try:
        with open(path, "rb") as opened:
            loaded = np.load(opened)  # which refuses pickled objects
            if isinstance(loaded, np.ndarray):
                return {"directions": loaded}
            arrays = {name: loaded[name] for name in loaded.files}
            if "network" in arrays:
                arrays["network"] = dict(json.loads(str(arrays["network"])))
    except OSError as error:
        raise UserError(f"could not read {path}: {error.strerror or error}") from error
    except _DAMAGED as error:
        raise UserError(f"{path} is no file of directions (.npz, .npy), or damaged") from error
    if "directions" not in arrays:
        found = ", ".join(arrays) or "nothing"
        raise UserError(f"{path} holds no array named directions; got {found}. find-directions makes such files")
    return arrays


def _described(array):
    return f"{array.dtype} {list(array.shape)}"


def _facts(painter):
    """What tells one network from another, for people."""
    Gs = painter.Gs
    return {
        "name": Gs.name,
        "generator": type(Gs).__name__,
        "synthesis": type(Gs.synthesis).__name__,
        "resolution": Gs.resolution,
        "num_layers": painter.num_layers,
        "w_size": painter.w_size,
        "label_size": Gs.label_size,
        "class": painter.class_index,
    }
