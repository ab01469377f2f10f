// The controls, the state they make, and the address that holds it.

const content = JSON.parse(byId("content").textContent);
const state = { task: null, method: null, data: "validation", rows: -1, at: [], near: true };
const knobs = [];

const cellKey = (at) => [content.tasks.indexOf(state.task), content.methods.indexOf(state.method), ...at].join(".");
const found = (at) => content.cells[cellKey(at)] ?? null;

function choose(at) {
  state.at = [...at];
  refresh();
}

function usual(method) {
  state.method = method;
  state.at = [...method.usual];
  state.rows = method.rows[0] ?? -1;
}

const charts = {
  maps: ["old", "new", "forgetting"].map((name) => new Chart(`map-${name}`, content.charts.map, choose)),
  curves: new Chart("curves", content.charts.curves),
  tradeoff: new Chart("tradeoff", content.charts.tradeoff, choose),
  seeds: ["old", "new"].map((name) => new Chart(`seeds-${name}`, content.charts.seeds)),
};

// ---- the address

function address() {
  const parts = { tasks: state.task.name };
  if (content.methods.length > 1) parts.method = state.method.name;
  parts.data = state.data;
  if (state.method.rows.length > 1) parts.rows = state.method.axes[state.rows].name;
  if (!state.near) parts.near = "no";
  state.method.axes.forEach((axis, i) => { parts[axis.name] = axis.values[state.at[i]]; });
  return "#" + new URLSearchParams(parts);
}

/** Take the state from the address; what it asks for and the sweep lacks is told, and stays as it was. */
function follow() {
  const asked = new URLSearchParams(location.hash.slice(1));
  const wrong = [];
  const pick = (name, options, current) => {
    if (!asked.has(name)) return current;
    const given = asked.get(name);
    const same = (one) => one === given || (given.trim() !== "" && Number(one) === Number(given)); // 3.0 is 3
    const place = options.findIndex(same);
    if (place < 0) wrong.push(`${name} ${asked.get(name)}`);
    return place < 0 ? current : place;
  };
  state.task = content.tasks[pick("tasks", content.tasks.map((task) => task.name), content.tasks.indexOf(state.task))];
  const m = pick("method", content.methods.map((method) => method.name), content.methods.indexOf(state.method));
  if (content.methods[m] !== state.method) usual(content.methods[m]);
  state.data = content.data[pick("data", content.data, content.data.indexOf(state.data))];
  state.near = asked.get("near") !== "no";
  const { axes, rows } = state.method;
  state.rows = rows[pick("rows", rows.map((place) => axes[place].name), rows.indexOf(state.rows))] ?? -1;
  state.at = axes.map((axis, i) => pick(axis.name, axis.values, state.at[i]));
  const notice = byId("notice");
  notice.hidden = !wrong.length;
  notice.textContent = wrong.length ? `The address asks for ${listed(wrong)}, which this sweep does not have. What is shown stands below.` : "";
}

// ---- the controls

function option(value, label) {
  const made = document.createElement("option");
  made.value = value;
  made.textContent = label;
  return made;
}

/** A list with a label; `pick` is called with the place of what is chosen. */
function list(id, label, options, pick) {
  const box = document.createElement("div");
  box.className = "choice";
  const name = Object.assign(document.createElement("label"), { htmlFor: id, textContent: label });
  const made = Object.assign(document.createElement("select"), { id });
  made.append(...options.map((text, i) => option(i, text)));
  made.addEventListener("change", () => { pick(Number(made.value)); refresh(); });
  box.append(name, made);
  return box;
}

function dataChoice() {
  const box = document.createElement("fieldset");
  box.append(Object.assign(document.createElement("legend"), { textContent: "Measured on" }));
  for (const data of content.data) {
    const label = document.createElement("label");
    const input = Object.assign(document.createElement("input"), { type: "radio", name: "data", value: data });
    input.addEventListener("change", () => { state.data = data; refresh(); });
    label.append(input, DATA_WORDS[data]);
    box.append(label);
  }
  return box;
}

function knob(axis, i) {
  const box = document.createElement("div");
  box.className = "knob";
  const id = `knob-${axis.name}`;
  const label = Object.assign(document.createElement("label"), { htmlFor: id, textContent: axis.label });
  const value = Object.assign(document.createElement("span"), { className: "value" });
  value.setAttribute("aria-hidden", "true"); // the slider itself tells it
  const input = Object.assign(document.createElement("input"), { type: "range", id, min: 0, max: axis.values.length - 1, step: 1 });
  const hint = Object.assign(document.createElement("small"), { id: `${id}-hint`, textContent: `${axis.hint}.` });
  input.setAttribute("aria-describedby", hint.id);
  input.addEventListener("input", () => { state.at[i] = Number(input.value); refresh(); });
  box.append(label, value, input, hint);
  knobs[i] = { input, value };
  return box;
}

