// @ts-check
// The lab in the page: a network of 196-64-32 that has learned letters learns a second task, with four methods side by
// side, in this browser. One ES module: `render({ model, el })` is anywidget's contract. `engine` holds all that is
// computed and refers to nothing outside itself, so that its own text is the worker's script: nothing is imported.
//
// model   data   what `ebll.web.lab_data()` gives, as an object or as JSON
//         state  settings as in an address, "new=mnist&alpha=1"; written back as they change

/** @typedef {{inputs: number, outputs: number, weight: Float64Array, bias: Float64Array}} Weights */
/** @typedef {Weights & {dWeight: Float64Array, dBias: Float64Array, mWeight: Float64Array, mBias: Float64Array}} Layer */
/** F; T and head of the old and of the new task; both T are one layer unless operators are separate; the encoder.
 *  @typedef {{F: Layer, T: [Layer, Layer], heads: [Layer, Layer], encoder: Weights}} Net */
/** @typedef {{n: number, inputs: Float64Array, labels: Uint8Array, soft?: Float64Array, codes?: Float64Array}} Batch */
/** @typedef {{images: Uint8Array, labels: Uint8Array}} Images */
/** @typedef {{classes: string[], mean: number, std: number, train?: Images, held: Images}} Task */
/** @typedef {{task: number, distill?: number, code?: number}} Terms */
/** @typedef {{method: string, step: number, total: number, distance: number, old: number, new: number} & Partial<Terms>} Row */
/** @typedef {{new: string, alpha: number, distill_weight: number, temperature: number, learning_rate: number,
 *   code_size: number, epochs: number, seed: number}} Settings */
/** @typedef {{label: string, doc: string, default: any, grid: any[]}} Setting */
/** @typedef {{label: string, color: string, dash: number[]}} Look */
/** @typedef {{version: string, side: number, old: string, batch_size: number, warmup_epochs: number, momentum: number,
 *   weight_decay: number, drop_at: number, settings: Record<string, Setting>, demonstration: Partial<Settings>,
 *   methods: Record<string, Look>, terms: Record<string, Look>, tasks: Record<string, Task>,
 *   arrays: [string, number[]][], blob: string}} Data */

