"""What a person wants to know first of a file of networks, from its records alone (F1: standard library and NumPy).

Sizes are read off the variables, which cannot lie, and from keywords only where no variable tells.
"""

import math
import re

from tf_stylegan.config import PRESETS

# Never trained: noise maps, running values, states of spectral norms.
_UNTRAINED = re.compile(r"(^|/)(noise\d+|lod|dlatent_avg|\w+_sn)$")
_FAMILIES = {
    "stylegan2-ada-pytorch": "StyleGAN2-ADA (stylegan2-ada-pytorch)",
    "stylegan3": "StyleGAN2 (PyTorch, saved by stylegan3's code)",
    "rosinality": "StyleGAN2 (PyTorch, a checkpoint as rosinality's)",
}

# Keywords that the networks of this package take, by the function of the originals.
_PICTURES = "num_channels resolution label_size fmap_base fmap_decay fmap_max dtype"
_GENERATOR = f"""{_PICTURES} truncation_psi truncation_cutoff dlatent_avg_beta style_mixing_prob mapping_func
    synthesis_func latent_size dlatent_size mapping_layers mapping_fmaps mapping_lrmul mapping_nonlinearity use_wscale
    normalize_latents embed_labels label_fmaps randomize_noise nonlinearity structure use_noise"""
_D_STYLEGAN2 = f"""{_PICTURES} fmap_min architecture nonlinearity resample_kernel conv_clamp num_fp16_res embed_labels
    mapping_layers mapping_fmaps mapping_lrmul mbstd_group_size mbstd_num_features score_max use_spectral_norm use_pagan
    pagan_num"""
_PROGAN = f"{_PICTURES} use_wscale fused_scale structure"
# What the originals let a caller set at run time or for training only.
_RUN_TIME = """is_training is_validation is_template_graph return_dlatents components truncation_psi_val
    truncation_cutoff_val dlatent_broadcast augment_strength adaptive_dropout freeze_layers pagan_fade score_size
    w_avg_beta"""
_KEYWORDS = {
    "G_main": f"{_GENERATOR} fmap_min fmap_const architecture resample_kernel fused_modconv conv_clamp num_fp16_res",
    "G_style": f"{_GENERATOR} use_styles const_input_layer use_pixel_norm use_instance_norm fused_scale blur_filter",
    "D_stylegan2": _D_STYLEGAN2,
    "D_main": _D_STYLEGAN2,
    "D_stylegan": f"{_PICTURES} fmap_min nonlinearity mbstd_group_size mbstd_num_features resample_kernel structure",
    "D_basic": f"{_PROGAN} nonlinearity blur_filter mbstd_group_size mbstd_num_features",
    "G_paper": f"{_PROGAN} latent_size normalize_latents use_pixelnorm pixelnorm_epsilon use_leakyrelu",
    "D_paper": f"{_PROGAN} mbstd_group_size",
}
KEYWORDS = {func: frozenset(f"{names} {_RUN_TIME}".split()) for func, names in _KEYWORDS.items()}
"""Function name to the keywords that mean something here; of others a file may hold any."""

# train.py of StyleGAN2-ADA: name -> fmap_base, mapping layers, group of the minibatch-stddev, discriminator.
_ADA_CONFIGS = {
    "stylegan2": (16384, 8, 4, "resnet"),
    "paper256": (8192, 8, 8, "resnet"),
    "paper512": (16384, 8, 8, "resnet"),
    "paper1024": (16384, 8, 4, "resnet"),
    "cifar": (8192, 2, 32, "orig"),
    "cifarbaseline": (8192, 8, 32, "orig"),
}


def summarize(records):
    """The facts of a file's networks.

    Args:
        records: sequence of NetworkRecord.
    Returns:
        dict of plain values: `generation`, `config` (None where there is no guess), `resolution` [width, height],
        `channels`, `label_size`, `latent_size`, `dlatent_size`, `num_styles`, `mapping_layers`, `lod` (None where it
        does not apply), `networks` (a list of dicts: `name`, `func`, `parts`, `architecture`, `parameters`, `scalars`,
        `variables`, and `keywords` and `unknown_keywords` with values as in the file), `source_characters` (the length
        of every different source text) and `executed` (False: nothing ever is).
    """
    facts = [_Facts(record) for record in records]
    g = next((f for f in reversed(facts) if f.is_generator), None)  # by custom Gs, the one to draw with
    d = next((f for f in facts if f.is_discriminator), None)
    main = g or d or facts[0]
    return {
        "generation": _generation(main),
        "config": _config(g, d),
        "resolution": main.resolution(),
        "channels": main.channels(),
        "label_size": main.label_size(),
        **(g.latents() if g else dict.fromkeys(("latent_size", "dlatent_size", "num_styles", "mapping_layers"))),
        "lod": main.lod(),
        "networks": [f.as_dict() for f in facts],
        "source_characters": sorted({len(text) for f in facts for text in f.sources() if text}, reverse=True),
        "executed": False,
    }


