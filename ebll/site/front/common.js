// What pages and slides share: mathematics, and charts that are drawn again from what they show once they are in sight.
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

/** A table as the chart takes it from a kernel: numbers as float32, texts as places in a list of words. */
function packed(table) {
  const columns = Object.entries(table).map(([name, values]) => {
    if (!values.some((value) => typeof value === "string")) {
      return [name, { numbers: Float32Array.from(values, (value) => value ?? NaN) }];
    }
    const words = [...new Set(values)];
    return [name, { words, codes: Int16Array.from(values, (value) => words.indexOf(value)) }];
  });
  return { count: Object.values(table)[0]?.length ?? 0, columns: Object.fromEntries(columns) };
}

async function live(box) {
  try {
    await Promise.all(["vega.js", "charts.js"].map(loaded));
    window[Symbol.for("ebll.vega")] = window.vegaEmbed;
    const bytes = Uint8Array.from(atob(box.dataset.content), (letter) => letter.charCodeAt(0));
    const plain = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    const shown = { ...(await new Response(plain).json()), spec: CHARTS.specs[box.dataset.chart] };
    shown.tables = Object.fromEntries(Object.entries(shown.tables).map(([name, table]) => [name, packed(table)]));
    const model = {
      get: (name) => shown[name],
      set: (name, value) => { shown[name] = value; },
      save_changes() {},
      on() {},
    };
    const el = document.createElement("div");
    box.append(el);
    await CHARTS.render({ model, el });
    box.classList.add("alive");
  } catch {
    const told = "The chart is only a picture here: its scripts cannot be loaded. Copy the folder assets along with the pages.";
    box.append(Object.assign(document.createElement("p"), { textContent: told }));
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
