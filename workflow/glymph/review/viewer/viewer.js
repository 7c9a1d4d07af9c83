// The viewer of one subject-session: what to look at, keys, what is not saved yet, and saving it.
import { Canvas } from "/viewer/canvas.js";
import { Brain, Diffusion, Alignment } from "/viewer/tasks.js";
import { Spaces } from "/viewer/spaces.js";

export const byId = id => document.getElementById(id);
export function make(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes))
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value !== null && value !== false && value !== undefined) node.setAttribute(name, value === true ? "" : value);
  node.append(...children.filter(c => c !== null && c !== undefined));
  return node;
}
export const toggle = (text, pressed, onclick, key) =>
  make("button", { "aria-pressed": String(pressed), onclick }, text, ...(key ? [" ", make("kbd", {}, key)] : []));

const unit = new URLSearchParams(location.search).get("unit") || "";
export const state = { unit, scene: null, task: null, canvas: null, tasks: {}, ready: false };
globalThis.viewer = state; // for the console, and for tests

export const rater = () => byId("rater").value.replace(/\s+/g, " ").trim();
export function notice(text, bad = false) {
  byId("notice").textContent = text;
  byId("notice").hidden = !text;
  byId("notice").className = bad ? "bad" : "";
}
export function busy(text) { byId("loading").textContent = text; byId("loading").hidden = !text; state.ready = !text; document.body.dataset.ready = String(!text) }

async function answered(path, options = {}) {
  let answer;
  try { answer = await fetch(path, { cache: "no-store", ...options }) }
  catch { throw new Error("the local server does not answer; start it again: your work stays in this browser") }
  if (!answer.ok && answer.status !== 409) throw new Error((await answer.text()).slice(0, 500));
  return { taken: answer.status === 409, told: await answer.json() };
}
async function readScene() {
  const query = new URLSearchParams({ unit, rater: rater() });
  state.scene = (await answered(`/viewer/scene?${query}`)).told;
}
async function post(entry) {
  const send = () => answered("/viewer/save", { method: "POST", body: JSON.stringify({ unit, rater: rater(), result: state.result, ...entry }),
    headers: { "X-Glymph-Token": state.scene.token, "Content-Type": "application/json" } });
  try { return await send() }
  catch (error) {
    if (!error.message.includes("started anew")) throw error;
    const before = state.scene.dataset;
    await readScene();
    if (state.scene.dataset !== before) throw new Error("another folder is served at this address");
    return send();
  }
}

// ---- what is not saved yet -------------------------------------------------------------------
const draftKey = () => `glymph-viewer ${state.scene.dataset} ${unit}`;
let keeping = null, kept = false;
export function changed() {
  const n = Object.values(state.tasks).reduce((sum, task) => sum + task.changes(), 0);
  byId("unsaved").hidden = !n;
  byId("unsaved-count").textContent = `${n} change${n === 1 ? "" : "s"} not saved`;
  byId("undo").disabled = !state.task?.canUndo();
  clearTimeout(keeping);
  keeping = setTimeout(keep, 300);
  return n;
}
function keep() {
  clearTimeout(keeping);
  const drafts = {};
  for (const [name, task] of Object.entries(state.tasks)) if (task.changes()) drafts[name] = task.draft();
  try {
    if (Object.keys(drafts).length) localStorage.setItem(draftKey(), JSON.stringify({ time: new Date().toISOString(), result: state.result, drafts }));
    else if (kept) localStorage.removeItem(draftKey()); // what another tab keeps stays
    kept = Object.keys(drafts).length > 0;
  } catch { notice("This browser cannot keep so much: save soon, and do not close the page before.", true) }
}
function readDrafts() {
  let found = null;
  try { found = JSON.parse(localStorage.getItem(draftKey())) } catch {}
  if (!found) return;
  const anew = JSON.stringify(found.result) !== JSON.stringify(state.scene.result), lost = [];
  for (const [name, draft] of Object.entries(found.drafts)) lost.push(...(state.tasks[name]?.restore(draft) || []));
  if (lost.length) localStorage.setItem(`${draftKey()} earlier ${found.time}`, JSON.stringify(found));
  notice(`Taken up again: what you had not saved on ${found.time.slice(0, 16).replace("T", " ")} UTC.`
    + (anew ? " The result was made anew since: look at every change before you save." : "")
    + (lost.length ? ` Not found again: ${lost.join(", ")}.` : ""), anew);
}

// ---- saving ----------------------------------------------------------------------------------
export function ask(title, text, yes) {
  byId("ask-title").textContent = title;
  byId("ask-text").replaceChildren(...text.map(line => make("p", {}, line)));
  byId("ask-yes").textContent = yes;
  byId("ask").returnValue = "no";
  byId("ask").showModal();
  return new Promise(done => byId("ask").addEventListener("close", () => done(byId("ask").returnValue === "yes"), { once: true }));
}
const after = again => `The same snakemake command as before takes it up. For ${unit} it runs ${again.join(", ")} and the subject's page, then the cohort's tables, statistics and report; for nobody else.`;

