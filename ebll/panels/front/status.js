// One line that says what goes on, and one for what went wrong. The nodes stay, so that screen readers notice changes.
function render({ model, el }) {
  el.classList.add("ebll-status");
  const bar = document.createElement("progress");
  const line = document.createElement("div");
  const wrong = document.createElement("div");
  bar.max = 1;
  bar.setAttribute("aria-label", "share of the run that is done");
  line.setAttribute("role", "status");
  wrong.setAttribute("role", "alert");
  wrong.className = "ebll-wrong";
  el.append(bar, line, wrong);
  function show() {
    line.textContent = model.get("text");
    wrong.textContent = model.get("wrong");
    wrong.style.display = model.get("wrong") ? "block" : "none";
  }
  const move = () => { bar.value = model.get("done"); };
  model.on("change:text", show);
  model.on("change:wrong", show);
  model.on("change:done", move);
  show();
  move();
}
export default { render };
