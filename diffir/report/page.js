// The report comes to life: theme, sorting, panels, dots, dividers and lenses. Without it the page can still be read.
"use strict";

const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
const all = (selector, root = document) => [...root.querySelectorAll(selector)];

// Which way an arrow key points; null for every other key.
const arrow = (event) =>
  ({ ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] })[event.key] ?? null;

// Theme: the system's, until the button says otherwise.

function startTheme() {
  const button = document.querySelector(".theme");
  const system = matchMedia("(prefers-color-scheme: dark)");
  let chosen = null;
  const show = () => {
    const dark = chosen ?? system.matches;
    if (chosen !== null) document.documentElement.dataset.theme = dark ? "dark" : "light";
    button.setAttribute("aria-pressed", dark);
  };
  button.addEventListener("click", () => {
    chosen = !(chosen ?? system.matches);
    show();
  });
  system.addEventListener("change", show);
  button.hidden = false;
  show();
}

// Tables: a head sorts by what its column holds; what is missing comes last, equal rows keep their order.

function startSorting(table) {
  const heads = all("thead th", table);
  heads.forEach((head, column) => {
    head.querySelector("button")?.addEventListener("click", () => {
      const other = { ascending: "descending", descending: "ascending" };
      const direction = other[head.getAttribute("aria-sort")] ?? head.dataset.first;
      heads.forEach((each) => each.hasAttribute("aria-sort") && each.setAttribute("aria-sort", "none"));
      head.setAttribute("aria-sort", direction);
      sortRows(table.tBodies[0], column, direction === "ascending" ? 1 : -1);
    });
  });
}

function sortRows(body, column, sign) {
  const key = (row) => row.cells[column].dataset.value;
  const known = [...body.rows].filter((row) => key(row) !== "");
  const missing = [...body.rows].filter((row) => key(row) === "");
  const areNumbers = known.every((row) => !Number.isNaN(toNumber(key(row))));
  const compare = areNumbers
    ? (a, b) => toNumber(a) - toNumber(b) || 0 // infinity less infinity is no number
    : (a, b) => a.localeCompare(b, "en", { numeric: true });
  known.sort((a, b) => sign * compare(key(a), key(b)));
  body.append(...known, ...missing);
}

// Python writes infinity as inf.
const toNumber = (text) => (/^-?inf$/.test(text) ? Number(text.replace("inf", "Infinity")) : Number(text));

// Panels: one measure at a time.

function startPanels(spread) {
  const inputs = all(".choice input", spread);
  const panels = all(".panel", spread);
  const show = () => panels.forEach((panel, number) => (panel.hidden = !inputs[number].checked));
  inputs.forEach((input) => input.addEventListener("change", show));
  show();
}

// Dots: the one under the pointer, or the next by arrow key, is named and shown in the strips of all methods.

function startStrips(figure) {
  const strips = all(".strip", figure);
  const readout = figure.querySelector(".readout");
  let shown = null;
  const choose = (dot) => {
    if (dot === shown) return; // a dot that is drawn anew is entered anew
    shown = dot;
    all(".chosen", figure).forEach((each) => each.classList.remove("chosen"));
    readout.value = "";
    if (!dot) return;
    const same = all("circle", figure).filter((each) => each.dataset.image === dot.dataset.image);
    same.forEach((each) => {
      each.classList.add("chosen");
      each.parentNode.append(each); // drawn last, so above its neighbours
    });
    const method = dot.closest(".strip").dataset.method;
    readout.value = `${dot.querySelector("title").textContent} (${method})`;
  };
  strips.forEach((strip) => {
    const byValue = all("circle", strip); // as written: rising
    let at = -1;
    strip.addEventListener("pointerover", (event) => event.target.matches("circle") && choose(event.target));
    strip.addEventListener("keydown", (event) => {
      const step = arrow(event)?.[0] || { Home: -Infinity, End: Infinity }[event.key];
      if (!step || !byValue.length) return;
      event.preventDefault();
      at = clamp(at + step, 0, byValue.length - 1);
      choose(byValue[at]);
    });
    strip.addEventListener("blur", () => choose(null));
  });
  figure.addEventListener("pointerleave", () => choose(null));
}

// Error maps: the mean absolute difference of a pixel's channels, from black through violet and orange to pale yellow.

const RAMP = [
  [10, 10, 16],
  [74, 28, 112],
  [190, 54, 88],
  [246, 142, 52],
  [252, 251, 204],
];

function rampColour(share) {
  const place = clamp(share, 0, 1) * (RAMP.length - 1);
  const low = Math.min(Math.floor(place), RAMP.length - 2);
  return RAMP[low].map((from, channel) => from + (place - low) * (RAMP[low + 1][channel] - from));
}

function canvasOf(width, height) {
  const canvas = document.createElement("canvas");
  Object.assign(canvas, { width, height });
  return canvas;
}

