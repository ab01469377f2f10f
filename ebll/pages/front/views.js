// What the charts, the sentences and the tables show of a state. Numbers come from the page's content; none is made here.

const DATA_WORDS = { validation: "validation images", test: "test images" };
const MINUS = "−";

const figure = (value, digits = 1) =>
  value === null || value === undefined ? "–" : value.toFixed(digits).replace(/^-(0\.?0*)$/, "$1").replace("-", MINUS);
const listed = (parts) => (parts.length > 1 ? `${parts.slice(0, -1).join(", ")} and ${parts.at(-1)}` : parts.join(""));
const counted = (count, noun) => `${count} ${noun}${count === 1 ? "" : "s"}`;
const byId = (id) => document.getElementById(id);

function oldWords(task) {
  return task.old ? `old task (${task.old})` : "old tasks (mean)";
}

function newWords(task) {
  return task.new ? `new task (${task.new})` : "new task (the last)";
}

function capital(text) {
  return text[0].toUpperCase() + text.slice(1);
}

/** The values of a cell's settings: "alpha 3, code_size 64". */
function settingWords(method, at, only = method.axes.map((_, i) => i)) {
  return listed(only.map((i) => `${method.axes[i].name} ${method.axes[i].values[at[i]]}`));
}

/** How many seeds a cell's means are of, and what became of the others. */
function seedWords(cell) {
  const [ended, failed] = cell.done;
  const open = cell.planned - ended - failed;
  const parts = [ended === 1 ? "one seed" : `${ended} seeds`];
  if (failed) parts.push(`${failed} failed`);
  if (open > 0) parts.push(`${open} not done yet`);
  return parts.join(", ");
}

/** A chart of Vega in the element of this id; it is made when there is something to show for the first time. */
class Chart {
  constructor(id, spec, choose) {
    Object.assign(this, { element: byId(id), spec, choose, view: null, making: null });
  }

  /** Show rows, or hide the chart where there are none; `text` is what one hears in place of it. */
  show(rows, signals, text) {
    const unseen = this.element.hidden;
    this.element.hidden = !rows.length;
    if (!rows.length) return;
    this.element.setAttribute("aria-label", text);
    this.latest = { rows, signals };
    if (!this.making) this.making = this.make().catch(failed);
    if (!this.view) return;
    if (unseen) this.view.signal("width", this.element.clientWidth);
    this.fill();
  }

  async make() {
    const options = { mode: "vega", renderer: "svg", actions: false, defaultStyle: false, hover: false, logLevel: 1 };
    const first = this.latest;
    const own = (part) => (part.name in first.signals ? { ...part, value: first.signals[part.name] } : part);
    const data = this.spec.data.map((part) => (part.name === "rows" ? { ...part, values: first.rows } : part));
    const inside = document.createElement("div"); // Vega gives its own place another role and another text
    inside.setAttribute("aria-hidden", "true");
    this.element.replaceChildren(inside);
    const made = await vegaEmbed(inside, { ...this.spec, data, signals: this.spec.signals.map(own) }, options);
    this.view = made.view;
    if (this.choose) this.view.addEventListener("click", (_, item) => item?.datum?.at && this.choose(item.datum.at));
    if (this.latest !== first) this.fill();
  }

  fill() {
    for (const [name, value] of Object.entries(this.latest.signals)) this.view.signal(name, value);
    this.view.data("rows", this.latest.rows).runAsync();
  }
}

/** Say in the page that something of it does not work. */
function failed(error) {
  const notice = byId("notice");
  notice.hidden = false;
  notice.textContent = `The page cannot draw its charts in this browser, or at this place: ${error.message}`;
}

/** The rows of the map: every pair of values along its edges, with its cell or null; larger values of the rows come first. */
function mapCells(state, found) {
  const { method, rows } = state;
  const axis = (place) => (place < 0 ? [""] : method.axes[place].values);
  const made = [];
  for (let r = axis(rows).length - 1; r >= 0; r--) {
    for (let c = 0; c < axis(method.columns).length; c++) {
      const at = state.at.map((own, i) => (i === method.columns ? c : i === rows ? r : own));
      const cell = found(at);
      const chosen = Number(at.every((value, i) => value === state.at[i]));
      made.push({ at, cell, chosen, column: axis(method.columns)[c], row: axis(rows)[r] });
    }
  }
  return made;
}

