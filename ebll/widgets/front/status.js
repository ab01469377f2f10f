// One line that says what goes on, and one for what went wrong. The nodes stay, so that screen readers notice changes.
// Every panel has one, so what concerns the panel as a whole is here too: its keys, and the loss of its kernel.
const GONE = "The kernel of this widget has gone, and its controls do nothing now. Run the cell again for a new one.";
const ENDS = ["terminating", "restarting", "autorestarting", "dead"];

// Keys that the notebook may have: where focus goes on, what runs the cell, and whatever holds Ctrl, Alt or Cmd.
// All others act on what is focused; as the notebook's shortcuts they would insert a cell, or delete this one.
const forNotebook = (event) => event.ctrlKey || event.altKey || event.metaKey || /^(Tab|Escape|F\d+)$/.test(event.key)
  || (event.key === "Enter" && event.shiftKey);
const guard = (event) => { if (!forNotebook(event)) event.stopPropagation(); };

// Text that is as it was is left alone: a live region may be read out again whenever it is written.
const say = (node, text) => { if (node.textContent !== text) node.textContent = text; };

// Calls back when the kernel goes. ipywidgets tells of a restart only, so the kernel is asked too, if it can be.
function watch(model, lost) {
  const kernel = model.widget_manager?.kernel;
  const changed = (_, state) => { if (ENDS.includes(state)) lost(); };
  model.on("comm_live_update", lost);
  kernel?.statusChanged?.connect(changed);
  kernel?.disposed?.connect(lost);
  return () => {
    model.off("comm_live_update", lost);
    kernel?.statusChanged?.disconnect(changed);
    kernel?.disposed?.disconnect(lost);
  };
}

export default () => {
  let gone = false;  // outlives a view: the output may be shown again, elsewhere
  const views = new Set();
  return {
    initialize({ model }) {
      return watch(model, () => { gone = true; for (const show of views) show(); });
    },
    render({ model, el }) {
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

      let panel = null;
      function show() {
        const fault = gone ? "" : model.get("wrong");
        say(line, gone ? GONE : model.get("text"));
        say(wrong, fault);
        wrong.style.display = fault ? "block" : "none";
        bar.value = model.get("done");
        bar.hidden = gone;
        if (!gone || !panel) return;
        panel.classList.add("ebll-gone");
        for (const part of panel.querySelectorAll("input, select, button")) part.disabled = true;
      }
      // What a slider refuses replaces an older complaint. The kernel must know it too, to take it back later.
      function complain(event) { model.set("wrong", event.detail); model.save_changes(); }
      // A view is put into its panel after it was made, and has a size from then on.
      const placed = new ResizeObserver(() => {
        if (!panel && (panel = el.closest(".ebll-panel"))) {
          panel.addEventListener("keydown", guard);
          panel.addEventListener("ebll-wrong", complain);
          placed.observe(panel);
          show();
        }
        const table = panel?.querySelector(".ebll-table");  // what scrolls must scroll by keyboard too
        const scrolls = table?.scrollWidth > table?.clientWidth || table?.scrollHeight > table?.clientHeight;
        if (table) table.tabIndex = scrolls ? 0 : -1;
      });
      placed.observe(el);
      for (const name of ["text", "wrong", "done"]) model.on(`change:${name}`, show);
      views.add(show);
      show();
      return () => {
        placed.disconnect();
        views.delete(show);
        panel?.removeEventListener("keydown", guard);
        panel?.removeEventListener("ebll-wrong", complain);
      };
    },
  };
};
