"""What the page does when something is pressed: functions between gradio's components and the photos of a visitor.

In: values of components and the session. Out: updates of components. Errors become sentences on the page. This module
imports gradio, so ``quiet_gradio.prepare_gradio`` must have run.
"""

from collections.abc import Callable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any
from urllib.parse import quote

import gradio as gr

from diffir.diagnosis import Suggestion
from diffir.errors import DiffIRError, ImageError
from diffir.report.markup import Html, join, tag
from diffir.web.controls import Control, changed
from diffir.web.networks import Networks
from diffir.web.restoring import Order, Pace, Stopped, restore_photo, write_zip
from diffir.web.settings import WebSettings, is_loopback
from diffir.web.views import painted_mask, read_mask
from diffir.web.visitors import Outcome, Visitor, VisitorPhoto, Visitors, without_path

NOTHING_YET = tag(
    "div",
    tag("div", tag("p", "Drop photos on the left, say what is wrong with them, and press Restore.")),
    class_="empty",
)
_STOPPED = Outcome(error="stopped")


def address_of(path: Path) -> str:
    """The address of a file in the folder of the page, for a link or a picture."""
    return f"gradio_api/file={quote(path.as_posix())}"


class Handlers:
    """The functions behind the page."""

    def __init__(self, networks: Networks, visitors: Visitors, settings: WebSettings, pictures: Path) -> None:
        """
        Args:
            pictures: folder, inside that of the page, with the pictures of the networks.
        """
        self.networks = networks
        self.settings = settings
        self.is_local = is_loopback(settings.host)
        self._visitors = visitors
        self._pictures = pictures

    def add(self, files: Sequence[str] | None, network: str, request: gr.Request) -> list[Any]:
        """Take dropped files in, and show the first of them; bad ones get a sentence each."""
        visitor = self._visitor(request)
        errors: list[str] = []
        first = len(visitor.photos)
        for file in files or ():
            try:
                visitor.add(Path(file))
            except DiffIRError as error:
                errors.append(str(error))
        visitor.shown = first if len(visitor.photos) > first else visitor.shown
        return [None, *self._all(visitor, network, _sentences(errors))]

    def clear(self, request: gr.Request) -> list[Any]:
        """Forget all photos of the visitor."""
        visitor = self._visitor(request)
        visitor.clear()
        return self._all(visitor, self.networks.default, "")

    def show(self, network: str, painted: Any, event: gr.SelectData, request: gr.Request) -> list[Any]:
        """Show another photo; what was painted on the one before is kept."""
        visitor = self._visitor(request)
        self._keep_painted(visitor, network, painted)
        visitor.shown = int(event.index)
        return [*self._views(visitor, network), self._canvas(visitor, network)]

    def show_result(self, label: str, request: gr.Request) -> Any:
        """Show another result of the same photo."""
        photo = self._visitor(request).photo
        return NOTHING_YET if photo is None else _view_of(photo, label)

    def suggest(self, request: gr.Request) -> list[Any]:
        """Look at the photo that is shown, say what seems wrong, and choose the first network that should help."""
        photo = self._visitor(request).photo
        if photo is None:
            return [gr.skip(), _sentences(["Drop a photo first."])]
        try:
            diagnosis, found = self.networks.suggestions(photo.path, max_pixels=self.settings.max_pixels)
        except DiffIRError as error:
            return [gr.skip(), _sentences([without_path(str(error), photo.path)])]
        findings = ", ".join(finding.text for finding in diagnosis.findings) or "nothing seems wrong"
        helping = [one for one in found if one.networks]
        best = next((one for one in helping if not one.enlarges), None)
        lines = [tag("p", f"{photo.name}: {findings}."), tag("p", _advice(best, helping))]
        return [best.name if best is not None else gr.skip(), join(*lines)]

    def choose(self, network: str, request: gr.Request) -> list[Any]:
        """Show the card, the brush and the options of the chosen network."""
        visitor, choice = self._visitor(request), self.networks.choices[network]
        restorer = self.networks.restorer(network)
        return [
            self.card(network),
            gr.update(visible=choice.has_mask),
            gr.update(visible=restorer.draws_at_random, value=1),
            gr.update(visible=self.networks.has_prior(network)),
            self._canvas(visitor, network),
            self._views(visitor, network)[0],
            *(gr.update(visible=choice.system == name) for name in self.networks.systems),
            *(gr.update(visible=it) for it in (choice.has_twin, choice.has_mask, restorer.draws_at_random)),
        ]

    def take_mask(self, file: str | None, request: gr.Request) -> list[Any]:
        """Take a mask from a file for the photo that is shown."""
        photo = self._visitor(request).photo
        if photo is None or file is None:
            return [None, _sentences(["Drop a photo first, then its mask."])]
        try:
            photo.set_mask(read_mask(Path(file), photo.size))
        except DiffIRError as error:
            return [None, _sentences([f"{Path(file).name}: {without_path(str(error), Path(file))}"])]
        return [None, tag("p", f"{Path(file).name} is the mask of {photo.name}.")]

    def restorer(self, controls: Sequence[Control]) -> Callable[..., list[Any]]:
        """Make the function behind the button; ``controls`` are those whose values it gets behind the others."""

        def restore(
            network: str,
            painted: Any,
            strength: float,
            samples: float,
            ext: str,
            prior: str | None,
            save_prior: bool,
            request: gr.Request,
            progress: Any = gr.Progress(),  # noqa: B008 - this default is how gradio hands it over
            *values: Any,
        ) -> list[Any]:
            visitor = self._visitor(request)
            self._keep_painted(visitor, network, painted)
            options = self._options(network, controls, values, strength)
            order = Order(network, options, int(samples), ext, Path(prior) if prior else None, save_prior)
            photos = list(visitor.photos)
            try:
                self._restore(visitor, photos, order, progress)
            finally:
                visitor.remove_strays(photos)
            return [*self._views(visitor, network), self._summary(visitor), self._results(visitor)]

        return restore

    def stop(self, request: gr.Request) -> Any:
        """End the work for this visitor; results that are there stay."""
        self._visitor(request).stop.set()
        return gr.skip()

    def leave(self, request: gr.Request) -> None:
        """Remove everything of a visitor who closed the page."""
        self._visitors.leave(str(request.session_hash))

    def card(self, network: str) -> Html:
        """The card of a network, with its picture."""
        choice = self.networks.choices[network]
        picture = self._pictures / f"{network}.jpg"
        return choice.as_html(address_of(picture) if picture.is_file() else None)

    def _visitor(self, request: gr.Request) -> Visitor:
        return self._visitors.of(str(request.session_hash))

    def _options(
        self, network: str, controls: Sequence[Control], values: Sequence[Any], strength: float
    ) -> dict[str, Any]:
        """The changed options that the chosen network has; controls of other systems may have been changed before."""
        choice = self.networks.choices[network]
        own = {
            name: {field.name for field in fields(one.restore_options)} for name, one in self.networks.systems.items()
        }
        foreign = set().union(*own.values()) - own[choice.system] | (set() if choice.has_twin else {"denoise_strength"})
        kept = {name: value for name, value in changed(controls, values).items() if name not in foreign}
        return kept | ({"strength": strength} if strength != 1 else {})

    def _restore(self, visitor: Visitor, photos: Sequence[VisitorPhoto], order: Order, progress: Any) -> None:
        """Restore photos of a visitor one after the other."""
        pace = Pace([photo.size[0] * photo.size[1] for photo in photos])
        visitor.stop.clear()
        try:
            restorer = self.networks.restorer(order.network, order.options)
        except DiffIRError as error:
            raise gr.Error(str(error), print_exception=False) from error
        for number, photo in enumerate(photos):

            def report(share: float, number: int = number, photo: VisitorPhoto = photo) -> None:
                if visitor.stop.is_set():
                    raise Stopped
                done = pace.share(number, share)
                progress(done, desc=_words(photo, number, len(photos), pace.left(done)))

            try:
                report(0)
                if restorer.has_mask and photo.mask is None and photo.own_mask is None:
                    raise ImageError(f"{photo.name}: paint over what is missing, or give a mask")
                photo.outcome = restore_photo(
                    restorer, photo, order, max_pixels=self.settings.max_pixels, on_share=report
                )
            except ImageError as error:
                photo.outcome = Outcome(error=str(error))
            except Stopped:
                for rest in photos[number:]:
                    rest.outcome = _STOPPED
                return

    def _keep_painted(self, visitor: Visitor, network: str, painted: Any) -> None:
        """Keep what was painted on the photo that is shown as its mask."""
        photo = visitor.photo
        if photo is None or not self.networks.choices[network].has_mask or not painted:
            return
        mask = painted_mask(list(painted.get("layers") or ()), photo.size)
        if mask is not None:
            photo.set_mask(mask)

    def _canvas(self, visitor: Visitor, network: str) -> Any:
        """The photo that is shown, on the editor if the network needs a mask."""
        photo = visitor.photo
        if photo is None or not self.networks.choices[network].has_mask:
            return None
        canvas = str(photo.canvas())
        return {"background": canvas, "layers": [], "composite": canvas}

    def _all(self, visitor: Visitor, network: str, status: str) -> list[Any]:
        """Everything on the page that depends on the photos."""
        small = [(str(photo.thumbnail), photo.name) for photo in visitor.photos]
        gallery = gr.update(value=small, visible=bool(small), selected_index=visitor.shown if small else None)
        ready = gr.update(interactive=bool(small))
        views, canvas = self._views(visitor, network), self._canvas(visitor, network)
        return [gallery, *views, canvas, status, ready, self._results(visitor)]

    def _views(self, visitor: Visitor, network: str) -> list[Any]:
        """The comparison of the photo that is shown, and the choice between its results.

        A photo without a result is not shown twice, if it lies on the editor already.
        """
        photo = visitor.photo
        if photo is None:
            return [NOTHING_YET, gr.update(choices=[], value=None, visible=False)]
        if self.networks.choices[network].has_mask and (photo.outcome is None or not photo.outcome.files):
            return ["", gr.update(choices=[], value=None, visible=False)]
        labels = [file.label for file in photo.outcome.files if file.view and file.label] if photo.outcome else []
        which = gr.update(choices=labels, value=labels[0] if labels else None, visible=len(labels) > 1)
        return [_view_of(photo, labels[0] if labels else ""), which]

    def _summary(self, visitor: Visitor) -> str:
        done = sum(photo.outcome is not None and bool(photo.outcome.files) for photo in visitor.photos)
        count = len(visitor.photos)
        return tag("p", f"{done} of {count} restored." if count > 1 or not done else "Restored.")

    def _results(self, visitor: Visitor) -> str:
        """The table of results with their downloads, and all of them as a zip."""
        rows = [_row(photo) for photo in visitor.photos if photo.outcome is not None]
        if not rows:
            return ""
        table = tag("table", *rows, class_="results")
        if sum(len(photo.outcome.files) for photo in visitor.photos if photo.outcome) < 2:
            return table
        archive = write_zip(visitor.photos, visitor.folder / "restored.zip")
        return join(
            table, tag("a", "Download all as a zip", href=address_of(archive), download=archive.name, class_="zip")
        )