function drawMap(chart, state, cells, quantity, title, range) {
  const { method, data, rows } = state;
  const label = (place) => (place < 0 ? "" : method.axes[place].label);
  const where = (one) => settingWords(method, one.at, [method.columns, rows].filter((place) => place >= 0)) || "the one setting";
  const drawn = cells.map(({ at, cell, chosen, column, row }) => {
    const value = cell ? cell[data][quantity] : null;
    const crosses = cell?.done[1] ? `×${cell.done[1]}` : "";
    const told = `${where({ at })}: ${figure(value)} (${cell ? seedWords(cell) : "not in this sweep"})`;
    const known = value !== null;
    return { at, column, row, value, shown: known ? figure(value) : crosses || "–", failed: known ? crosses : "", told, chosen };
  });
  const known = drawn.filter((one) => one.value !== null).sort((a, b) => a.value - b.value);
  const extent = known.length
    ? `From ${figure(known[0].value)} (${where(known[0])}) to ${figure(known.at(-1).value)} (${where(known.at(-1))}).`
    : "No cell has a value.";
  const own = drawn.find((one) => one.chosen);
  const empty = drawn.filter((one) => one.value === null).length;
  const text = `Heat map. ${title}. ${extent} Chosen: ${own.shown}.${empty ? ` ${counted(empty, "cell")} without a value.` : ""}`;
  const [low, high] = range && range[0] < range[1] ? range : range ? [range[0] - 1, range[1] + 1] : [0, 100];
  const once = (name) => [...new Set(drawn.map((one) => one[name]))];
  const edges = { columns: once("column"), rows_down: once("row"), x_title: label(method.columns), y_title: label(rows) };
  const signals = { ...edges, low, high, less_is_better: quantity === 2 };
  chart.show(drawn, signals, text);
}

/** [method, its cell]: the references in the order of all legends, and last the chosen one. */
function kindsOf(state, cell, content) {
  const beside = cell?.references ?? {};
  const names = Object.keys(content.kinds).filter((name) => Object.hasOwn(beside, name));
  return [...names.map((name) => [name, content.cells[beside[name]]]), [state.method.name, cell]];
}

function lookSignals(kinds, content) {
  const looks = kinds.map(([name]) => content.kinds[name]);
  const field = (name) => looks.map((look) => look[name]);
  return { kinds: field("label"), color: field("color"), dash: field("dash"), shape: field("shape") };
}

function drawCurves(chart, state, kinds, content) {
  const rows = [];
  const told = [];
  for (const [name, cell] of kinds) {
    if (!cell?.curve) continue;
    const [place, mean, low, high] = cell.curve;
    const steps = content.steps[place];
    const kind = content.kinds[name].label;
    steps.forEach((step, i) => rows.push({ kind, step, mean: mean[i], low: low[i], high: high[i] }));
    const peak = mean.indexOf(Math.max(...mean));
    const ends = `ends at ${figure(mean.at(-1), 2)} at step ${steps.at(-1)}`;
    told.push(`${kind} ${peak < mean.length - 1 ? `peaks at ${figure(mean[peak], 2)} at step ${steps[peak]} and ` : ""}${ends}`);
  }
  const { task } = state;
  chart.show(rows, {
    ...lookSignals(kinds, content),
    x_title: `optimiser step while ${task.new ? `${task.new} is` : "the new task is"} learned`,
    y_title: "feature distance ‖F(x) − F*(x)‖",
    high: 1.05 * Math.max(...rows.map((row) => row.high)),
  }, `Lines over training steps: how far the features of the ${oldWords(task)} have moved. ${told.join("; ")}.`);
  const own = kinds.at(-1)[1];
  byId("curves-caption").textContent = rows.length
    ? `Mean distance of held-out images' features from those before the training, in units of the features${task.old ? "" : "; mean over the old tasks"}. ` +
      `Lines: means over the seeds that ended; bands: lowest to highest seed.${own?.curve ? "" : " The chosen cell has no curve: no seed of it ended, or nothing was measured."}`
    : "No feature distance was measured on the way (log_every 0), or no seed ended, so there is no curve to show.";
}

/**
 * What the trade-off shows near the front: not the marks that lie under the front and the references by more than half
 * of the room that these take, on either axis. The chosen cell is always there.
 */
