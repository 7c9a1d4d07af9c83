// Perivascular spaces: a list to decide on, and a mask to draw in.
import { COLOURS, DELETED, NOT_COUNTED, colourOfRegion } from "/viewer/canvas.js";
import { byId, changed, make, moved, notice, rater, toggle } from "/viewer/viewer.js";
import { MaskTask, imageSelect, viewSelect, zoomKey, zoomSelect } from "/viewer/masks.js";

const CONTRAST = { t1w: [-1, 1], t2w: [-1, 1] };
const NAMES = { t2w: "T2w", t1w: "T1w", flair: "FLAIR" };
const COLUMNS = [["object", "no."], ["place", "region"], ["length", "mm long"], ["width", "wide"], ["volume", "mm³"], ["probability", "p"], ["status", "state"]];
const SHOWN = {
  "counted": row => row.counted, "not counted": row => !row.counted, "all": () => true,
  "not decided by me": row => row.counted && !row.mine,
};

export class Spaces extends MaskTask {
  name = "epvs"; kind = "epvs"; title = "Perivascular spaces";
  decisions = new Map(); sort = { by: "object", down: false }; shown = "counted"; current = null; hidden = false;

  possible() { return this.state.scene.images.includes("numbers") }
  get rows() { return this.state.scene.objects }

  async enter() {
    const { canvas, unit, scene } = this.state;
    const bases = ["t2w", "t1w", "flair"].filter(name => scene.images.includes(name));
    this.base = bases.includes(this.base) ? this.base : bases[0];
    await canvas.show(unit, [{ name: this.base, ...this.contrast(this.base) }]);
    this.grid = canvas.nv.volumes[0];
    if (!this.mask) await this.read();
    this.regions = null;
    canvas.setMask(this.mask, this.labels, bitmap => this.beside(bitmap));
    this.hide = null;
    this.show(true);
    this.toolbar(bases);
    this.panel();
    this.refresh();
    const first = this.rows.find(row => row === this.current) || this.listed()[0];
    if (first) this.select(first);
  }
  contrast(name) {
    const [low, high] = CONTRAST[name] || [];
    return low === undefined ? {} : { cal_min: low, cal_max: high };
  }
  async read() {
    const { canvas, unit } = this.state;
    const [numbers, labels, mask] = await Promise.all(["numbers", "regions", "mask"].map(name => canvas.image(unit, name)));
    this.labels = Uint8Array.from(canvas.inOrder(labels));
    this.begin(Uint8Array.from(canvas.inOrder(mask), v => (v > 0 ? 1 : 0)));
    const places = new Map();
    canvas.inOrder(numbers).forEach((label, k) => { if (label) { if (!places.has(label)) places.set(label, []); places.get(label).push(k) } });
    this.places = places;
  }

