// A picture before and after: a divider that a pointer or the arrow keys move, and the picture at its true size.
// <compare-view before="..." after="..." name="..." left="before" right="after">; without after, one picture alone.
// Its parts stand in a shadow root, since gradio removes children that Python did not send. COMPARE_STYLE is compare.css.
"use strict";

const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
const ZOOMS = [["fit", "Fit"], ["1", "100 %"], ["2", "200 %"]];
const GRIP = 28; // CSS pixels on both sides of the divider by which it can be taken when the picture can be moved

class CompareView extends HTMLElement {
  static observedAttributes = ["before", "after", "name", "left", "right"];
  share = 50; // percent of what is seen that shows the picture before
  zoom = "fit";

  connectedCallback() {
    this.sizes = new ResizeObserver(() => this.layOut());
    this.sizes.observe(this);
    this.build();
  }

  disconnectedCallback() {
    this.sizes.disconnect();
  }

  // The page changes attributes one by one, and all of them belong to one picture.
  attributeChangedCallback() {
    if (!this.isConnected || this.waits) return;
    this.waits = true;
    queueMicrotask(() => {
      this.waits = false;
      this.build();
    });
  }

  build() {
    const root = this.shadowRoot ?? this.attachShadow({ mode: "open" });
    const place = this.pane ? [this.pane.scrollLeft, this.pane.scrollTop] : [0, 0];
    const make = (name, attributes, ...children) => {
      const node = document.createElement(name);
      Object.entries(attributes).forEach(([key, value]) => node.setAttribute(key, value));
      node.append(...children);
      return node;
    };
    const picture = (side, words) =>
      make("img", { src: this.getAttribute(side), alt: `${this.getAttribute("name")}, ${words}`, class: side, draggable: "false" });
    const isPair = this.hasAttribute("after");
    const [left, right] = [this.getAttribute("left") ?? "before", this.getAttribute("right") ?? "after"];
    this.before = picture("before", left);
    this.after = isPair ? picture("after", right) : null;
    this.stage = make("div", { class: "stage" }, ...[this.after, this.before].filter(Boolean));
    this.pane = make("div", { class: "pane", tabindex: "0", role: "group", "aria-label": "The picture; scroll it when it is zoomed" }, this.stage);
    this.line = make("div", { class: "line", "aria-hidden": "true" }, make("span", {}));
    this.range = make("input", { type: "range", min: "0", max: "100", step: "0.5", value: "50", "aria-label": `Divider: how much of ${left} is seen` });
    this.buttons = ZOOMS.map(([zoom, words]) => make("button", { type: "button", "data-zoom": zoom, "aria-pressed": zoom === this.zoom }, words));
    const bar = make("div", { class: "bar" }, make("span", { class: "title" }, this.getAttribute("name") ?? ""), make("span", { class: "zooms", role: "group", "aria-label": "Zoom" }, ...this.buttons));
    const frame = make("div", { class: "frame" }, this.pane);
    this.frame = frame;
    if (isPair) frame.append(this.line, make("span", { class: "tag left" }, left), make("span", { class: "tag right" }, right));
    root.replaceChildren(make("style", {}, COMPARE_STYLE), bar, frame, ...(isPair ? [this.range] : []));
    this.listen(place);
  }

  async listen(place) {
    this.buttons.forEach((button) => button.addEventListener("click", () => this.setZoom(button.dataset.zoom)));
    this.range.addEventListener("input", () => this.divide(Number(this.range.value)));
    this.pane.addEventListener("scroll", () => this.divide(this.share));
    this.pane.addEventListener("dblclick", (event) => this.setZoom(this.zoom === "fit" ? "1" : "fit", event));
    this.listenToPointer();
    const pair = [this.before, this.after].filter(Boolean);
    await Promise.all(pair.map((image) => image.decode().catch(() => {})));
    if (!pair.includes(this.before)) return; // other pictures came meanwhile
    this.layOut();
    this.pane.scrollTo(...place);
    this.frame.dataset.ready = "";
  }

