// Formulas first, as a slide's height depends on them; then the deck: arrow keys, Esc for all slides, F for full screen.
window.renderMathInElement?.(document.body, {
  delimiters: [{ left: "$$", right: "$$", display: true }, { left: "$", right: "$", display: false }],
  throwOnError: false,
  strict: false,
});
Reveal.initialize({ width: 1280, height: 760, margin: 0.04, hash: true, slideNumber: "c/t", transition: "none", backgroundTransition: "none" });
