// What the tasks share that draw in a mask: pen, undo, what is not saved.
import { byId, changed, make, toggle, withdraw } from "/viewer/viewer.js";

const SIZES = [1, 2, 3, 5, 9];

export const imageSelect = (names, texts, chosen, onchosen) =>
  make("select", { onchange: event => onchosen(event.target.value) }, ...names.map(name => make("option", { value: name, selected: name === chosen }, texts[name])));
export function viewSelect(canvas) {
  const views = ["planes", "planes and 3D", "axial", "coronal", "sagittal", "3D"], now = canvas.shownAs || (canvas.slow ? "planes" : "planes and 3D");
  canvas.view(now);
  return make("label", {}, "View ", make("select", { id: "view", onchange: event => canvas.view(event.target.value) }, ...views.map(name => make("option", { selected: name === now }, name))));
}

const ZOOMS = [1, 2, 3, 5, 8];
// How large the planes are; `first` where nobody has chosen yet.
export function zoomSelect(canvas, first) {
  canvas.factor = canvas.chosen || first;
  return make("label", {}, "Zoom ", make("select", { id: "zoom", onchange: event => { canvas.chosen = Number(event.target.value); canvas.zoom(canvas.chosen) } },
    ...ZOOMS.map(n => make("option", { value: n, selected: n === canvas.factor }, `${n}×`))));
}
export function zoomKey(key, canvas) {
  const step = { "+": 1, "=": 1, "-": -1 }[key];
  if (!step) return false;
  canvas.chosen = ZOOMS[Math.min(Math.max(ZOOMS.indexOf(canvas.factor) + step, 0), ZOOMS.length - 1)];
  byId("zoom").value = canvas.chosen;
  canvas.zoom(canvas.chosen);
  return true;
}

export class Task {
  constructor(state) { this.state = state; this.stack = []; this.version = null }
  // `version`: of the correction that this page began with, whatever the scene says by now.
  begun() { this.version ??= this.state.scene.corrections[this.kind]?.version }
  changes() { return 0 } canUndo() { return this.stack.length > 0 }
  leave() {} refresh() {} restore() {} discard() {} undo() {} keys() { return {} } onKey() { return false }
  doubts() { return [] }
  repaint() { this.refresh(); changed() }
  // Who corrected this before, and what would run.
  who() { this.said = make("p", { class: "dim", id: "who" }); this.sayWho(); return this.said }
  sayWho() {
    if (!this.said) return;
    const about = this.state.scene.corrections[this.kind];
    const said = about.not || (about.version ? `Corrected ${about.rater ? "by " + about.rater : "outside of this viewer"} on ${about.time.slice(0, 16).replace("T", " ")} UTC.` : "Not corrected yet.");
    const pending = this.kind === "epvs" && this.state.scene.pending ? " The result shown here does not have it yet: run snakemake." : "";
    this.said.textContent = said + pending + " ";
    if (about.version && this.kind !== "roi") this.said.append(make("button", { onclick: () => withdraw(this) }, "Take it back"));
  }
  // The same images in the viewers that many raters know.
  elsewhere() {
    const lines = Object.entries(this.state.scene.commands).flatMap(([name, command]) => [
      make("div", { class: "bar" }, make("b", {}, name), make("button", { onclick: event => { navigator.clipboard.writeText(command); event.target.textContent = "Copied" } }, "Copy")),
      make("code", {}, command)]);
    return make("details", {}, make("summary", {}, "Open in another viewer"), ...lines);
  }
}

export class MaskTask extends Task {
  begin(mask) { this.start = mask; this.mask = mask.slice(); this.stack = [] }
  // Set voxels, with a way back; `more` says what else the step was.
  change(voxels, value, more = {}) {
    const old = Uint8Array.from(voxels, k => this.mask[k]);
    for (const k of voxels) this.mask[k] = value;
    this.stack.push({ voxels: Uint32Array.from(voxels), old, ...more });
  }
  drawn(voxels) {
    const old = Uint8Array.from(voxels, k => 1 - this.mask[k]);
    this.stack.push({ voxels: Uint32Array.from(voxels), old, pen: true });
    this.repaint();
  }
  undo() {
    const entry = this.stack.pop();
    if (!entry) return;
    entry.voxels.forEach((k, n) => { this.mask[k] = entry.old[n] });
    this.undone(entry);
    this.repaint();
  }
  undone() {}
  expected() { return this.start }
  strokes() { return this.stack.filter(entry => entry.pen).length }
  // Voxels that the pen changed: [voxel, value] one after the other.
  penned() {
    const expected = this.expected(), found = [];
    for (let k = 0; k < this.mask.length; k++) if (this.mask[k] !== expected[k]) found.push(k, this.mask[k]);
    return found;
  }
  redraw(pairs) {
    for (const value of [0, 1]) {
      const voxels = [];
      for (let k = 0; k < pairs.length; k += 2) if (pairs[k + 1] === value && this.mask[pairs[k]] !== value) voxels.push(pairs[k]);
      if (voxels.length) this.change(voxels, value, { pen: true });
    }
  }
  reset() { this.mask.set(this.start); this.stack = [] }
  keep() { this.start = this.mask.slice(); this.stack = [] }

  penTools() {
    this.pens = { draw: toggle("Draw", false, () => this.pen("draw"), "w"), erase: toggle("Erase", false, () => this.pen("erase"), "x") };
    this.size = make("select", { "aria-label": "pen size in voxels", onchange: () => this.pen(this.penKind, true) }, ...SIZES.map(n => make("option", { value: n }, `${n} voxel${n > 1 ? "s" : ""}`)));
    this.penKind = null;
    return [this.pens.draw, this.pens.erase, this.size];
  }
  pen(kind, stay = false) {
    this.penKind = kind === this.penKind && !stay ? null : kind;
    for (const [name, button] of Object.entries(this.pens)) button.setAttribute("aria-pressed", String(name === this.penKind));
    this.state.canvas.pen(this.penKind, Number(this.size.value));
    byId("frame").classList.toggle("drawing", Boolean(this.penKind));
  }
  penKey(key) {
    if (key === "w") this.pen("draw");
    else if (key === "x") this.pen("erase");
    else if (key === "Escape" && this.penKind) this.pen(null);
    else return false;
    return true;
  }
  leave() { this.pen(null) }
}