function drawn(image) {
  const canvas = canvasOf(image.naturalWidth, image.naturalHeight);
  canvas.getContext("2d", { willReadFrequently: true }).drawImage(image, 0, 0);
  return canvas;
}

function errorMap(one, other, white) {
  const { width, height } = one;
  const [a, b] = [one, other].map((canvas) => canvas.getContext("2d").getImageData(0, 0, width, height).data);
  const map = canvasOf(width, height);
  const pixels = new ImageData(width, height);
  for (let i = 0; i < a.length; i += 4) {
    const error = (Math.abs(a[i] - b[i]) + Math.abs(a[i + 1] - b[i + 1]) + Math.abs(a[i + 2] - b[i + 2])) / 3;
    pixels.data.set([...rampColour(error / white), 255], i);
  }
  map.getContext("2d").putImageData(pixels, 0, 0);
  return map;
}

// A case: two layers under a divider, and two lenses that look at the same point.

class Viewer {
  constructor(root) {
    this.root = root;
    this.images = all(".pictures img", root);
    this.stage = root.querySelector(".stage");
    this.layers = all(".layer", root);
    this.divider = root.querySelector(".divider");
    this.selects = all("select", root);
    this.lenses = all(".lenses canvas", root);
    this.zooms = all(".zoom input", root);
    this.canvases = new Map();
    this.share = 50; // percent of the width that the left picture has
    this.kept = { x: Number(root.dataset.x), y: Number(root.dataset.y) }; // the point the lenses return to
    this.point = this.kept;
  }

  async start() {
    await Promise.all(this.images.map((image) => image.decode()));
    this.width = this.images[0].naturalWidth;
    this.height = this.images[0].naturalHeight;
    const times = Math.max(1, Math.floor(512 / Math.max(this.width, this.height))); // small pictures in whole multiples
    this.root.style.setProperty("--stage", `${times * this.width}px`);
    this.stage.classList.toggle("enlarged", times > 1);
    this.root.querySelector(".pictures").hidden = true;
    this.root.querySelector(".viewer").hidden = false;
    this.drawLegend();
    this.listen();
    this.showPictures();
    this.divide(this.share);
  }

  // What a select names: a picture, or the error map of one, made when first asked for.
  canvas(key) {
    if (!this.canvases.has(key)) {
      const number = Number(key.replace("error ", ""));
      const truth = this.images.findIndex((image) => image.dataset.name === "ground truth");
      const made = key.startsWith("error ")
        ? errorMap(this.canvas(String(number)), this.canvas(String(truth)), Number(this.root.dataset.whiteError))
        : drawn(this.images[number]);
      this.canvases.set(key, made);
    }
    return this.canvases.get(key);
  }

  listen() {
    this.selects.forEach((select) => select.addEventListener("change", () => this.showPictures()));
    this.zooms.forEach((zoom) => zoom.addEventListener("change", () => this.drawLenses()));
    this.divider.addEventListener("keydown", (event) => this.divideByKey(event));
    this.listenToStage();
    this.listenToLenses();
    new ResizeObserver(() => this.drawLenses()).observe(this.lenses[0]);
  }