function engine() {
  "use strict";
  const { min, max, exp, log, sqrt, round } = Math;

  // ---- layers. Matrices lie row by row; a weight has a row an output, as in torch.

  /** @param {Weights} of @returns {Layer} a copy with zeros for gradients and momentum */
  function layer({ inputs, outputs, weight, bias }) {
    const [size, rows] = [inputs * outputs, outputs];
    return {
      inputs, outputs, weight: Float64Array.from(weight), bias: Float64Array.from(bias),
      dWeight: new Float64Array(size), dBias: new Float64Array(rows),
      mWeight: new Float64Array(size), mBias: new Float64Array(rows),
    };
  }

  /** x W' + b: four rows and two columns at a time; what would lie outside repeats the last row or column.
   *  @param {Float64Array} x @param {number} n @param {Weights} of */
  function linear(x, n, { inputs, outputs, weight, bias }) {
    const y = new Float64Array(n * outputs);
    for (let i = 0; i < n; i += 4) {
      const r1 = min(i + 1, n - 1), r2 = min(i + 2, n - 1), r3 = min(i + 3, n - 1);
      const x0 = i * inputs, x1 = r1 * inputs, x2 = r2 * inputs, x3 = r3 * inputs;
      for (let o = 0; o < outputs; o += 2) {
        const p = min(o + 1, outputs - 1), w0 = o * inputs, w1 = p * inputs;
        let a0 = bias[o], a1 = a0, a2 = a0, a3 = a0, b0 = bias[p], b1 = b0, b2 = b0, b3 = b0;
        for (let k = 0; k < inputs; k++) {
          const u = weight[w0 + k], v = weight[w1 + k];
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

  /** out[r, :] += sum over j < count of a[r * step + j * stride] * b[j, :]; four j at a time.
   *  @param {Float64Array} out @param {number} rows @param {number} width @param {number} count
   *  @param {Float64Array} a @param {number} step @param {number} stride @param {Float64Array} b */
  function addProducts(out, rows, width, count, a, step, stride, b) {
    for (let j = 0; j < count; j += 4) {
      const j1 = j + 1 < count, j2 = j + 2 < count, j3 = j + 3 < count;
      const b0 = j * width, b1 = j1 ? b0 + width : b0, b2 = j2 ? b0 + 2 * width : b0, b3 = j3 ? b0 + 3 * width : b0;
      for (let r = 0; r < rows; r++) {
        const at = r * step + j * stride, to = r * width;
        const a0 = a[at], a1 = j1 ? a[at + stride] : 0, a2 = j2 ? a[at + 2 * stride] : 0, a3 = j3 ? a[at + 3 * stride] : 0;
        if (a0 === 0 && a1 === 0 && a2 === 0 && a3 === 0) continue;
        for (let k = 0; k < width; k++) out[to + k] += a0 * b[b0 + k] + a1 * b[b1 + k] + a2 * b[b2 + k] + a3 * b[b3 + k];
      }
    }
  }

  /** Gradient of a layer's inputs, added to dx. @param {Weights} of @param {number} n
   *  @param {Float64Array} dy @param {Float64Array} dx */
  function backInputs({ inputs, outputs, weight }, n, dy, dx) {
    addProducts(dx, n, inputs, outputs, dy, outputs, 1, weight);
  }

  /** Gradients of weight and bias, added to those there. @param {Layer} of @param {Float64Array} x @param {number} n
   *  @param {Float64Array} dy */
  function backWeights({ inputs, outputs, dWeight, dBias }, x, n, dy) {
    addProducts(dWeight, outputs, inputs, n, dy, 1, outputs, x);
    for (let i = 0; i < n; i++) for (let o = 0; o < outputs; o++) dBias[o] += dy[i * outputs + o];
  }

  /** In place. @param {Float64Array} x */
  function relu(x) {
    for (let i = 0; i < x.length; i++) if (!(x[i] > 0)) x[i] = 0 * x[i];  // not a number stays so
    return x;
  }

  /** In place: no gradient where the activation is 0. @param {Float64Array} dx @param {Float64Array} x */
  function backRelu(dx, x) {
    for (let i = 0; i < x.length; i++) if (x[i] === 0) dx[i] = 0;
    return dx;
  }

  // ---- the equations; ids as in docs/equations.md

  /** E3a. @param {Float64Array} logits @param {number} n @param {number} temperature */
  function soften(logits, n, temperature) {
    const classes = logits.length / n, made = new Float64Array(logits.length);
    for (let at = 0; at < logits.length; at += classes) {
      let top = -Infinity, sum = 0;
      for (let c = at; c < at + classes; c++) top = max(top, logits[c]);
      for (let c = at; c < at + classes; c++) sum += made[c] = exp((logits[c] - top) / temperature);
      for (let c = at; c < at + classes; c++) made[c] /= sum;
    }
    return made;
  }

  /** E3; with one-hot targets and temperature 1, E1. Mean over the batch, sum over the classes. Gradient of the logits.
   *  @param {Float64Array} logits @param {number} n @param {Float64Array} targets rows sum to 1
   *  @param {number} temperature @returns {[number, Float64Array]} */
  function crossEntropy(logits, n, targets, temperature) {
    const classes = logits.length / n, gradient = soften(logits, n, temperature);
    let value = 0;
    for (let at = 0; at < logits.length; at += classes) {
      let top = -Infinity, sum = 0;
      for (let c = at; c < at + classes; c++) top = max(top, logits[c]);
      for (let c = at; c < at + classes; c++) sum += exp((logits[c] - top) / temperature);
      for (let c = at; c < at + classes; c++) value -= targets[c] * ((logits[c] - top) / temperature - log(sum));
    }
    for (let c = 0; c < gradient.length; c++) gradient[c] = (gradient[c] - targets[c]) / (temperature * n);
    return [value / n, gradient];
  }

  /** @param {Float64Array} features @param {number} n @param {Weights} encoder */
  function encode(features, n, encoder) {
    return linear(features, n, encoder).map((s) => 1 / (1 + exp(-s)));
  }

  /** E4: half the squared norm, mean over the batch. Gradient of the encoder's sums, before their sigmoid.
   *  @param {Float64Array} now @param {Float64Array} before @param {number} n @returns {[number, Float64Array]} */
  function codeDistance(now, before, n) {
    let value = 0;
    const gradient = now.map((code, i) => {
      value += (code - before[i]) ** 2 / (2 * n);
      return (code - before[i]) * code * (1 - code) / n;
    });
    return [value, gradient];
  }

  /** E5 and its parts: the terms of a method before their weights; gradients of their weighted sum go to the layers.
   *  @param {Net} net @param {string} method @param {Batch} batch @param {Settings} settings @returns {Terms} */
  function objective(net, method, batch, settings) {
    const { F, T: [, T], heads: [before, head], encoder } = net, { n, inputs, labels, soft, codes } = batch;
    for (const one of trainedLayers(net, method)) { one.dWeight.fill(0); one.dBias.fill(0); }
    const features = relu(linear(inputs, n, F)), hidden = relu(linear(features, n, T));
    const dFeatures = new Float64Array(features.length), dHidden = new Float64Array(hidden.length);
    const [task, dLogits] = crossEntropy(linear(hidden, n, head), n, oneHot(labels, head.outputs), 1);
    /** @type {Terms} */
    const terms = { task };
    backWeights(head, hidden, n, dLogits);
    backInputs(head, n, dLogits, dHidden);
    if (soft && (method === "lwf" || method === "ebll")) {
      const [value, gradient] = crossEntropy(linear(hidden, n, before), n, soft, settings.temperature);
      for (let i = 0; i < gradient.length; i++) gradient[i] *= settings.distill_weight;
      terms.distill = value;
      backWeights(before, hidden, n, gradient);
      backInputs(before, n, gradient, dHidden);
    }
    backWeights(T, features, n, backRelu(dHidden, hidden));
    backInputs(T, n, dHidden, dFeatures);
    if (codes && (method === "ebll" || method === "ebll-separate")) {
      const [value, gradient] = codeDistance(encode(features, n, encoder), codes, n);
      for (let i = 0; i < gradient.length; i++) gradient[i] *= settings.alpha;
      terms.code = value;
      backInputs(encoder, n, gradient, dFeatures);
    }
    backWeights(F, inputs, n, backRelu(dFeatures, features));
    return terms;
  }

  /** @param {Uint8Array} labels @param {number} classes */
  function oneHot(labels, classes) {
    const made = new Float64Array(labels.length * classes);
    labels.forEach((label, i) => { made[i * classes + label] = 1; });
    return made;
  }

  /** The layers that get a gradient: no other moves, not even by weight decay.
   *  @param {Net} net @param {string} method */
  function trainedLayers({ F, T, heads }, method) {
    return method === "lwf" || method === "ebll" ? [F, T[1], heads[1], heads[0]] : [F, T[1], heads[1]];
  }

  /** A step of SGD as torch's: g += decay * w, m = momentum * m + g, w -= rate * m.
   *  @param {Layer[]} layers @param {number} rate @param {number} momentum @param {number} decay */
  function update(layers, rate, momentum, decay) {
    for (const one of layers) {
      for (const [w, d, m] of [[one.weight, one.dWeight, one.mWeight], [one.bias, one.dBias, one.mBias]]) {
        for (let i = 0; i < w.length; i++) w[i] -= rate * (m[i] = momentum * m[i] + d[i] + decay * w[i]);
      }
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
        const j = Math.floor(random() * (i + 1)), kept = order[i];
        order[i] = order[j];
        order[j] = kept;
      }
      return order;
    });
  }

  /** A head as torch begins one. @param {number} inputs @param {number} outputs @param {number} seed */
  function freshHead(inputs, outputs, seed) {
    const random = randoms(seed * 2), bound = 1 / sqrt(inputs), draw = () => (2 * random() - 1) * bound;
    const weight = new Float64Array(inputs * outputs).map(draw), bias = new Float64Array(outputs).map(draw);
    return layer({ inputs, outputs, weight, bias });
  }

  // ---- the protocol

  /** Rows of a matrix. @template {Float64Array | Uint8Array} A @param {A} from @param {ArrayLike<number>} rows
   *  @param {number} width @returns {A} */
  function take(from, rows, width) {
    const made = /** @type {A} */ (new /** @type {any} */ (from.constructor)(rows.length * width));
    for (let i = 0; i < rows.length; i++) made.set(from.subarray(rows[i] * width, (rows[i] + 1) * width), i * width);
    return made;
  }

  /** What both stages do: batches in order, the rate a tenth in the last part, an update after each yield, and a last
   *  yield without a batch. @param {Data} data @param {Settings} settings @param {number} count
   *  @param {Uint32Array[]} order of each epoch @param {Layer[]} layers that are trained
   *  @returns {Generator<{step: number, total: number, rows: Uint32Array | null}, void, void>} */
  function* stage(data, settings, count, order, layers) {
    const size = data.batch_size, batches = Math.ceil(count / size), total = order.length * batches;
    for (const one of layers) { one.mWeight.fill(0); one.mBias.fill(0); }
    for (let step = 0; step < total; step++) {
      const from = (step % batches) * size, rows = order[Math.floor(step / batches)].subarray(from, from + size);
      yield { step, total, rows };
      const rate = settings.learning_rate * (step >= halfEven(data.drop_at * total) ? 0.1 : 1);
      update(layers, rate, data.momentum, data.weight_decay);
    }
    yield { step: total, total, rows: null };
  }

  /** As Python's round. @param {number} x */
  function halfEven(x) {
    return x % 1 === 0.5 ? 2 * round(x / 2) : round(x);
  }

  /** The warm-up: only the new head learns, or head and operator of its own, on what F and T gave before.
   *  @param {Data} data @param {Net} net changes @param {string} method @param {Recorded} recorded
   *  @param {Settings} settings @param {Uint32Array[]} order */
  function warmUp(data, net, method, { labels, count, features, hidden }, settings, order) {
    const own = method === "ebll-separate", [T, head] = [net.T[1], net.heads[1]], layers = own ? [T, head] : [head];
    for (const { rows } of stage(data, settings, count, order.slice(0, data.warmup_epochs), layers)) {
      if (!rows) break;
      const n = rows.length;
      for (const one of layers) { one.dWeight.fill(0); one.dBias.fill(0); }
      const inputs = own ? take(features, rows, T.inputs) : null;
      const h = inputs ? relu(linear(inputs, n, T)) : take(hidden, rows, T.outputs);
      const d = crossEntropy(linear(h, n, head), n, oneHot(take(labels, rows, 1), head.outputs), 1)[1];
      backWeights(head, h, n, d);
      if (inputs) {
        const dHidden = new Float64Array(h.length);
        backInputs(head, n, d, dHidden);
        backWeights(T, inputs, n, backRelu(dHidden, h));
      }
    }
  }

  /** The training of one method; yields before each update, with its terms, and once after the last.
   *  @param {Data} data @param {Net} net changes @param {string} method @param {Recorded} recorded
   *  @param {Settings} settings @param {Uint32Array[]} order
   *  @returns {Generator<{step: number, total: number, terms: Terms | null}, void, void>} */
  function* train(data, net, method, { inputs, labels, count, features, oldLogits }, settings, order) {
    const soft = soften(oldLogits, count, settings.temperature), codes = encode(features, count, net.encoder);
    const widths = [net.F.inputs, net.heads[0].outputs, net.encoder.outputs];
    for (const { step, total, rows } of stage(data, settings, count, order, trainedLayers(net, method))) {
      const batch = rows && {
        n: rows.length, inputs: take(inputs, rows, widths[0]), labels: take(labels, rows, 1),
        soft: take(soft, rows, widths[1]), codes: take(codes, rows, widths[2]),
      };
      yield { step, total, terms: batch && objective(net, method, batch, settings) };
    }
  }

  /** Inputs of a task with what the network of before says of them.
   *  @typedef {{inputs: Float64Array, labels: Uint8Array, count: number, features: Float64Array, hidden: Float64Array,
   *    oldLogits: Float64Array}} Recorded */
  /** @param {{F: Weights, T: Weights, head: Weights}} start @param {Task} task @param {Images} images
   *  @returns {Recorded} */
  function record({ F, T, head }, { mean, std }, { images, labels }) {
    const count = labels.length, inputs = Float64Array.from(images, (grey) => (grey / 255 - mean) / std);
    const features = relu(linear(inputs, count, F)), hidden = relu(linear(features, count, T));
    return { inputs, labels, count, features, hidden, oldLogits: linear(hidden, count, head) };
  }

  /** M1 of a head, and M2. @param {Net} net @param {0 | 1} t @param {Recorded} held */
  function measure({ F, T, heads }, t, { inputs, labels, count, features }) {
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

  /** @param {Data} data @returns {Promise<(settings: Settings, method: string, own?: Task) => Generator<Row, void, boolean>>}
   *  a function that begins a run: told true, it measures at the next step, otherwise where it is due */
  async function open(data) {
    const packed = Uint8Array.from(atob(data.blob), (letter) => letter.charCodeAt(0));
    const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
    const buffer = await new Response(stream).arrayBuffer();
    /** @type {Record<string, any>} */
    const arrays = {};
    let at = 0;
    for (const [name, shape] of data.arrays) {
      const size = shape.reduce((a, b) => a * b, 1), kind = /\.(weight|bias)$/.test(name) ? Float32Array : Uint8Array;
      arrays[name] = new kind(buffer, at, size);
      at += size * kind.BYTES_PER_ELEMENT;
    }
    const images = (/** @type {string} */ name) => ({ images: arrays[`${name}.images`], labels: arrays[`${name}.labels`] });
    const weights = (/** @type {string} */ name) => {
      const [outputs, inputs] = data.arrays.filter(([one]) => one === `${name}.weight`)[0][1];
      const [weight, bias] = ["weight", "bias"].map((part) => Float64Array.from(arrays[`${name}.${part}`]));
      return { inputs, outputs, weight, bias };
    };
    const start = { F: weights("F"), T: weights("T"), head: weights("head") };
    /** @type {Map<string, any>} */
    const kept = new Map();
    /** @template V @param {string} key @param {() => V} make @returns {V} */
    const once = (key, make) => kept.get(key) ?? (kept.set(key, make()), kept.get(key));
    /** @param {string} name @param {"train" | "held"} part @param {Task} [own] */
    const recorded = (name, part, own) => {
      const make = () => record(start, own ?? data.tasks[name], /** @type {Images} */ ((own ?? { [part]: images(`${name}.${part}`) })[part]));
      return own ? make() : once(`${name}.${part}`, make);
    };

    return function* begin(settings, method, own) {
      const { new: name, seed, learning_rate: rate } = settings, separate = method === "ebll-separate";
      const train_ = recorded(name, "train", own), heldNew = recorded(name, "held", own), heldOld = recorded(data.old, "held");
      const order = orders(train_.count, seed, max(settings.epochs, data.warmup_epochs));
      const classes = (own ?? data.tasks[name]).classes.length;
      const warm = () => {
        const T = layer(start.T), head = freshHead(T.outputs, classes, seed);
        const net = /** @type {Net} */ ({ T: [T, T], heads: [head, head] });
        warmUp(data, net, method, train_, settings, order);
        return { T, head };
      };
      const { T, head } = own ? warm() : once(`${name} ${seed} ${rate} ${separate}`, warm);
      const operator = layer(start.T);
      /** @type {Net} */
      const net = {
        F: layer(start.F), T: separate ? [operator, layer(T)] : [operator, operator],
        heads: [layer(start.head), layer(head)], encoder: weights(`encoder${settings.code_size}`),
      };
      let asked = true;
      for (const { step, total, terms } of train(data, net, method, train_, settings, order.slice(0, settings.epochs))) {
        if (terms && !Object.values(terms).every(Number.isFinite)) throw new Error(`step ${step} of ${total}`);
        const every = max(1, round(total / 24)), early = step < every && (step & (step - 1)) === 0;
        if (!asked && step < total && step % every && !early) {
          asked = yield /** @type {Row} */ (/** @type {unknown} */ (null));
          continue;
        }
        const { accuracy, distance } = measure(net, 0, heldOld);
        asked = yield { method, step, total, ...terms, distance, old: accuracy, new: measure(net, 1, heldNew).accuracy };
      }
    };
  }

  /** Answer the messages of a port; a run goes on in slices, between which messages are heard.
   *  @param {any} port a worker's own scope, or the end of a channel */
  function serve(port) {
    /** @type {Promise<any>} */
    let lab;
    /** @type {{id: number, runs: Map<string, Generator<Row, void, boolean>>, held: boolean} | null} */
    let job = null;
    const bell = new MessageChannel();
    /** One step of each method. @param {boolean} asked @returns {Row[]} */
    function step(asked) {
      const rows = [], { id, runs } = /** @type {NonNullable<typeof job>} */ (job);
      for (const [method, run] of runs) {
        try {
          const { value, done } = run.next(asked);
          if (done) runs.delete(method);
          else if (value) rows.push(value);
        } catch (error) {
          runs.delete(method);
          port.postMessage({ kind: "diverged", id, method, where: /** @type {Error} */ (error).message });
        }
      }
      return rows;
    }
    bell.port1.onmessage = () => {
      if (!job || job.held) return;
      const rows = [], { id, runs } = job, until = Date.now() + 12;
      do rows.push(...step(false)); while (runs.size && Date.now() < until);
      port.postMessage({ kind: "rows", id, rows, done: !runs.size });
      if (runs.size) bell.port2.postMessage(0);
    };
    port.onmessage = async (/** @type {{data: any}} */ { data: { kind, id, settings, methods, own, data, held } }) => {
      if (kind === "open") lab = open(data);
      if (kind === "open") lab.catch((error) => port.postMessage({ kind: "wrong", text: String(error) }));
      if (kind === "run") {
        const begin = await lab;
        /** @type {[string, any][]} */
        const runs = methods.map((/** @type {string} */ method) => [method, begin(settings, method, own)]);
        job = { id, runs: new Map(runs), held };
      }
      if (job && kind === "hold") job.held = held;
      if (job && (kind === "step" || (kind === "run" && held))) {
        port.postMessage({ kind: "rows", id: job.id, rows: step(true), done: !job.runs.size });
      }
      bell.port2.postMessage(0);
    };
  }

  return { layer, linear, soften, crossEntropy, encode, codeDistance, objective, record, warmUp, train, orders, randoms, open, serve };
}