function nearFront(drawn) {
  const held = drawn.filter((one) => one.front || one.role === "reference");
  if (!held.length) return drawn;
  const chosen = drawn.filter((one) => one.chosen);
  const floor = (side) => {
    const values = held.map((one) => one[side]);
    const low = Math.min(...values);
    // The axes reach to the chosen cell, and what then is inside is shown.
    return Math.min(low - Math.max(1, (Math.max(...values) - low) / 2), ...chosen.map((one) => one[side]));
  };
  const [old, fresh] = [floor("old"), floor("new")];
  return drawn.filter((one) => one.old >= old && one.new >= fresh);
}

function drawTradeoff(chart, state, cells, kinds, content) {
  const { data, method, task, rows } = state;
  const kind = content.kinds[method.name].label;
  const ended = cells.filter(({ cell }) => cell && cell[data][0] !== null && cell[data][1] !== null);
  const drawn = ended.map(({ at, cell, chosen }) => (
    { at, kind, role: "cell", old: cell[data][0], new: cell[data][1], front: Number(cell.front[data].includes(rows)), chosen }
  ));
  const edges = [method.columns, rows].filter((place) => place >= 0);
  const pair = (one) => `${figure(one.old)} old, ${figure(one.new)} new`;
  for (const one of drawn) one.told = `${settingWords(method, one.at, edges) || kind}: ${pair(one)}`;
  const front = drawn.filter((one) => one.front).sort((a, b) => a.new - b.new);
  for (const [name, cell] of kinds.slice(0, -1)) {
    if (cell[data][0] === null) continue;
    const one = { kind: content.kinds[name].label, role: "reference", old: cell[data][0], new: cell[data][1], front: 0, chosen: 0 };
    drawn.push({ ...one, told: `${one.kind}: ${pair(one)}` });
  }
  const told = front.map((one) => one.told);
  const seen = state.near ? nearFront(drawn) : drawn;
  const unseen = drawn.length - seen.length;
  const beyond = unseen ? ` ${counted(unseen, "mark")} below or to the left of the chart ${unseen === 1 ? "is" : "are"} left out.` : "";
  chart.show(seen, {
    ...lookSignals(kinds, content), x_title: `${newWords(task)}: accuracy, %`, y_title: `${oldWords(task)}: accuracy, %`,
  }, `Scatter plot of old-task against new-task accuracy in %, ${DATA_WORDS[data]}. On the Pareto front: ${told.join("; ") || "none"}.${beyond}`);
  byId("tradeoff-caption").textContent = drawn.length
    ? "Each mark is a cell of the maps; up and to the right is better. Filled and joined: the Pareto front, where no other cell of the " +
      "maps is at least as good for both tasks and better for one; cells of which a seed failed take no part. Ring: the chosen cell; click a mark to choose it." + beyond
    : "No cell of these maps has ended, so there is nothing to show.";
}

function drawSeeds(chart, state, kinds, content, quantity, title) {
  const { data } = state;
  const rows = [];
  const told = [];
  for (const [name, cell] of kinds) {
    const kind = content.kinds[name].label;
    const values = (cell?.seeds ?? []).filter((one) => !one[1]).map((one) => [one[0], seedFigures(one, data, content)[quantity]]);
    for (const [seed, value] of values) rows.push({ kind, seed, value, mean: 0 });
    if (!values.length) continue;
    const mean = cell[data][quantity];
    rows.push({ kind, seed: "mean", value: mean, mean: 1 });
    const sorted = values.map(([, value]) => value).sort((a, b) => a - b);
    told.push(`${kind}: mean ${figure(mean)}, ${figure(sorted[0])} to ${figure(sorted.at(-1))}`);
  }
  const signals = { ...lookSignals(kinds, content), x_title: "", y_title: "accuracy, %" };
  chart.show(rows, signals, `${title}, a mark a seed. ${told.join("; ")}.`);
}

const seedFigures = (seed, data, content) => seed[2 + content.data.indexOf(data)];

