// @ts-check
// The lab in the page: a network of 196-64-32 that has learned letters learns a second task, with four methods side by
// side, in this browser. One ES module: `render({ model, el })` is anywidget's contract. `engine` holds all that is
// computed and refers to nothing outside itself, so that its own text is the worker's script: nothing is imported.
//
// model   data   what `ebll.web.lab_data()` gives, as an object or as JSON
//         state  settings as in an address, "new=mnist&alpha=1"; written back as they change

/** Row by row. @typedef {Float64Array} Matrix */
/** In `w` the weight, a row an output as in torch, then the bias; d and m, in the same order: gradient and momentum.
 *  @typedef {{inputs: number, outputs: number, w: Matrix, d: Matrix, m: Matrix}} Layer */
/** F; T and head of the old and of the new task; both T are one layer unless operators are separate; the encoder.
 *  @typedef {{F: Layer, T: [Layer, Layer], heads: [Layer, Layer], encoder: Layer}} Net */
/** Begins at the first of inputs, features (F stands still) and hidden (T too); a term for each of soft and codes.
 *  @typedef {{targets: Matrix, inputs?: Matrix, features?: Matrix, hidden?: Matrix, soft?: Matrix,
 *    codes?: Matrix}} Batch */
/** A task's images, and what the network of before says of them. @typedef {{count: number, inputs: Matrix,
 *    labels: Uint8Array, targets: Matrix, features: Matrix, hidden: Matrix, logits: Matrix}} Recorded */
/** `key` tells drawn tasks apart. @typedef {{classes: string[], mean: number, std: number, key?: string} &
 *    Partial<Record<"train" | "held", {images: Uint8Array, labels: Uint8Array}>>} Task */
/** Terms of the objective, and distance, old and new where it was measured; or `diverged`.
 *  @typedef {{method: string, step: number, total: number} & Record<string, any>} Row */
/** @typedef {Generator<Row | null, Row | null, boolean>} Run told true, it measures at the next step */
/** @typedef {Record<string, any> & {new: string, seed: number}} Settings by name */
/** @typedef {{label: string, color: string, dash: number[]}} Look */
/** What `ebll.web.lab_data()` gives. @typedef {Record<"batch_size" | "warmup_epochs" | "momentum" | "weight_decay"
 *    | "drop_at" | "side", number> & Record<"methods" | "terms", Record<string, Look>> & {old: string, blob: string,
 *    settings: Record<string, Record<string, any>>, demonstration: Record<string, any>, tasks: Record<string, Task>,
 *    arrays: [string, number[]][]}} Data */

