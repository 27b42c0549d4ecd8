"""Writes docs/configs.md from the table of presets: `python tools/write_config_docs.py` (a test keeps it current)."""

from pathlib import Path

from tf_stylegan.config import PRESETS, Options, resolve
from tf_stylegan.training.schedule import stage_at

PAGE = Path(__file__).resolve().parent.parent / "docs" / "configs.md"
HEAD = """# The configurations, resolved

Written by `python tools/write_config_docs.py` from `tf_stylegan/config.py`; do not edit. All at 1024×1024 pixels, three
channels, one GPU. `run_training --dry-run` prints the same for a run of yours, with every other option.

Configs a to f are those of Table 1 of the StyleGAN2 paper, config-e-G…-D… those of Table 2.
"""


def networks_table():
    """One row per preset: what is built and how it is penalised."""
    rows = ["| config | generator | discriminator | fmap_base | R1 γ | path length | lazy | grows |", "|" + "---|" * 8]
    for name in PRESETS:
        config = _resolved(name)
        g = config.G_kwargs.get("architecture") or config.G_kwargs.get("synthesis_func", "G_synthesis (StyleGAN1)")
        d = config.D_kwargs.get("architecture", "")
        flags = (config.loss.g_penalty, config.lazy_regularization, config.growing)
        cells = [name, f"{config.G_func}, {g}", f"{config.D_func}{', ' + d if d else ''}"]
        cells += [config.G_kwargs["fmap_base"], f"{config.loss.gamma:g}", *("yes" if flag else "–" for flag in flags)]
        rows.append(f"| {' | '.join(map(str, cells))} |")
    return rows


def common_lines():
    """What all presets share."""
    config = _resolved("config-f")
    loss = config.loss
    return [
        f"Losses: non-saturating logistic for G, logistic for D, R1. Path length: weight {loss.pl_weight:g}, decay "
        f"{loss.pl_decay:g}, on 1/{loss.pl_minibatch_shrink} of the minibatch. Lazy regularisation: every "
        f"{config.G_reg_interval} steps of G, every {config.D_reg_interval} of D.",
        "",
        f"Adam: β1 {config.adam_beta1:g}, β2 {config.adam_beta2:g}, ε {config.adam_epsilon:g}; under lazy "
        "regularisation every k steps the learning rate is multiplied by k/(k+1), the betas are raised to it. Moving "
        f"average of G: half-life {config.options.ema_kimg:g} kimg. Latents, w and mapping layers: "
        f"{config.options.latent_size} wide, {config.options.mapping_layers} layers. Minibatch standard deviation: "
        f"groups of {config.D_kwargs['mbstd_group_size']}.",
    ]


def schedule_table(name):
    """One row per stage of a run, in the order of training."""
    config = _resolved(name)
    rows = ["| from kimg | resolution | lod | minibatch | per GPU | learning rate | tick kimg |", "|" + "---|" * 7]
    growing = config.growing
    phase = int(growing.training_kimg + growing.transition_kimg) if growing else 0
    starts = [0] if not growing else [k for i in range(8) for k in (i * phase, i * phase + int(growing.training_kimg))]
    for kimg in starts:
        stage = stage_at(config, kimg * 1000 + (1 if kimg else 0))  # a moment into the stage
        fading = growing and kimg % phase
        if growing and stage.lod == 0 and fading:
            break
        lod = f"{stage.lod:.0f}" if not fading else f"{stage.lod:.0f} → {max(stage.lod - 1, 0):.0f}"
        rows.append(
            f"| {kimg} | {stage.resolution} | {lod} | {stage.minibatch_size} | {stage.minibatch_gpu} "
            f"| {stage.learning_rate:g} | {stage.tick_kimg:g} |"
        )
    return rows


def page():
    """The whole page."""
    lines = [HEAD, *networks_table(), "", *common_lines(), "", "## Schedule of configs e and f", ""]
    lines += [*schedule_table("config-f"), "", "## Schedule of configs a to d", ""]
    lines += [
        "Each resolution is trained for `--lod-training-kimg`, then the next fades in over `--lod-transition-kimg`; "
        "Adam starts afresh when layers come in. `--minibatch-size`, `--minibatch-gpu` and `--tick-kimg` given by hand "
        "hold at every resolution.",
        "",
    ]
    return "\n".join([*lines, *schedule_table("config-d"), ""])


def _resolved(name):
    return resolve(Options(data_dir="", dataset="", config=name), 1024, 3, 0)


if __name__ == "__main__":
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page(), encoding="utf-8")
    print(PAGE)
