// A picture that the kernel draws, with its text for screen readers, and the values under the pointer or the arrow keys.
function render({ model, el }) {
  el.classList.add("ebll-view");
  const frame = document.createElement("div");
  const img = document.createElement("img");
  const line = document.createElement("div");
  const tip = document.createElement("div");
  const spoken = document.createElement("div");
  frame.className = "ebll-frame";
  frame.tabIndex = 0;
  frame.setAttribute("role", "group");
  line.className = "ebll-line";
  tip.className = "ebll-tip";
  spoken.className = "ebll-spoken";
  spoken.setAttribute("aria-live", "polite");
  frame.append(img, line, tip);
  el.append(frame, spoken);

  let url = "", held = false, at = { panel: 0, place: -1 };
  function picture() {
    const bytes = model.get("picture");
    if (!bytes || !bytes.byteLength) return;
    const next = URL.createObjectURL(new Blob([bytes]));
    const old = url, forget = () => URL.revokeObjectURL(old);
    if (old) for (const event of ["load", "error"]) img.addEventListener(event, forget, { once: true });
    img.src = url = next;
    img.dataset.count = model.get("count");
  }
  function words() {
    img.alt = model.get("alt");
    frame.setAttribute("aria-label", model.get("hint"));
  }
  const steps = (panel) => [...new Set(panel.series.flatMap((one) => one.x))].sort((a, b) => a - b);
  function hide() { line.style.display = tip.style.display = "none"; held = false; }
  function show(speak) {
    const panel = model.get("readout")[at.panel];
    const xs = panel ? steps(panel) : [];
    if (!xs.length) { hide(); return; }
    at.place = Math.min(Math.max(at.place, 0), xs.length - 1);
    const x = xs[at.place], [left, top, right, bottom] = panel.box, [low, high] = panel.range;
    const share = left + (right - left) * (x - low) / (high - low);
    line.style.cssText = `display:block;left:${100 * share}%;top:${100 * top}%;height:${100 * (bottom - top)}%`;
    const rows = panel.series.map((one) => [one.name, one.y[one.x.indexOf(x)]]).filter(([, y]) => y != null);
    const place = panel.words?.[x] ?? `step ${x}`;
    tip.replaceChildren(...[place ? `${panel.title}; ${place}` : panel.title, ...rows.map(([name, y]) => `${name}: ${y}`)].map((text, i) => {
      const one = document.createElement(i ? "div" : "strong");
      one.textContent = text;
      return one;
    }));
    tip.style.display = "block";
    tip.style.top = `${100 * top}%`;
    if (share > 0.5) Object.assign(tip.style, { left: "auto", right: `${100 * (1 - share) + 1}%` });
    else Object.assign(tip.style, { right: "auto", left: `${100 * share + 1}%` });
    if (speak) spoken.textContent = tip.innerText;
  }
  function point(event) {
    const box = img.getBoundingClientRect(), panels = model.get("readout");
    const x = (event.clientX - box.left) / box.width, y = (event.clientY - box.top) / box.height;
    const found = panels.findIndex((p) => x >= p.box[0] && x <= p.box[2] && y >= p.box[1] && y <= p.box[3]);
    if (found < 0) return false;
    const panel = panels[found], xs = steps(panel);
    const step = panel.range[0] + (panel.range[1] - panel.range[0]) * (x - panel.box[0]) / (panel.box[2] - panel.box[0]);
    let place = 0;
    xs.forEach((one, i) => { if (Math.abs(one - step) < Math.abs(xs[place] - step)) place = i; });
    at = { panel: found, place };
    return true;
  }
  frame.addEventListener("pointermove", (event) => { if (!held) point(event) ? show(false) : hide(); });
  frame.addEventListener("pointerleave", () => { if (!held) hide(); });
  function click(event) {
    if (!point(event)) { hide(); return; }
    if (!model.get("readout")[at.panel].pick) { held = !held; show(true); return; }
    const box = img.getBoundingClientRect();
    model.set("picked", [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height, event.timeStamp]);
    model.save_changes();
  }
  frame.addEventListener("click", click);
  frame.addEventListener("keydown", (event) => {
    const panels = model.get("readout").length;
    const moves = { ArrowRight: [0, 1], ArrowLeft: [0, -1], ArrowDown: [1, 0], ArrowUp: [-1, 0] };
    if (event.key === "Escape" && held) {
      hide();
      event.stopPropagation();  // the notebook has the next one
    } else if (event.key in moves && panels) {
      const [panel, place] = moves[event.key];
      at = { panel: (at.panel + panel + panels) % panels, place: at.place + place };
      held = true;
      show(true);
      event.preventDefault();
      event.stopPropagation();
    }
  });
  model.on("change:picture", picture);
  model.on("change:alt", words);
  model.on("change:readout", () => { if (tip.style.display === "block") show(false); });
  picture();
  words();
  hide();
  return () => { if (url) URL.revokeObjectURL(url); };
}
export default { render };
