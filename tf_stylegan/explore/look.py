"""How the page looks: colours of both schemes, the place of the picture, narrow screens (F6; Gradio)."""

import gradio as gr

_FONTS = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif")  # of the machine: none is fetched
_MONO = ("ui-monospace", "Consolas", "monospace")


def theme():
    """Gradio's theme of the page."""
    base = gr.themes.Base(
        primary_hue="indigo", secondary_hue="indigo", neutral_hue="zinc", spacing_size="sm", text_size="md",
        font=_FONTS, font_mono=_MONO,
    )  # fmt: skip
    return base.set(
        body_background_fill="*neutral_50",
        body_background_fill_dark="*neutral_950",
        body_text_color_subdued="*neutral_600",
        body_text_color_subdued_dark="*neutral_400",
        block_info_text_color="*neutral_600",
        block_info_text_color_dark="*neutral_400",
        block_label_text_color="*neutral_800",
        block_label_text_color_dark="*neutral_200",
        block_title_text_color="*neutral_800",
        block_title_text_color_dark="*neutral_200",
    )


# The picture stays in sight: beside the controls, on narrow screens above them. Gradio frames and pads every control;
# here they stand on the page itself, so that the picture is the only thing with an edge.
CSS = """
.gradio-container { max-width: 1500px !important; margin: 0 auto !important; padding: 0 !important; width: 100%;
  overflow: visible !important; }
.gradio-container .main, .gradio-container main { padding: 0 !important; }
#bench { display: grid; grid-template-columns: minmax(0, 1fr) 26rem; gap: 2.5rem; align-items: start;
  padding: 1.5rem; }
#look { position: sticky; top: 1.5rem; gap: .5rem; width: 100%; min-width: 0 !important; }
#controls { gap: 1rem; width: 100%; min-width: 0 !important; }
#bench .block, #bench .form { background: none; border: 0; padding: 0; box-shadow: none; border-radius: 0;
  overflow: visible !important; }
#bench .form { gap: 1rem; }
#bench .html-container { padding: 0; }
#bench .tabitem { padding: .25rem 0 0; border: 0; }
#bench .tabitem > .column { gap: 1rem; }

header h1 { font-size: 1.25rem; line-height: 1.3; font-weight: 600; margin: 0; overflow-wrap: anywhere; }
.subdued { color: var(--body-text-color-subdued); font-size: .875rem; line-height: 1.4; margin: 0; }
.problem { color: #b91c1c; font-size: .875rem; line-height: 1.4; font-weight: 600; margin: 0; overflow-wrap: anywhere; }
.dark .problem { color: #fca5a5; }

/* The picture: as large as fits; where it is enlarged, in squares. */
figure { margin: 0; }
.stage { --high: calc(100dvh - 8.5rem); display: flex; justify-content: center; }
.stage img { --room: min(100%, calc(var(--high) * var(--ratio))); width: min(var(--room), var(--wide));
  aspect-ratio: var(--ratio); height: auto; margin: 0; border-radius: 4px;
  background: var(--background-fill-secondary); }
.stage img.squares { width: var(--room); width: max(round(down, min(var(--room), 1024px), var(--wide)), var(--wide)); }
img.squares, video.squares { image-rendering: pixelated; }
#under { display: flex; flex-wrap: wrap; align-items: center; justify-content: center; gap: .5rem; }
#under > * { flex: 0 0 auto !important; width: auto !important; min-width: 0 !important; }
#under > #note { flex: 0 0 100% !important; text-align: center; min-height: 1.4em; }

/* Said only of networks that take their time. */
#note:has(.progress-text) .subdued::after { content: " · drawing …"; opacity: 0; animation: appear .2s .5s forwards; }
@keyframes appear { to { opacity: 1; } }

/* Buttons, and links that look like them. */
.links { display: flex; flex-wrap: wrap; gap: .5rem; margin: 0; }
#bench button.sm, .download { display: inline-flex; align-items: center; justify-content: center; min-height: 2.25rem;
  padding: 0 .875rem; font-size: .875rem; line-height: 1; font-weight: 500; white-space: nowrap; width: auto;
  border-radius: 6px; background: var(--button-secondary-background-fill); align-self: flex-start;
  color: var(--button-secondary-text-color) !important; text-decoration: none !important; }
#bench button.sm:hover, .download:hover { background: var(--button-secondary-background-fill-hover); }
#bench button.primary { background: var(--button-primary-background-fill);
  color: var(--button-primary-text-color) !important; }
#bench button.primary:hover { background: var(--button-primary-background-fill-hover); }
#bench :focus-visible { outline: 2px solid var(--color-accent) !important; outline-offset: 2px; }

/* A field with buttons beside it. */
.beside { display: flex; flex-wrap: nowrap; align-items: flex-end !important; gap: .375rem; }
.beside > .form { flex: 1 1 0 !important; min-width: 0 !important; }
#bench .beside > button { flex: 0 0 auto !important; min-height: 2.5rem; align-self: flex-end; }
/* ‹ and › in place of words, which screen readers still read. */
#bench button.arrow { font-size: 0; }
button.arrow::before { font-size: 1.125rem; content: "‹"; content: "‹" / ""; }
button.arrow.next::before { content: "›"; content: "›" / ""; }
.beside input, .beside textarea { min-height: 2.5rem; }

/* The list of pictures of the film. */
.kept { list-style: none !important; display: flex; flex-wrap: wrap; gap: .5rem; margin: 0; padding: 2px !important;
  max-height: 16rem; overflow: auto; }
.kept li { display: grid; grid-template-columns: repeat(3, 1fr); width: 5.25rem; margin: 0; padding: 0; }
.kept li::marker { content: none; }
.kept button { min-height: 1.75rem; min-width: 0; padding: 0; margin: 0; border: 0; border-radius: 0;
  background: var(--button-secondary-background-fill); cursor: pointer;
  color: var(--body-text-color); font-size: 1rem; line-height: 1; }
.kept button:disabled { opacity: .35; cursor: default; }
.kept .show { grid-column: 1 / -1; padding: 0; background: none; }
.kept .show img { width: 100%; aspect-ratio: 1; object-fit: contain; image-rendering: pixelated; display: block;
  margin: 0; background: var(--background-fill-secondary); border-radius: 4px 4px 0 0; }
.kept li { overflow: hidden; border-radius: 4px; }
.second { display: flex; gap: .75rem; align-items: center; }
.second img { width: 6rem; margin: 0; border-radius: 4px; }
.film video { width: 100%; border-radius: 4px; background: #000; }
.film .links { margin-top: .5rem; }
.making progress { appearance: none; display: block; width: 100%; height: .5rem; margin-bottom: .375rem; border: 0;
  border-radius: 4px; overflow: hidden; background: var(--button-secondary-background-fill); }
.making progress::-webkit-progress-bar { background: var(--button-secondary-background-fill); }
.making progress::-webkit-progress-value { background: var(--color-accent); }
.making progress::-moz-progress-bar { background: var(--color-accent); }

@media (max-width: 820px) {
  #bench { display: flex; flex-direction: column; align-items: stretch; gap: .75rem; padding: 0 1rem 1rem; }
  #look { display: contents; }
  #view { position: sticky; top: 0; z-index: 100; padding: .75rem 0 .25rem !important;
    background: var(--body-background-fill) !important; }
  .stage { --high: 36dvh; }
  #note .problem { position: fixed; inset: auto 0 0 0; z-index: 101; padding: .75rem 1rem;
    background: var(--background-fill-primary); border-top: 1px solid var(--border-color-primary); }
}
@media (prefers-reduced-motion: reduce) { * { transition: none !important; animation-duration: 1ms !important; } }
"""
