// The explorer of a sweep: controls, chart and tables of the cells in `content`. It runs in a notebook, where a kernel
// may add cells, and in a page without one. What is seen of a cell is picked by the chart, and said in `content`.
const QUANTITIES = ["old", "new", "forgetting"];
const SEEN = "Heat maps of old and new accuracy and of forgetting; the feature distance; old against new accuracy.";
const SKELETON = `
<div class="controls">
  <div class="lists"></div>
  <div class="sliders"></div>
  <div class="buttons">
    <button type="button" data-name="pin">Pin this cell</button>
    <button type="button" data-name="reset">Reset</button>
    <button type="button" data-name="take">Take a figure</button>
    <label data-name="near"><input type="checkbox"> trade-off near its front only</label>
  </div>
</div>
<p class="summary" role="status"></p>
<div class="plot"><div></div></div>
<details>
  <summary>The maps as a table</summary>
  <div class="scroll" tabindex="0" role="group" aria-label="Table of the maps"><table class="maps"></table></div>
</details>
<div class="scroll" tabindex="0" role="group" aria-label="Numbers of the chosen cell">
  <table class="numbers"></table>
</div>
<p class="failures"></p>
<div class="line" data-name="config">
  <label>config <input type="text" spellcheck="false" readonly></label><button type="button">Copy config</button>
</div>
<div class="line" data-name="code">
  <label>as code <input type="text" spellcheck="false"></label><button type="button">Copy as code</button>
</div>`;

const make = (tag, more = {}, ...children) => {
  const made = Object.assign(document.createElement(tag), more);
  made.append(...children);
  return made;
};
const figure = (value) => (value == null ? "–" : value.toFixed(1).replace("-", "−"));
/** Rows of a table that came as column -> values. */
const rowsOf = (columns) => Object.values(columns)[0].map(
  (_, i) => Object.fromEntries(Object.entries(columns).map(([name, values]) => [name, values[i]])));

/** Rows of texts as a table; the first text of each row names it. */
function fillTable(table, caption, first, rows) {
  const head = [first, "old task, %", "new task, %", "forgetting, points", "seeds"];
  const line = ({ texts: [name, ...texts], chosen }) => make("tr", { className: chosen ? "chosen" : "" },
    make("th", { textContent: name, scope: "row" }), ...texts.map((text) => make("td", { textContent: text })));
  const top = make("tr", {}, ...head.map((text) => make("th", { textContent: text, scope: "col" })));
  const body = make("tbody", {}, ...rows.map(line));
  table.replaceChildren(make("caption", { textContent: caption }), make("thead", {}, top), body);
}

/**
 * Show a sweep in an element.
 *
 * content, spec   what `ebll.sweeps.view.content` gave, and the chart's Vega specification
 * embed           vegaEmbed
 * view            where it begins; complete, as in content.methods[...].usual
 * hidden, locked  names of controls
 * source          what a line of code gives the explorer before the view
 * changed         called with the view and the number of the pinned cell after every change
 * read, take      called when a line of code was entered, and when a figure is asked for
 * returns         functions to show another view and another content
 */
