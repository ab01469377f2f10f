// The explorer of a sweep: controls, chart, words and tables of the cells in `content`. It runs in a notebook, where a
// kernel may add cells, and in a page without one.
const QUANTITIES = ["old", "new", "forgetting"];

const make = (tag, more = {}, ...children) => {
  const made = Object.assign(document.createElement(tag), more);
  made.append(...children);
  return made;
};
const figure = (value, digits = 1) => (value == null ? "–" : value.toFixed(digits).replace("-", "−"));
const counted = (count, noun) => `${count} ${noun}${count === 1 ? "" : "s"}`;
const listed = (parts) => (parts.length > 1 ? `${parts.slice(0, -1).join(", ")} and ${parts.at(-1)}` : parts.join(""));
/** Rows of a table that came as column -> values. */
const rowsOf = (columns) => Object.values(columns)[0].map(
  (_, i) => Object.fromEntries(Object.entries(columns).map(([name, values]) => [name, values[i]])));
/** Old, new and forgetting of a cell or of a run, on the images of a view; null for what is not known. */
const numbersOf = (one, { data }) => Object.fromEntries(
  QUANTITIES.map((name) => [name, one?.[`${name}_${data}`] ?? null]));

/** How many seeds a cell's means are of, and what became of the others. */
function seedWords(cell) {
  if (!cell) return "not in this sweep";
  const { ended, failed, planned } = cell, open = planned - ended - failed;
  return [counted(ended, "seed"), failed && `${failed} failed`, open && `${open} not done yet`].filter(Boolean).join(", ");
}

/** The cells of a sweep, and what is seen of them in a view. */
class Cells {
  constructor(content) {
    this.content = content;
    this.cells = rowsOf(content.cells).map((cell) => ({ ...cell, runs: [], curve: [] }));
    for (const run of rowsOf(content.runs)) this.cells[run.cell].runs.push(run);
    for (const { cell, ...point } of rowsOf(content.curves)) this.cells[cell].curve.push(point);
    this.places = new Map(this.cells.map((cell, i) => [this.key(cell), i]));
  }
  key(one) { return JSON.stringify([one.tasks, one.method, ...Object.keys(this.axes(one)).map((name) => one[name])]); }
  axes(view) { return this.content.methods[view.method].axes; }
  label(name) { return this.content.settings[name]?.label ?? ""; } // with its symbol
  name(name) { return this.content.settings[name]?.name ?? ""; }
  place(view, changes = {}) { return this.places.get(this.key({ ...view, ...changes })) ?? null; }
  settings(view, names = Object.keys(this.axes(view))) {
    return listed(names.filter(Boolean).map((name) => `${this.name(name)} ${view[name]}`));
  }

  /** Every pair of values along the edges of the maps, row by row from above. */
  map(view) {
    const axes = this.axes(view), along = (name) => (name ? axes[name] : [""]);
    const cells = [...along(view.rows)].reverse().flatMap((row) => along(view.columns).map((column) => {
      const at = { ...(view.columns && { [view.columns]: column }), ...(view.rows && { [view.rows]: row }) };
      const place = this.place(view, at), cell = this.cells[place];
      const chosen = Object.entries(at).every(([name, value]) => view[name] === value);
      return { at, place, cell, chosen, column: String(column), row: String(row), ...numbersOf(cell, view) };
    }));
    const ended = cells.filter((one) => one.old !== null && one.new !== null && !one.cell.failed);
    for (const one of cells) {
      const better = (two) => two.old >= one.old && two.new >= one.new && (two.old > one.old || two.new > one.new);
      one.on_front = ended.includes(one) && !ended.some(better);
    }
    return cells;
  }

  /** [method, cell] of all that is compared: the references, the chosen cell last, then the pinned one. */
  compared(view, pinned) {
    const own = this.cells[this.place(view)];
    const places = [...Object.entries(own?.beside ?? {}), [view.method, this.place(view)], ["pinned", pinned]];
    return places.map(([name, place]) => [name, this.cells[place]]).filter(([, cell]) => cell);
  }
  kind(name) { return name === "pinned" ? "pinned cell" : this.content.methods[name].label; }