  listenToPointer() {
    let last = null; // where a drag was before, and whether it moves the divider
    this.pane.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      const box = this.pane.getBoundingClientRect();
      const isNear = Math.abs(event.clientX - box.left - (this.share / 100) * this.pane.clientWidth) < GRIP;
      last = { x: event.clientX, y: event.clientY, divides: this.after !== null && (this.zoom === "fit" || isNear) };
      this.pane.setPointerCapture(event.pointerId);
      if (last.divides) this.divideAt(event);
    });
    this.pane.addEventListener("pointermove", (event) => {
      if (!last) return;
      if (last.divides) return this.divideAt(event);
      this.pane.scrollBy(last.x - event.clientX, last.y - event.clientY);
      Object.assign(last, { x: event.clientX, y: event.clientY });
    });
    ["pointerup", "pointercancel"].forEach((name) => this.pane.addEventListener(name, () => (last = null)));
  }

  // The size of the picture on the page: the result decides, and at 100 % its pixels are those of the screen.
  layOut() {
    const image = this.after ?? this.before;
    if (!image) return;
    const [width, height] = [image.naturalWidth, image.naturalHeight];
    if (!width) return;
    const room = Math.max(this.clientWidth, 1);
    const tallest = Math.max(280, 0.72 * window.innerHeight);
    const fit = Math.min(room / width, tallest / height, 4);
    const scale = this.zoom === "fit" ? fit : Number(this.zoom) / devicePixelRatio;
    Object.assign(this.stage.style, { width: `${width * scale}px`, height: `${height * scale}px` });
    this.stage.classList.toggle("pixels", scale * devicePixelRatio > 1.5);
    Object.assign(this.frame.style, { width: `${Math.min(room, width * scale)}px`, height: `${Math.min(tallest, height * scale)}px` });
    this.frame.classList.toggle("movable", this.zoom !== "fit");
    this.divide(this.share);
  }

  // Around the point of a click, or else around the middle of what was seen.
  setZoom(zoom, event) {
    const box = this.stage.getBoundingClientRect();
    const view = this.pane.getBoundingClientRect();
    const at = event ? [event.clientX, event.clientY] : [view.left + view.width / 2, view.top + view.height / 2];
    const share = [(at[0] - box.left) / box.width, (at[1] - box.top) / box.height];
    this.zoom = zoom;
    this.buttons.forEach((button) => button.setAttribute("aria-pressed", button.dataset.zoom === zoom));
    this.layOut();
    const now = this.stage.getBoundingClientRect();
    this.pane.scrollTo(share[0] * now.width - this.pane.clientWidth / 2, share[1] * now.height - this.pane.clientHeight / 2);
    this.divide(this.share);
  }

  divideAt(event) {
    const box = this.pane.getBoundingClientRect();
    this.divide((100 * (event.clientX - box.left)) / Math.max(this.pane.clientWidth, 1));
  }

  divide(share) {
    this.share = clamp(share, 0, 100);
    if (!this.after) return;
    const seen = (this.share / 100) * this.pane.clientWidth;
    this.before.style.clipPath = `inset(0 calc(100% - ${this.pane.scrollLeft + seen}px) 0 0)`;
    this.line.style.left = `${seen}px`;
    this.range.value = this.share;
    this.range.setAttribute("aria-valuetext", `${Math.round(this.share)} percent`);
  }
}

customElements.define("compare-view", CompareView);

// Lists of choices: gradio gives each radio button a name of its own, so that browsers do not know they belong together
// and the arrow keys do nothing. Here they choose the next one, as everywhere else.
document.addEventListener("keydown", (event) => {
  const step = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 }[event.key];
  if (!step || !event.target.matches?.('input[type="radio"]')) return;
  const inputs = [...event.target.closest("fieldset, .wrap").querySelectorAll('input[type="radio"]')];
  const next = inputs[(inputs.indexOf(event.target) + step + inputs.length) % inputs.length];
  event.preventDefault();
  next.focus();
  next.click();
});