class _Facts:
    """One network, looked at."""

    def __init__(self, record):
        self.record, self.variables = record, record.all_variables()
        self.func = record.func.rpartition(".")[2]
        self.is_generator, self.is_discriminator = self.func.startswith("G_"), self.func.startswith("D_")
        self.keywords = dict(record.static_kwargs)
        for component in record.components.values():
            self.keywords = {**component.static_kwargs, **self.keywords}
        self.parts = {part: component.func.rpartition(".")[2] for part, component in record.components.items()}
        self.synthesis = self.parts.get("synthesis", self.keywords.get("synthesis_func"))
        self.is_ada = self.func == "D_main" or (self.func == "G_main" and self.synthesis == "G_synthesis")

    def as_dict(self):
        known = KEYWORDS.get(self.func, frozenset())
        counts = {name: math.prod(array.shape) for name, array in self.variables.items()}
        return {
            "name": self.record.name,
            "func": self.func,
            "parts": self.parts,
            "architecture": self.architecture(),
            "parameters": sum(count for name, count in counts.items() if not _UNTRAINED.search(name)),
            "scalars": sum(counts.values()),
            "variables": len(counts),
            "keywords": {name: value for name, value in self.keywords.items() if name in known},
            "unknown_keywords": {name: value for name, value in self.keywords.items() if name not in known},
        }

    def sources(self):
        return [record.source for record in (self.record, *self.record.components.values())]

    def shape(self, pattern):
        """Shape of the first variable whose name ends like this regular expression; () where there is none."""
        found = (array.shape for name, array in self.variables.items() if re.search(f"(^|/){pattern}$", name))
        return next(found, ())

    def has(self, pattern):
        return any(re.search(f"(^|/){pattern}", name) for name in self.variables)

    def number(self, keyword):
        value = self.keywords.get(keyword)
        return value if type(value) is int else None

    # ---- sizes

    def resolution(self):
        """[width, height], None where nothing tells."""
        sides = [int(m[1]) for name in self.variables for m in re.finditer(r"(?:^|/)(\d{1,5})x\1/", name)]
        side = max(sides, default=self.number("resolution"))
        start = self.shape("4x4/Const/const")  # [1, C, H, W]; forks begin with other sizes
        if side and len(start) == 4:
            return [side // 4 * start[3], side // 4 * start[2]]
        return [side, side] if side else None

    def channels(self):
        to_rgb, from_rgb = self.shape(r"ToRGB(_lod\d+)?/weight"), self.shape(r"FromRGB(_lod\d+)?/weight")
        if len(to_rgb) == 4:
            return to_rgb[3]
        return from_rgb[2] if len(from_rgb) == 4 else self.number("num_channels")

    def label_size(self):
        weight = self.shape("Label(Concat|Embed)/weight")
        return weight[0] if len(weight) == 2 else self.number("label_size") or 0

    def latents(self):
        dense, average = self.shape(r"Dense0/weight"), self.shape("dlatent_avg")
        labels, embedded = self.shape("LabelConcat/weight"), self.shape("LabelEmbed/weight")
        latent_size = self.number("latent_size")
        if self.func == "G_paper":
            dense = self.shape("4x4/Dense/weight")
            latent_size = dense[0] - self.label_size() if len(dense) == 2 else latent_size
        elif len(labels) == 2:
            latent_size = labels[1]
        elif len(dense) == 2:
            latent_size = dense[0] - (embedded[1] if len(embedded) == 2 else 0)
        side = max(self.resolution() or [0])
        layers = {m[0] for name in self.variables if (m := re.search(r"(?<=/)Dense\d+(?=/weight$)", name))}
        has_styles = self.func != "G_paper"
        return {
            "latent_size": latent_size,
            "dlatent_size": average[0] if len(average) == 1 else None,
            "num_styles": 2 * side.bit_length() - 4 if side > 3 and has_styles else None,
            "mapping_layers": len(layers) if has_styles else None,
        }

    def lod(self):
        """Level of detail that a progressively grown network stands at, None for others."""
        value = self.variables.get("lod")
        if value is None or value.size != 1 or not self.has(r"(To|From)RGB_lod\d"):
            return None
        return float(value.reshape(-1)[0])

    # ---- kinds

    def architecture(self):
        """ "orig", "skip" or "resnet"; "grown" where layers fade in."""
        if self.has(r"(To|From)RGB_lod\d"):
            return "grown"
        if self.has("Skip/weight"):
            return "resnet"
        return "skip" if self.has("4x4/(To|From)RGB/weight") else "orig"

    def fmap_base(self):
        """As the keyword, else from the width of the layers at full resolution; None where `fmap_max` has cut that."""
        side = max(self.resolution() or [0])
        for name, axis in (("Conv1", 3), ("Conv0", 2)):  # the last of a generator, the first of a discriminator
            shape = self.shape(f"{side}x{side}/{name}/weight")
            if self.number("fmap_base") is None and len(shape) == 4 and shape[axis] != (self.number("fmap_max") or 512):
                return shape[axis] * side // 2
        return self.number("fmap_base")


def _generation(facts):
    record = facts.record
    if record.origin in _FAMILIES:
        return _FAMILIES[record.origin]
    if facts.func in ("G_paper", "D_paper"):
        kind = "ProGAN"
    elif facts.func in ("G_style", "D_basic"):
        kind = "StyleGAN1" if record.version < 4 else "StyleGAN2 config a (StyleGAN1's networks)"
    elif facts.is_ada:
        kind = "StyleGAN2-ADA"
    elif facts.func == "D_stylegan" or facts.synthesis == "G_synthesis_stylegan_revised":
        kind = "StyleGAN2 configs b-d"
    elif facts.func in ("G_main", "D_stylegan2"):
        kind = "StyleGAN2 configs e-f"
    else:
        kind = f"unknown kind {facts.func!a}"
    return f"{kind} (TensorFlow pickle version {record.version})"


def _config(g, d):
    """What the networks' authors called a configuration with such networks; None where they named none."""
    main = g or d
    if main is None or main.func in ("G_paper", "D_paper"):
        return None
    if main.func in ("G_style", "D_basic") and main.record.version < 4:
        return None  # the first StyleGAN had one
    if main.is_ada and main.record.origin != "rosinality":
        return _ada_config(g, d)
    kinds = [name for name, preset in PRESETS.items() if _is_like(preset, g, d)]
    if "config-e" in kinds:  # by another name config-e-Gskip-Dresnet; without a discriminator the likelier ones
        kinds = [name for name in kinds if not name.startswith("config-e-")]
    exact = [name for name in kinds if PRESETS[name].fmap_base == main.fmap_base()]
    expected = {"fmap_max": 512, "latent_size": 512, "dlatent_size": 512, "mapping_layers": 8}
    found = {name: main.number(name) for name in expected} | (g.latents() if g else {})
    others = [f"{name}={found[name]}" for name in expected if found[name] not in (None, expected[name])]
    if not exact and main.fmap_base() is not None:
        others.insert(0, f"fmap_base={main.fmap_base()}")
    return _guess(exact or kinds, others)


def _is_like(preset, g, d):
    for facts, func, architecture in (
        (g, preset.G_func, preset.G_kwargs.get("architecture", "grown")),
        (d, preset.D_func, preset.D_kwargs.get("architecture", "grown")),
    ):
        if facts is None:
            continue
        found = "D_stylegan2" if facts.func == "D_main" else facts.func  # records of rosinality's have ADA's names
        if (found, facts.architecture()) != (func, architecture):
            return False
    return True


def _ada_config(g, d):
    main = g or d
    layers = g.latents()["mapping_layers"] if g else None
    group = d.number("mbstd_group_size") if d else None
    asked = (main.fmap_base(), layers, group, d.architecture() if d else None)
    side = max(main.resolution() or [0])
    configs = {
        "auto": (16384 if side >= 512 else 8192, 2, group if group in (1, 2, 4) else 4, "resnet"),
        **_ADA_CONFIGS,
    }
    if main.record.origin != "dnnlib":
        configs["cifar"] = (16384, 2, 32, "orig")
        del configs["cifarbaseline"]
    named = [name for name, config in configs.items() if all(a in (None, c) for a, c in zip(asked, config))]
    names = ("fmap_base", "mapping_layers", "mbstd_group_size", "D architecture")
    return _guess(named, [] if named else [f"{name}={value}" for name, value in zip(names, asked) if value is not None])


def _guess(names, others):
    if not others:
        return " or ".join(names)
    return f"{' or '.join(names)}, but with {', '.join(others)}" if names else f"its own: {', '.join(others)}"