  /** Data sets and signals of the chart. */
  drawn(view, pinned) {
    const cells = this.map(view), compared = this.compared(view, pinned);
    const inner = Object.keys(cells[0].at);
    for (const one of cells) {
      one.pinned = one.place !== null && one.place === pinned;
      one.failed = one.cell?.failed ?? 0;
      one.tooltip = `${this.settings({ ...view, ...one.at }, inner)}: old ${figure(one.old)}, new ${figure(one.new)}, `
        + `forgotten ${figure(one.forgetting)} (${seedWords(one.cell)})`;
    }
    const point = (kind, role, name, one) => {
      const numbers = numbersOf(one, view);
      return { kind, role, ...numbers, tooltip: `${name}: old ${figure(numbers.old)}, new ${figure(numbers.new)}` };
    };
    const runs = this.cells[this.place(view)]?.runs.filter((run) => !run.failure) ?? [];
    const points = [
      ...compared.filter(([name]) => name !== view.method).map(([name, cell]) => point(name, "mean", this.kind(name), cell)),
      ...runs.map((run) => point(view.method, "seed", `seed ${run.seed}`, run)),
    ];
    const curves = compared.flatMap(([kind, { curve }]) => curve.map((one) => ({ kind, ...one })));
    const ranges = this.content.ranges[view.tasks][view.method][view.data];
    const signals = {
      x_title: this.label(view.columns), y_title: this.label(view.rows), method: view.method,
      kinds: compared.length ? compared.map(([name]) => name) : [view.method], // an empty legend has no size
      columns_shown: [...new Set(cells.map((one) => one.column))], rows_shown: [...new Set(cells.map((one) => one.row))],
      top: 1.05 * Math.max(1e-9, ...curves.map((one) => one.high)), last: Math.max(1, ...curves.map((one) => one.step)),
      ...Object.fromEntries(["old", "new"].map((side) => [`${side}_shown`, this.ends(view, [...cells, ...points], side)])),
    };
    for (const name of QUANTITIES) signals[`${name}_range`] = ranges[name] ?? [0, 100];
    return { cells, tables: { cells: cells.map(({ at, cell, ...row }) => row), curves, points }, signals };
  }

  /** Ends of an axis of the trade-off: from a little below front, chosen cell and what is compared, or from the lowest. */
  ends(view, rows, side) {
    const known = rows.filter((one) => one[side] !== null), values = known.map((one) => one[side]);
    const near = known.filter((one) => view.near === false || one.on_front || one.chosen || one.role);
    const low = Math.min(...near.map((one) => one[side])), high = Math.max(...values), room = Math.max(1, 0.15 * (high - low));
    return near.length ? [low - room, high + room / 2] : [0, 100];
  }

  /** The chosen cell and what stands beside it, in a sentence or two. */
  sentence(view, pinned) {
    const cell = this.cells[this.place(view)], settings = this.settings(view);
    const name = `${this.kind(view.method)}${settings ? ` with ${settings}` : ""} on ${view.tasks}`;
    if (!cell) return `${name}: this combination is not in the sweep.`;
    if (!cell.ended && !cell.failed) return `${name}: no seed is done yet.`;
    if (!cell.ended) return `${name}: all ${counted(cell.failed, "seed")} failed. ${cell.runs[0].failure}`;
    const { forgetting, ...own } = numbersOf(cell, view);
    const both = `${figure(own.old)} % on the old task, ${figure(own.new)} % on the new task`;
    const lost = forgetting === null ? "forgetting not measured" : `forgetting ${figure(forgetting)} points`;
    const beside = this.compared(view, pinned).filter(([other, one]) => other !== view.method && one.ended)
      .map(([other, one]) => [this.kind(other), numbersOf(one, view)])
      .map(([kind, numbers]) => ` ${kind}: ${figure(numbers.old)} % and ${figure(numbers.new)} %.`);
    return `${name}: ${both}, ${lost} (${view.data} images, mean of ${seedWords(cell)}).${beside.join("")}`;
  }

  /** What the chart shows, for those who cannot see it. */
  description(view, cells) {
    const parts = QUANTITIES.map((name) => {
      const known = cells.filter((one) => one[name] !== null).sort((a, b) => a[name] - b[name]);
      if (!known.length) return `no ${name} measured`;
      const best = name === "forgetting" ? known[0] : known.at(-1);
      const where = this.settings({ ...view, ...best.at }, Object.keys(best.at));
      return `${name} from ${figure(known[0][name])} to ${figure(known.at(-1)[name])}, best${where ? ` at ${where}` : ""}`;
    });
    const front = cells.filter((one) => one.on_front).map((one) => one.tooltip);
    const empty = cells.filter((one) => one.old === null).length;
    return `Three heat maps in %, ${view.data} images: ${parts.join("; ")}. `
      + (empty ? `${counted(empty, "cell")} without a value. ` : "")
      + `Curves of the feature distance, and old against new accuracy with the Pareto front: ${front.join("; ") || "none"}.`;
  }

