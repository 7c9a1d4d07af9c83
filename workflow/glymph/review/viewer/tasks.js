// Brain mask, diffusion with the ALPS regions, and alignments to flip between.
import { ALPS, ALPS_FROM } from "/viewer/canvas.js";
import { byId, changed, make, moved, notice, toggle } from "/viewer/viewer.js";
import { MaskTask, Task, viewSelect, zoomKey, zoomSelect } from "/viewer/masks.js";

const CONTRAST = { t1w: { cal_min: -1, cal_max: 1 }, t2w: { cal_min: -1, cal_max: 1 } };
const inWords = region => region.replace("_", " ");

export class Brain extends MaskTask {
  name = "brain"; kind = "brain"; title = "Brain mask";
  possible() { return !this.state.scene.corrections.brain.not }
  async enter() {
    const { canvas, unit } = this.state;
    await canvas.show(unit, [{ name: "t1w_own" }]);
    this.grid = canvas.nv.volumes[0];
    if (!this.mask) this.begin(Uint8Array.from(canvas.inOrder(await canvas.image(unit, "brain")), v => (v > 0 ? 1 : 0)));
    canvas.setMask(this.mask);
    if (this.waiting) this.take();
    canvas.seeThrough(0.3);
    const opacity = make("input", { type: "range", min: 0, max: 1, step: 0.05, value: 0.3, oninput: event => canvas.seeThrough(Number(event.target.value)) });
    byId("tools").append(viewSelect(canvas), zoomSelect(canvas, 1), ...this.penTools(), make("label", {}, "Opacity ", opacity));
    canvas.zoom(canvas.factor);
    this.size.value = "5";
    this.count = make("p", { role: "status" });
    byId("side").replaceChildren(make("h2", {}, "Brain mask"), make("p", {}, "Red is brain. Draw what is missing, erase what is none: the mask lies on the T1w's own grid."), this.count, this.who(), this.elsewhere());
    this.refresh();
  }
  refresh() {
    if (this.state.task !== this) return;
    this.sayWho();
    this.state.canvas.paint();
    this.count.textContent = `${this.mask.reduce((n, v) => n + v, 0).toLocaleString("en")} voxels`;
  }
  // What was drawn before the page was closed waits until the mask is there.
  changes() { return this.waiting ? 1 : this.strokes() }
  draft() { return this.waiting || { voxels: this.penned(), size: this.mask.length } }
  restore(draft) { this.waiting = draft; if (this.mask) this.take() }
  take() {
    const { voxels, size } = this.waiting;
    this.waiting = null;
    if (size === this.mask.length) this.redraw(voxels);
    else notice("The brain mask that you had not saved lies on another grid and cannot be taken up again.", true);
  }
  discard() { this.waiting = null; if (this.mask) this.reset() }
  saved() { this.keep() }
  async entry() { return { drawing: await this.state.canvas.exported(this.grid, this.mask) } }
  told(summary) { return `Brain mask: ${summary.voxels_added} voxels added to the automatic one, ${summary.voxels_removed} taken away.` }
  keys() { return { "w": "pen that draws", "x": "pen that erases" } }
  onKey(key) { return this.penKey(key) || zoomKey(key, this.state.canvas) }
}

export class Diffusion extends Task {
  name = "roi"; kind = "roi"; title = "Diffusion and ALPS";
  possible() { return this.state.scene.images.includes("colour_fa") }
  get places() { return this.state.scene.alps }
  constructor(state) { super(state); this.shifts = {}; this.lines = false }
  shift(place) { return this.shifts[place.region] || place.shift }
  centre(place) { return place.centre.map((v, k) => v + this.shift(place).reduce((sum, mm, axis) => sum + mm * place.way[axis][k], 0)) }