async function explore(el, { content, spec, embed, view, hidden, locked, source = "", changed, read, take }) {
  const home = view, find = (selector) => el.querySelector(selector);
  let tables, places, pinned = null, built = "", vega = null, telling = 0;
  el.classList.add("ebll-sweep");
  el.innerHTML = SKELETON;

  // What is looked at

  const axesOf = (method) => content.methods[method].axes;
  const keyOf = (one) => {
    const settings = Object.keys(axesOf(one.method)).map((name) => one[name]);
    return JSON.stringify([one.tasks, one.method, ...settings]);
  };
  const labelOf = (kind) => (kind === "pinned" ? "pinned cell" : content.methods[kind].label);
  /** The cell of the view, or of one that differs in some settings; undefined where the sweep has none. */
  const cellAt = (changes = {}) => tables.cells[places.get(keyOf({ ...view, ...changes }))];
  function fill(given) {
    content = given;
    tables = Object.fromEntries(["cells", "runs", "curves"].map((name) => [name, rowsOf(content[name])]));
    tables.cells.forEach((one, i) => { one.cell = i; });
    places = new Map(tables.cells.map((one) => [keyOf(one), one.cell]));
  }
  /** Every pair of values along the edges of the maps, row by row from above, with its cell. */
  function mapped() {
    const along = (name) => (name ? axesOf(view.method)[name] : [""]);
    return [...along(view.rows)].reverse().flatMap((row) => along(view.columns).map((column) => {
      const at = { ...(view.columns && { [view.columns]: column }), ...(view.rows && { [view.rows]: row }) };
      const chosen = Object.entries(at).every(([name, value]) => view[name] === value);
      return { at, cell: cellAt(at), chosen, column: String(column), row: String(row) };
    }));
  }
  /** [kind, cell] of all that is compared: the references, the chosen cell, then the pinned one. */
  function compared() {
    const own = cellAt(), places = Object.entries(own?.beside ?? {});
    if (own) places.push([view.method, own.cell]);
    if (pinned !== null && pinned !== own?.cell) places.push(["pinned", pinned]);
    return places.map(([kind, place]) => [kind, tables.cells[place]]);
  }
  /** Tables and signals of the chart. */
  function drawn(map, kinds) {
    const titleOf = (edge) => content.settings[view[edge]]?.label ?? "";
    const ranges = Object.entries(content.ranges[view.tasks][view.method][view.data]);
    const signals = {
      images: view.data, near: view.near, method: view.method, chosen: cellAt()?.cell ?? -1, pinned: pinned ?? -1,
      x_title: titleOf("columns"), columns_shown: [...new Set(map.map((one) => one.column))],
      y_title: titleOf("rows"), rows_shown: [...new Set(map.map((one) => one.row))],
      kinds: kinds.length ? kinds.map(([kind]) => kind) : [view.method], // an empty legend has no size
      ...Object.fromEntries(ranges.map(([name, ends]) => [`${name}_range`, ends ?? [0, 100]])),
    };
    return {
      signals,
      map: map.map(({ at, cell, ...one }) => ({ ...one, cell: cell?.cell ?? null })),
      compared: kinds.map(([kind, { cell }]) => ({ kind, cell })),
    };
  }

  // In words

  /** The chosen cell and what stands beside it. */
  function sentence(kinds) {
    const own = cellAt(), words = `words_${view.data}`;
    if (!own) return `${labelOf(view.method)} on ${view.tasks}: this combination is not in the sweep.`;
    const others = kinds.filter(([, cell]) => cell !== own);
    const beside = others.map(([kind, cell]) => ` ${labelOf(kind)}: ${cell[words]}.`);
    return `${own.name} on ${own.tasks}, ${view.data} images: ${own[words]}.${beside.join("")}`;
  }
  function tabulate(map, kinds) {
    const own = cellAt(), runs = tables.runs.filter((run) => run.cell === own?.cell);
    const number = (one, of) => {
      const value = one?.[`${of}_${view.data}`], sd = one?.[`${of}_${view.data}_sd`];
      return figure(value) + (sd == null ? "" : ` ± ${figure(sd)}`);
    };
    const row = (name, one, end, chosen) => ({ texts: [name, ...QUANTITIES.map((of) => number(one, of)), end], chosen });
    const means = "mean ± standard deviation over the seeds that ended";
    fillTable(
      find(".maps"), `The cells of the maps, ${view.data} images: ${means}.`,
      Object.keys(map[0].at).map((name) => content.settings[name].label).join(", ") || "setting",
      map.map(({ at, cell, chosen }) => (
        row(Object.values(at).join(", ") || "all", cell, cell?.seeds ?? "not in this sweep", chosen))));
    fillTable(find(".numbers"), `In numbers: ${means}, then the seeds of the chosen cell.`, "runs", [
      ...kinds.map(([kind, cell]) => row(labelOf(kind), cell, cell.seeds, cell === own)),
      ...runs.map((run) => row(`seed ${run.seed}`, run, run.failure ? "failed" : "ended")),
    ]);
    const failed = runs.filter((run) => run.failure);
    find(".failures").textContent = failed.map(({ seed, failure }) => `Seed ${seed} failed: ${failure}`).join(" ");
  }
  /** The call that runs one seed of the chosen cell again. */
  function config() {
    const value = (one) => (typeof one !== "string" ? one : /^[\d., e-]+$/.test(one) ? `(${one})` : JSON.stringify(one));
    const varied = Object.keys(axesOf(view.method)).map((name) => [name, view[name]]);
    const settings = Object.entries({ ...content.methods[view.method].constant, ...Object.fromEntries(varied) })
      .map(([name, one]) => `${name}=${value(one)}`);
    const tasks = view.tasks.split("-").map((task) => JSON.stringify(task)).join(", ");
    const named = [`tasks=(${tasks})`, `method=${JSON.stringify(view.method)}`, ...settings, "seed=0"];
    return `ebll.RunConfig.of(${named.join(", ")})`;
  }
  function code() {
    const given = Object.entries(view).filter(([, value]) => value !== "" && value !== true);
    const settings = given.map(([name, value]) => `${name}=${value === false ? "False" : JSON.stringify(value)}`);
    return `ebll.widgets.sweep_explorer(${source}view='${settings.join(", ")}')`;
  }

  // Controls

  function choice(name, label, options) {
    const made = make("select", {}, ...options.map(([value, text]) => make("option", { value, textContent: text })));
    made.addEventListener("change", () => {
      const { tasks, data, near } = view, other = { columns: "rows", rows: "columns" }[name];
      if (name === "method") show({ ...content.methods[made.value].usual, tasks, data, near });
      else show({ [name]: made.value, ...(other && view[other] === made.value && { [other]: view[name] }) });
    });
    return named(name, make("label", {}, `${label} `, made));
  }
  function slider(name, values) {
    const { label, hint } = content.settings[name], shown = make("span", { className: "value", ariaHidden: "true" });
    const input = make("input", { type: "range", min: 0, max: values.length - 1, step: 1, title: hint });
    input.addEventListener("input", () => show({ [name]: values[input.value] }));
    return named(name, make("label", {}, make("span", { textContent: label }), input, shown));
  }
  function named(name, control) {
    control.dataset.name = name;
    return control;
  }
  /** Lists and sliders, built again only where what there is to choose from has changed. */
  function build() {
    const { methods, tasks, data, settings } = content, axes = axesOf(view.method), names = Object.keys(axes);
    const now = JSON.stringify([tasks, Object.keys(methods), axes]);
    if (now !== built) {
      const focus = document.activeElement?.closest("[data-name]")?.dataset.name;
      const edges = names.map((name) => [name, settings[name].label]);
      const offered = {
        tasks: ["Tasks", tasks.map((text) => [text, text])],
        method: ["Method", Object.keys(methods).map((name) => [name, labelOf(name)])],
        columns: ["Columns", edges], rows: ["Rows", edges],
        data: ["Measured on", data.map((one) => [one, `${one} images`])],
      };
      find(".lists").replaceChildren(...Object.entries(offered).filter(([, [, options]]) => options.length > 1)
        .map(([name, given]) => choice(name, ...given)));
      find(".sliders").replaceChildren(...names.map((name) => slider(name, axes[name])));
      for (const one of el.querySelectorAll("[data-name]")) {
        const { name } = one.dataset;
        one.hidden = hidden.includes(name);
        for (const control of [one, ...one.children]) if ("disabled" in control) control.disabled = locked.includes(name);
      }
      if (focus) find(`[data-name="${focus}"] :is(select, input)`)?.focus();
      built = now;
    }
    for (const one of find(".lists").querySelectorAll("select")) one.value = view[one.parentNode.dataset.name];
    for (const input of find(".sliders").querySelectorAll("input")) {
      const { name } = input.parentNode.dataset;
      input.value = axes[name].indexOf(view[name]);
      input.setAttribute("aria-valuetext", String(view[name]));
      input.nextSibling.textContent = String(view[name]);
    }
  }
  function refresh() {
    build();
    const map = mapped(), kinds = compared(), { signals, ...rows } = drawn(map, kinds);
    const place = cellAt()?.cell ?? null;
    find("[data-name=near] input").checked = view.near;
    find("[data-name=pin]").textContent = pinned !== null && pinned === place ? "Unpin" : "Pin this cell";
    find("[data-name=config] input").value = config();
    find("[data-name=code] input").value = code();
    tabulate(map, kinds);
    clearTimeout(telling); // a slider that is dragged is not to be talked about all the way
    telling = setTimeout(() => { find(".summary").textContent = sentence(kinds); }, 150);
    if (vega) {
      vega.container().setAttribute("aria-label", `${SEEN} ${sentence(kinds)}`);
      for (const [name, value] of Object.entries(signals)) vega.signal(name, value);
      for (const [name, values] of Object.entries(rows)) vega.data(name, values);
      const { dataset } = find(".plot");
      vega.resize().runAsync().then(() => { dataset.drawn = 1 + Number(dataset.drawn ?? 0); });
    }
    changed?.(view, pinned);
  }
  function show(changes) {
    view = { ...view, ...changes };
    refresh();
  }
  const listen = (selector, event, act) => find(selector).addEventListener(event, act);
  listen("[data-name=pin]", "click", () => {
    const place = cellAt()?.cell ?? null;
    pinned = pinned === place ? null : place;
    refresh();
  });
  listen("[data-name=reset]", "click", () => {
    pinned = null;
    show(home);
  });
  listen("[data-name=take]", "click", take);
  listen("[data-name=near] input", "change", ({ target }) => show({ near: target.checked }));
  listen("[data-name=code] input", "change", ({ target }) => read(target.value));
  for (const line of el.querySelectorAll(".line")) {
    line.querySelector("button").addEventListener("click", () => {
      line.querySelector("input").select();
      document.execCommand("copy");
    });
  }

  // The chart

  function fit() {
    const { clientWidth } = find(".plot");
    if (clientWidth) vega.signal("available", Math.max(220, clientWidth - 10)).resize().runAsync();
  }
  fill(content);
  try {
    // Without data Vega would find axes without an end.
    const { signals, ...rows } = { ...tables, ...drawn(mapped(), compared()) };
    const filled = structuredClone(spec), target = find(".plot > div");
    for (const one of filled.data) if (rows[one.name]) one.values = rows[one.name];
    for (const one of filled.signals) if (one.name in signals) one.value = signals[one.name];
    const actions = { export: true, source: false, compiled: false, editor: false };
    vega = (await embed(target, filled, { mode: "vega", renderer: "svg", actions, logLevel: 1 })).view;
    target.querySelector("summary").setAttribute("aria-label", "Save the chart as SVG or PNG");
    target.querySelector("svg.marks").setAttribute("aria-hidden", "true");
    vega.container().setAttribute("role", "img");
    vega.addEventListener("click", (_, item) => {
      const found = mapped().find((one) => one.column === item?.datum?.column && one.row === item.datum.row);
      if (found && !Object.keys(found.at).some((name) => locked.includes(name))) show(found.at);
    });
    new ResizeObserver(fit).observe(find(".plot"));
    fit();
  } catch (error) {
    find(".summary").textContent = find(".plot").textContent = `The chart cannot be drawn here: ${error.message}`;
  }
  refresh();
  return {
    show,
    replace(other, now) {
      const kept = pinned === null ? "" : keyOf(tables.cells[pinned]);
      fill(other);
      pinned = places.get(kept) ?? null;
      for (const [name, rows] of Object.entries(tables)) vega?.data(name, rows);
      show(now);
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
  const embed = await (window[Symbol.for("ebll.vega")] ??= load(model));
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
  const names = ["content", "spec", "view", "hidden", "locked", "source"];
  const shown = await explore(inner, {
    ...Object.fromEntries(names.map((name) => [name, model.get(name)])), embed,
    changed(view, pinned) {
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