function engine() {
  const { min, max, exp, log, sqrt, round } = Math;

  // ---- layers

  /** @param {{inputs: number, outputs: number, w: ArrayLike<number>}} of @returns {Layer} a copy, at rest */
  function layer({ inputs, outputs, w }) {
    return { inputs, outputs, w: Float64Array.from(w), d: new Float64Array(w.length), m: new Float64Array(w.length) };
  }

  /** x W' + b: four rows and two columns at a time; what would lie outside repeats the last row or column.
   *  @param {Matrix} x @param {number} n @param {Layer} of */
  function linear(x, n, { inputs, outputs, w }) {
    const y = new Float64Array(n * outputs), bias = inputs * outputs;
    for (let i = 0; i < n; i += 4) {
      const r1 = min(i + 1, n - 1), r2 = min(i + 2, n - 1), r3 = min(i + 3, n - 1);
      const x0 = i * inputs, x1 = r1 * inputs, x2 = r2 * inputs, x3 = r3 * inputs;
      for (let o = 0; o < outputs; o += 2) {
        const p = min(o + 1, outputs - 1), w0 = o * inputs, w1 = p * inputs;
        let a0 = w[bias + o], a1 = a0, a2 = a0, a3 = a0, b0 = w[bias + p], b1 = b0, b2 = b0, b3 = b0;
        for (let k = 0; k < inputs; k++) {
          const u = w[w0 + k], v = w[w1 + k];
          const c0 = x[x0 + k], c1 = x[x1 + k], c2 = x[x2 + k], c3 = x[x3 + k];
          a0 += c0 * u; a1 += c1 * u; a2 += c2 * u; a3 += c3 * u;
          b0 += c0 * v; b1 += c1 * v; b2 += c2 * v; b3 += c3 * v;
        }
        const y0 = i * outputs, y1 = r1 * outputs, y2 = r2 * outputs, y3 = r3 * outputs;
        y[y0 + o] = a0; y[y1 + o] = a1; y[y2 + o] = a2; y[y3 + o] = a3;
        y[y0 + p] = b0; y[y1 + p] = b1; y[y2 + p] = b2; y[y3 + p] = b3;
      }
    }
    return y;
  }

  /** out[r, :] += sum over j < count of a[r * step + j * stride] * b[j, :], eight j at a time; those whose factor is 0,
   *  behind a ReLU about half, are passed over. @param {Matrix} out @param {number} rows @param {number} width
   *  @param {number} count @param {Matrix} a @param {number} step @param {number} stride @param {Matrix} b */
  function addProducts(out, rows, width, count, a, step, stride, b) {
    const at = new Uint32Array(count + 8), by = new Float64Array(count + 8);
    for (let r = 0; r < rows; r++) {
      let found = 0;
      for (let j = 0; j < count; j++) {
        at[found] = j * width;
        by[found] = a[r * step + j * stride];
        found += Number(by[found] !== 0);
      }
      by.fill(0, found, found + 8);
      for (let i = 0, to = r * width; i < found; i += 8) {
        const b0 = at[i], b1 = at[i + 1], b2 = at[i + 2], b3 = at[i + 3];
        const b4 = at[i + 4], b5 = at[i + 5], b6 = at[i + 6], b7 = at[i + 7];
        const a0 = by[i], a1 = by[i + 1], a2 = by[i + 2], a3 = by[i + 3];
        const a4 = by[i + 4], a5 = by[i + 5], a6 = by[i + 6], a7 = by[i + 7];
        for (let k = 0; k < width; k++) {
          out[to + k] += a0 * b[b0 + k] + a1 * b[b1 + k] + a2 * b[b2 + k] + a3 * b[b3 + k]
            + (a4 * b[b4 + k] + a5 * b[b5 + k] + a6 * b[b6 + k] + a7 * b[b7 + k]);
        }
      }
    }
  }

  /** Adds a layer's gradient, and that of its inputs x to dx; through a ReLU if y is what that gave. @param {Layer} of
   *  @param {number} n @param {Matrix} dy changes @param {Matrix} x @param {Matrix} [dx] @param {Matrix} [y] */
  function back({ inputs, outputs, w, d }, n, dy, x, dx, y) {
    if (y) for (let i = 0; i < y.length; i++) dy[i] = y[i] === 0 ? 0 : dy[i];
    addProducts(d, outputs, inputs, n, dy, 1, outputs, x);
    for (let i = 0; i < n; i++) for (let o = 0; o < outputs; o++) d[inputs * outputs + o] += dy[i * outputs + o];
    if (dx) addProducts(dx, n, inputs, outputs, dy, outputs, 1, w);
  }

  /** In place; not a number stays so. @param {Matrix} x */
  function relu(x) {
    for (let i = 0; i < x.length; i++) x[i] = max(0, x[i]);
    return x;
  }

  // ---- the equations; ids as in docs/equations.md. A term comes before its weight, its gradient times the weight.

  /** Logarithms of E3a's probabilities. @param {Matrix} logits @param {number} n @param {number} temperature */
  function logSoftmax(logits, n, temperature) {
    const classes = logits.length / n, made = new Float64Array(logits.length);
    for (let at = 0; at < logits.length; at += classes) {
      let top = -Infinity, sum = 0;
      for (let c = at; c < at + classes; c++) top = max(top, logits[c]);
      for (let c = at; c < at + classes; c++) sum += exp(made[c] = (logits[c] - top) / temperature);
      for (let c = at, less = log(sum); c < at + classes; c++) made[c] -= less;
    }
    return made;
  }

  /** E3; with one-hot targets and temperature 1, E1. Mean over the batch, sum over the classes. Gradient of the logits.
   *  @param {Matrix} logits @param {number} n @param {Matrix} targets rows sum to 1
   *  @param {number} temperature @param {number} weight @returns {[number, Matrix]} */
  function crossEntropy(logits, n, targets, temperature, weight) {
    const logs = logSoftmax(logits, n, temperature), gradient = new Float64Array(logs.length);
    let value = 0;
    for (let i = 0; i < logs.length; i++) {
      value -= targets[i] * logs[i] / n;
      gradient[i] = weight * (exp(logs[i]) - targets[i]) / (temperature * n);
    }
    return [value, gradient];
  }

  /** @param {Matrix} features @param {number} n @param {Layer} encoder */
  function encode(features, n, encoder) {
    return linear(features, n, encoder).map((s) => 1 / (1 + exp(-s)));
  }

  /** E4: half the squared norm, mean over the batch. Gradient of the encoder's sums, before their sigmoid.
   *  @param {Matrix} now @param {Matrix} before @param {number} n @param {number} weight @returns {[number, Matrix]} */
  function codeDistance(now, before, n, weight) {
    let value = 0;
    const gradient = now.map((code, i) => {
      value += (code - before[i]) ** 2 / (2 * n);
      return weight * (code - before[i]) * code * (1 - code) / n;
    });
    return [value, gradient];
  }

  /** E5 and its parts: the terms; the gradients of their weighted sum are added to those of the layers.
   *  @param {Net} net @param {number} n @param {Batch} batch @param {Settings} settings */
  function objective({ F, T: [, T], heads: [before, head], encoder }, n, batch, settings) {
    const { inputs, targets, soft, codes } = batch, { temperature, distill_weight, alpha } = settings;
    const features = inputs ? relu(linear(inputs, n, F)) : batch.features;
    const hidden = features ? relu(linear(features, n, T)) : /** @type {Matrix} */ (batch.hidden);
    const dFeatures = new Float64Array(n * F.outputs), dHidden = new Float64Array(n * T.outputs);
    const [task, dLogits] = crossEntropy(linear(hidden, n, head), n, targets, 1, 1);
    /** @type {Record<string, number>} */
    const terms = { task };
    back(head, n, dLogits, hidden, features && dHidden);
    if (soft) {
      const [value, gradient] = crossEntropy(linear(hidden, n, before), n, soft, temperature, distill_weight);
      terms.distill = value;
      back(before, n, gradient, hidden, dHidden);
    }
    if (features) back(T, n, dHidden, features, inputs && dFeatures, hidden);
    if (features && codes) {
      const [value, gradient] = codeDistance(encode(features, n, encoder), codes, n, alpha);
      terms.code = value;
      addProducts(dFeatures, n, encoder.inputs, encoder.outputs, gradient, encoder.outputs, 1, encoder.w);
    }
    if (features && inputs) back(F, n, dFeatures, inputs, undefined, features);
    return terms;
  }

  /** A step of SGD as torch's: g = gradient + decay * w, m = momentum * m + g, w -= rate * m. No gradient is left.
   *  @param {Layer[]} layers @param {number} rate @param {number} momentum @param {number} decay */
  function update(layers, rate, momentum, decay) {
    for (const { w, d, m } of layers) {
      for (let i = 0; i < w.length; i++) w[i] -= rate * (m[i] = momentum * m[i] + d[i] + decay * w[i]);
      d.fill(0);
    }
  }

  // ---- random numbers, from a seed (mulberry32), and the order of the images

  /** @param {number} seed */
  function randoms(seed) {
    let state = seed >>> 0;
    return () => {
      state = (state + 0x6d2b79f5) >>> 0;
      let t = Math.imul(state ^ (state >>> 15), 1 | state);
      t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
      return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
    };
  }

  /** An order of n images for each epoch. @param {number} n @param {number} seed @param {number} epochs */
  function orders(n, seed, epochs) {
    const random = randoms(seed * 2 + 1);
    return Array.from({ length: epochs }, () => {
      const order = Uint32Array.from({ length: n }, (_, i) => i);
      for (let i = n - 1; i > 0; i--) {
        const j = Math.floor(random() * (i + 1));
        [order[i], order[j]] = [order[j], order[i]];
      }
      return order;
    });
  }

  /** A head as torch begins one. @param {number} inputs @param {number} outputs @param {number} seed */
  function freshHead(inputs, outputs, seed) {
    const random = randoms(seed * 2), bound = 1 / sqrt(inputs);
    const w = Float64Array.from({ length: (inputs + 1) * outputs }, () => (2 * random() - 1) * bound);
    return layer({ inputs, outputs, w });
  }

  // ---- the protocol

  /** @param {Record<string, Layer>} start @param {Task} task @param {{images: Uint8Array, labels: Uint8Array}} images
   *  @returns {Recorded} */
  function record({ F, T, head }, { mean, std, classes }, { images, labels }) {
    const count = labels.length, inputs = Float64Array.from(images, (grey) => (grey / 255 - mean) / std);
    const targets = new Float64Array(count * classes.length);
    labels.forEach((label, i) => { targets[i * classes.length + label] = 1; });
    const features = relu(linear(inputs, count, F)), hidden = relu(linear(features, count, T));
    return { count, inputs, labels, targets, features, hidden, logits: linear(hidden, count, head) };
  }

  /** Some of its `count` rows. @param {Matrix} from @param {number} count @param {Uint32Array} rows */
  function take(from, count, rows) {
    const width = from.length / count, made = new Float64Array(rows.length * width);
    for (let i = 0; i < rows.length; i++) {
      for (let k = 0; k < width; k++) made[i * width + k] = from[rows[i] * width + k];
    }
    return made;
  }

  /** What both stages do: batches in order, the rate a tenth in the last part; yields before each update, with the
   *  terms, and once after the last. @param {Data} data @param {Net} net changes @param {Batch} all of every image
   *  @param {Settings} settings @param {Uint32Array[]} order of each epoch
   *  @param {Layer[]} layers that learn: no other moves, not even by weight decay */
  function* stage(data, net, all, settings, order, layers) {
    const size = data.batch_size, batches = Math.ceil(order[0].length / size), total = order.length * batches;
    const drop = data.drop_at * total, cut = drop % 1 === 0.5 ? 2 * round(drop / 2) : round(drop);  // as Python's round
    for (const { d, m } of layers) { d.fill(0); m.fill(0); }
    for (let step = 0; step < total; step++) {
      const from = (step % batches) * size, rows = order[Math.floor(step / batches)].subarray(from, from + size);
      const parts = Object.entries(all).map(([name, matrix]) => [name, take(matrix, order[0].length, rows)]);
      yield { step, total, terms: objective(net, rows.length, Object.fromEntries(parts), settings) };
      const rate = settings.learning_rate * (step >= cut ? 0.1 : 1);
      update(layers, rate, data.momentum, data.weight_decay);
    }
    yield { step: total, total, terms: null };
  }

  /** The warm-up: only the new head learns, or head and operator of its own. @param {Data} data @param {Net} net
   *  @param {string} method @param {Recorded} recorded @param {Settings} settings @param {Uint32Array[]} order */
  function warmUp(data, net, method, { features, hidden, targets }, settings, order) {
    const [T, head] = [net.T[1], net.heads[1]], own = method === "ebll-separate";
    const all = own ? { features, targets } : { hidden, targets };
    Array.from(stage(data, net, all, settings, order.slice(0, data.warmup_epochs), own ? [T, head] : [head]));
  }

  /** The training of one method. @param {Data} data @param {Net} net changes @param {string} method
   *  @param {Recorded} recorded @param {Settings} settings @param {Uint32Array[]} order */
  function train(data, net, method, { count, inputs, targets, features, logits }, settings, order) {
    const layers = [net.F, net.T[1], net.heads[1]];
    /** @type {Batch} */
    const all = { inputs, targets };
    if (method === "lwf" || method === "ebll") {
      layers.push(net.heads[0]);
      all.soft = logSoftmax(logits, count, settings.temperature).map(exp);
    }
    if (method === "ebll" || method === "ebll-separate") all.codes = encode(features, count, net.encoder);
    return stage(data, net, all, settings, order, layers);
  }

  /** M1 of a head, and M2. @param {Net} net @param {0 | 1} t @param {Recorded} held */
  function measure({ F, T, heads }, t, { count, inputs, labels, features }) {
    const now = relu(linear(inputs, count, F)), logits = linear(relu(linear(now, count, T[t])), count, heads[t]);
    const width = F.outputs, classes = heads[t].outputs;
    let right = 0, distance = 0;
    for (let i = 0; i < count; i++) {
      let best = 0, squared = 0;
      for (let c = 1; c < classes; c++) if (logits[i * classes + c] > logits[i * classes + best]) best = c;
      for (let k = i * width; k < (i + 1) * width; k++) squared += (now[k] - features[k]) ** 2;
      right += Number(best === labels[i]);
      distance += sqrt(squared) / count;
    }
    return { accuracy: right / count, distance };
  }

  // ---- the worker: data in, then runs; rows out as they are measured

  /** A function that begins a run. @param {Data} data
   *  @returns {Promise<(settings: Settings, method: string, own?: Task) => Run>} */
  async function open(data) {
    const bytes = Uint8Array.from(atob(data.blob), (letter) => letter.charCodeAt(0));
    const { readable, writable } = new DecompressionStream("deflate"), writer = writable.getWriter();
    writer.write(bytes);  // and no Blob, whose stream Safari's workers may not read in a page from disk
    writer.close();
    const buffer = await new Response(readable).arrayBuffer();
    /** @type {Record<string, any>} */
    const arrays = {};
    let at = 0;
    for (const [name, shape] of data.arrays) {
      const size = shape.reduce((a, b) => a * b, 1), kind = /\.(weight|bias)$/.test(name) ? Float32Array : Uint8Array;
      arrays[name] = new kind(buffer, at, size);
      at += size * kind.BYTES_PER_ELEMENT;
    }
    const stored = (name) => {
      const weight = arrays[`${name}.weight`], bias = arrays[`${name}.bias`], outputs = bias.length;
      return layer({ inputs: weight.length / outputs, outputs, w: [...weight, ...bias] });
    };
    const start = { F: stored("F"), T: stored("T"), head: stored("head") };
    /** @type {Map<string, any>} */
    const kept = new Map();
    /** @template V @param {string} key @param {() => V} compute @returns {V} */
    const once = (key, compute) => {
      if (kept.size > 200) kept.clear();
      if (!kept.has(key)) kept.set(key, compute());
      return kept.get(key);
    };
    /** @param {string} name @param {"train" | "held"} part @param {Task} [own] */
    const recorded = (name, part, own) => once(`${name} ${part}`, () => {
      const [images, labels] = ["images", "labels"].map((what) => arrays[`${name}.${part}.${what}`]);
      return record(start, own ?? data.tasks[name], own?.[part] ?? { images, labels });
    });

    /** @param {Settings} settings @param {string} method @param {Task} [own] @returns {Run} */
    return function* begin(settings, method, own) {
      const { seed, learning_rate: rate } = settings, separate = method === "ebll-separate";
      const name = own?.key ?? settings.new, task = own ?? data.tasks[name];
      const learned = recorded(name, "train", own), held = [recorded(data.old, "held"), recorded(name, "held", own)];
      const many = max(settings.epochs, data.warmup_epochs);
      const order = once(`${name} ${seed} ${many}`, () => orders(learned.count, seed, many));
      const measured = (net) => {
        const { accuracy, distance } = measure(net, 0, held[0]);
        return { distance, old: accuracy, new: measure(net, 1, held[1]).accuracy };
      };
      const warm = once(`${name} ${seed} ${rate} ${separate}`, () => {
        const { F, T, head } = start, fresh = freshHead(T.outputs, task.classes.length, seed);
        /** @type {Net} */
        const net = { F, T: [T, layer(T)], heads: [head, fresh], encoder: F };
        warmUp(data, net, method, learned, settings, order);
        return { T: net.T[1], head: fresh, row: measured(net) };
      });
      const [F, T, old, fresh] = [start.F, start.T, start.head, warm.head].map(layer);
      const encoder = stored(`encoder${settings.code_size}`);
      /** @type {Net} */
      const net = { F, T: [T, separate ? layer(warm.T) : T], heads: [old, fresh], encoder };
      const steps = train(data, net, method, learned, settings, order.slice(0, settings.epochs));
      let asked = /** @type {boolean} */ (false);
      for (const { step, total, terms } of steps) {
        const numbers = terms ? [Object.values(terms)] : [F, ...net.T, old, fresh].map(({ w }) => w);
        if (!numbers.every((some) => some.every(Number.isFinite))) return { method, step, total, diverged: true };
        const every = max(1, round(total / 16)), early = step < every && (step & (step - 1)) === 0;
        const due = asked || early || step % every === 0 || step === total;
        /** @type {Row | null} */
        const row = due ? { method, step, total, ...terms, ...(step ? measured(net) : warm.row) } : null;
        if (step === total) return row;
        asked = yield row;
      }
      return null;
    };
  }

  /** Answer the messages of a port: `data` first, then `run`, and `rounds`, how many more steps of each method there
   *  shall be, the last of them measured. Between some milliseconds of work messages are heard.
   *  @param {any} port a worker's own scope, or the end of a channel */
  function serve(port) {
    let lab = /** @type {any} */ (null), job = /** @type {any} */ (null), wake = /** @type {any} */ (null);
    const bell = new MessageChannel();
    let rung = 0;
    const pause = () => new Promise((done) => {
      const mine = ++rung;  // of a run that was dropped a bell may still ring
      bell.port1.onmessage = ({ data }) => { if (data === mine) done(0); };
      bell.port2.postMessage(mine);
    });
    /** @param {{id: number, runs: Set<Run>, rounds: number}} mine */
    async function work(mine) {
      const rows = /** @type {Row[]} */ ([]);
      const tell = () => port.postMessage({ id: mine.id, rows: rows.splice(0), done: !mine.runs.size });
      let until = Date.now() + 12;
      while (mine.runs.size) {
        const asked = mine.rounds-- === 1;
        for (const run of mine.runs) {
          const { value, done } = run.next(asked);
          if (value) rows.push(value);
          if (done) mine.runs.delete(run);
          if (Date.now() < until) continue;
          if (rows.length) tell();
          await pause();
          if (job !== mine) return;
          until = Date.now() + 12;
        }
        if (mine.rounds > 0) continue;
        tell();
        await new Promise((done) => { wake = done; });
        if (job !== mine) return;
      }
      tell();
    }
    port.onmessage = async ({ data: { data, run, rounds } }) => {
      try {
        lab ??= open(data);
        const begin = await lab;
        if (run) {
          const runs = run.methods.map((method) => begin(run.settings, method, run.own));
          job = { id: run.id, runs: new Set(runs), rounds };
        } else if (job) job.rounds = rounds;
        wake?.();
        if (run) await work(job);
      } catch (error) {
        port.postMessage({ wrong: String(error) });
      }
    };
  }

  return { layer, objective, record, warmUp, train, randoms, orders, freshHead, open, serve };
}