  /** The call that runs one seed of the chosen cell again. */
  config(view) {
    const given = { ...this.content.methods[view.method].constant };
    for (const name of Object.keys(this.axes(view))) given[name] = view[name];
    const value = (one) => (typeof one !== "string" ? one : /^[\d., e-]+$/.test(one) ? `(${one})` : JSON.stringify(one));
    const settings = Object.entries(given).map(([name, one]) => `${name}=${value(one)}`);
    const tasks = view.tasks.split("-").map((task) => JSON.stringify(task)).join(", ");
    return `ebll.RunConfig.of(tasks=(${tasks}), method=${JSON.stringify(view.method)}, ${[...settings, "seed=0"].join(", ")})`;
  }
}

/** Rows of texts as a table; the first text of each row names it. */
function fillTable(table, caption, head, rows) {
  const line = ([name, ...texts], chosen) => make("tr", { className: chosen ? "chosen" : "" },
    make("th", { textContent: name, scope: "row" }), ...texts.map((text) => make("td", { textContent: text })));
  const top = make("tr", {}, ...head.map((text) => make("th", { textContent: text, scope: "col" })));
  const body = make("tbody", {}, ...rows.map(([texts, chosen]) => line(texts, chosen)));
  table.replaceChildren(make("caption", { textContent: caption }), make("thead", {}, top), body);
}

/**
 * Show a sweep in an element.
 *
 * content, spec   what `ebll.sweeps.view.content` gave, and the chart's Vega specification
 * embed           vegaEmbed
 * view            where it begins; complete, as in content.methods[...].usual
 * hidden, locked  names of controls
 * changed         called with the view and the place of the pinned cell after every change
 * read, take      a line of code was entered; a figure is asked for. Without them there is no such control
 * returns         functions to show another view and another content
 */
