// A number with a label, a slider over a grid of values, and a box to type any value in.
// What is typed and no number is reported in the status line, by the event "ebll-wrong"; see status.js.
function render({ model, el }) {
  const id = `ebll-${Math.random().toString(36).slice(2)}`;
  const label = document.createElement("label");
  const slider = document.createElement("input");
  const box = document.createElement("input");
  label.htmlFor = id;
  Object.assign(slider, { type: "range", id, min: 0, step: 1 });
  Object.assign(box, { type: "text", inputMode: "decimal", autocomplete: "off", spellcheck: false });
  box.setAttribute("role", "spinbutton");  // a box of type number would keep to itself what is typed and no number
  el.classList.add("ebll-slider");
  el.append(label, slider, box);

  let editing = false;  // from the first key until the value is taken
  const words = (value) => Number(value).toPrecision(6) * 1 + "";
  const nearest = (value) => {
    const grid = model.get("grid");
    let best = 0;
    grid.forEach((one, i) => { if (Math.abs(one - value) < Math.abs(grid[best] - value)) best = i; });
    return best;
  };
  function show() {
    const value = model.get("value"), tip = model.get("tip"), name = model.get("label");
    label.textContent = name;
    for (const part of [label, slider, box]) part.title = tip;
    slider.max = model.get("grid").length - 1;
    slider.value = nearest(value);
    slider.setAttribute("aria-valuetext", value === 0 ? "0, off" : words(value));
    box.setAttribute("aria-label", `${name}, typed`);
    box.setAttribute("aria-valuenow", value);
    if (!editing) box.value = words(value);
    slider.disabled = box.disabled = model.get("locked") || !!el.closest(".ebll-gone");
  }
  const set = (value) => { model.set("value", value); model.save_changes(); };
  function refuse(text) {
    const wanted = model.get("whole") ? "a whole number, such as 3" : "a number, such as 0.5 or 1e-3";
    const large = text && !Number.isNaN(Number(text)), comma = /\d,\d/.test(text);
    const hint = large ? " That is too large." : comma ? " Write a point, not a comma." : "";
    const told = `${model.get("label")} must be ${wanted}; got ${text ? `'${text}'` : "nothing"}.${hint}`;
    const detail = `${told} It is still ${words(model.get("value"))}.`;
    el.dispatchEvent(new CustomEvent("ebll-wrong", { bubbles: true, detail }));
  }
  slider.addEventListener("input", () => set(model.get("grid")[slider.value]));
  box.addEventListener("input", () => { editing = true; });
  box.addEventListener("change", () => {
    editing = false;
    const text = box.value.trim(), value = text === "" ? NaN : Number(text);
    if (Number.isFinite(value)) set(value);  // what is a number, and may not be, the kernel refuses
    else refuse(text);
    show();
  });
  box.addEventListener("keydown", (event) => {
    const move = { ArrowUp: 1, ArrowDown: -1 }[event.key], grid = model.get("grid");
    if (!move) return;
    event.preventDefault();
    editing = false;
    set(grid[Math.min(Math.max(nearest(model.get("value")) + move, 0), grid.length - 1)]);
  });
  box.addEventListener("blur", () => { editing = false; show(); });
  for (const name of ["value", "grid", "locked", "label", "tip"]) model.on(`change:${name}`, show);
  show();
}
export default { render };