// ---- a task drawn by hand: four signs, a few examples each, moved and turned for more

const PAD = 28, SIGNS = 4, EACH = { train: 200, held: 40 };

/** Images as the kit's, means of 2 x 2 pixels in 16 grey values. @param {Uint8Array[][]} signs examples of each,
 *  PAD x PAD of 0 and 1 @param {number} side @returns {Task} */
function drawnTask(signs, side) {
  const random = engine().randoms(1), middle = (PAD - 1) / 2, fine = PAD / side;
  const between = (low, high) => low + (high - low) * random();
  const part = (each) => {
    const images = new Uint8Array(signs.length * each * side * side), labels = new Uint8Array(signs.length * each);
    for (let i = 0; i < labels.length; i++) {
      const label = labels[i] = i % signs.length, several = signs[label];
      const from = several[Math.floor(i / signs.length) % several.length];
      const turn = between(-0.35, 0.35), zoom = between(0.85, 1.2), dx = between(-3, 3), dy = between(-3, 3);
      const cos = Math.cos(turn) * zoom, sin = Math.sin(turn) * zoom;
      for (let y = 0; y < PAD; y++) {
        for (let x = 0; x < PAD; x++) {
          const column = Math.round(cos * (x - middle - dx) - sin * (y - middle - dy) + middle);
          const row = Math.round(sin * (x - middle - dx) + cos * (y - middle - dy) + middle);
          const ink = column >= 0 && column < PAD && row >= 0 && row < PAD ? from[row * PAD + column] : 0;
          images[(i * side + Math.floor(y / fine)) * side + Math.floor(x / fine)] += ink;
        }
      }
    }
    return { images: images.map((count) => Math.round(count * 15 / fine ** 2) * 17), labels };
  };
  const [train, held] = [part(EACH.train), part(EACH.held)], size = 255 * train.images.length;
  const mean = train.images.reduce((sum, grey) => sum + grey, 0) / size;
  const std = Math.sqrt(train.images.reduce((sum, grey) => sum + grey * grey / 255, 0) / size - mean ** 2) || 1;
  return { classes: signs.map((_, i) => `sign ${i + 1}`), key: packed(signs), mean, std, train, held };
}

