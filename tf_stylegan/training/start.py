"""Starting a run from a file of networks: which networks it trains, and what of the file fits them (F5).

A file holds networks and nothing of the run they come from, so the optimizers and the mean path length begin anew, and
the user says where counting begins (`resume_pkl` and `resume_kimg` of training_loop.py of NVlabs/stylegan2).
"""

import dataclasses
import functools
import hashlib
import json
import math
import os
import re

import numpy as np

from tf_stylegan.config import PRESETS, Networks, Start, preset_networks, resolve
from tf_stylegan.errors import UserError
from tf_stylegan.legacy.names import from_legacy, legacy_name, listed
from tf_stylegan.legacy.networks import network_options
from tf_stylegan.legacy.reading import choose_generator, read_records
from tf_stylegan.networks.generator import Generator
from tf_stylegan.networks.registry import NETWORKS
from tf_stylegan.training.fit import Fit
from tf_stylegan.training.kinds import complete, configs_for, describe, discriminator_config, kind_of, same_kinds
from tf_stylegan.training.schedule import kimg_at_lod, stage_at

# What an option sets in a network's keywords.
_WIDTHS = {
    "fmap_base": ("fmap_base",),
    "fmap_max": ("fmap_max",),
    "latent_size": ("latent_size", "dlatent_size", "mapping_fmaps"),
    "mapping_layers": ("mapping_layers",),
}
_OF_BOTH = ("fmap_base", "fmap_max")  # the other options are G's alone
_LOD_OF_LAYER = re.compile(r"(?<=_lod)\d+(?=/)")


