// A Vega chart. Data, settings and texts come from Python; pointer, keys and slider choose the moment that is on show.
const LOADED = Symbol.for("ebll.vega");
const HINT = "Chart. Left and right read the values of a moment, up and down choose the row, Escape ends it; plus, minus and 0 zoom.";
const forNotebook = (event) => event.ctrlKey || event.altKey || event.metaKey || /^(Tab|Escape|F\d+)$/.test(event.key)
  || (event.key === "Enter" && event.shiftKey);
const clamp = (value, low, high) => Math.max(low, Math.min(value, high));

/** The JavaScript of Vega: a model of its own holds it, and a page loads it once for all charts. */
async function load(model) {
  const runtime = await model.widget_manager.get_model(model.get("runtime").replace("IPY_MODEL_", ""));
  const plain = new Blob([runtime.get("code")]).stream().pipeThrough(new DecompressionStream("gzip"));
  const url = URL.createObjectURL(new Blob([await new Response(plain).text()], { type: "text/javascript" }));
  return (await import(url)).vegaEmbed;
}

/** Row objects from a table whose columns are lists, or bytes: float32 numbers, or int16 places in a list of words. */
function unpacked({ count, columns }) {
  const readers = Object.entries(columns).map(([name, column]) => {
    if (Array.isArray(column)) return [name, (i) => column[i]];
    const { numbers, codes, words } = column;
    const { buffer, byteOffset, byteLength } = numbers ?? codes;
    const values = new (numbers ? Float32Array : Int16Array)(buffer.slice(byteOffset, byteOffset + byteLength));
    return [name, (i) => (numbers ? (Number.isFinite(values[i]) ? values[i] : null) : words[values[i]] ?? null)];
  });
  return Array.from({ length: count }, (_, i) => Object.fromEntries(readers.map(([name, read]) => [name, read(i)])));
}

const wrapped = (text, length) => text.match(new RegExp(`\\S.{0,${Math.floor(length)}}(?=\\s|$)|\\S+`, "g")) ?? [""];
const make = (parent, tag, more) => parent.appendChild(Object.assign(document.createElement(tag), more));
function readable(value) {
  const odd = value && (Math.abs(value) >= 1e5 || Math.abs(value) < 1e-3);
  return odd ? value.toExponential(2) : String(Number(value.toPrecision(4)));
}