/** Examples as text for an address, a bit a pixel in base 16, and back. @param {Uint8Array[][]} signs */
function packed(signs) {
  const one = (pixels) => BigInt(`0b${pixels.join("")}`).toString(16);
  return signs.map((examples) => examples.map(one).join(".")).join("~");
}

/** @param {string} text @returns {Uint8Array[][]} */
function unpacked(text) {
  const one = (code) => {
    const pixels = Uint8Array.from(BigInt(`0x${code}`).toString(2).padStart(PAD * PAD, "0"), Number);
    if (pixels.length !== PAD * PAD || !pixels.includes(1)) throw new Error("not a drawing");
    return pixels;
  };
  const signs = text.split("~").map((examples) => examples.split(".").filter(Boolean).map(one));
  if (signs.length !== SIGNS) throw new Error("not four signs");
  return signs;
}

// ---- settings as a line of Python and as an address

/** @param {Data} data @param {Settings} settings */
function pythonLine(data, settings) {
  const given = Object.entries(data.settings).filter(([name, known]) => settings[name] !== known.default);
  const text = (value) => (typeof value === "string" ? `"${value}"` : `${value}`);
  return `ebll.web.run(${given.map(([name]) => `${name}=${text(settings[name])}`).join(", ")})`;
}

/** Name -> text of what a line such as 'ebll.web.run(new="mnist", alpha=1.0)', or just 'alpha=1.0', gives.
 *  @param {string} line @returns {Record<string, string>} */