async function explore(el, { content, spec, embed, view, hidden = [], locked = [], source = "", changed, read, take }) {
  let cells = new Cells(content), pinned = null, built = "", vega = null, telling = 0;
  const home = view, use = (name, control) => {
    control.hidden = hidden.includes(name);
    for (const one of [control, ...control.querySelectorAll("select, input, button")]) {
      if ("disabled" in one) one.disabled = locked.includes(name);
    }
    return control;
  };
  const button = (name, text, press) => {
    const made = make("button", { type: "button", textContent: text });
    made.addEventListener("click", press);
    return use(name, made);
  };
  const lists = make("div", { className: "lists" }), sliders = make("div", { className: "sliders" });
  const pin = button("pin", "Pin this cell", () => {
    pinned = pinned === cells.place(view) ? null : cells.place(view);
    refresh();
  });
  const reset = button("reset", "Reset", () => {
    pinned = null;
    show({ ...home });
  });
  const buttons = make("div", { className: "buttons" }, pin, reset);
  if (take) buttons.append(button("take", "Take a figure", take));
  const near = make("input", { type: "checkbox", checked: true });
  near.addEventListener("change", () => show({ near: near.checked }));
  buttons.append(use("near", make("label", {}, near, " trade-off near its front only")));
  const summary = make("p", { className: "summary" });
  summary.setAttribute("role", "status");
  const target = make("div"), plot = make("div", { className: "plot" }, target);
  const mapTable = make("table"), numbers = make("table"), failures = make("p", { className: "failures" });
  const scroll = (label, table) => make("div", { className: "scroll", tabIndex: 0, role: "group", ariaLabel: label }, table);
  const field = (name, label, more) => {
    const input = make("input", { type: "text", spellcheck: false, ...more });
    const copy = make("button", { type: "button", textContent: `Copy ${label}` });
    copy.addEventListener("click", () => { input.select(); document.execCommand("copy"); });
    return [use(name, make("div", { className: "line" }, make("label", {}, `${label} `, input), copy)), input];
  };
  const [configBox, config] = field("config", "config", { readOnly: true });
  const [codeBox, code] = field("code", "as code", { readOnly: !read });
  if (read) code.addEventListener("change", () => read(code.value));
  el.classList.add("ebll-sweep");
  el.replaceChildren(
    make("div", { className: "controls" }, lists, sliders, buttons), summary, plot,
    make("details", {}, make("summary", { textContent: "The maps as a table" }), scroll("Table of the maps", mapTable)),
    scroll("Numbers of the chosen cell", numbers), failures, configBox, ...(read ? [codeBox] : []));

  function choice(name, label, options) {
    const made = make("select", {}, ...options.map(([value, text]) => make("option", { value, textContent: text })));
    made.dataset.setting = name;
    made.addEventListener("change", () => {
      if (name === "method") { show({ ...content.methods[made.value].usual, tasks: view.tasks, data: view.data }); return; }
      const other = { columns: "rows", rows: "columns" }[name];
      show({ [name]: made.value, ...(other && view[other] === made.value && { [other]: view[name] }) });
    });
    return use(name, make("label", {}, `${label} `, made));
  }
  function slider(name, values) {
    const title = content.settings[name].hint;
    const input = make("input", { type: "range", min: 0, max: values.length - 1, step: 1, title });
    const shown = make("span", { className: "value", ariaHidden: "true" });
    input.dataset.setting = name;
    input.addEventListener("input", () => show({ [name]: values[input.value] }));
    return use(name, make("label", {}, make("span", { textContent: content.settings[name].label }), input, shown));
  }
  /** Lists and sliders, made anew only where what there is to choose from has changed. */
  function build() {
    const { methods, tasks, data } = content, axes = cells.axes(view), names = Object.keys(axes);
    const now = JSON.stringify([tasks, Object.keys(methods), axes]);
    if (now !== built) {
      const edges = names.map((name) => [name, content.settings[name].label]);
      const kinds = Object.entries(methods).map(([name, { label }]) => [name, label]);
      const focus = document.activeElement?.dataset?.setting;
      const offered = {
        tasks: ["Tasks", tasks.map((text) => [text, text])], method: ["Method", kinds], columns: ["Columns", edges],
        rows: ["Rows", edges], data: ["Measured on", data.map((one) => [one, `${one} images`])],
      };
      lists.replaceChildren(...Object.entries(offered).filter(([, [, options]]) => options.length > 1)
        .map(([name, given]) => choice(name, ...given)));
      sliders.replaceChildren(...names.map((name) => slider(name, axes[name])));
      if (focus) el.querySelector(`[data-setting="${focus}"]`)?.focus();
      built = now;
    }
    for (const one of lists.querySelectorAll("select")) one.value = view[one.dataset.setting];
    for (const input of sliders.querySelectorAll("input")) {
      const name = input.dataset.setting;
      input.value = axes[name].indexOf(view[name]);
      input.setAttribute("aria-valuetext", String(view[name]));
      input.nextSibling.textContent = String(view[name]);
    }
  }
  function tabulate(map) {
    const { data } = view, edges = Object.keys(map[0].at), { runs = [] } = cells.cells[cells.place(view)] ?? {};
    const head = ["old task, %", "new task, %", "forgetting, points", "seeds"];
    const rows = map.map(({ at, cell, chosen, ...one }) => [[
      edges.map((name) => at[name]).join(", ") || "all", ...QUANTITIES.map((name) => figure(one[name])), seedWords(cell),
    ], chosen]);
    const first = edges.map((name) => cells.name(name)).join(", ") || "setting";
    fillTable(mapTable, `The cells of the maps, ${data} images: means over the seeds that ended.`, [first, ...head], rows);
    const spread = (cell, name) => {
      const sd = cell[`${name}_${data}_sd`];
      return figure(cell[`${name}_${data}`]) + (sd === null ? "" : ` ± ${figure(sd)}`);
    };
    const compared = cells.compared(view, pinned).map(([name, cell]) => [
      [cells.kind(name), ...QUANTITIES.map((one) => spread(cell, one)), seedWords(cell)], name === view.method,
    ]);
    const seeds = runs.map((run) => [
      [`seed ${run.seed}`, ...Object.values(numbersOf(run, view)).map((one) => figure(one)), run.failure ? "failed" : "ended"],
    ]);
    const caption = "In numbers: mean ± standard deviation over the seeds that ended, then the seeds of the chosen cell.";
    fillTable(numbers, caption, ["runs", ...head], [...compared, ...seeds]);
    const failed = runs.filter((run) => run.failure);
    failures.textContent = failed.map(({ seed, failure }) => `Seed ${seed} failed: ${failure}`).join(" ");
  }
  function lineOf() {
    const given = Object.entries(view).filter(([name, value]) => name !== "near" && value !== "");
    const settings = given.map(([name, value]) => `${name}=${JSON.stringify(value)}`);
    return `ebll.widgets.sweep_explorer(${source}view='${settings.join(", ")}')`;
  }
  function refresh() {
    build();
    near.checked = view.near !== false;
    pin.textContent = pinned !== null && pinned === cells.place(view) ? "Unpin" : "Pin this cell";
    const drawn = cells.drawn(view, pinned);
    vega?.container().setAttribute("aria-label", cells.description(view, drawn.cells));
    tabulate(drawn.cells);
    config.value = cells.config(view);
    code.value = lineOf();
    clearTimeout(telling); // a slider that is dragged is not to be talked about all the way
    telling = setTimeout(() => { summary.textContent = cells.sentence(view, pinned); }, 150);
    if (vega) {
      for (const [name, value] of Object.entries(drawn.signals)) vega.signal(name, value);
      for (const [name, rows] of Object.entries(drawn.tables)) vega.data(name, rows);
      vega.resize().runAsync().then(() => { plot.dataset.drawn = 1 + Number(plot.dataset.drawn ?? 0); });
    }
    changed?.(view, pinned);
  }
  function show(changes) {
    view = { ...view, ...changes };
    refresh();
  }
  function fit() {
    if (plot.clientWidth) vega.signal("available", Math.max(220, plot.clientWidth - 10)).resize().runAsync();
  }
  try {
    const { tables, signals } = cells.drawn(view, pinned);  // without data Vega would find axes without an end
    const filled = structuredClone(spec);
    for (const one of filled.data) if (tables[one.name]) one.values = tables[one.name];
    for (const one of filled.signals) if (one.name in signals) one.value = signals[one.name];
    const actions = { export: true, source: false, compiled: false, editor: false };
    vega = (await embed(target, filled, { mode: "vega", renderer: "svg", actions, logLevel: 1 })).view;
    target.querySelector("summary").setAttribute("aria-label", "Save the chart as SVG or PNG");
    target.querySelector("svg.marks").setAttribute("aria-hidden", "true");
    vega.container().setAttribute("role", "img");
    vega.addEventListener("click", (_, item) => {
      const found = cells.map(view).find((one) => one.column === item?.datum?.column && one.row === item.datum.row);
      if (found && !Object.keys(found.at).some((name) => locked.includes(name))) show(found.at);
    });
    new ResizeObserver(fit).observe(plot);
    fit();
  } catch (error) {
    summary.textContent = target.textContent = `The chart cannot be drawn here: ${error.message}`;
  }
  refresh();
  return {
    show(other) {
      view = { near: view.near, ...other };
      refresh();
    },
    replace(other, now) {
      const kept = [...cells.places].find(([, place]) => place === pinned)?.[0];
      content = other;
      view = { near: view.near, ...now };
      cells = new Cells(content);
      pinned = cells.places.get(kept) ?? null;
      refresh();
    },
  };
}