async function save() {
  if (!rater()) { byId("rater").focus(); notice("Enter your rater id first.", true); return }
  if (state.saving) return;
  state.saving = true;
  try {
    const said = [];
    for (const task of Object.values(state.tasks)) if (task.changes()) said.push(await saveTask(task) || "");
    if (said.some(Boolean)) notice(said.filter(Boolean).join("\n"));
  } catch (error) { notice(`Not saved: ${error.message}`, true) }
  finally { state.saving = false; changed() }
}
async function saveTask(task) {
  if (task.waiting) await choose(task.name);
  const entry = { kind: task.kind, based_on: task.version, ...await task.entry() };
  const before = (await post({ ...entry, dry: true })).told;
  const doubts = task.doubts(before.summary);
  if (doubts.length && !await ask("Before this is saved", doubts, "Save it so")) return "";
  let { taken, told } = await post(entry);
  while (taken) {
    if (!await ask("Somebody else was here", [`${told.message}.`, "Replace it by yours? The other version is kept in the folder review/history."], "Replace it")) return "";
    ({ taken, told } = await post({ ...entry, based_on: told.now.version }));
  }
  task.version = told.now.version;
  task.saved();
  keep();
  await readScene();
  task.refresh();
  const { again } = state.scene.corrections[task.kind];
  return `Saved. ${task.told(told.summary)} ` + (told.file ? `Written: ${told.file}\n${after(again)}` : "Nothing that the workflow reads has changed; your decisions are recorded.");
}
export async function withdraw(task) {
  const about = state.scene.corrections[task.kind];
  if (!rater()) { byId("rater").focus(); notice("Enter your rater id first.", true); return }
  if (!await ask("Take the correction back", ["The automatic result comes back at the next run; the correction is kept in the folder review/history. Changes that are not saved are lost."], "Take it back")) return;
  try {
    const { taken, told } = await post({ kind: task.kind, based_on: about.version, withdraw: true });
    if (taken) { notice(`${told.message}. Load the page again to see it.`, true); return }
    task.discard();
    keep();
    state.leaving = true;
    location.reload();
  } catch (error) { notice(error.message, true) }
}
async function discard() {
  if (!await ask("Discard", ["All changes that are not saved are lost."], "Discard them")) return;
  for (const task of Object.values(state.tasks)) task.discard();
  state.task.repaint();
}

// ---- tasks and keys --------------------------------------------------------------------------
async function choose(name) {
  if (!state.ready && state.task) return;
  if (byId("notice").className !== "bad") notice("");
  state.task?.leave();
  state.task = state.tasks[name];
  for (const button of byId("tasks").children) button.setAttribute("aria-pressed", String(button.dataset.task === name));
  busy("loading images");
  byId("tools").replaceChildren();
  byId("side").replaceChildren();
  try { await state.task.enter() } catch (error) { notice(error.message, true) }
  busy("");
  changed();
}
function showKeys() {
  const keys = { "?": "these keys", "u": "undo", "Esc": "put the pen away", ...state.task.keys() };
  byId("help-keys").replaceChildren(...Object.entries(keys).flatMap(([key, text]) =>
    [make("dt", {}, ...key.split(" ").flatMap((k, n) => [n ? " " : "", make("kbd", {}, k)])), make("dd", {}, text)]));
  byId("help").showModal();
}
function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  if (event.target.closest?.("input:not([type=checkbox]):not([type=range]), select, textarea")) { if (event.key === "Escape") event.target.blur(); return }
  if (event.target.closest?.("button, a, summary") && ["Enter", " "].includes(event.key)) return;
  if (!state.task) return;
  if (event.key === "?") showKeys();
  else if (event.key === "u") state.task.undo();
  else if (!state.task.onKey(event.key, event)) return;
  event.preventDefault();
  event.stopPropagation();
}
export function moved() {
  const place = state.canvas.place;
  byId("where").textContent = place.map((v, k) => `${"xyz"[k]} ${v.toFixed(1)}`).join("  ") + " mm" + (state.task?.at?.(place) || "");
}

async function start() {
  byId("title").textContent = unit;
  document.title = `${unit} · viewer`;
  try { byId("rater").value = localStorage.getItem("glymph-rater") || "" } catch {}
  try {
    await readScene();
    const all = state.scene.units, here = all.indexOf(unit);
    for (const [id, other] of [["previous", all[here - 1]], ["next", all[here + 1]]])
      if (other) byId(id).href = `/viewer?unit=${other}`;
    state.result = state.scene.result; // that the numbers of objects belong to
    state.canvas = new Canvas(byId("canvas"), moved, voxels => state.task?.drawn?.(voxels));
    await state.canvas.attach();
    for (const Task of [Spaces, Brain, Diffusion, Alignment]) {
      const task = new Task(state);
      if (!task.possible()) continue;
      task.begun();
      state.tasks[task.name] = task;
      const button = toggle(task.title, false, () => choose(task.name));
      button.dataset.task = task.name;
      byId("tasks").append(button);
    }
    if (!Object.keys(state.tasks).length) throw new Error("there are no images of this subject-session to show");
    await choose(Object.keys(state.tasks)[0]);
    readDrafts();
    changed();
  } catch (error) { busy(""); notice(error.message, true) }
}
addEventListener("keydown", onKey, true);
// NiiVue has keys of its own for views and cuts, which would answer beside ours.
addEventListener("keyup", event => { if (event.target === byId("canvas")) event.stopPropagation() }, true);
addEventListener("beforeunload", event => { if (state.scene && !state.leaving && changed()) { keep(); event.preventDefault() } });
byId("rater").addEventListener("change", async () => {
  try { localStorage.setItem("glymph-rater", rater()) } catch {}
  try { await readScene(); state.task.refresh() } catch (error) { notice(error.message, true) }
});
byId("help-open").addEventListener("click", showKeys);
byId("save").addEventListener("click", save);
byId("undo").addEventListener("click", () => state.task.undo());
byId("discard").addEventListener("click", discard);
start();