class NetworkFile:
    """A file of networks to start from: first `configure` a run, then `copy_into` its state.

    Args:
        name: what the user calls it.
        path: any file that `legacy.networks.load_networks` opens.
    Raises:
        UserError: it cannot be read, or holds no generator that can be trained.
    """

    def __init__(self, name, path):
        self.name, self.notes, self.fits = name, [], {}
        self.records = _choose(read_records(path), name)
        self.size, self.sha256 = os.path.getsize(path), _sha256(path)

    @functools.cached_property
    def networks(self):
        """Networks of the file, with all keywords; where it holds no discriminator, None in its place."""
        G, D = self._options("G"), self._options("D") if "D" in self.records else (None, None)
        return Networks(*G, *D)

    def _options(self, name):
        """(func, keywords with all defaults) of a network."""
        record = self.records[name]
        func, keywords, unknown = network_options(record, self.name)
        if name == "G" and not issubclass(NETWORKS[func], Generator):
            raise UserError(f"--resume={self.name}: {func} is there to be drawn with; this version does not train it")
        if unknown:
            self.notes.append(f"keywords of the file's {name} that this version does not know: {listed(unknown)}")
        try:  # a file may hold any value
            keywords = {k: v.tolist() if isinstance(v, np.generic | np.ndarray) else v for k, v in keywords.items()}
            keywords = complete(func, keywords)[0]
            json.dumps(keywords)
        except (TypeError, ValueError, ArithmeticError) as error:
            raise UserError(f"--resume={self.name}: {record.name}: {error}") from error
        return func, keywords

    @property
    def resolution(self):
        return int(self.networks.G_kwargs["resolution"])

    @property
    def grows(self):
        return kind_of(self.networks.G_func, self.networks.G_kwargs).synthesis.grows

    @property
    def lod(self):
        """The level of detail that the networks have come to, 0 at full resolution."""
        lod = np.ravel(self.records["G"].variables.get("lod", 0))
        highest = math.log2(self.resolution) - 2
        return float(lod[0]) if self.grows and lod.size == 1 and 0 <= lod[0] <= highest else 0.0

    def configure(self, options, given, info, kimg=None, partial=False):
        """The configuration of a run: the file's networks, changed by what the user gave and by the data set.

        Args:
            options: Options of the run.
            given: dict of those the user gave.
            info: DatasetInfo.
            kimg: where counting begins, in thousands of images. None for 0 or, where a config grows, for where it has
                come to the file's level of detail: what has grown already is not taken away.
            partial: whether something may be left that does not fit.
        Returns:
            TrainingConfig.
        Raises:
            UserError: something does not fit, listing what does and what does not; or a number that cannot be.
        """
        options, networks, notes = self._fit(options, given, info, partial)
        config = resolve(options, info.resolution, info.num_channels, info.label_size, networks)
        start = Start(self.name, self.size, self.sha256, self._first_kimg(config, kimg), partial)
        return dataclasses.replace(config, start=start, notes=(*config.notes, *notes))

    def _fit(self, options, given, info, partial):
        """(Options with the widths of the networks to train, these Networks, notes for the user)."""
        kwargs, preset = self.networks.G_kwargs, PRESETS[options.config]
        widths = {name: kwargs[name] for name in _WIDTHS if name not in given}
        before = dataclasses.replace(options, fmap_base=options.fmap_base or preset.fmap_base)
        other = [f"{name} {value}" for name, value in widths.items() if value != getattr(before, name)]
        notes = [*self.notes, *([f"as in the file: {', '.join(other)}"] if other else [])]
        options = dataclasses.replace(options, **widths)

        data = {"resolution": info.resolution, "num_channels": info.num_channels, "label_size": info.label_size}
        G_func, G_kwargs = self._network("G", options, given, data)
        G_kwargs, G_shapes = complete(G_func, G_kwargs)
        if "D" in self.records:
            D_func, D_kwargs = self._network("D", options, given, data)
        else:
            D_func, D_kwargs = _discriminator_for(G_func, G_kwargs, options, data)
        D_kwargs, D_shapes = complete(D_func, D_kwargs)
        shapes = {"G": G_shapes, "D": D_shapes, "Gs": G_shapes}
        self.fits = {name: Fit(shapes[name], self._arrays(name, info.resolution)) for name in self.records}
        if not partial:
            self._check_fit(options, given, info)
        if "config" not in given and not same_kinds(self.networks, preset):
            what = f"{describe(self.networks)} as in the file, with the losses and the schedule of {options.config}"
            notes.append(f"{what}; for their own, give {self._own_configs()}")
        return options, Networks(G_func, G_kwargs, D_func, D_kwargs), tuple(notes)

    def _network(self, name, options, given, data):
        """(func, keywords) of G or D: the file's, of another kind only where the user gave a config."""
        func, kwargs = getattr(self.networks, f"{name}_func"), getattr(self.networks, f"{name}_kwargs")
        if "config" in given:
            asked = preset_networks(options, **data)
            asked_func, asked_kwargs = getattr(asked, f"{name}_func"), getattr(asked, f"{name}_kwargs")
            own, other = kind_of(func, kwargs), kind_of(asked_func, asked_kwargs)
            if own[:2] != other[:2]:
                return asked_func, asked_kwargs
            kwargs = {**kwargs, "architecture": other.architecture} if other.architecture else kwargs
        return func, {**kwargs, **data, **_overrides(name, kwargs, given)}

    def _arrays(self, name, resolution):
        """The variables of a network by name, in our layout.

        Layers named after a level of detail are renamed to that which their size has at another resolution.
        """
        shift = resolution.bit_length() - self.resolution.bit_length()
        return {
            _LOD_OF_LAYER.sub(lambda found: str(int(found[0]) + shift), name): from_legacy(name, array)
            for name, array in self.records[name].all_variables().items()
        }

    def _check_fit(self, options, given, info):
        """UserError that says why the file does not fit, unless it does, and what would help."""
        if not all(fit.whole for fit in self.fits.values()):
            reasons, remedies = self._reasons(options, given, info)
            reasons = "; ".join(reasons or ["its variables are not those that its keywords describe"])
            remedies = " or ".join([*remedies, "--resume-partial to copy what fits and start the rest afresh"])
            lines = [f"--resume={self.name} does not fit: {reasons}; give {remedies}", *self._lines_of_fits()]
            raise UserError("\n  ".join(lines))
        if self.lod > 0 and not PRESETS[options.config].grows:
            size = self.resolution >> math.floor(self.lod)
            raise UserError(
                f"--resume={self.name} has not grown up: it has come to {size}x{size} of {self.resolution}x"
                f"{self.resolution} (lod {self.lod:g}), and {options.config} does not grow; give "
                f"{self._own_configs()} to go on growing, or --resume-partial to train all its layers at once"
            )

    def _reasons(self, options, given, info):
        """(what differs between file and run, what the user might do about it)."""
        networks, kwargs, size = self.networks, self.networks.G_kwargs, f"{self.resolution}x{self.resolution}"
        reasons, remedies, preset = [], [], PRESETS[options.config]
        if "config" in given and not same_kinds(networks, preset):
            reasons.append(f"{options.config} has {describe(preset)}, the file {describe(networks)}")
            remedies.append(f"{self._own_configs()} to train the file's networks")
        if self.resolution != info.resolution:
            reasons.append(f"the file draws {size}, the data set {info.name!r} is {info.resolution}x{info.resolution}")
            if self.resolution.bit_length() - 1 in info.files:
                remedies.append(f"--resolution={self.resolution} to train on the data set's smaller pictures")
        if kwargs["num_channels"] != info.num_channels:
            reasons.append(f"the file draws {kwargs['num_channels']} channels, the data set has {info.num_channels}")
        if kwargs["label_size"] != info.label_size:
            reasons.append(f"labels are {kwargs['label_size']} wide in the file, {info.label_size} in the data set")
            if not kwargs["label_size"]:
                remedies.append("--cond=false to leave the data set's labels alone")
        for name in "GD":
            kwargs = getattr(networks, f"{name}_kwargs") or {}
            overrides = _overrides(name, kwargs, given)
            for option, keys in _WIDTHS.items():
                if keys[0] in overrides:
                    flag = f"--{option.replace('_', '-')}={given[option]}"
                    reasons.append(f"{flag} is given, the file has {kwargs[keys[0]]}")
        return list(dict.fromkeys(reasons)), remedies

    def _own_configs(self):
        """What to give for the configurations that train such networks, or for none."""
        return " or ".join(f"--config={name}" for name in configs_for(self.networks)) or "no --config"

    def _lines_of_fits(self):
        """What fits, by network; of Gs only what is not just as with G."""
        told = {name: fit.lines() for name, fit in self.fits.items()}
        alike = told["G"] == told["Gs"]
        return [
            f"{'G and Gs' if alike and name == 'G' else name}: {line}"
            for name, lines in told.items()
            for line in lines
            if not (alike and name == "Gs")
        ]

    def _first_kimg(self, config, kimg):
        """Where counting begins, see `configure`."""
        resolution, total_kimg = config.G_kwargs["resolution"], config.options.total_kimg
        why = "" if kimg is not None else ", the default"
        if kimg is None:
            kimg = 0.0
            if config.growing and self.grows:
                lod = max(self.lod + math.log2(resolution / self.resolution), 0)
                kimg, why = kimg_at_lod(lod, resolution, config.growing), f"{why} for networks grown to lod {lod:g}"
        if not (math.isfinite(kimg) and kimg >= 0):
            raise UserError(f"--resume-kimg={kimg}: must be a finite number, 0 or more")
        if kimg >= total_kimg:
            raise UserError(
                f"--total-kimg={total_kimg:g} counts from --resume-kimg={kimg:g}{why}: nothing would be left to train; "
                "give a larger --total-kimg or a smaller --resume-kimg"
            )
        return kimg

    def outcome(self):
        """What is taken from the file, and what of it fits, as lines for a person; after `configure`."""
        taken = ", ".join(f"{name} from its {record.name}" for name, record in self.records.items())
        lines = [f"Starting from {self.name} ({self.size:,} bytes, sha256 {self.sha256}): {taken}."]
        lines += [f"  {line}" for line in self._lines_of_fits()]
        if "D" not in self.records:
            lines.append("Warning: the file holds no discriminator: D starts from random weights.")
        return lines

    def copy_into(self, state, config):
        """Copies what fits into the TrainState made for `config` and lets go of the file; returns lines for the log."""
        for name, fit in self.fits.items():
            network = getattr(state, name)
            fit.copy_into({legacy_name(network, v): v for v in network.variables})
        state.progress.cur_nimg = state.progress.tick_start_nimg = round(config.start.kimg * 1000)
        lod = stage_at(config, state.progress.cur_nimg).lod
        state.set_lod(lod)
        lines = self.outcome()
        counting = f"{config.start.kimg:.1f} kimg{f', lod {lod:.2f}' if config.growing else ''}"
        self.records, self.fits = {}, {}
        return [*lines, f"Optimizers start afresh; counting starts at {counting}."]