/** The JavaScript of Vega, which a page loads once for all its charts: as in widgets/front/chart.js. */
async function load(model) {
  const runtime = await model.widget_manager.get_model(model.get("runtime").replace("IPY_MODEL_", ""));
  const plain = new Blob([runtime.get("code")]).stream().pipeThrough(new DecompressionStream("gzip"));
  const url = URL.createObjectURL(new Blob([await new Response(plain).text()], { type: "text/javascript" }));
  return (await import(url)).vegaEmbed;
}

/** In a notebook: a model of the kernel holds content and view. */
async function render({ model, el }) {
  const vegaEmbed = await (window[Symbol.for("ebll.vega")] ??= load(model));
  const inner = make("div"), note = make("p");
  note.setAttribute("role", "alert");
  el.append(inner, note);
  const sorted = (one) => JSON.stringify(Object.entries(one).sort());
  let own = model.get("view");
  function said() {
    note.textContent = model.get("wrong") || model.get("text");
    note.className = model.get("wrong") ? "wrong" : "note";
    note.hidden = !note.textContent;
  }
  const shown = await explore(inner, {
    content: model.get("content"), spec: model.get("spec"), embed: vegaEmbed, view: model.get("view"),
    hidden: model.get("hidden"), locked: model.get("locked"), source: model.get("source"),
    changed({ near, ...view }, pinned) {
      own = view;
      model.set("view", view);
      model.set("pinned", pinned);
      model.save_changes();
    },
    read: (line) => model.send({ line }),
    take: () => model.send({ take: true }),
  });
  // Keys are not for the notebook, but for these.
  const forNotebook = ({ key, ctrlKey, altKey, metaKey, shiftKey }) => ctrlKey || altKey || metaKey
    || /^(Tab|Escape|F\d+)$/.test(key) || (key === "Enter" && shiftKey);
  el.addEventListener("keydown", (event) => { if (!forNotebook(event)) event.stopPropagation(); });
  model.on("change:view", () => { if (sorted(own) !== sorted(model.get("view"))) shown.show(model.get("view")); });
  model.on("change:content", () => shown.replace(model.get("content"), model.get("view")));
  model.on("change:wrong change:text", said);
  said();
}
export default { render };
