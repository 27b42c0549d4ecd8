"""What the controls of the page say, checked: values of any kind in, Settings or one readable line out (F6)."""

import dataclasses

from tf_stylegan.errors import UserError
from tf_stylegan.pictures import latents
from tf_stylegan.pictures.latents import NOISE_MODES

LARGEST_SEED = 2**32 - 1
OWN_RANGE = "from–to"  # the choice beside coarse, middle and fine


@dataclasses.dataclass(frozen=True)
class Settings:
    """Everything that decides a picture; two that are equal draw the same one, unless the noise is random.

    Attributes:
        seed: of the picture.
        psi, cutoff: truncation; cutoff None for all styles.
        noise_mode, class_index: as `Painter`.
        mix_seed: seed that `mix_styles`, a tuple of numbers, come from; None for no mixing.
        moves: ((group of directions, number of direction, strength), …) without strengths of 0.
    """

    seed: int
    psi: float | None = None
    cutoff: int | None = None
    noise_mode: str = "seed"
    class_index: int | None = None
    mix_seed: int | None = None
    mix_styles: tuple = ()
    moves: tuple = ()

    @property
    def words(self):
        """For people: `seed 7, mixed with seed 12, edited`."""
        mixed = "" if self.mix_seed is None else f", mixed with seed {self.mix_seed}"
        return f"seed {self.seed}{mixed}{', edited' if self.moves else ''}"

    @property
    def name(self):
        """For files, as `generate-images` names pictures: `seed0007`, `seed0007-mix0012-edited`."""
        mixed = "" if self.mix_seed is None else f"-mix{self.mix_seed:04d}"
        return f"seed{self.seed:04d}{mixed}{'-edited' if self.moves else ''}"


def whole_number(value, what, least, most):
    """`value` as an int; UserError in words that begin with `what` unless it is one in range."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and value == value
    if not is_number or not least <= value <= most or value != int(value):
        got = "nothing" if value is None or value == "" else value
        raise UserError(f"{what} must be a whole number from {least} to {most}, got {got}")
    return int(value)


def real_number(value, what, least, most):
    """`value` as a float, likewise."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not least <= value <= most:
        got = "nothing" if value is None or value == "" else value
        raise UserError(f"{what} must be a number from {least} to {most}, got {got}")
    return float(value)


def seeds_of(text, most):
    """`"3, 7-9"` to `[3, 7, 8, 9]`, in the order given; UserError for what is none, or more than `most`."""
    try:
        seeds = latents.parse_seeds(text or "", "Seeds", in_order=True)
    except UserError as error:
        raise UserError(str(error).replace(f"Seeds={text or ''}", "Seeds", 1)) from error
    if len(seeds) > most:
        raise UserError(f"That is {len(seeds)} seeds; there is room for {most} more")
    return seeds


def mixed_styles(name, first, last, num_layers):
    """The numbers of the styles that are mixed in.

    Args:
        name: coarse, middle, fine, or OWN_RANGE for those from `first` to `last`.
        num_layers: how many styles the network has.
    """
    if name != OWN_RANGE:
        return tuple(latents.parse_styles(name, num_layers, "Styles"))
    first = whole_number(first, "The first style", 0, num_layers - 1)
    last = whole_number(last, "The last style", 0, num_layers - 1)
    if last < first:
        raise UserError(f"The styles must go upwards, got {first} to {last}")
    return tuple(range(first, last + 1))


def check_noise_mode(mode):
    """`mode`; UserError unless it is one of NOISE_MODES."""
    if mode not in NOISE_MODES:
        raise UserError(f"The noise must be one of {', '.join(NOISE_MODES)}, got {mode}")
    return mode


def class_number(value, label_size):
    """The class, None for none; UserError unless the network has it."""
    if value is None or value == "":
        return None
    if not label_size:
        raise UserError("This network has no classes")
    return whole_number(value, "The class", 0, label_size - 1)