async function render({ model, el }) {
  el.classList.add("ebll-chart");
  const plot = make(el, "div", { className: "ebll-plot", tabIndex: 0, role: "group", ariaLabel: HINT });
  const target = make(plot, "div");
  const bar = make(el, "div", { className: "ebll-bar" });
  const play = make(bar, "button", { type: "button", textContent: "Play" });
  const scrub = make(bar, "label", { className: "ebll-scrub" });
  const name = make(scrub, "span");
  const slider = make(scrub, "input", { type: "range", min: 0, step: 1 });
  const shown = make(scrub, "span", { ariaHidden: true });
  const values = make(el, "div", { className: "ebll-values", tabIndex: 0, role: "group", ariaLabel: "Values of the moment on show" });
  const spoken = make(el, "div", { className: "ebll-spoken", ariaLive: "polite" });
  let embedded, view, reading, rows = {}, known = {}, moments = [], hovered = null, row = 0, drag = null;
  let queued = 0, stale = false, speaking = false, arranged = "", playing = 0;

  const last = () => moments.at(-1) ?? 0;
  const pinned = () => (moments.includes(model.get("moment")) ? model.get("moment") : null);
  const visible = () => view.signal("zoomed") ?? [0, view.signal("steps")];
  const refresh = () => { queued ||= requestAnimationFrame(update); };
  /** Bring chart, slider and table to the data and to the moment on show. */
  async function update() {
    queued = 0;
    if (!view) return;
    if (stale) fill();
    const at = hovered ?? pinned() ?? last(), free = hovered === null && pinned() === null;
    view.signal("at", at).signal("held", !free);
    slider.max = Math.max(0, moments.length - 1);
    slider.value = moments.indexOf(at);
    slider.disabled = play.disabled = moments.length < 2;
    shown.textContent = free ? `${at} (end)` : `${at} of ${last()}`;
    slider.setAttribute("aria-valuetext", `${reading.time} ${shown.textContent}`);
    const lines = write(at);
    if (speaking) spoken.textContent = `${reading.time} ${shown.textContent}. ${lines[(row = clamp(row, 0, lines.length - 1))] ?? ""}`;
    speaking = false;
    await view.runAsync();
    plot.dataset.drawn = 1 + Number(plot.dataset.drawn ?? 0);
  }
  /** A column's title, with the names of the tasks put in. */
  const titled = (title) => title.replace(/\{(\w+)\}/g, (_, name) => view.signal(name));
  function fill() {
    stale = false;
    for (const [table, packed] of Object.entries(model.get("tables"))) {
      if (known[table] !== packed) view.data(table, (rows[table] = unpacked(known[table] = packed)));
    }
    for (const [key, value] of Object.entries(model.get("settings"))) view.signal(key, value);
    for (const text of ["heading", "caption"]) view.signal(text, wrapped(model.get(text), view.signal("available") / 8));
    const now = (rows[reading.table] ?? []).filter((one) => !one.run);  // not the runs beside it
    moments = [...new Set(now.map((one) => one[reading.time]))].sort((a, b) => a - b);
    name.textContent = reading.time;
    const texts = ["heading", "caption"].map((text) => view.signal(text).length);
    const shape = JSON.stringify([view.signal("available"), ...texts, model.get("settings").methods, !moments.length]);
    if (shape !== arranged) view.resize();  // panels stand side by side or in a column, lines of text come and go
    arranged = shape;
  }
  /** Fill the table with the newest row of each method (or bar) at or before a moment; returns it in words. */
  function write(at) {
    const found = new Map();
    for (const one of rows[reading.table] ?? []) {
      const label = (one.run ? `${one.run}: ` : "") + (reading.labels[one[reading.rows]] ?? one[reading.rows]);
      if (one[reading.time] <= at && !(found.get(label)?.[reading.time] > one[reading.time])) found.set(label, one);
    }
    const columns = reading.columns.filter(([field]) => [...found.values()].some((one) => one[field] != null));
    const table = document.createElement("table");
    const head = make(table.createTHead(), "tr"), body = table.createTBody();
    make(head, "td");
    for (const [, title] of columns) make(head, "th", { textContent: titled(title), scope: "col" });
    const lines = [...found].map(([label, one]) => {
      const line = make(body, "tr");
      make(line, "th", { textContent: label, scope: "row" });
      const texts = columns.map(([field, , factor]) => (one[field] == null ? "" : readable(factor * one[field])));
      for (const text of texts) make(line, "td", { textContent: text });
      return `${label}: ${columns.map(([, title], i) => texts[i] && `${titled(title)} ${texts[i]}`).filter(Boolean).join("; ")}`;
    });
    values.replaceChildren(table);
    return lines;
  }
  function pin(moment, speak = false) {
    if (moment === undefined) return;  // a run has begun anew, and nothing has been measured yet
    hovered = null;
    speaking ||= speak;
    model.set("moment", moment === last() ? null : moment);
    model.save_changes();
    refresh();
  }
  /** Go through the moments from the one on show, or from the first; or stop there. */
  function playOn() {
    clearInterval(playing);
    play.textContent = play.textContent === "Play" ? "Pause" : "Play";
    if (play.textContent === "Play") return;
    if (pinned() === null) pin(moments[0]);
    playing = setInterval(() => {
      pin(moments[Math.min(moments.indexOf(pinned() ?? last()) + 1, moments.length - 1)]);
      if (pinned() === null) playOn();  // the end
    }, 200);
  }
  function fit() {
    if (!view || !plot.clientWidth) return;
    view.signal("available", Math.max(220, plot.clientWidth));
    stale = true;
    refresh();
  }
  function describe() {
    view?.container().setAttribute("role", "img");
    view?.container().setAttribute("aria-label", model.get("alt"));
  }
  async function embed() {
    try {
      window[LOADED] ??= load(model).catch((error) => { window[LOADED] = undefined; throw error; });
      const vegaEmbed = await window[LOADED];
      embedded?.finalize();
      const actions = { export: { svg: true, png: true }, source: false, compiled: false, editor: false };
      const options = { mode: "vega", renderer: "canvas", actions, tooltip: false, downloadFileName: "chart", logLevel: 1 };
      embedded = await vegaEmbed(target, structuredClone(model.get("spec")), options);
      ({ view } = embedded);
      ({ ebll: reading } = model.get("spec").usermeta);
      known = {};
      target.querySelector("summary").setAttribute("aria-label", "Save the chart as SVG or PNG");
      describe();
      fit();
      await update();
    } catch (error) {
      target.textContent = `The chart cannot be drawn here: ${error.message}`;
      throw error;
    }
  }

  // Zoom and pan along the steps, and the step under the pointer.
  function look(low, high) {
    const end = view.signal("steps"), width = clamp(high - low, end / 50, end), from = clamp(low, 0, end - width);
    view.signal("zoomed", width < end ? [from, from + width] : null);
    refresh();
  }
  function zoom(factor, step = hovered ?? pinned() ?? last()) {
    const [low, high] = visible();
    look(step + factor * (low - step), step + factor * (high - step));
  }
  /** Where an event is on a panel over steps: the step, its nearest moment, and the ends of the axis; null elsewhere. */
  function place(event) {
    const canvas = view?.container().querySelector("canvas"), box = canvas?.getBoundingClientRect();
    if (!box?.width || !moments.length) return null;
    const [left, top] = view.origin(), padding = view.padding(), [low, high] = visible();
    const scale = canvas.offsetWidth / box.width;  // a slide is shown larger or smaller than it is
    const x = scale * (event.clientX - box.left) - left - padding.left, y = scale * (event.clientY - box.top) - top - padding.top;
    /** The groups of all panels, with their places. */
    const groups = (item, across, down) => item.items.flatMap((mark) => (mark.marktype !== "group" ? [] : mark.items
      .flatMap((one) => [{ one, name: mark.name, left: across + one.x, top: down + one.y },
        ...groups(one, across + one.x, down + one.y)])));
    const found = groups(view.scenegraph().root.items[0], 0, 0).find(({ one, name, ...at }) => (
      reading.panels.some((panel) => name === `${panel}_group`)
      && x >= at.left && x <= at.left + one.width && y >= at.top && y <= at.top + one.height));
    if (!found) return null;
    const step = low + ((high - low) * (x - found.left)) / found.one.width, far = (moment) => Math.abs(moment - step);
    return { step, low, high, moment: moments.reduce((best, one) => (far(one) < far(best) ? one : best)) };
  }
  function hover(moment) {
    if (moment !== hovered) { hovered = moment; refresh(); }
  }
  plot.addEventListener("pointerdown", (event) => {
    const at = event.button === 0 && place(event);
    if (!at) return;
    drag = { ...at, x: event.clientX };
    plot.setPointerCapture(event.pointerId);
  });
  plot.addEventListener("pointermove", (event) => {
    const at = place(event);
    if (drag && at) look(at.low + drag.step - at.step, at.high + drag.step - at.step);
    else hover(at && at.moment);
  });
  plot.addEventListener("pointerup", (event) => {
    const at = place(event);
    if (drag && at && Math.abs(event.clientX - drag.x) < 4) pin(at.moment);
    drag = null;
  });
  plot.addEventListener("pointerleave", () => hover(null));
  plot.addEventListener("dblclick", (event) => { if (place(event)) { look(0, view.signal("steps")); pin(last()); } });
  plot.addEventListener("wheel", (event) => {
    const at = event.ctrlKey && place(event);
    if (at) { event.preventDefault(); zoom(event.deltaY > 0 ? 1.25 : 0.8, at.step); }
  }, { passive: false });
  plot.addEventListener("keydown", (event) => {
    if (event.target !== plot || !moments.length) return;
    const step = (by) => pin(moments[clamp(moments.indexOf(pinned() ?? last()) + by, 0, moments.length - 1)], true);
    const read = (by) => { row += by; speaking = true; refresh(); };
    const acts = { ArrowRight: () => step(1), ArrowLeft: () => step(-1), ArrowDown: () => read(1), ArrowUp: () => read(-1) };
    const zooms = { "+": () => zoom(0.5), "-": () => zoom(2), 0: () => look(0, view.signal("steps")) };
    const act = acts[event.key] ?? (reading.panels.length ? zooms[event.key] : undefined);
    if (event.key === "Escape" && pinned() !== null) { pin(last()); event.stopPropagation(); }  // the notebook has the next
    else if (act && !forNotebook(event)) { act(); event.preventDefault(); }
  });
  el.addEventListener("keydown", (event) => { if (!forNotebook(event)) event.stopPropagation(); });
  slider.addEventListener("input", () => pin(moments[slider.value]));
  play.addEventListener("click", playOn);

  model.on("change:alt", describe);
  model.on("change:tables change:settings change:heading change:caption", () => { stale = true; refresh(); });
  model.on("change:moment", refresh);
  const observer = new ResizeObserver(fit);
  observer.observe(plot);
  await embed();
  return () => { clearInterval(playing); observer.disconnect(); embedded?.finalize(); };
}
export default { render };
