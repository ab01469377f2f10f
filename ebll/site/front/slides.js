// After common.js, as a slide's height depends on its formulas. Arrow keys, Esc for all slides, F for full screen.
Reveal.initialize({
  width: 1280, height: 760, margin: 0.04, hash: true, slideNumber: "c/t", transition: "none", backgroundTransition: "none",
  scrollActivationWidth: null,
});

const TURNS = { PageDown: "next", PageUp: "prev", " ": "next", n: "next", p: "prev" };
/** Turn slides where a chart or a page within has the focus, which keep arrow keys for themselves. */
addEventListener("keydown", (event) => {
  const turn = TURNS[event.key], paged = event.key.startsWith("Page");
  if (!turn || (!paged && event.target.closest("button, input, select, summary"))) return;
  event.preventDefault();
  event.stopPropagation();
  Reveal[turn]();
}, true);
addEventListener("message", ({ data }) => { if (Object.hasOwn(TURNS, data)) Reveal[TURNS[data]](); });
Reveal.on("slidechanged", () => { document.activeElement?.blur(); });