  // ---- what is decided -----------------------------------------------------------------------
  left(row) { return (this.places?.get(row.object) || []).reduce((n, k) => n + this.mask[k], 0) }
  status(row) {
    const all = this.places?.get(row.object)?.length || 0, left = this.left(row);
    const mine = this.decisions.get(row.object) || row.mine;
    if (!left) return row.counted ? "deleted" : row.state;
    if (!row.counted) return "accepted";
    return left < all ? "trimmed" : mine === "accept" ? "accepted" : "";
  }
  decide(row, decision) {
    const before = this.decisions.get(row.object) ?? null, value = decision === "accept" ? 1 : 0;
    const voxels = this.places.get(row.object).filter(k => this.mask[k] !== value);
    if (!voxels.length && (before || row.mine) === decision) return;
    this.change(voxels, value, { label: row.object, before });
    this.decisions.set(row.object, decision);
    this.repaint();
  }
  undone(entry) {
    if (entry.label === undefined) return;
    if (entry.before === null) this.decisions.delete(entry.label); else this.decisions.set(entry.label, entry.before);
    this.select(this.rows.find(row => row.object === entry.label));
  }
  changes() { return this.decisions.size + this.strokes() }
  draft() {
    const where = new Map(this.rows.map(row => [row.object, row.centre]));
    return { decisions: [...this.decisions].map(([label, decision]) => [label, decision, where.get(label)]), voxels: this.penned(), size: this.mask.length };
  }
  // Objects are found again by their places: a result that was made anew numbers them anew.
  restore({ decisions, voxels, size }) {
    if (size !== this.mask.length) return ["all of the perivascular spaces, since the brain's grid is another one"];
    const lost = [];
    for (const [label, decision, centre] of decisions) {
      const away = row => Math.hypot(...row.centre.map((v, k) => v - centre[k]));
      const row = this.rows.filter(one => away(one) < 1).sort((a, b) => away(a) - away(b))[0];
      if (row) this.decide(row, decision); else lost.push(`${decision} ${label}`);
    }
    this.redraw(voxels);
    this.repaint();
    return lost;
  }
  discard() { this.decisions.clear(); this.reset() }
  saved() { this.decisions.clear(); this.keep() }
  async entry() {
    return { decisions: Object.fromEntries(this.decisions), drawing: await this.state.canvas.exported(this.grid, this.mask) };
  }
  // What decisions alone would make of the start: the pen's part of the mask is the rest.
  expected() {
    const mask = this.start.slice();
    for (const [label, decision] of this.decisions) for (const k of this.places.get(label) || []) mask[k] = decision === "accept" ? 1 : 0;
    return mask;
  }
  doubts(summary) {
    const found = [], before = this.rows.filter(row => row.counted).length;
    if (summary.voxels_outside_regions) found.push(`${summary.voxels_outside_regions} voxels lie outside the regions: the workflow does not count them.`);
    if (summary.pieces_too_short) found.push(`Shorter than 2 mm, and therefore not counted by the workflow: ${summary.pieces_too_short} piece${summary.pieces_too_short > 1 ? "s" : ""}.`);
    if (this.state.scene.elsewhere) found.push("A correction that was made in another program is replaced; it is kept in review/history.");
    if (found.length) found.push(`The workflow will count ${summary.objects} objects (${before} in the result shown here).`);
    return found;
  }
  told(summary) {
    const say = (n, word) => (n ? [`${n} ${word}`] : []);
    const parts = [...say(summary.deleted.length, "deleted"), ...say(summary.accepted.length, "accepted"), ...say(summary.voxels_drawn, "voxels drawn"), ...say(summary.voxels_erased, "voxels erased")];
    return `${parts.join(", ")}; ${summary.objects} objects will be counted.`;
  }

