"""Makes the README's gallery, docs/gallery/, from a network with the commands of run_generator: `make gallery`.

`python tools/make_gallery.py NETWORK FOLDER`: a sheet of seeds, one row for each class if there are any; a style mix; a
strip of an edit; a film. Small pictures are enlarged in squares, so that a web page does not blur them.
"""

import argparse
import os
import subprocess
import sys
import tempfile

import numpy as np
import PIL.Image

from tf_stylegan import cli, files, images

SHOWN_PIXELS = 96  # at least, the side of a picture


def draw(folder, command, *options):
    """Runs a command of run_generator, as a user would; ends with its exit code if it fails."""
    program = sys.executable, "-m", "tf_stylegan.run_generator"
    done = subprocess.run([*program, command, *options, f"--outdir={folder}"], stdout=subprocess.DEVNULL)
    if done.returncode:
        sys.exit(done.returncode)


def enlarged(path, out, factor):
    """Writes a picture or a GIF again, every pixel a square of `factor` pixels."""
    with PIL.Image.open(path) as image:
        frames = []
        for number in range(getattr(image, "n_frames", 1)):
            image.seek(number)
            size = [side * factor for side in image.size]
            frames.append(image.convert("L" if image.mode == "L" else "RGB").resize(size, PIL.Image.Resampling.NEAREST))
        more = {}
        if len(frames) > 1:
            more = {"save_all": True, "append_images": frames[1:], "duration": image.info["duration"], "loop": 0}
        with files.atomic_write(out) as file:
            frames[0].save(file, os.path.splitext(out)[1][1:], optimize=True, **more)


def make_gallery(network, folder):
    """Writes seeds.png, style-mixing.png, edit.png and lerp.webp into `folder`."""
    cli.load_tensorflow()
    from tf_stylegan.legacy.networks import load_generator

    Gs = load_generator(network)
    factor = max(1, SHOWN_PIXELS // Gs.resolution)
    classes = [[f"--class={number}"] for number in range(min(Gs.label_size, 10))] or [[]]
    common = f"--network={network}"
    files.make_dir(folder)
    with tempfile.TemporaryDirectory() as work:
        pictures = []
        for number, chosen in enumerate(classes):
            draw(f"{work}/{number}", "generate-images", common, *chosen, "--seeds=0-9", "--truncation-psi=0.8")
            pictures += [np.atleast_3d(PIL.Image.open(f"{work}/{number}/seed{seed:04d}.png")) for seed in range(10)]
        images.save_png(f"{work}/seeds.png", images.make_grid(pictures, columns=10))
        some = classes[1 % len(classes)]
        # Of such small pictures the coarse styles decide nearly everything: half of them leave both parents to be seen.
        mix = "--row-seeds=0-2", "--col-seeds=10-17", "--col-styles=0-1", "--truncation-psi=1"
        draw(f"{work}/mix", "style-mixing-example", common, *some, *mix)
        some = classes[4 % len(classes)]
        draw(f"{work}/edit", "edit", common, *some, "--seeds=1-3", "--direction=0", "--strength=-3..3", "--steps=9")
        some = classes[2 % len(classes)]
        film = "--seeds=0-7", "--grid-w=8", "--grid-h=1", "--duration-sec=4", "--fps=12", "--format=gif"
        draw(f"{work}/film", "lerp-video", common, *some, *film)
        (gif,) = (name for name in os.listdir(f"{work}/film") if name.endswith(".gif"))
        made = {
            "seeds.png": "seeds.png",
            "mix/grid.png": "style-mixing.png",
            "edit/edit.png": "edit.png",
            f"film/{gif}": "lerp.webp",  # a third of the bytes of a GIF
        }
        for name, final in made.items():
            enlarged(f"{work}/{name}", os.path.join(folder, final), factor)


def main(argv=None):
    parser = cli.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("network")
    parser.add_argument("folder")
    args = parser.parse_args(argv)
    make_gallery(args.network, args.folder)


if __name__ == "__main__":
    sys.exit(cli.run(main))
