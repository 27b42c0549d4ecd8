"""What is where on the page (F6; Gradio)."""

import gradio as gr

from tf_stylegan.explore import markup
from tf_stylegan.explore.session import enlargement
from tf_stylegan.explore.settings import OWN_RANGE
from tf_stylegan.pictures import walks
from tf_stylegan.pictures.latents import NOISE_MODES, STYLE_NAMES

# Of all events. Values come as they are: Gradio would refuse some with a traceback, settings.py says why in one line.
QUIET = {"api_visibility": "private", "show_progress": "hidden", "preprocess": False}
_NOISE_WORDS = {"seed": "Of the seed", "const": "As stored", "random": "New each time", "none": "None"}
_PACES = {"smooth": "Rest at each", "smoother": "Rest longer", "linear": "Even"}

# In the browser, without asking the server: (seed) => seed.
_PREVIOUS = "seed => Math.max(0, Math.round(seed || 0) - 1)"
_NEXT = "seed => Math.min(4294967295, Math.round(seed ?? -1) + 1)"
_RANDOM = "() => Math.floor(Math.random() * 1000000)"


class Layout:
    """The components of the page for one Explorer.

    Attributes:
        blocks: what Gradio serves.
        controls: {name of an argument of `Explorer.settings`: component}.
        sliders: those of the directions, group after group.
        the others: single components.
    """

    def __init__(self, explorer):
        self.explorer = explorer
        height, width, _ = explorer.picture_shape
        self.size, self.times = (width, height), enlargement(height, width)
        self.controls, self.sliders, self.film_options = {}, [], []
        with (
            gr.Blocks(title=f"{explorer.name} · explore", analytics_enabled=False, fill_width=True) as self.blocks,
            gr.Row(elem_id="bench"),
        ):
            with gr.Column(elem_id="look", min_width=0):
                self._picture()
            with gr.Column(elem_id="controls", min_width=0):
                self._always()
                self._tabs()

    @property
    def inputs(self):
        """All components that decide the picture."""
        return [*self.controls.values(), *self.sliders]

    def _picture(self):
        self.view = gr.HTML(elem_id="view", js_on_load=None)
        with gr.Row(elem_id="under"):
            self.note = gr.HTML(elem_id="note", js_on_load=None)
            self.keep = gr.Button("Keep for film", size="sm", min_width=0, scale=0)
            self.links = gr.HTML(elem_id="links", js_on_load=None)

    def _always(self):
        width, height = self.size
        facts = [f"{width} × {height} pixels"]
        facts += [f"{self.explorer.num_layers} styles"] * (self.explorer.num_layers > 0)
        facts += [f"{self.explorer.label_size} classes"] * (self.explorer.label_size > 0)
        gr.HTML(markup.header(self.explorer.name, ", ".join(facts)), js_on_load=None)
        self._seed("seed", "Seed", 0)
        if self.explorer.label_size:
            label = f"Class (0–{self.explorer.label_size - 1}, empty for none)"
            self.controls["class_index"] = gr.Number(0, label=label, step=1, elem_id="class")
        if self.explorer.has_w:
            psi = self.explorer.psi
            self.controls["psi"] = gr.Slider(
                min(-1, psi), max(1.5, psi), psi, step=0.01, label="Truncation psi", elem_id="psi",
                info="0 is the average picture, 1 the whole variety",
            )  # fmt: skip

    def _tabs(self):
        with gr.Tabs(elem_id="tabs"):
            if self.explorer.groups:
                with gr.Tab("Directions"):
                    self._directions()
            if self.explorer.has_w:
                with gr.Tab("Mixing"):
                    self._mixing()
            with gr.Tab("Film"):
                self._film()
            if self.explorer.has_w:
                with gr.Tab("More"):
                    self._more()

    def _seed(self, name, label, value):
        with gr.Row(elem_classes="beside"):
            seed = gr.Number(value, label=label, step=1, elem_id=name, min_width=96, scale=2)
            for words, classes, script in [
                (f"Previous {label.lower()}", ["arrow"], _PREVIOUS),
                (f"Next {label.lower()}", ["arrow", "next"], _NEXT),
                ("Random", [], _RANDOM),
            ]:
                button = gr.Button(words, size="sm", elem_classes=classes, min_width=40, scale=0)
                button.click(None, seed, seed, js=script, **QUIET)
        self.controls[name] = seed

    def _directions(self):
        gr.HTML(markup.facts("What changes the picture most, strongest first; the tabs add up."), js_on_load=None)
        with gr.Tabs():
            for group in self.explorer.groups:
                with gr.Tab(group.capitalize()):
                    for number in range(self.explorer.sliders):
                        label = f"{group.capitalize()} {number}"
                        slider = gr.Slider(-5, 5, 0, step=0.1, label=label, elem_id=f"direction-{group}-{number}")
                        self.sliders.append(slider)
        reset = gr.Button("Back to 0", size="sm")
        reset.click(None, None, self.sliders, js=f"() => {[0] * len(self.sliders)}", **QUIET)

    def _mixing(self):
        last = self.explorer.num_layers - 1
        self.controls["mix"] = gr.Checkbox(False, label="Mix in styles of a second seed", elem_id="mix")
        self._seed("mix_seed", "Second seed", 1)
        choices = markup.range_names(last + 1, STYLE_NAMES)
        which = gr.Radio(choices, value=choices[0][1], label="Which styles", elem_id="mix_range")
        with gr.Row(visible=False) as own:
            first = gr.Number(0, label="From style", step=1, elem_id="mix_first", min_width=96)
            second = gr.Number(last, label="To style", step=1, elem_id="mix_last", min_width=96)
        self.controls.update(mix_range=which, mix_first=first, mix_last=second)
        self.second = gr.HTML(elem_id="second", js_on_load=None)
        which.change(lambda name: gr.update(visible=name == OWN_RANGE), which, own, queue=False, **QUIET)

    def _film(self):
        gr.HTML(markup.facts("A walk from picture to picture, in this order."), js_on_load=None)
        self.kept, self.added = gr.State(()), gr.State(())
        self.kept_view = gr.HTML(markup.kept_list([]), elem_id="kept", js_on_load=markup.KEPT_SCRIPT)
        with gr.Row(elem_classes="beside"):
            self.seeds = gr.Textbox(label="Seeds to add", placeholder="3, 17, 20-22", elem_id="seeds", min_width=96)
            self.add = gr.Button("Add", size="sm", min_width=40, scale=0)
            self.clear = gr.Button("Clear all", size="sm", min_width=40, scale=0)
        paces = [(_PACES[name], name) for name in walks.EASINGS if name in _PACES]
        self.film_options += [
            gr.Slider(0.2, 10, 2, step=0.1, label="Seconds from one to the next", elem_id="seconds"),
            gr.Radio([24, 30, 60], value=30, label="Frames per second", elem_id="fps"),
            gr.Radio(paces, value="smooth", label="Pace", elem_id="ease"),
        ]
        with gr.Row():
            self.film_options += [
                gr.Checkbox(True, label="Loop", elem_id="loop", min_width=80),
                gr.Checkbox(self.times > 1, label=f"Enlarge {self.times}×", visible=self.times > 1, min_width=80),
            ]
        with gr.Row():
            self.make = gr.Button("Make the film", variant="primary", size="sm")
            self.stop = gr.Button("Stop", size="sm")
        self.film_view = gr.HTML(elem_id="film", js_on_load=None)

    def _more(self):
        noise = [(_NOISE_WORDS.get(mode, mode), mode) for mode in NOISE_MODES]
        self.controls["noise_mode"] = gr.Radio(noise, value="seed", label="Noise", elem_id="noise")
        layers, cutoff = self.explorer.num_layers, self.explorer.cutoff
        self.controls["cutoff"] = gr.Slider(
            0, layers, layers if cutoff is None else min(cutoff, layers), step=1, elem_id="cutoff",
            label="Truncation cutoff", info="how many styles psi acts on, from the coarsest",
        )  # fmt: skip