function readLine(line) {
  const inside = line.replace(/#.*/, "").replace(/^[^(]*\(([^()]*)\)[^()]*$/, "$1")
    .replace(/["'+\s]/g, "").replace(/,$/, "");
  return Object.fromEntries(new URLSearchParams(inside.replace(/,/g, "&")));
}

/** Settings with those given as text; what cannot be is a sentence in `wrong`, and stays as it was.
 *  @param {Data} data @param {Settings} from @param {Record<string, string>} given */
function applied(data, from, given) {
  /** @type {[Settings, string[]]} */
  const [settings, wrong] = [{ ...from }, []];
  for (const [name, text] of Object.entries(given)) {
    if (!Object.hasOwn(data.settings, name)) {
      wrong.push(`'${name}' is no setting of this page; there are ${Object.keys(data.settings).join(", ")}.`);
      continue;
    }
    const { listed, grid, whole, above, low, high, label, default: usual } = data.settings[name];
    const value = /** @type {any} */ (typeof usual === "string" ? text : text.trim() ? Number(text) : NaN);
    const inside = value >= low && value <= high && !(above && value === low) && !(whole && value % 1);
    const wanted = listed ? `one of ${grid.join(", ")}`
      : `a ${whole ? "whole " : ""}number ${above ? "above" : "from"} ${low} to ${high}`;
    if (listed ? grid.includes(value) : inside) settings[name] = value;
    else wrong.push(`${label} must be ${wanted}; got '${text}'. It is still ${from[name]}.`);
  }
  return { settings, wrong };
}

// ---- the picture

/** @param {string} tag @param {Record<string, any>} [attributes] @param {...(Node | string)} children @returns {any} */
function make(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  node.setAttribute("data-lm-suppress-shortcuts", "true");  // or JupyterLab takes the arrow keys of a slider
  for (const [name, value] of Object.entries(attributes)) {
    if (name in node && !name.includes("-")) /** @type {any} */ (node)[name] = value;
    else node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}

/** @param {string} text */
const escaped = (text) => text.replace(/[&<>"]/g, (letter) => `&#${letter.charCodeAt(0)};`);

/** @param {number | undefined} value */
function short(value) {
  if (value === undefined) return "";
  return value !== 0 && Math.abs(value) < 1e-3 ? value.toExponential(1) : String(Number(value.toPrecision(3)));
}

/** @param {Look} look */
function stroke({ color, dash }) {
  return `class="line" style="--line: ${color}" stroke-dasharray="${dash.map((part) => 1.8 * part).join(" ")}"`;
}

/** @param {Look} look */
const sample = (look) => `<svg width="36" height="10" aria-hidden="true"><path ${stroke(look)} d="M0 5H36"/></svg>`;

const BOX = { width: 420, height: 216, left: 44, right: 404, top: 28, bottom: 182 };  // of a panel, and of its lines

/** Step and value. @typedef {[number, number][]} Points */
/** One panel as SVG. @param {string} title @param {{look: Look, points: Points, faint?: boolean}[]} lines
 *  @param {number} total steps @param {number | null} at where the values are read @param {boolean} percent */
function panel(title, lines, total, at, percent) {
  const { width, height, left, right, top, bottom } = BOX;
  const values = lines.flatMap(({ points }) => points.map(([, y]) => y));
  const low = percent && values.length ? Math.min(80, Math.floor(Math.min(...values) / 20) * 20) : 0;
  const most = percent ? 100 : Math.max(0, ...values) || 1;
  const rough = (most - low) / 4, power = 10 ** Math.floor(Math.log10(rough));
  const tick = power * ([1, 2, 2.5, 5].find((one) => one * power >= rough) ?? 10);
  const ticks = Array.from({ length: Math.ceil((most - low) / tick - 1e-9) + 1 }, (_, i) => low + i * tick);
  const x = (step) => left + (right - left) * step / total;
  const y = (value) => bottom - (bottom - top) * (value - low) / (ticks[ticks.length - 1] - low);
  const words = lines.filter(({ points, faint }) => points.length && !faint).map(({ look, points }) => {
    const [[, begin], [step, end]] = [points[0], points[points.length - 1]];
    return `${look.label}: ${short(begin)} at first, ${short(end)} at step ${step}`;
  });
  const rules = ticks.map((value) => `<path class="grid" d="M${left} ${y(value)}H${right}"/>
<text x="${left - 6}" y="${y(value) + 4}" text-anchor="end">${short(value)}</text>`);
  const steps = [0, 0.25, 0.5, 0.75, 1].map((share) => Math.round(share * total)).map((step) =>
    `<text x="${x(step)}" y="${bottom + 16}" text-anchor="middle">${step}</text>`);
  const drawn = lines.filter(({ points }) => points.length).map(({ look, points, faint }) => {
    const corners = points.map(([step, value]) => `${x(step).toFixed(1)} ${y(value).toFixed(1)}`);
    return `<path ${stroke(look)} ${faint ? 'opacity="0.3"' : ""} d="M${corners.join("L")}"/>`;
  });
  const label = escaped(`${title}, over ${total} steps. ${words.join("; ") || "Nothing yet"}.`);
  return `<svg viewBox="0 0 ${width} ${height}" role="img" aria-label="${label}">
<text x="0" y="14">${escaped(title)}</text>
${[...rules, ...steps].join("")}
<text x="${(left + right) / 2}" y="${height - 3}" text-anchor="middle">step</text>
${drawn.join("")}
${at === null ? "" : `<path class="now" d="M${x(Math.min(at, total))} ${top}V${bottom}"/>`}
</svg>`;
}

const STYLE = `
.ebll-lab { --ink: #222; --paper: #fff; --soft: #5a5a5a; --rule: #e4e4e4; --edge: #767676; --accent: #0173b2;
  color-scheme: light; color: var(--ink); background: var(--paper); padding: 8px 12px;
  font: 15px/1.4 system-ui, "Segoe UI", "DejaVu Sans", sans-serif; }
.ebll-lab .line { stroke: var(--line); fill: none; stroke-width: 1.8; stroke-linejoin: round; }
@media (prefers-color-scheme: dark) {
  .ebll-lab { --ink: #eee; --paper: #1b1b1b; --soft: #b4b4b4; --rule: #3c3c3c; --edge: #8c8c8c; --accent: #5cb2e8;
    color-scheme: dark; }
  .ebll-lab .line { stroke: color-mix(in srgb, var(--line) 60%, white); }
}
.ebll-lab :is(fieldset, details) { border: 1px solid var(--rule); border-radius: 4px; margin: 8px 0;
  padding: 4px 10px 8px; min-width: 0; }
.ebll-lab .settings { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(20em, 100%), 1fr));
  gap: 2px 24px; }
.ebll-lab .setting { display: grid; grid-template-columns: 10.5em minmax(4em, 1fr) 3.2em; gap: 8px;
  align-items: center; }
.ebll-lab input[type=range] { width: 100%; margin: 0; accent-color: var(--accent); }
.ebll-lab :is(button, select, input[type=text]) { font: inherit; color: var(--ink); background: var(--paper);
  border: 1px solid var(--edge); border-radius: 4px; padding: 3px 10px; }
.ebll-lab button[aria-pressed=true] { outline: 2px solid var(--accent); }
.ebll-lab :focus-visible { outline: 3px solid var(--accent); outline-offset: 1px; }
.ebll-lab .row { display: flex; flex-wrap: wrap; gap: 6px 8px; align-items: center; margin: 6px 0; }
.ebll-lab .row > .wide { flex: 1 1 16em; min-width: 0; }
.ebll-lab .panels { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(26em, 100%), 1fr));
  gap: 8px 24px; }
.ebll-lab .panels svg { width: 100%; height: auto; pointer-events: none; }
.ebll-lab text { fill: var(--soft); font-size: 12px; }
.ebll-lab text:first-child { fill: var(--ink); font-weight: 600; }
.ebll-lab .grid { stroke: var(--rule); }
.ebll-lab .now { stroke: var(--soft); stroke-dasharray: 2 2; }
.ebll-lab table { border-collapse: collapse; font-size: clamp(11px, 2.9vw, 15px); font-variant-numeric: tabular-nums; }
.ebll-lab :is(th, td) { padding: 2px 0 2px min(1vw, 12px); text-align: right; font-weight: normal;
  border-bottom: 1px solid var(--rule); }
.ebll-lab :is(th:first-child, caption) { text-align: left; }
.ebll-lab .values { overflow-x: auto; }
.ebll-lab .wrong { border-left: 4px solid #c8405f; padding-left: 8px; }
.ebll-lab p:empty { display: none; }
.ebll-lab canvas { background: #000; border: 1px solid var(--edge); image-rendering: pixelated; width: 42px; }
.ebll-lab .pad { width: 196px; touch-action: none; }
`;

// ---- the page

/** @param {{model: any, el: HTMLElement}} given */
function render({ model, el }) {
  const given = model.get("data");
  /** @type {Data} */
  const data = typeof given === "string" ? JSON.parse(given) : given;
  const names = Object.keys(data.settings), methods = Object.keys(data.methods);
  const tuned = /** @type {Settings} */ (Object.fromEntries(names.map((name) => [name, data.settings[name].default])));
  const demonstration = { ...tuned, ...data.demonstration };
  let settings = /** @type {Settings} */ (demonstration), detail = "ebll", saving = 0, frame = 0;
  let id = 0, held = false, finished = false, total = 1, rows = /** @type {Row[]} */ ([]), before = rows;
  let standing = rows;  // what is shown: the rows, once there are some of each method
  let at = /** @type {number | null} */ (null), pointed = at;  // steps to read: that of the scrubber, of the pointer
  let signs = /** @type {Uint8Array[][]} */ ([]), drawn = /** @type {Task | undefined} */ (undefined);

  const say = make("p", { role: "status" }), wrong = make("p", { className: "wrong", role: "alert" });
  const regime = make("p"), unsaid = make("p");
  const panels = [0, 1, 2, 3].map(() => make("div"));
  const named = (/** @type {Record<string, Look>} */ looks) => make("span", { className: "row", innerHTML:
    Object.values(looks).map((look) => `<span>${sample(look)} ${escaped(look.label)}</span>`).join("") });
  const values = make("div", { tabIndex: 0, role: "region", "aria-label": "Values at the step", className: "values" });
  const line = make("input", { type: "text", className: "wide", spellcheck: false,
    "aria-label": "The line of Python that does the same in the kit" });
  const scrubber = make("input", { type: "range", min: 0, className: "wide", "aria-label": "Step of the run to read" });
  const button = (text, title, onclick) => make("button", { type: "button", title, onclick }, text);
  const complain = (text) => { wrong.textContent = text; };

  /** The worker; where there may be none, and after it died, the page computes in its place. @type {any} */
  let port;
  function connect(inPage = false) {
    const failed = (text) => {
      port?.terminate?.();
      port?.close?.();
      connect(true);
      complain(`There is no worker (${text}): the page trains by itself, and answers later.`);
      if (id) start();
    };
    try {
      const { port1, port2 } = new MessageChannel();
      const script = new Blob([`(${engine})().serve(self)`], { type: "text/javascript" });
      port = inPage ? port1 : new Worker(URL.createObjectURL(script));
      port.onerror = (event) => failed(event.message || "no reason was given");
      if (inPage) engine().serve(port2);
    } catch (error) {
      return failed(String(error));
    }
    port.onmessage = ({ data: news }) => {
      if (news.wrong) complain(`Nothing can be trained here: ${news.wrong}. Reload the page, or try another browser.`);
      if (news.id !== id) return;
      rows.push(...news.rows);
      if (methods.every((name) => rows.some((row) => row.method === name))) {
        standing = rows;
        values.dataset.run = String(id);
      }
      total = rows[0]?.total ?? total;
      finished = news.done;
      const lost = rows.filter((row) => row.diverged);
      if (lost.length) {
        complain(`Diverged: ${lost.map((row) => `${data.methods[row.method].label} at step ${row.step}`).join("; ")}. `
          + "A loss or a weight is not finite. Try a smaller learning rate, or smaller weights of the terms.");
      }
      draw();
    };
    port.postMessage({ data });
  }

  /** Begin a run with the settings there are. */
  function start(hold = false) {
    if (rows.length && finished) before = rows.some((row) => row.diverged) ? [] : rows;
    [rows, finished, held, at] = [[], false, hold, null];
    if (settings.new === "own") drawn ??= drawnTask(signs, data.side);
    const run = { id: ++id, settings, methods, own: settings.new === "own" ? drawn : undefined };
    port.postMessage({ run, rounds: hold ? 1 : Infinity });
    show();
  }

  /** @param {Record<string, any>} changes */
  function change(changes) {
    const lacking = signs.findIndex((examples) => !examples.length);
    if (changes.new === "own" && lacking >= 0) {
      drawing.open = true;
      if (id) show();
      else change({ ...changes, new: demonstration.new });  // at first there is nothing to go on with
      return complain(`Draw at least one example of each of the ${SIGNS} signs first: sign ${lacking + 1} has none.`);
    }
    complain("");
    if (changes.new && changes.new !== settings.new) [rows, before, standing] = [[], [], []];
    settings = { ...settings, ...changes };
    start();
  }

  // Controls
  /** @type {Record<string, () => void>} */
  const shown = {};
  const controls = names.map((name) => {
    const { label, doc, grid } = data.settings[name], list = typeof grid[0] === "string";
    const called = (one) => (one === "own" ? "your own four signs" : one);
    const input = list ? make("select", {}, ...grid.map((one) => make("option", {}, called(one))))
      : make("input", { type: "range", min: 0, max: grid.length - 1 });
    const place = list ? "selectedIndex" : "value", number = make("output", { ariaHidden: "true" });
    input.oninput = () => change({ [name]: grid[input[place]] });
    shown[name] = () => {
      const value = settings[name];
      const distances = grid.map((one) => (one === value ? 0 : Math.abs(one - value) || Infinity));
      input[place] = distances.indexOf(Math.min(...distances));
      if (!list) number.textContent = input.ariaValueText = String(value);
    };
    return make("label", { className: "setting", title: doc }, label, input, number);
  });
  /** Hold after one more step of each method, or go on. @param {boolean} on */
  function hold(on) {
    held = on;
    port.postMessage({ rounds: on ? 1 : Infinity });
    show();
  }
  const play = button("Pause", "Hold the run, let it go on, or run again.", () => (finished ? start() : hold(!held)));
  const step = button("Step", "One step of each method, measured, and hold there; after the end, from step 0.",
    () => (finished ? start(true) : hold(true)));
  const reset = button("Reset", "Back to step 0, and hold there.", () => start(true));
  const preset = (text, title, to) => button(text, title, () => {
    change({ ...to, new: settings.new, seed: settings.seed });
  });
  const asDemonstration = preset("Demonstration setting", "Where the effect is large.", demonstration);
  const asTuned = preset("Tuned setting", "Chosen on validation images.", tuned);
  const details = make("select", { "aria-label": "Method whose loss terms are drawn" },
    ...methods.map((name) => make("option", { value: name }, data.methods[name].label)));
  details.onchange = () => {
    detail = details.value;
    show();
  };
  const keep = (step) => {
    at = step < total ? step : null;
    show();
  };
  scrubber.oninput = () => keep(Number(scrubber.value));
  for (const box of panels) {
    const step = ({ clientX }) => {
      const { left, width } = box.getBoundingClientRect(), place = (clientX - left) / width * BOX.width - BOX.left;
      return Math.round(total * Math.min(1, Math.max(0, place / (BOX.right - BOX.left))));
    };
    box.onpointermove = (event) => { pointed = step(event); draw(); };
    box.onpointerleave = () => { pointed = null; draw(); };
    box.onclick = (event) => keep(step(event));
  }
  line.onchange = () => {
    const { settings: wanted, wrong: told } = applied(data, tuned, readLine(line.value));
    if (told.length) complain(told.slice(0, 3).join(" "));
    else change(wanted);
  };
  const copy = button("Copy as Python", "Copy the line that does the same in the kit.", async () => {
    try {
      await navigator.clipboard.writeText(line.value);
      unsaid.textContent = "The line is on the clipboard.";
    } catch {
      line.select();
      unsaid.textContent = "The line is selected: copy it with the keyboard.";
    }
  });

  // The pad
  const pen = { x: PAD / 2, y: PAD / 2, down: false };
  const pad = make("canvas", { width: PAD, height: PAD, className: "pad", tabIndex: 0, role: "img",
    "aria-label": "Drawing pad of 28 by 28 pixels. Draw with the mouse or a finger; "
      + "or move the pen with the arrow keys, and lower or lift it with Space." });
  const ink = Object.assign(pad.getContext("2d"), { lineWidth: 2.6, lineCap: "round", strokeStyle: "#fff" });
  /** Move the pen, and draw if it inks. @param {number} x @param {number} y @param {boolean} inks */
  function moveTo(x, y, inks) {
    ink.beginPath();
    ink.moveTo(pen.x, pen.y);
    ink.lineTo(x + 0.01, y);  // a line of no length would not be drawn
    if (inks) ink.stroke();
    [pen.x, pen.y] = [x, y];
  }
  pad.onpointerdown = pad.onpointermove = ({ type, pointerId, button, offsetX, offsetY }) => {
    if (type === "pointerdown" && button === 0) pad.setPointerCapture(pointerId);
    if (!pad.hasPointerCapture(pointerId)) return;
    const [x, y] = [offsetX, offsetY].map((offset) => offset * PAD / pad.clientWidth);
    if (type === "pointerdown") moveTo(x, y, false);
    moveTo(x, y, true);
  };
  pad.onkeydown = (event) => {
    /** @type {Record<string, number[]>} */
    const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1], " ": [0, 0] };
    if (!moves[event.key]) return;
    event.preventDefault();
    if (event.key === " ") pen.down = !pen.down;
    const [x, y] = moves[event.key].map((by, i) => Math.min(PAD, Math.max(0, (i ? pen.y : pen.x) + by)));
    moveTo(x, y, pen.down);
    const [color, left, top] = [pen.down ? "#e6781e" : "#3c96dc", 100 * x / PAD, 100 * y / PAD];
    pad.style.background = `radial-gradient(circle at ${left}% ${top}%, ${color} 14px, #000 15px)`;
  };
  function wipe() {
    ink.clearRect(0, 0, PAD, PAD);
    pen.down = false;
    pad.style.background = "";
  }
  const examples = make("div"), drawing = make("details", {}, make("summary", {}, "Draw your own task"),
    make("p", {}, `Four signs, a few examples each: draw one, and add it to its sign. They are moved, turned and resized
to ${EACH.train} images each; the network learns them, and forgets the letters. Its accuracy on them is that on
${EACH.held} held-out drawings each, made in the same way.`),
    make("div", { className: "row" }, pad, examples),
    make("div", { className: "row" },
      button("Learn these signs", "Train with the signs as the new task.", () => change({ new: "own" })),
      button("Wipe the pad", "Begin the drawing again.", wipe),
      button("Remove all", "Remove all examples.", () => {
        setSigns(signs.map(() => []));
        if (settings.new === "own") change({ new: tuned.new });
        else show();
      })));
  /** @param {Uint8Array[][]} some */
  function setSigns(some) {
    [signs, drawn] = [some, undefined];
    examples.replaceChildren(...signs.map((several, i) => make("div", { className: "row" },
      button(`Add to sign ${i + 1} (${several.length})`, "Add the drawing as an example of this sign.", () => {
        const { data: rgba } = ink.getImageData(0, 0, PAD, PAD);
        const pixels = Uint8Array.from({ length: PAD * PAD }, (_, place) => Number(rgba[4 * place + 3] > 127));
        if (!pixels.some(Boolean)) return complain("The pad is empty: draw a sign first.");
        complain("");
        setSigns(signs.map((one, place) => (place === i ? [...one, pixels] : one)));
        wipe();
        if (settings.new === "own") start();
        else show();
        examples.querySelectorAll("button")[i].focus();
      }),
      ...several.slice(-4).map((one) => {
        const label = `Example of sign ${i + 1}`;
        const small = make("canvas", { width: PAD, height: PAD, role: "img", "aria-label": label });
        const context = Object.assign(small.getContext("2d"), { fillStyle: "#fff" });
        one.forEach((inked, place) => inked && context.fillRect(place % PAD, Math.floor(place / PAD), 1, 1));
        return small;
      }))));
  }

  // What is shown
  const draw = () => { frame ||= requestAnimationFrame(drawNow); };
  function drawNow() {
    frame = 0;
    const task = settings.new === "own" ? "your signs" : settings.new;
    /** @param {Row[]} some @param {string} method @param {string} key @param {number} scale @returns {Points} */
    const points = (some, method, key, scale) =>
      some.filter((row) => row.method === method && row.step <= total && Number.isFinite(row[key]))
        .map((row) => [row.step, scale * row[key]]);
    const lines = (key, scale = 1) => [before, standing].flatMap((some) => methods.map((name) =>
      ({ look: data.methods[name], faint: some === before, points: points(some, name, key, scale) })));
    const weights = [1, settings.distill_weight, settings.alpha];
    const terms = Object.entries(data.terms).map(([name, look], i) =>
      ({ look, points: points(standing, detail, name, weights[i]) }));
    const last = standing[standing.length - 1]?.step ?? 0, read = pointed ?? at, where = Math.min(read ?? last, total);
    panels[0].innerHTML = panel(`Accuracy on ${data.old}, %`, lines("old", 100), total, read, true);
    panels[1].innerHTML = panel(`Accuracy on ${task}, %`, lines("new", 100), total, read, true);
    panels[2].innerHTML = panel(`Feature distance on ${data.old}`, lines("distance"), total, read, false);
    panels[3].innerHTML = panel(`Weighted loss terms of ${data.methods[detail].label}`, terms, total, read, false);
    [scrubber.max, scrubber.value, scrubber.ariaValueText] = [total, where, `step ${where} of ${total}`];
    const seen = Math.max(0, ...standing.map((row) => row.step).filter((one) => one <= where));
    const cells = methods.map((name) => {
      const found = Object.assign({}, ...standing.filter((row) => row.method === name && row.step <= where));
      const shares = [found.old, found.new].map((share) => (share === undefined ? "" : (100 * share).toFixed(1)));
      const texts = [...shares, ...[found.distance, found.task, found.distill, found.code].map(short)];
      const head = `<th scope="row">${sample(data.methods[name])} ${escaped(data.methods[name].label)}</th>`;
      return `<tr>${head}${texts.map((text) => `<td>${text}</td>`).join("")}</tr>`;
    });
    const heads = ["method", `${data.old}, %`, `${task}, %`, "distance"].map(escaped)
      .concat(Object.values(data.terms).map((look) => `${sample(look)} ${escaped(look.label)}`));
    const when = `Step ${where} of ${total}${seen < where ? `, measured at ${seen}` : ""}`;
    values.innerHTML = `<table><caption>${when}; validation images${
      settings.new === "own" ? ", held-out drawings" : ""}; loss terms of the last batch, before their weights</caption>
<thead><tr>${heads.map((head) => `<th scope="col">${head}</th>`).join("")}</tr></thead>
<tbody>${cells.join("")}</tbody></table>`;
    play.textContent = finished ? "Run again" : held ? "Play" : "Pause";
    if (finished) say.textContent = `${total} steps are done. Move a slider: the run before stays as faint lines.`;
    else say.textContent = held ? `Held at step ${last}.` : "Training in this page.";
  }
  function show() {
    for (const name of names) shown[name]();
    line.value = pythonLine(data, settings);
    line.hidden = copy.hidden = settings.new === "own";
    unsaid.textContent = line.hidden ? "Your signs stay in this page, so the kit has no line of Python for them." : "";
    details.value = detail;
    const is = (one) => names.every((name) => name === "new" || name === "seed" || settings[name] === one[name]);
    asDemonstration.setAttribute("aria-pressed", is(demonstration));
    asTuned.setAttribute("aria-pressed", is(tuned));
    regime.textContent = is(demonstration) ? "A demonstration: weak distillation and a larger learning rate, chosen on "
      + "validation images so that the effect is large in one run. It ranks no method."
      : is(tuned) ? "The tuned setting: chosen on validation images; the methods lie closer together."
        : "A setting of your own.";
    draw();
    clearTimeout(saving);
    saving = window.setTimeout(() => {
      try {
        model.set("state", state());
        model.save_changes();
      } catch (error) {
        const why = /** @type {Error} */ (error).message;
        complain(`These settings are not kept in the address (${why}); the line of Python below holds them.`);
      }
    }, 150);
  }

  // The address
  function state() {
    const changed = names.filter((name) => settings[name] !== demonstration[name]);
    const text = new URLSearchParams(changed.map((name) => [name, String(settings[name])]));
    if (detail !== "ebll") text.set("detail", detail);
    if (at !== null) text.set("at", String(at));
    if (signs.some((several) => several.length)) text.set("signs", packed(signs));
    return text.toString();
  }
  function recall() {
    const asked = Object.fromEntries(new URLSearchParams(model.get("state") ?? ""));
    const { signs: code, detail: chosen = "ebll", at: place, ...rest } = asked;
    const told = [wrong.textContent];  // that there is no worker, say
    setSigns(Array.from({ length: SIGNS }, () => []));
    try {
      if (code) setSigns(unpacked(code));
    } catch {
      told.push("The drawings in the address are damaged and were left out.");
    }
    if (methods.includes(chosen)) detail = chosen;
    else told.push(`'${chosen}' is none of the methods ${methods.join(", ")}.`);
    const { settings: wanted, wrong: bad } = applied(data, demonstration, rest);
    change(wanted);
    if (/^\d{1,6}$/.test(place)) at = Number(place);
    else if (place !== undefined) told.push(`at: a step, 0 or more; got '${place}'.`);
    complain([...told, wrong.textContent, ...bad.slice(0, 3)].filter(Boolean).join(" "));
  }

  el.classList.add("ebll-lab");
  el.append(make("style", {}, STYLE), regime, make("div", { className: "row" }, asDemonstration, asTuned),
    make("fieldset", {}, make("legend", {}, "Settings"), make("div", { className: "settings" }, ...controls)),
    make("div", { className: "row" }, play, step, reset, scrubber), say, wrong,
    named(data.methods), make("div", { className: "panels" }, ...panels),
    make("div", { className: "row" }, make("label", {}, "Loss terms of ", details), named(data.terms)),
    values, make("div", { className: "row" }, line, copy, unsaid), drawing);
  connect();
  recall();
  model.on?.("change:state", () => {
    if (model.get("state") === state()) return;
    complain("");
    recall();
  });
  return () => {
    port.terminate?.();
    port.close?.();
    clearTimeout(saving);
    cancelAnimationFrame(frame);
  };
}

export default { render, engine, pythonLine, readLine, applied, drawnTask, packed, unpacked };