  async enter() {
    const { canvas, unit } = this.state;
    await this.showFibres();
    this.drawnIn = this.state.scene.images.includes("alps") ? canvas.inOrder(await canvas.image(unit, "alps")) : null;
    this.opacity = make("input", { type: "range", min: 0, max: 1, step: 0.05, value: 0.3, oninput: event => canvas.seeThrough(Number(event.target.value), Number(event.target.value) ? 1 : 0) });
    const lines = toggle("Directions", this.lines, async () => {
      this.lines = !this.lines;
      lines.setAttribute("aria-pressed", String(this.lines));
      const place = canvas.place;
      await this.showFibres();
      this.drawRegions();
      canvas.goTo(place);
    }, "v");
    this.linesButton = lines;
    byId("tools").append(viewSelect(canvas), zoomSelect(canvas, 2), lines, make("label", {}, "Regions ", this.opacity), make("span", { class: "dim" }, "red: left-right, green: front-back, blue: up-down"));
    this.panel();
    this.drawRegions();
    this.refresh();
    const first = this.places.find(place => place.shiftable);
    if (first) canvas.goTo(this.centre(first));
    moved();
  }
  // Colour FA, or FA with a line along the fibres in every voxel.
  async showFibres() {
    const { canvas, unit } = this.state;
    if (this.lines) await canvas.showDirections(unit); else await canvas.show(unit, [{ name: "colour_fa" }]);
  }
  drawRegions() {
    const { canvas } = this.state;
    canvas.setMask(new Uint8Array(canvas.count), null, bitmap => this.draw(bitmap));
    canvas.seeThrough(0.3, 1);
  }
  panel() {
    const rows = this.places.flatMap((place, number) => {
      const swatch = make("span", { class: "swatch" });
      swatch.style.background = ALPS[number];
      const name = make("span", {}, swatch, make("button", { onclick: () => { this.state.canvas.goTo(this.centre(place)); moved() }, disabled: !place.shiftable }, inWords(place.region)));
      const inputs = ["right", "front", "up"].map((way, axis) => make("input", {
        type: "number", step: 0.5, min: -30, max: 30, value: this.shift(place)[axis], disabled: !place.shiftable,
        "aria-label": `${inWords(place.region)}: mm to the ${way === "up" ? "top" : way}`, onchange: event => this.move(place, axis, Number(event.target.value)) }));
      return [name, ...inputs];
    });
    this.grid = make("div", { class: "moves" }, make("span", { class: "dim" }, "mm"), ...["right", "front", "up"].map(way => make("span", { class: "dim" }, way)), ...rows);
    const not = this.state.scene.corrections.roi.not;
    byId("side").replaceChildren(make("h2", {}, "ALPS regions"),
      make("p", {}, "Projection fibres (blue) under the projection regions, association fibres (green) under the association regions. Move a region in mm along the template's axes; the picture shows it to within its voxels, the workflow computes its exact share of each."),
      this.grid, make("p", { class: "dim", hidden: !not }, not), this.who(), this.elsewhere());
  }
  move(place, axis, mm) {
    const before = this.shift(place), after = before.map((v, k) => (k === axis ? mm : v));
    if (!Number.isFinite(mm) || Math.abs(mm) > 30) return;
    this.stack.push({ region: place.region, before: this.shifts[place.region] });
    this.shifts[place.region] = after;
    this.refresh();
    this.state.canvas.goTo(this.centre(place));
    changed();
  }
  refresh() {
    if (this.state.task !== this) return;
    this.sayWho();
    this.state.canvas.paint();
    this.grid.querySelectorAll("input").forEach((input, n) => { input.value = this.shift(this.places[Math.floor(n / 3)])[n % 3] });
  }
  // The regions in the drawing: spheres where they stand now, masks as the result has them.
  draw(bitmap) {
    this.places.forEach((place, number) => {
      if (!place.shiftable) { this.drawnIn?.forEach((label, k) => { if (label === number + 1) bitmap[k] = ALPS_FROM + number }); return }
      const centre = this.centre(place);
      for (let k = 0; k < bitmap.length; k++) {
        const at = this.points(k);
        if (Math.hypot(at[0] - centre[0], at[1] - centre[1], at[2] - centre[2]) <= place.diameter / 2) bitmap[k] = ALPS_FROM + number;
      }
    });
  }
  // World mm of a voxel of the drawing's order; linear, from three steps.
  points(k) {
    const { canvas } = this.state, [nx, ny] = canvas.dims;
    if (this.of !== canvas.nv.volumes[0]) {
      this.of = canvas.nv.volumes[0];
      this.origin = canvas.voxelToWorld(0);
      this.steps = [1, nx, nx * ny].map(step => canvas.voxelToWorld(step).map((v, axis) => v - this.origin[axis]));
    }
    const index = [k % nx, Math.floor(k / nx) % ny, Math.floor(k / nx / ny)];
    return this.origin.map((v, axis) => v + index.reduce((sum, n, i) => sum + n * this.steps[i][axis], 0));
  }
  undo() {
    const entry = this.stack.pop();
    if (!entry) return;
    if (entry.before) this.shifts[entry.region] = entry.before; else delete this.shifts[entry.region];
    this.refresh();
    changed();
  }
  changes() { return Object.keys(this.shifts).length }
  draft() { return { shifts: this.shifts } }
  restore({ shifts }) { this.shifts = shifts; this.refresh() }
  discard() { this.shifts = {}; this.stack = [] }
  saved() { this.shifts = {}; this.stack = [] }
  async entry() { return { shifts: this.shifts } }
  keys() { return { "v": "directions of the fibres as lines", "+ -": "larger, smaller" } }
  onKey(key) {
    if (key === "v") this.linesButton.click();
    else return zoomKey(key, this.state.canvas);
    return true;
  }
  told(summary) { return `Moved: ${summary.regions.map(inWords).join(", ")}.` }
}