  // ---- the list ------------------------------------------------------------------------------
  place(row) { return row.region ? `${row.region} ${row.side === "left" ? "L" : "R"}` : "outside" }
  value(row, by) { return { place: this.place(row), status: this.status(row) }[by] ?? row[by] ?? -1 }
  listed() {
    const sign = this.sort.down ? -1 : 1, by = this.sort.by;
    const compare = (a, b) => { const [x, y] = [this.value(a, by), this.value(b, by)]; return sign * (typeof x === "string" ? x.localeCompare(y) : x - y) || a.object - b.object };
    return this.rows.filter(SHOWN[this.shown]).sort(compare);
  }
  panel() {
    const heads = COLUMNS.map(([by, text]) => make("th", { scope: "col" }, make("button", { onclick: () => {
      this.sort = { by, down: this.sort.by === by ? !this.sort.down : !["object", "place", "status"].includes(by) };
      this.fillList();
    } }, text)));
    this.body = make("tbody");
    const filter = make("select", { onchange: event => { this.shown = event.target.value; this.fillList() } }, ...Object.keys(SHOWN).map(name => make("option", { selected: name === this.shown }, name)));
    this.summary = make("span", { class: "dim", role: "status", id: "count" });
    const act = (text, key, decision) => make("button", { onclick: () => this.act(decision) }, text, " ", make("kbd", {}, key));
    byId("side").replaceChildren(
      make("div", { class: "bar" }, make("label", {}, "Show ", filter), this.summary),
      make("div", { class: "scroll", id: "list" }, make("table", { "aria-label": "perivascular spaces" }, make("thead", {}, make("tr", {}, ...heads)), this.body)),
      make("div", { class: "bar" }, act("Delete", "d", "delete"), act("Accept", "a", "accept"), make("button", { onclick: () => this.step(-1) }, "Previous ", make("kbd", {}, "p")), make("button", { onclick: () => this.step(1) }, "Next ", make("kbd", {}, "n"))),
      this.who(), this.elsewhere());
  }
  refresh() {
    const mine = new Map(this.state.scene.decided.map(row => [[row.x_mm, row.y_mm, row.z_mm].map(Number).join(), row.decision]));
    for (const row of this.rows) row.mine = mine.get(row.centre.map(v => +v.toFixed(2)).join()) || null;
    if (this.state.task !== this) return;
    this.sayWho();
    this.fillList();
    changed();
  }
  repaint() { if (this.state.task === this) this.state.canvas.paint(); this.refresh() }
  fillList() {
    const cell = (v, digits) => make("td", { class: "num" }, v === null || v === undefined ? "" : v.toFixed(digits));
    const rows = this.listed();
    this.nodes = new Map(rows.map(row => {
      const status = this.status(row);
      const kind = status === "deleted" ? "deleted" : status === "accepted" ? "kept" : row.counted ? "" : "other";
      return [row, make("tr", { class: kind, "data-object": row.object, tabindex: row === this.current ? "0" : "-1", "aria-selected": String(row === this.current), onclick: () => this.select(row, true), onfocus: () => this.current !== row && this.select(row) },
        make("td", { class: "num" }, String(row.object)), make("td", { title: `${this.state.scene.regions[row.region] || ""} ${row.side || ""}` }, this.place(row)),
        cell(row.length, 1), cell(row.width, 1), cell(row.volume, 1), cell(row.probability, 2), make("td", { title: row.why || null }, status))];
    }));
    const held = document.activeElement?.closest?.("#list tbody");
    this.body.replaceChildren(...this.nodes.values());
    if (!rows.includes(this.current) && rows[0]) this.nodes.get(rows[0]).tabIndex = 0;
    if (held) this.nodes.get(this.current)?.focus({ preventScroll: true });
    const heads = this.body.parentNode.querySelectorAll("th");
    COLUMNS.forEach(([by], k) => { if (this.sort.by === by) heads[k].setAttribute("aria-sort", this.sort.down ? "descending" : "ascending"); else heads[k].removeAttribute("aria-sort") });
    const counted = this.rows.filter(row => this.left(row)).length, all = this.rows.filter(row => row.counted).length;
    const done = this.rows.filter(row => (row.mine || this.decisions.has(row.object))).length;
    this.summary.textContent = `${counted} in the mask, ${all} in the result; ${done} decided by you`;
  }
  select(row, focus = false) {
    if (!row) return;
    if (!SHOWN[this.shown](row)) { this.shown = "all"; byId("side").querySelector("select").value = "all"; this.current = row; this.fillList() }
    const before = this.nodes.get(this.current), node = this.nodes.get(row);
    if (before) { before.setAttribute("aria-selected", "false"); before.tabIndex = -1 }
    this.current = row;
    node.setAttribute("aria-selected", "true");
    node.tabIndex = 0;
    node.scrollIntoView({ block: "nearest" });
    if (focus) node.focus({ preventScroll: true });
    this.state.canvas.goTo(this.middle(row));
    moved();
  }
  // The centre, or of a bent object its own voxel that is nearest to it.
  middle(row) {
    const { canvas } = this.state, away = mm => Math.hypot(...mm.map((v, k) => v - row.centre[k]));
    const own = (this.places?.get(row.object) || []).map(k => canvas.voxelToWorld(k));
    return own.sort((a, b) => away(a) - away(b))[0] || row.centre;
  }
  step(by) {
    const rows = this.listed(), here = rows.indexOf(this.current);
    this.select(rows[Math.min(Math.max(here + by, 0), rows.length - 1)], true);
  }
  act(decision) {
    if (!rater()) { byId("rater").focus(); notice("Enter your rater id first.", true); return }
    if (this.current && this.places) this.decide(this.current, decision);
  }
  // The object at the crosshair, and why it is not counted.
  at(place) {
    const near = this.rows.map(row => [Math.hypot(...row.centre.map((v, k) => v - place[k])), row]).sort((a, b) => a[0] - b[0])[0];
    return near && near[0] < 4 ? `  · object ${near[1].object}, ${this.place(near[1])}${near[1].why ? `, not counted: ${near[1].why}` : ""}` : "";
  }

