"""run_generator's pictures: `generate-images` and `style-mixing-example` (F6)."""

import os

import numpy as np
from tqdm import tqdm

from tf_stylegan import cli
from tf_stylegan.commands.options import (
    SOURCES,
    STYLES,
    add_drawing_options,
    check_files_only,
    file_name,
    open_painter,
    output_folder,
    say,
)
from tf_stylegan.pictures.latents import parse_keyframes, parse_seeds, parse_styles
from tf_stylegan.pictures.sheets import FORMATS, Sheet, check_picture, save_picture

DEFAULT_STYLES = "0-6"  # as far as the network has them


def add_commands(commands):
    """Adds the sub-commands; `commands` as `add_subparsers` returns it."""
    images = commands.add_parser("generate-images", help="one picture per seed", allow_abbrev=False)
    add_drawing_options(images)
    wanted = images.add_mutually_exclusive_group(required=True)
    wanted.add_argument("--seeds", metavar="LIST", help="for example 0,1,66-70")
    wanted.add_argument(
        "--dlatents",
        metavar="FILE",
        type=file_name,
        help="latents w, .npz or .npy, in place of seeds; drawn as they are",
    )
    cli.add_switch(images, "--grid", "--create-grid", help="also write one sheet of all pictures, grid")
    _add_format(images)
    images.set_defaults(run=generate_images)

    mixing = commands.add_parser(
        "style-mixing-example", help="a sheet of rows' pictures with styles of the columns'", allow_abbrev=False
    )
    add_drawing_options(mixing, truncation_psi=0.5, noise_mode="const", noise_help=", as the original's")
    mixing.add_argument("--row-seeds", required=True, metavar="LIST", help=SOURCES)
    mixing.add_argument("--col-seeds", required=True, metavar="LIST", help=SOURCES)
    add_styles(mixing, "styles that come from the column")
    _add_format(mixing)
    mixing.set_defaults(run=style_mixing_example)


def add_styles(parser, what):
    """`--col-styles`; `what` says of what."""
    parser.add_argument("--col-styles", metavar="LIST", help=f"{what}: {STYLES} (default: {DEFAULT_STYLES})")


def _add_format(parser):
    parser.add_argument("--format", default="png", choices=list(FORMATS), help="of the files (default: %(default)s)")


def styles_of(args, painter):
    """Numbers of the styles that `--col-styles` names."""
    if args.col_styles is None:
        return [style for style in parse_styles(DEFAULT_STYLES, 10**6) if style < painter.num_layers]
    return parse_styles(args.col_styles, painter.num_layers)


def generate_images(args):
    """Draws a picture of each seed, or of each w of a file."""
    seeds = None if args.seeds is None else parse_seeds(args.seeds)
    if seeds is None:
        check_files_only(args, ("--class", args.class_index))
    painter = open_painter(args, seeds is not None)
    from tf_stylegan import images
    from tf_stylegan.pictures.latents import read_dlatents

    if seeds is None:
        if painter.noise_mode == "seed":
            painter = painter.variant(noise_mode="const")  # the same pictures, without a graph for noise of seeds
        latents = read_dlatents(args.dlatents, painter.num_layers, painter.w_size)
        names = [f"dlatent{number:02d}" for number in range(len(latents))]
        parts = range(0, len(latents), painter.batch_size)
        drawn = (picture for i in parts for picture in painter.draw(latents[i : i + painter.batch_size]))
    else:
        names = [f"seed{seed:04d}" for seed in seeds]
        drawn = (picture for _, picture in painter.seed_pictures(seeds))
    painter.prepare(len(names))
    shape = painter.picture_shape
    check_picture(1, 1, shape, args.format)
    columns, rows = images.grid_size(len(names))
    if args.grid:
        check_picture(columns, rows, shape, args.format)
    with output_folder(args) as folder:
        sheet = Sheet(columns, rows, shape) if args.grid else None
        bar = tqdm(zip(names, drawn), "pictures", len(names), disable=None, leave=False)
        for cell, (name, picture) in enumerate(bar):
            _save(folder, name, picture, args.format)
            if sheet:
                sheet.put(cell, picture)
        if sheet:
            _save(folder, "grid", sheet.pixels, args.format)


def style_mixing_example(args):
    """Draws rows' pictures with styles of the columns', and a sheet of all."""
    rows = parse_keyframes(args.row_seeds, "--row-seeds")
    columns = parse_keyframes(args.col_seeds, "--col-seeds")
    if args.col_styles is not None:
        parse_styles(args.col_styles)
    painter = open_painter(args)
    from tf_stylegan.pictures.sources import check_noise, noise_in_cells, noise_of, sources_of_each, truncated

    styles = styles_of(args, painter)
    rows, columns = sources_of_each(painter, *(list(dict.fromkeys(sources)) for sources in (rows, columns)))
    check_noise(painter, len(columns))
    wide, shape = len(columns) + 1, painter.picture_shape
    check_picture(wide, len(rows) + 1, shape, args.format)
    w_rows, w_columns = truncated(painter, rows), truncated(painter, columns)
    # Line by line: names, w, sources of the noise (one for all, or each its own). The first is the columns themselves.
    lines = [([f"{column.name}-{column.name}" for column in columns], w_columns, columns)]
    for row, w_row in zip(rows, w_rows):
        w = np.concatenate([w_row[None], np.tile(w_row, [len(columns), 1, 1])])
        w[1:, styles] = w_columns[:, styles]
        lines.append(([f"{row.name}-{name}" for name in (row.name, *(c.name for c in columns))], w, [row]))
    with output_folder(args) as folder:
        sheet, saved = Sheet(wide, len(lines), shape), set()
        for number, (names, w, sources) in enumerate(tqdm(lines, "rows", disable=None, leave=False)):
            pictures = painter.draw(w, noise_in_cells([noise_of(painter, source) for source in sources])(1))
            for column, (name, picture) in enumerate(zip(names, pictures), start=wide - len(names)):
                sheet.put(number * wide + column, picture)
                if name not in saved:  # a seed may be both a row's and a column's
                    _save(folder, name, picture, args.format)
                    saved.add(name)
        _save(folder, "grid", sheet.pixels, args.format)


def _save(folder, name, picture, form):
    path = os.path.join(folder, f"{name}.{form}")
    save_picture(path, picture)
    say(path)