/** A table from rows of texts; the first row is the head, and the first text of each row names it. */
function fillTable(table, caption, head, rows) {
  const line = (texts, tag, scope) =>
    texts.map((text, i) => {
      const made = document.createElement(i && tag === "td" ? "td" : "th");
      if (made.tagName === "TH") made.scope = i ? "col" : scope;
      made.textContent = text;
      return made;
    });
  const made = document.createElement("tr");
  made.append(...line(head, "th", "col"));
  table.tHead?.remove();
  table.caption?.remove();
  table.createCaption().textContent = caption;
  table.createTHead().append(made);
  (table.tBodies[0] ?? table.createTBody()).replaceChildren(
    ...rows.map(({ texts, chosen }) => {
      const row = document.createElement("tr");
      if (chosen) row.className = "chosen";
      row.append(...line(texts, "td", "row"));
      return row;
    }),
  );
}

function spread(cell, data, quantity) {
  const value = cell?.[data][quantity] ?? null;
  const sd = cell?.[data][quantity + 3] ?? null;
  return sd === null ? figure(value) : `${figure(value)} ± ${figure(sd)}`;
}

function fillNumbers(state, kinds, content) {
  const { data, task } = state;
  const own = kinds.at(-1)[1];
  const rows = [kinds.at(-1), ...kinds.slice(0, -1)].map(([name, cell], i) => ({
    chosen: i === 0,
    texts: [
      content.kinds[name].label + (i ? "" : " (chosen)"), ...[0, 1, 2].map((q) => spread(cell, data, q)), cell ? seedWords(cell) : "not in this sweep",
    ],
  }));
  for (const one of own?.seeds ?? []) {
    const figures = one[1] ? [null, null, null] : seedFigures(one, data, content);
    rows.push({ texts: [`seed ${one[0]}`, ...figures.map((value) => figure(value)), one[1] ? "failed" : "ended"] });
  }
  const head = ["runs", `${oldWords(task)}, %`, `${newWords(task)}, %`, "forgetting, points", "seeds"];
  fillTable(byId("numbers"), `Accuracy and forgetting on ${DATA_WORDS[data]}: mean ± standard deviation over the seeds that ended, then the seeds of the chosen cell.`, head, rows);
  const failed = (own?.seeds ?? []).filter((one) => one[1]);
  byId("failures").textContent = failed.map((one) => `Seed ${one[0]} failed: ${one[1]}`).join(" ");
}

function fillCells(state, cells) {
  const { method, data, rows, task } = state;
  const edges = [method.columns, rows].filter((place) => place >= 0);
  const head = [edges.map((place) => method.axes[place].label).join(", ") || "setting", `${oldWords(task)}, %`, `${newWords(task)}, %`, "forgetting, points", "seeds"];
  fillTable(byId("cells"), `The maps' cells on ${DATA_WORDS[data]}: means over the seeds that ended.`, head, cells.map(({ at, cell, chosen }) => ({
    chosen,
    texts: [
      edges.map((place) => method.axes[place].values[at[place]]).join(", ") || "all", ...[0, 1, 2].map((q) => figure(cell ? cell[data][q] : null)), cell ? seedWords(cell) : "not in this sweep",
    ],
  })));
}

/** The chosen settings and their figures in a sentence or two. */
function sentence(state, kinds, content) {
  const { method, at, data, task } = state;
  const cell = kinds.at(-1)[1];
  const settings = settingWords(method, at);
  const name = `${content.kinds[method.name].label}${settings ? ` with ${settings}` : ""} on ${task.old ? `${task.old}, then ${task.new}` : task.name}`;
  if (!cell) return `${name}: this combination is not in the sweep.`;
  if (!cell.done[0]) return cell.done[1] ? `${name}: all ${counted(cell.done[1], "seed")} failed. ${cell.seeds[0][1]}` : `${name}: no seed is done yet.`;
  const percent = (value) => `${figure(value)}\u00a0%`;
  const both = (one) => `${percent(one[data][0])} on the ${oldWords(task)}, ${percent(one[data][1])} on the ${newWords(task)}`;
  const lost = cell[data][2] === null ? "forgetting not measured" : `forgetting ${figure(cell[data][2])} points`;
  const beside = kinds.slice(0, -1).filter(([, one]) => one.done[0])
    .map(([other, one]) => ` ${content.kinds[other].label}: ${percent(one[data][0])} and ${percent(one[data][1])}.`);
  return `${name}: ${both(cell)}, ${lost} (${DATA_WORDS[data]}, mean of ${seedWords(cell)}).${beside.join("")}`;
}