let built = null; // the method whose sliders stand there

function build() {
  const { axes, rows } = state.method;
  const choices = [list("tasks", "Tasks, old then new", content.tasks.map((task) => (task.old ? `${task.old}, then ${task.new}` : task.name)), (i) => { state.task = content.tasks[i]; })];
  if (content.methods.length > 1) {
    choices.push(list("method", "Method", content.methods.map((method) => method.label), (i) => usual(content.methods[i])));
  }
  if (rows.length > 1) {
    choices.push(list("rows", "Rows of the maps", rows.map((place) => axes[place].label), (i) => { state.rows = rows[i]; }));
  }
  const focused = document.activeElement?.id;
  byId("choices").replaceChildren(...choices, dataChoice());
  knobs.length = 0;
  byId("knobs").replaceChildren(...axes.map(knob));
  if (focused) byId(focused)?.focus();
  built = state.method;
}

function setControls() {
  if (built !== state.method) build();
  const set = (id, place) => { if (byId(id)) byId(id).value = place; };
  set("tasks", content.tasks.indexOf(state.task));
  set("method", content.methods.indexOf(state.method));
  set("rows", state.method.rows.indexOf(state.rows));
  byId("near").checked = state.near;
  for (const input of document.getElementsByName("data")) input.checked = input.value === state.data;
  state.method.axes.forEach((axis, i) => {
    const text = axis.values[state.at[i]];
    knobs[i].input.value = state.at[i];
    knobs[i].input.setAttribute("aria-valuetext", text);
    knobs[i].value.textContent = text;
  });
}

// ---- everything that hangs on the state

let telling = 0;

function refresh() {
  const cells = mapCells(state, found);
  const cell = found(state.at);
  const kinds = kindsOf(state, cell, content);
  const { task, method, data } = state;
  const ranges = content.ranges[`${content.tasks.indexOf(task)}.${content.methods.indexOf(method)}`][data];
  const titles = [`${capital(oldWords(task))}: accuracy, %`, `${capital(newWords(task))}: accuracy, %`, `Forgetting${task.old ? ` (${task.old})` : ""}, points`];
  setControls();
  ["old", "new", "forgetting"].forEach((name, q) => {
    byId(`title-${name}`).textContent = titles[q];
    drawMap(charts.maps[q], state, cells, q, titles[q], ranges[name]);
  });
  const held = method.axes.map((_, i) => i).filter((i) => i !== method.columns && i !== state.rows);
  byId("maps-about").textContent =
    `${content.kinds[method.name].label}, ${DATA_WORDS[data]}${held.length ? `, at ${settingWords(method, state.at, held)}` : ""}; means over the seeds that ended. ` +
    (data === "test" ? "Test images are for the report: settings are chosen on validation images." : "Settings are chosen on these images, never on test images.");
  byId("maps-caption").textContent =
    "Brighter is better in all three maps. Framed: the chosen cell; click a cell to choose it. Grey with “–”: not in this sweep, or not measured. “×2”: two seeds failed, and " +
    "the mean is of the others, if there are any. A colour means the same wherever the sliders are; the fifth of all settings that is worst has the darkest." +
    (data === "validation" && cells.every((one) => (one.cell?.validation[2] ?? null) === null)
      ? " Forgetting on validation images comes with the curves, and here none was measured on the way (log_every 0), or no seed ended."
      : "");
  drawCurves(charts.curves, state, kinds, content);
  drawTradeoff(charts.tradeoff, state, cells, kinds, content);
  charts.seeds.forEach((chart, q) => {
    byId(`title-seeds-${["old", "new"][q]}`).textContent = `Seed by seed: ${[oldWords, newWords][q](task)}`;
    drawSeeds(chart, state, kinds, content, q, titles[q]);
  });
  byId("seeds-caption").textContent = kinds.some(([, one]) => one?.done[0])
    ? "A mark a seed, thin lines join the runs of one seed, which began from the same network; the dash is the mean."
    : "No seed of this cell has ended.";
  fillNumbers(state, kinds, content);
  fillCells(state, cells);
  history.replaceState(null, "", address());
  clearTimeout(telling); // a slider that is dragged is not to be talked about all the way
  telling = setTimeout(() => { byId("told").textContent = sentence(state, kinds, content); }, 150);
}

state.task = content.tasks[0];
usual(content.methods[0]);
follow();
refresh();
window.addEventListener("hashchange", () => { follow(); refresh(); });
byId("near").addEventListener("change", () => { state.near = byId("near").checked; refresh(); });
byId("usual").addEventListener("click", () => {
  byId("notice").hidden = true;
  usual(state.method);
  refresh();
});