def _choose(records, file):
    """Which of a file's networks G, D and Gs begin with: `{"G": record, "D": record or none, "Gs": record}`.

    They go by their names or else by their kinds; a generator that is alone is both G and Gs.
    """
    generators, discriminators = (
        {record.name: record for record in records if record.func.rsplit(".", 1)[-1].startswith(letter)}
        for letter in ("G_", "D_")
    )
    if not generators:
        held = ", ".join(f"{record.name} ({record.func})" for record in records)
        raise UserError(f"--resume={file} holds no generator, only {held}")
    found = {"G": generators.get("G", next(iter(generators.values()))), "Gs": choose_generator(records)}
    if discriminators:
        found["D"] = discriminators.get("D", next(iter(discriminators.values())))
    return found


def _overrides(name, kwargs, given):
    """Keywords of G or D that options set to something else than what they are."""
    found = {}
    for option, keys in _WIDTHS.items():
        applies = option in given and (name == "G" or option in _OF_BOTH)
        if applies and any(kwargs.get(key) not in (None, given[option]) for key in keys):
            found.update(dict.fromkeys(keys, given[option]))
    return found


def _discriminator_for(G_func, G_kwargs, options, data):
    """(func, keywords) of a new discriminator for a generator that comes without."""
    config = discriminator_config(options.config, G_func, G_kwargs)
    networks = preset_networks(dataclasses.replace(options, config=config), **data)
    if G_kwargs.get("embed_labels"):  # StyleGAN2-ADA's: of the same class, with labels dealt with likewise
        return "D_main", networks.D_kwargs
    return networks.D_func, networks.D_kwargs


def _sha256(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