def _view_of(photo: VisitorPhoto, label: str) -> Html:
    """The comparison of a photo with one of its results, or the photo alone."""
    files = photo.outcome.files if photo.outcome is not None else ()
    file = next((file for file in files if file.view is not None and file.label == label), None)
    words: dict[str, Any] = {"name": photo.name, "before": address_of(photo.view)}
    if file is not None and file.view is not None:
        words |= {"after": address_of(file.view), "right": file.label or "after"}
    return tag("compare-view", **words)


def _row(photo: VisitorPhoto) -> Html:
    outcome = photo.outcome
    assert outcome is not None
    words: list[Html] = [tag("div", photo.name)]
    if outcome.error:
        words = [
            tag(
                "div",
                outcome.error if outcome.error.startswith(photo.name) else f"{photo.name}: {outcome.error}",
                class_="error",
            )
        ]
    if outcome.note:
        words.append(tag("div", outcome.note, class_="note"))
    links: list[Html] = []
    for file in outcome.files:
        size = f"{file.path.stat().st_size / 1e6:.1f} MB"
        title = file.label or file.path.suffix[1:].upper()
        link = tag(
            "a", f"{title}, {size}", href=address_of(file.path), download=file.path.name, class_="download",
            aria_label=f"Download {file.path.name}",
        )  # fmt: skip
        links.append(tag("div", link))
    return tag("tr", tag("td", *words, class_="name"), tag("td", *links))


def _sentences(errors: Sequence[str]) -> str:
    return join(*(tag("p", error, class_="error") for error in errors))


def _advice(best: Suggestion | None, helping: Sequence[Suggestion]) -> str:
    words = f"{best.name} should help: {best.reason}." if best is not None else "Leave it as it is."
    larger = [one.name for one in helping if one.enlarges]
    return f"{words} To enlarge it: {' or '.join(larger)}." if larger else words


def _words(photo: VisitorPhoto, number: int, count: int, left: str) -> str:
    which = f"{photo.name} ({number + 1} of {count})" if count > 1 else photo.name
    return f"{which}, {left}" if left else which