  listenToStage() {
    const stage = this.stage;
    stage.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      event.preventDefault();
      this.divider.focus({ preventScroll: true, focusVisible: false });
      stage.setPointerCapture(event.pointerId);
      this.pointAt(event, true);
      this.divideAt(event);
    });
    stage.addEventListener("pointermove", (event) => {
      const held = stage.hasPointerCapture(event.pointerId);
      this.pointAt(event, held);
      if (held) this.divideAt(event);
    });
    stage.addEventListener("pointerleave", () => this.look(this.kept));
  }

  listenToLenses() {
    const box = this.root.querySelector(".lenses");
    let last = null; // where a drag was before
    box.addEventListener("keydown", (event) => {
      const way = arrow(event);
      if (!way) return;
      event.preventDefault();
      const step = event.shiftKey ? 64 : 16;
      this.move(way[0] * step, way[1] * step);
    });
    box.addEventListener("pointerdown", (event) => {
      event.preventDefault();
      box.focus({ preventScroll: true, focusVisible: false });
      box.setPointerCapture(event.pointerId);
      last = event;
    });
    box.addEventListener("pointermove", (event) => {
      if (!box.hasPointerCapture(event.pointerId)) return;
      this.move(last.clientX - event.clientX, last.clientY - event.clientY);
      last = event;
    });
  }

  // The divider

  divideAt(event) {
    const box = this.stage.getBoundingClientRect();
    this.divide((100 * (event.clientX - box.left)) / box.width);
  }

  divideByKey(event) {
    const way = arrow(event);
    const ends = { Home: 0, End: 100, PageDown: this.share - 10, PageUp: this.share + 10 };
    const share = way ? this.share + (way[0] - way[1]) * (event.shiftKey ? 10 : 1) : ends[event.key];
    if (share === undefined) return;
    event.preventDefault();
    this.divide(share);
  }

  divide(share) {
    this.share = clamp(share, 0, 100);
    this.divider.style.left = `${this.share}%`;
    this.layers[1].style.clipPath = `inset(0 0 0 ${this.share}%)`; // the upper layer is the right picture
    const [left, right] = this.names();
    const rounded = Math.round(this.share);
    this.divider.setAttribute("aria-valuenow", rounded);
    this.divider.setAttribute("aria-valuetext", `${rounded} % ${left}, ${100 - rounded} % ${right}`);
  }

  names() {
    return this.selects.map((select) => select.selectedOptions[0].text);
  }

  showPictures() {
    this.selects.forEach((select, side) => {
      const source = this.canvas(select.value);
      Object.assign(this.layers[side], { width: this.width, height: this.height });
      this.layers[side].getContext("2d").drawImage(source, 0, 0);
      select.closest("div").querySelector(".scores").textContent = select.selectedOptions[0].dataset.scores;
    });
    all(".lenses figcaption", this.root).forEach((caption, side) => (caption.textContent = this.names()[side]));
    const hasMap = this.selects.some((select) => select.value.startsWith("error"));
    this.root.querySelector(".legend").hidden = !hasMap;
    this.divide(this.share);
    this.drawLenses();
  }

  drawLegend() {
    const legend = this.root.querySelector(".legend");
    const bar = legend.querySelector("canvas");
    const pen = bar.getContext("2d");
    for (let x = 0; x < bar.width; x++) {
      pen.fillStyle = `rgb(${rampColour(x / (bar.width - 1)).map(Math.round).join(" ")})`;
      pen.fillRect(x, 0, 1, bar.height);
    }
    legend.querySelector("span").textContent =
      `error 0 to ${this.root.dataset.whiteError} of 255, mean of channels`;
  }

  // The lenses

  zoom() {
    return Number(this.zooms.find((zoom) => zoom.checked).value) / 100;
  }

  pointAt(event, isKept) {
    const box = this.stage.getBoundingClientRect();
    const x = ((event.clientX - box.left) / box.width) * this.width;
    const y = ((event.clientY - box.top) / box.height) * this.height;
    isKept ? this.keep({ x, y }) : this.look({ x, y });
  }

  keep(point) {
    this.kept = { x: clamp(point.x, 0, this.width), y: clamp(point.y, 0, this.height) };
    this.look(this.kept);
  }

  // By pixels of the page, from what is seen now: at an edge that is not where the pointer was.
  move(toRight, toBottom) {
    const { x, y, across, down } = this.seen();
    this.keep({ x: x + across / 2 + toRight / this.zoom(), y: y + down / 2 + toBottom / this.zoom() });
  }

  look(point) {
    this.point = point;
    this.drawLenses();
  }

  // The part of the picture that a lens shows: around the point, but inside the picture where it is large enough.
  seen() {
    const { clientWidth, clientHeight } = this.lenses[0];
    const [across, down] = [clientWidth, clientHeight].map((pixels) => pixels / this.zoom());
    const start = (centre, part, whole) =>
      whole <= part ? (whole - part) / 2 : clamp(centre - part / 2, 0, whole - part);
    return { x: start(this.point.x, across, this.width), y: start(this.point.y, down, this.height), across, down };
  }

  drawLenses() {
    const { x, y, across, down } = this.seen();
    if (!across || !down) return;
    const scale = this.zoom() * devicePixelRatio;
    this.lenses.forEach((lens, number) => {
      Object.assign(lens, { width: Math.round(across * scale), height: Math.round(down * scale) });
      const pen = lens.getContext("2d");
      pen.imageSmoothingEnabled = false;
      pen.scale(scale, scale);
      pen.drawImage(this.canvas(this.selects[number].value), -x, -y);
    });
    this.root.dataset.seen = [x, y, across, down].map((value) => value.toFixed(1)).join(" ");
    this.markSeen(x, y, x + across, y + down);
  }

  markSeen(x, y, xEnd, yEnd) {
    const [left, right] = [x, xEnd].map((value) => clamp(value / this.width, 0, 1) * 100);
    const [top, bottom] = [y, yEnd].map((value) => clamp(value / this.height, 0, 1) * 100);
    const mark = this.root.querySelector(".seen").style;
    Object.assign(mark, { left: `${left}%`, top: `${top}%`, width: `${right - left}%`, height: `${bottom - top}%` });
  }
}

// Pictures are decoded when the reader comes near them: a page may hold a hundred.

function startCases() {
  const viewers = new Map(all(".case").map((root) => [root, new Viewer(root)]));
  const watch = new IntersectionObserver(
    (entries) =>
      entries
        .filter((entry) => entry.isIntersecting)
        .forEach(({ target }) => {
          watch.unobserve(target);
          viewers.get(target).start();
        }),
    { rootMargin: "800px" },
  );
  viewers.forEach((_, root) => watch.observe(root));
}

startTheme();
all("table").forEach(startSorting);
all(".spread").forEach(startPanels);
all(".strips").forEach(startStrips);
startCases();
