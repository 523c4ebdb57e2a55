"""The layout of the page: what stands where, and which function answers which event.

In: the handlers. Out: gradio's blocks. This module imports gradio, so ``quiet_gradio.prepare_gradio`` must have run.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from diffir.report.markup import tag
from diffir.web.controls import SOMETIMES, Control, controls_of, shared_controls
from diffir.web.handlers import NOTHING_YET, Handlers

_HERE = Path(__file__).parent
_DEVICE = "device"  # events of this name wait for each other: one restores at a time
_LOOK = "look"
_FORMATS = ("auto", "png", "jpg", "webp", "tif", "avif")
_MOST_SAMPLES = 16


@dataclass(frozen=True)
class Options:
    """The controls for restore options: those of all systems, then those of each system in a group that is shown."""

    controls: list[Control]
    components: list[Any]
    groups: dict[str, Any]
    """The group of each system, by its name."""

    @property
    def sometimes(self) -> list[Any]:
        """The components that only some networks have a use for, in the order of ``SOMETIMES``."""
        by_name = {control.name: one for control, one in zip(self.controls, self.components, strict=True)}
        return [by_name[name] for name in SOMETIMES]


def build_page(handlers: Handlers) -> gr.Blocks:
    """Lay the page out and connect it."""
    with gr.Blocks(title="diffir", analytics_enabled=False, delete_cache=(60, 600)) as page:
        gr.HTML(_heading(handlers))
        with gr.Row(equal_height=False):
            with gr.Column(scale=4, min_width=320):
                drop = gr.File(label="Photos", file_count="multiple", height=130, elem_id="drop")
                list_ = gr.Gallery(
                    label="Photos", show_label=False, columns=4, fit_columns=False, height="auto", buttons=[],
                    allow_preview=False, object_fit="cover", interactive=False, visible=False, elem_id="photos",
                )  # fmt: skip
                with gr.Row():
                    suggest = gr.Button("Suggest a network", size="sm")
                    clear = gr.Button("Remove the photos", size="sm")
                choices = [(one.label, name) for name, one in handlers.networks.choices.items()]
                network = gr.Radio(choices, value=handlers.networks.default, label="What is wrong?", elem_id="network")
                card = gr.HTML(handlers.card(handlers.networks.default), elem_id="card")
                strength = gr.Slider(0, 1, value=1, step=0.05, label="Strength", info="0 is the photo, 1 the result")
                samples = _sample_slider()
                with gr.Accordion("More options", open=False):
                    options = _options(handlers)
                    ext = gr.Dropdown(list(_FORMATS), value="auto", label="Format", info="auto keeps that of the photo")
                    prior_group, prior, save_prior = _prior_controls()
            with gr.Column(scale=7, min_width=320):
                with gr.Group(visible=False, elem_id="painting") as painting:
                    editor = _editor()
                    mask = gr.UploadButton("or take a mask from a file: white where something is missing", size="sm")
                view = gr.HTML(NOTHING_YET, elem_id="view")
                which = gr.Radio([], label="Show", visible=False, elem_id="which")
                with gr.Row():
                    restore = gr.Button("Restore", variant="primary", elem_id="restore", interactive=False)
                    stop = gr.Button("Stop", elem_id="stop", scale=0, min_width=90)
                status = gr.HTML("", elem_id="status", elem_classes="status", min_height=24)
                results = gr.HTML("", elem_id="results")
        shown = [list_, view, which, editor, status, restore, results]
        drop.upload(
            handlers.add, [drop, network], [drop, *shown], concurrency_id=_LOOK, concurrency_limit=2, api_name="add",
            show_progress="minimal", show_progress_on=[drop],
        )  # fmt: skip
        list_.select(handlers.show, [network, editor], [view, which, editor], queue=False, api_visibility="private")
        which.input(handlers.show_result, which, view, queue=False, api_visibility="private")
        clear.click(handlers.clear, None, shown, queue=False, api_name="clear")
        seen = {"concurrency_id": _LOOK, "show_progress_on": [status]}
        suggest.click(handlers.suggest, None, [network, status], api_name="suggest", **seen)
        network.change(
            handlers.choose, network,
            [card, painting, samples, prior_group, editor, view, *options.groups.values(), *options.sometimes],
            concurrency_id=_LOOK, show_progress="hidden", api_visibility="private",
        )  # fmt: skip
        mask.upload(handlers.take_mask, mask, [mask, status], queue=False, api_name="mask")
        restore.click(
            handlers.restorer(options.controls),
            [network, editor, strength, samples, ext, prior, save_prior, *options.components],
            [view, which, status, results], concurrency_id=_DEVICE, concurrency_limit=1, api_name="restore",
            show_progress="full", show_progress_on=[status],
        )  # fmt: skip
        stop.click(handlers.stop, None, status, queue=False, api_name="stop")
        page.unload(handlers.leave)
    return page.queue(max_size=handlers.settings.max_waiting)


def theme() -> gr.themes.Base:
    """Colours and fonts; the fonts are those of the system, so that none is fetched."""
    fonts = ["system-ui", "-apple-system", "Segoe UI", "sans-serif"]
    mono = ["ui-monospace", "Menlo", "monospace"]
    return gr.themes.Default(
        primary_hue="teal", neutral_hue="stone", radius_size="md", font=[*map(gr.themes.Font, fonts)],
        font_mono=[*map(gr.themes.Font, mono)],
    )  # fmt: skip


def head() -> str:
    """The script of the page with the styles of the comparison, for its head."""
    style = json.dumps((_HERE / "compare.css").read_text("utf-8"))
    return f"<script>const COMPARE_STYLE = {style};</script><script>{(_HERE / 'page.js').read_text('utf-8')}</script>"


def css() -> str:
    """The styles of the page."""
    return (_HERE / "page.css").read_text("utf-8")


def _heading(handlers: Handlers) -> str:
    where = "they never leave this computer" if handlers.is_local else "they are removed when you close the page"
    return tag(
        "div",
        tag("h1", "diffir"),
        tag("p", f"Restores photos. The originals stay as they are, and {where}."),
        class_="heading",
    )


def _sample_slider() -> Any:
    return gr.Slider(
        1, _MOST_SAMPLES, value=1, step=1, label="Samples", visible=False,
        info="Several results, their mean, and a map of where they differ",
    )  # fmt: skip


def _prior_controls() -> tuple[Any, Any, Any]:
    """The group of controls for priors, which only networks of DiffIR show, and its two controls."""
    with gr.Column(visible=False) as group:
        prior = gr.File(label="Prior of another photo (.safetensors)", height=120)
        save_prior = gr.Checkbox(False, label="Save the prior of each photo")
    return group, prior, save_prior


def _editor() -> Any:
    brush = gr.Brush(default_size="auto", colors=["#ff2d55"], default_color="#ff2d55", color_mode="fixed")
    return gr.ImageEditor(
        type="numpy", image_mode="RGBA", format="png", sources=[], transforms=[], layers=False, brush=brush,
        eraser=gr.Eraser(), label="Paint over what is missing", interactive=True, elem_id="editor",
        buttons=["fullscreen"], height=480,
    )  # fmt: skip


def _options(handlers: Handlers) -> Options:
    """Controls for the options of all systems, and a group for those of each system."""
    controls: list[Control] = shared_controls()
    components: list[Any] = [_component(control) for control in controls]
    groups: dict[str, Any] = {}
    for name, system in handlers.networks.systems.items():
        own = controls_of(system.restore_options)
        with gr.Group(visible=name == handlers.networks.choices[handlers.networks.default].system) as group:
            components += [_component(control) for control in own]
        groups[name] = group
        controls += own
    return Options(controls, components, groups)


def _component(control: Control) -> Any:
    """The component of gradio for one control."""
    words = {"label": control.label.capitalize(), "info": control.help[:1].upper() + control.help[1:] or None}
    if control.kind == "choice":
        return gr.Dropdown(list(control.choices), value=control.default, **words)
    if control.kind == "switch":
        return gr.Checkbox(bool(control.default), **words)
    if control.kind == "slider":
        return gr.Slider(control.lowest, control.highest, value=control.default, step=0.05, **words)
    if control.kind == "text":
        return gr.Textbox(control.default, **words)
    return gr.Number(
        control.default, precision=0 if control.is_whole else None, minimum=control.lowest, maximum=control.highest,
        **words,
    )  # fmt: skip
