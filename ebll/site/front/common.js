// What pages and slides share: mathematics, and charts that are drawn again from what they show once they are in sight.
/* global CHARTS -- of charts.js */
const root = document.currentScript.dataset.root;

window.renderMathInElement?.(document.body, {
  delimiters: [{ left: "$$", right: "$$", display: true }, { left: "$", right: "$", display: false }],
  throwOnError: false,
  strict: false,
});

const files = {};
/** A script of the folder assets, loaded once. */
const loaded = (file) => files[file] ??= new Promise((resolve, reject) => {
  const script = document.createElement("script");
  Object.assign(script, { src: `${root}assets/${file}`, onload: resolve, onerror: reject });
  document.head.append(script);
});

/** Below a picture, the chart that it shows; a sentence where that cannot be drawn. */
async function live(box) {
  const told = document.createElement("p"), el = document.createElement("div");
  try {
    await Promise.all(["vega.js", "charts.js"].map(loaded));
  } catch {
    told.textContent = "The chart is only a picture here: its scripts are missing. Copy the folder assets along with the pages.";
    return box.append(told);
  }
  try {
    window[Symbol.for("ebll.vega")] = window.vegaEmbed;
    const bytes = Uint8Array.from(atob(box.dataset.content), (letter) => letter.charCodeAt(0));
    const plain = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    const shown = { ...(await new Response(plain).json()), spec: CHARTS.specs[box.dataset.chart] };
    const model = {
      get: (name) => shown[name],
      set: (name, value) => { shown[name] = value; },
      save_changes() {},
      on() {},
    };
    box.append(el);
    await CHARTS.render({ model, el });
    box.classList.add("alive");
  } catch (error) {
    el.remove();
    told.textContent = `The chart is only a picture here: what the notebook keeps of it is damaged (${error.message}). Run its cell again.`;
    box.append(told);
  }
}

const near = new IntersectionObserver((seen) => {
  for (const { isIntersecting, target } of seen) {
    if (!isIntersecting) continue;
    near.unobserve(target);
    live(target);
  }
}, { rootMargin: "600px" });
document.querySelectorAll(".chart").forEach((box) => near.observe(box));
