// After common.js, as a slide's height depends on its formulas. Arrow keys, Esc for all slides, F for full screen.
Reveal.initialize({ width: 1280, height: 760, margin: 0.04, hash: true, slideNumber: "c/t", transition: "none", backgroundTransition: "none" });
