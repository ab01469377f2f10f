// A number with a label, a slider over a grid of values, and a box to type any value in.
function render({ model, el }) {
  const id = `ebll-${Math.random().toString(36).slice(2)}`;
  const label = document.createElement("label");
  const slider = document.createElement("input");
  const box = document.createElement("input");
  label.htmlFor = id;
  Object.assign(slider, { type: "range", id, min: 0, step: 1 });
  Object.assign(box, { type: "number", step: "any" });
  el.classList.add("ebll-knob");
  el.dataset.lmSuppressShortcuts = "true";
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
    if (!editing) box.value = words(value);
    slider.disabled = box.disabled = model.get("locked");
  }
  const set = (value) => { model.set("value", value); model.save_changes(); };
  slider.addEventListener("input", () => set(model.get("grid")[slider.value]));
  box.addEventListener("input", () => { editing = true; });
  box.addEventListener("change", () => {
    editing = false;
    const value = box.value.trim() === "" ? NaN : Number(box.value);
    if (!Number.isFinite(value)) { box.value = words(model.get("value")); return; }
    set(model.get("whole") ? Math.round(value) : value);
  });
  box.addEventListener("blur", () => { editing = false; show(); });
  // A notebook has shortcuts on arrow keys and digits, and would take them away from us.
  for (const part of [slider, box]) part.addEventListener("keydown", (event) => event.stopPropagation());
  for (const name of ["value", "grid", "locked", "label", "tip"]) model.on(`change:${name}`, show);
  show();
}
export default { render };