  // ---- pictures ------------------------------------------------------------------------------
  beside(bitmap) {
    for (const row of this.rows)
      for (const k of this.places.get(row.object) || []) if (!this.mask[k]) bitmap[k] = row.counted ? DELETED : NOT_COUNTED;
  }
  toolbar(bases) {
    const { canvas, scene } = this.state;
    this.baseSelect = imageSelect(bases, NAMES, this.base, name => this.swap(name));
    this.byRegion = toggle("By region", false, () => this.colour(), "c");
    this.regionsButton = toggle("Regions", false, () => this.showRegions(), "r");
    this.hide = toggle("Hide", false, () => this.show(this.hidden), "o");
    byId("tools").append(make("label", {}, "Image ", this.baseSelect), viewSelect(canvas), zoomSelect(canvas, 3), this.hide, this.byRegion, this.regionsButton, ...this.penTools(),
      make("span", { class: "dim" }, ...[[COLOURS.mask, "counted"], [COLOURS.notCounted, "not counted"], [COLOURS.deleted, "deleted"]].flatMap(([colour, text]) => {
        const swatch = make("span", { class: "swatch" });
        swatch.style.background = colour;
        return [swatch, text + "  "];
      })));
  }
  async swap(name) {
    if (!this.state.scene.images.includes(name) || name === this.base) return;
    this.base = name;
    this.baseSelect.value = name;
    await this.state.canvas.swapBase(this.state.unit, name, this.contrast(name));
  }
  colour() {
    const { canvas } = this.state;
    canvas.byRegion = !canvas.byRegion;
    this.byRegion.setAttribute("aria-pressed", String(canvas.byRegion));
    canvas.paint();
  }
  showRegions() {
    const on = this.regionsButton.getAttribute("aria-pressed") !== "true";
    this.regionsButton.setAttribute("aria-pressed", String(on));
    const { canvas } = this.state;
    if (!this.regions) {
      this.regions = canvas.addOverlay([1, 2, 3, 4, 5, 6, 7, 8].map(colourOfRegion), 255);
      canvas.fill(this.regions, this.labels);
    }
    canvas.opacity(this.regions, on ? 0.35 : 0);
  }
  show(on) {
    this.hidden = !on;
    this.hide?.setAttribute("aria-pressed", String(!on));
    this.state.canvas.seeThrough(on ? 0.25 : 0, on ? 0.95 : 0);
  }
  keys() {
    return { "n j ↓": "next object", "p k ↑": "previous object", "Enter": "go to the object", "d": "delete it", "a": "accept it", "1 2 3": "T2w, T1w, FLAIR", "+ -": "larger, smaller", "o": "hide and show the colours", "c": "colour by region", "r": "regions", "w": "pen that draws", "x": "pen that erases" };
  }
  onKey(key) {
    const inList = { n: 1, j: 1, ArrowDown: 1, p: -1, k: -1, ArrowUp: -1 }[key];
    if (inList) this.step(inList);
    else if (key === "Enter") this.select(this.current, true);
    else if (key === "d") this.act("delete");
    else if (key === "a") this.act("accept");
    else if ("123".includes(key)) this.swap(["t2w", "t1w", "flair"][key - 1]);
    else if (key === "o") this.show(this.hidden);
    else if (key === "c") this.colour();
    else if (key === "r") this.showRegions();
    else return this.penKey(key) || zoomKey(key, this.state.canvas);
    return true;
  }
}