export class Alignment extends Task {
  name = "alignment"; kind = null; title = "Alignment";
  pairs = { "b = 0 on T1w": ["t1w", "b0"], "T1w on template": ["template", "in_template"], "T2w on T1w": ["t1w", "t2w"], "FLAIR on T1w": ["t1w", "flair"] };
  possible() { return this.known().length > 0 }
  known() { return Object.keys(this.pairs).filter(name => this.pairs[name].every(image => this.state.scene.images.includes(image))) }
  async enter() {
    const names = this.known(), { canvas } = this.state;
    const choice = make("select", { onchange: event => this.show(event.target.value) }, ...names.map(name => make("option", {}, name)));
    this.slider = make("input", { type: "range", min: 0, max: 1, step: 0.05, value: 0.5, oninput: event => this.mix(Number(event.target.value)) });
    this.flicker = toggle("Flicker", false, () => this.flick(), "g");
    byId("tools").append(make("label", {}, "Pair ", choice), viewSelect(canvas), zoomSelect(canvas, 1), make("label", {}, "Mix ", this.slider), make("button", { onclick: () => this.flip() }, "Flip ", make("kbd", {}, "f")), this.flicker);
    byId("side").replaceChildren(make("h2", {}, "Alignment"), make("p", {}, "Ventricles, sulci and the brain's surface must stay where they are when you flip from one image to the other."), this.elsewhere());
    await this.show(names[0]);
    canvas.zoom(canvas.factor);
  }
  async show(name) {
    const [base, over] = this.pairs[name];
    await this.state.canvas.show(this.state.unit, [{ name: base, ...CONTRAST[base] }, { name: over, opacity: 0.5, ...CONTRAST[over] }]);
    this.mix(0.5);
  }
  mix(value) { this.slider.value = value; const { nv } = this.state.canvas; nv.setOpacity(1, value) }
  flip() { this.mix(Number(this.slider.value) > 0.5 ? 0 : 1) }
  flick() {
    const on = this.flicker.getAttribute("aria-pressed") !== "true";
    this.flicker.setAttribute("aria-pressed", String(on));
    clearInterval(this.timer);
    if (on) this.timer = setInterval(() => this.flip(), 700);
  }
  leave() { clearInterval(this.timer) }
  keys() { return { "f": "flip between the two", "g": "flicker", "[ ]": "mix" } }
  onKey(key) {
    if (key === "f") this.flip();
    else if (key === "g") this.flick();
    else if (key === "[" || key === "]") this.mix(Math.min(1, Math.max(0, Number(this.slider.value) + (key === "]" ? 0.1 : -0.1))));
    else return zoomKey(key, this.state.canvas);
    return true;
  }
}
