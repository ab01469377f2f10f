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
/** `key` tells drawn tasks apart. @typedef {{classes: string[], mean: number, std: number, key?: string, train?: Images,
 *   held: Images}} Task */
/** @typedef {{task: number, distill?: number, code?: number}} Terms */
/** @typedef {{method: string, step: number, total: number, distance: number, old: number, new: number} & Partial<Terms>} Row */
/** @typedef {{new: string, alpha: number, distill_weight: number, temperature: number, learning_rate: number,
 *   code_size: number, epochs: number, seed: number} & Record<string, any>} Settings */
/** @typedef {{label: string, doc: string, default: any, grid: any[], listed: boolean, whole: boolean, low: number,
 *   high: number, above: boolean}} Setting */
/** @typedef {{label: string, color: string, dash: number[]}} Look */
/** @typedef {{version: string, side: number, old: string, batch_size: number, warmup_epochs: number, momentum: number,
 *   weight_decay: number, drop_at: number, settings: Record<string, Setting>, demonstration: Partial<Settings>,
 *   methods: Record<string, Look>, terms: Record<string, Look>, tasks: Record<string, Task>,
 *   arrays: [string, number[]][], blob: string}} Data */

function engine() {
  "use strict";
  const { min, max, exp, log, sqrt, round } = Math;
  const DISTILLS = ["lwf", "ebll"], CODES = ["ebll", "ebll-separate"];

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

  /** out[r, :] += sum over j < count of a[r * step + j * stride] * b[j, :]; two rows and four j at a time.
   *  @param {Float64Array} out @param {number} rows @param {number} width @param {number} count
   *  @param {Float64Array} a @param {number} step @param {number} stride @param {Float64Array} b */
  function addProducts(out, rows, width, count, a, step, stride, b) {
    for (let j = 0; j < count; j += 4) {
      const [b0, b1, b2, b3] = [0, 1, 2, 3].map((more) => min(j + more, count - 1) * width);
      const of = (/** @type {number} */ r, /** @type {number} */ i) => (r < rows && i < count ? a[r * step + i * stride] : 0);
      for (let r = 0; r < rows; r += 2) {
        const u0 = of(r, j), u1 = of(r, j + 1), u2 = of(r, j + 2), u3 = of(r, j + 3);
        const v0 = of(r + 1, j), v1 = of(r + 1, j + 1), v2 = of(r + 1, j + 2), v3 = of(r + 1, j + 3);
        const to = r * width, next = to + width;
        for (let k = 0; k < width; k++) {
          const c0 = b[b0 + k], c1 = b[b1 + k], c2 = b[b2 + k], c3 = b[b3 + k];
          out[to + k] += u0 * c0 + u1 * c1 + u2 * c2 + u3 * c3;
          out[next + k] += v0 * c0 + v1 * c1 + v2 * c2 + v3 * c3;  // beyond the last row: nothing is written there
        }
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
    if (soft && DISTILLS.includes(method)) {
      const [value, gradient] = crossEntropy(linear(hidden, n, before), n, soft, settings.temperature);
      for (let i = 0; i < gradient.length; i++) gradient[i] *= settings.distill_weight;
      terms.distill = value;
      backWeights(before, hidden, n, gradient);
      backInputs(before, n, gradient, dHidden);
    }
    backWeights(T, features, n, backRelu(dHidden, hidden));
    backInputs(T, n, dHidden, dFeatures);
    if (codes && CODES.includes(method)) {
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
    return DISTILLS.includes(method) ? [F, T[1], heads[1], heads[0]] : [F, T[1], heads[1]];
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
    const soft = DISTILLS.includes(method) ? soften(oldLogits, count, settings.temperature) : null;
    const codes = CODES.includes(method) ? encode(features, count, net.encoder) : null;
    const widths = [net.F.inputs, net.heads[0].outputs, net.encoder.outputs];
    for (const { step, total, rows } of stage(data, settings, count, order, trainedLayers(net, method))) {
      const batch = rows && {
        n: rows.length, inputs: take(inputs, rows, widths[0]), labels: take(labels, rows, 1),
        soft: soft ? take(soft, rows, widths[1]) : undefined, codes: codes ? take(codes, rows, widths[2]) : undefined,
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
    const bytes = Uint8Array.from(atob(data.blob), (letter) => letter.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
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
    /** @template V @param {string} key @param {() => V} compute @returns {V} */
    const once = (key, compute) => kept.get(key) ?? (kept.set(key, compute()), kept.get(key));
    /** @param {string} name @param {"train" | "held"} part @param {Task} [own] */
    const recorded = (name, part, own) => once(`${name} ${part}`, () =>
      record(start, own ?? data.tasks[name], /** @type {Images} */ (own ? own[part] : images(`${name}.${part}`))));

    return function* begin(settings, method, own) {
      const { seed, learning_rate: rate } = settings, separate = method === "ebll-separate", name = own?.key ?? settings.new;
      const train_ = recorded(name, "train", own), heldNew = recorded(name, "held", own), heldOld = recorded(data.old, "held");
      const order = orders(train_.count, seed, max(settings.epochs, data.warmup_epochs));
      const classes = (own ?? data.tasks[name]).classes.length;
      const warm = () => {
        const T = layer(start.T), head = freshHead(T.outputs, classes, seed);
        const net = /** @type {Net} */ ({ T: [T, T], heads: [head, head] });
        warmUp(data, net, method, train_, settings, order);
        return { T, head };
      };
      const { T, head } = once(`${name} ${seed} ${rate} ${separate}`, warm);
      const operator = layer(start.T);
      /** @type {Net} */
      const net = {
        F: layer(start.F), T: separate ? [operator, layer(T)] : [operator, operator],
        heads: [layer(start.head), layer(head)], encoder: weights(`encoder${settings.code_size}`),
      };
      let asked = true;
      for (const { step, total, terms } of train(data, net, method, train_, settings, order.slice(0, settings.epochs))) {
        if (terms && !Object.values(terms).every(Number.isFinite)) {
          throw Object.assign(new Error(`step ${step} of ${total}`), { diverged: true });
        }
        const every = max(1, round(total / 16)), early = step < every && (step & (step - 1)) === 0;
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
          const { diverged, message } = /** @type {any} */ (error);
          if (!diverged) throw error;
          runs.delete(method);
          port.postMessage({ kind: "diverged", id, method, where: message });
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
      if (kind === "open") {
        lab = open(data);
        lab.catch((error) => port.postMessage({ kind: "wrong", text: String(error) }));
        return;
      }
      const begin = await lab;
      if (kind === "run") {
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

  return { layer, objective, record, warmUp, train, randoms, open, serve };
}

// ---- a task drawn by hand: four signs, a few examples each, moved and turned for more

const PAD = 28, SIGNS = 4, EACH = { train: 200, held: 40 };

/** @param {Uint8Array[][]} signs examples of each sign, PAD x PAD of 0 and 1 @param {number} side @returns {Task} */
function drawnTask(signs, side) {
  const random = engine().randoms(1), between = (/** @type {number} */ a, /** @type {number} */ b) => a + (b - a) * random();
  const part = (/** @type {number} */ each) => {
    const images = new Uint8Array(signs.length * each * side * side), labels = new Uint8Array(signs.length * each);
    for (let i = 0; i < labels.length; i++) {
      const label = i % signs.length, of = signs[label][Math.floor(i / signs.length) % signs[label].length];
      const turn = between(-0.35, 0.35), zoom = between(0.85, 1.2), dx = between(-3, 3), dy = between(-3, 3);
      const [cos, sin, middle, fine] = [Math.cos(turn) * zoom, Math.sin(turn) * zoom, (PAD - 1) / 2, 4];
      for (let pixel = 0; pixel < side * side; pixel++) {
        let ink = 0;
        for (let sub = 0; sub < fine * fine; sub++) {
          const x = ((pixel % side) + (sub % fine + 0.5) / fine) * PAD / side - 0.5 - middle - dx;
          const y = (Math.floor(pixel / side) + (Math.floor(sub / fine) + 0.5) / fine) * PAD / side - 0.5 - middle - dy;
          const column = Math.round(cos * x - sin * y + middle), row = Math.round(sin * x + cos * y + middle);
          if (column >= 0 && column < PAD && row >= 0 && row < PAD) ink += of[row * PAD + column];
        }
        images[i * side * side + pixel] = Math.round(255 * ink / (fine * fine));
      }
      labels[i] = label;
    }
    return { images, labels };
  };
  const [train, held] = [part(EACH.train), part(EACH.held)], size = train.images.length;
  const mean = train.images.reduce((sum, grey) => sum + grey, 0) / size / 255;
  const std = Math.sqrt(train.images.reduce((sum, grey) => sum + (grey / 255 - mean) ** 2, 0) / size) || 1;
  return { classes: signs.map((_, i) => `sign ${i + 1}`), key: packed(signs), mean, std, train, held };
}

/** Examples as text for an address, a bit a pixel, and back. @param {Uint8Array[][]} signs */
function packed(signs) {
  const one = (/** @type {Uint8Array} */ pixels) => {
    const bytes = new Uint8Array(pixels.length / 8);
    pixels.forEach((ink, i) => { bytes[i >> 3] |= ink << (i & 7); });
    return btoa(String.fromCharCode(...bytes)).replace(/\+/g, "-").replace(/\//g, "_").replace(/=/g, "");
  };
  return signs.map((examples) => examples.map(one).join(".")).join("~");
}
/** @param {string} text @returns {Uint8Array[][]} */
function unpacked(text) {
  return text.split("~").map((examples) => examples.split(".").filter(Boolean).map((code) => {
    const bytes = atob(code.replace(/-/g, "+").replace(/_/g, "/"));
    if (8 * bytes.length !== PAD * PAD) throw new Error("not a drawing");
    return Uint8Array.from({ length: PAD * PAD }, (_, i) => (bytes.charCodeAt(i >> 3) >> (i & 7)) & 1);
  }));
}

// ---- settings as a line of Python and as an address

/** @param {Data} data @param {Settings} settings */
function pythonLine(data, settings) {
  const given = Object.entries(data.settings).filter(([name, known]) => settings[name] !== known.default);
  const text = (/** @type {any} */ value) => (typeof value === "string" ? `"${value}"` : `${value}`);
  return `ebll.web.run(${given.map(([name]) => `${name}=${text(settings[name])}`).join(", ")})`;
}

/** Name -> text of what a line such as 'ebll.web.run(new="mnist", alpha=1.0)', or just 'alpha=1.0', gives.
 *  @param {string} line @returns {Record<string, string>} */
function readLine(line) {
  const inside = line.trim().replace(/^[\w.\s=]*\(([^()]*)\)$/, "$1").trim().replace(/,$/, "");
  /** @type {Record<string, string>} */
  const given = {};
  for (const part of inside ? inside.split(",") : []) {
    const found = /^\s*(\w+)\s*=\s*(?:"([\w-]+)"|'([\w-]+)'|([-+.\de]+))\s*$/.exec(part);
    if (!found) {
      const got = line.trim().slice(0, 80);
      throw new Error(`Paste a line such as ebll.web.run(new="mnist", alpha=1.0), or just alpha=1.0; got '${got}'.`);
    }
    given[found[1]] = found[2] ?? found[3] ?? found[4];
  }
  return given;
}

/** Settings with those given as text; what cannot be is a sentence in `wrong`, and stays as it was.
 *  @param {Data} data @param {Settings} from @param {Record<string, string>} given */
function applied(data, from, given) {
  /** @type {[Settings, string[]]} */
  const [settings, wrong] = [{ ...from }, []];
  for (const [name, text] of Object.entries(given)) {
    const known = Object.hasOwn(data.settings, name) ? data.settings[name] : null;
    if (!known) {
      wrong.push(`'${name}' is no setting of this page; there are ${Object.keys(data.settings).join(", ")}.`);
      continue;
    }
    const value = /** @type {any} */ (typeof known.default === "string" ? text : text.trim() ? Number(text) : NaN);
    const { listed, grid, whole, above, low, high, label } = known;
    const inside = value >= low && value <= high && !(above && value === low) && !(whole && value % 1);
    const wanted = listed ? `one of ${grid.join(", ")}`
      : `a ${whole ? "whole " : ""}number ${above ? "above" : "from"} ${low} to ${high}`;
    if (listed ? grid.includes(value) : inside) settings[name] = value;
    else wrong.push(`${label} must be ${wanted}; got '${text}'. It is still ${from[name]}.`);
  }
  return { settings, wrong };
}

// ---- the picture

/** @param {string} tag @param {Record<string, any>} [with_] @param {...(Node | string)} children @returns {any} */
function make(tag, with_ = {}, ...children) {
  const node = document.createElement(tag);
  node.setAttribute("data-lm-suppress-shortcuts", "true");  // or JupyterLab takes the arrow keys of a slider
  for (const [name, value] of Object.entries(with_)) {
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
/** @param {Row} row @param {string} key @returns {number | undefined} */
const of = (row, key) => /** @type {any} */ (row)[key];
/** @param {Look} look */
const stroke = ({ color, dash }) => `class="line" style="--line: ${color}" stroke-dasharray="${dash.map((d) => 1.8 * d).join(" ")}"`;

/** @param {Look} look */
const sample = (look) => `<svg viewBox="0 0 36 10" aria-hidden="true"><path ${stroke(look)} d="M0 5H36"/></svg>`;

/** A line of a panel. @typedef {{look: Look, points: [number, number][], faint?: boolean}} Line */
/** One panel as SVG. @param {string} title @param {Line[]} lines @param {number} total steps
 *  @param {number | null} at where the scrubber is @param {boolean} percent */
function panel(title, lines, total, at, percent) {
  const [width, height, left, right, top, bottom] = [420, 216, 44, 16, 28, 34];
  const values = lines.flatMap(({ points }) => points.map(([, y]) => y)).filter(Number.isFinite);
  const [least, most] = [Math.min(...values), Math.max(...values)];
  const low = percent && values.length ? Math.min(90, Math.max(0, Math.floor(least / 10) * 10)) : 0;
  const rough = ((percent ? 100 : values.length ? most : 1) - low) / 4 || 0.25, power = 10 ** Math.floor(Math.log10(rough));
  const tick = [1, 2, 2.5, 5, 10].map((m) => m * power).find((one) => one >= rough) ?? rough;
  const high = percent ? Math.max(100, low + tick) : low + tick * Math.max(1, Math.ceil(((values.length ? most : 1) - low) / tick));
  const x = (/** @type {number} */ step) => left + (width - left - right) * step / Math.max(1, total);
  const y = (/** @type {number} */ value) => height - bottom - (height - top - bottom) * (value - low) / (high - low);
  const ticks = [];
  for (let value = low; value <= high * (1 + 1e-9); value += tick) ticks.push(value);
  const words = lines.filter(({ points, faint }) => points.length && !faint).map(({ look, points }) => {
    const [[, begin], [step, end]] = [points[0], points[points.length - 1]];
    return `${look.label}: ${short(begin)} at first, ${short(end)} at step ${step}`;
  });
  const rules = ticks.map((value) => `<path class="grid" d="M${left} ${y(value)}H${width - right}"/>
<text x="${left - 6}" y="${y(value) + 4}" text-anchor="end">${short(value)}</text>`);
  const steps = [0, 0.25, 0.5, 0.75, 1].map((share) => Math.round(share * total)).map((step) =>
    `<text x="${x(step)}" y="${height - bottom + 16}" text-anchor="middle">${step}</text>`);
  const drawn = lines.map(({ look, points, faint }) => {
    const corners = points.filter(([, value]) => Number.isFinite(value))
      .map(([step, value]) => `${x(step).toFixed(1)} ${y(value).toFixed(1)}`);
    return `<path ${stroke(look)} ${faint ? 'opacity="0.3"' : ""} d="${corners.length ? `M${corners.join("L")}` : ""}"/>`;
  });
  const label = escaped(`${title}, over ${total} steps. ${words.join("; ") || "Nothing yet"}.`);
  return `<svg viewBox="0 0 ${width} ${height}" role="img" aria-label="${label}">
<text x="0" y="14" class="title">${escaped(title)}</text>
${[...rules, ...steps].join("")}
<text x="${(left + width - right) / 2}" y="${height - 3}" text-anchor="middle">step</text>
${drawn.join("")}
${at === null ? "" : `<path class="now" d="M${x(Math.min(at, total))} ${top}V${height - bottom}"/>`}
</svg>`;
}

const STYLE = `
.ebll-lab { --ink: #222; --paper: #fff; --soft: #5a5a5a; --rule: #e4e4e4; --edge: #767676; --accent: #0173b2; 
  color-scheme: light; color: var(--ink); background: var(--paper); font: 15px/1.4 system-ui, "Segoe UI", "DejaVu Sans", sans-serif; padding: 8px 12px; }
.ebll-lab .line { stroke: var(--line); fill: none; stroke-width: 1.8; stroke-linejoin: round; }
@media (prefers-color-scheme: dark) {
  .ebll-lab { --ink: #eee; --paper: #1b1b1b; --soft: #b4b4b4; --rule: #3c3c3c; --edge: #8c8c8c; --accent: #5cb2e8;
    color-scheme: dark; }
  .ebll-lab .line { stroke: color-mix(in srgb, var(--line) 60%, white); }
}
.ebll-lab :is(fieldset, details) { border: 1px solid var(--rule); border-radius: 4px; padding: 4px 10px 8px;
  margin: 8px 0; min-width: 0; }
.ebll-lab legend, .ebll-lab summary { font-weight: 600; }
.ebll-lab .settings { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(20em, 100%), 1fr)); gap: 2px 24px; }
.ebll-lab .setting { display: grid; grid-template-columns: 10.5em minmax(4em, 1fr) 3.2em; gap: 8px; align-items: center; }
.ebll-lab .setting select { grid-column: 2 / 4; }
.ebll-lab input[type=range] { width: 100%; margin: 0; accent-color: var(--accent); }
.ebll-lab :is(button, select, input[type=text]) { font: inherit; color: var(--ink); background: var(--paper);
  border: 1px solid var(--edge); border-radius: 4px; padding: 3px 10px; }
.ebll-lab button[aria-pressed=true] { outline: 2px solid var(--accent); }
.ebll-lab :focus-visible { outline: 3px solid var(--accent); outline-offset: 1px; }
.ebll-lab .row { display: flex; flex-wrap: wrap; gap: 6px 8px; align-items: center; margin: 6px 0; }
.ebll-lab .row > .wide { flex: 1 1 16em; min-width: 0; }
.ebll-lab .panels { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(26em, 100%), 1fr)); gap: 8px 24px; }
.ebll-lab svg { width: 100%; height: auto; } .ebll-lab svg text { fill: var(--soft); font-size: 12px; }
.ebll-lab svg .title { fill: var(--ink); font-size: 13px; font-weight: 600; }
.ebll-lab svg .grid { stroke: var(--rule); } .ebll-lab svg .now { stroke: var(--soft); stroke-dasharray: 2 2; }
.ebll-lab table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
.ebll-lab :is(th, td) { padding: 2px 10px 2px 0; text-align: right; border-bottom: 1px solid var(--rule); font-weight: normal; }
.ebll-lab :is(th:first-child) { text-align: left; white-space: nowrap; } .ebll-lab table svg { width: 36px; height: 10px; }
.ebll-lab .values { overflow-x: auto; } .ebll-lab caption { text-align: left; color: var(--soft); }
.ebll-lab .wrong { border-left: 4px solid #c8405f; padding-left: 8px; } .ebll-lab .wrong:empty { display: none; }
.ebll-lab details .row { align-items: flex-start; min-height: 46px; }
.ebll-lab canvas { background: #000; image-rendering: pixelated; border: 1px solid var(--edge); }
.ebll-lab .pad { width: 196px; height: 196px; touch-action: none; } .ebll-lab .example { width: 42px; height: 42px; }
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
  let settings = demonstration, detail = "ebll", at = /** @type {number | null} */ (null), id = 0, held = false, total = 1;
  /** @type {Uint8Array[][]} */
  let signs = Array.from({ length: SIGNS }, () => []);
  /** @type {Row[]} */
  let rows = [], before = /** @type {Row[]} */ ([]);
  let finished = false, saving = 0, frame = 0, drawn = /** @type {Task | undefined} */ (undefined);

  const say = make("p", { role: "status" }), wrong = make("p", { className: "wrong", role: "alert" });
  const regime = make("p"), panels = make("div", { className: "panels" }),
    values = make("div", { className: "values", tabIndex: 0, role: "region", "aria-label": "Values at the step" });
  const line = make("input", { type: "text", className: "wide", spellcheck: false,
    "aria-label": "The line of Python that does the same in the kit" });
  const scrubber = make("input", { type: "range", min: 0, className: "wide", "aria-label": "Step of the run to read" });
  const button = (/** @type {string} */ text, /** @type {string} */ title, /** @type {() => void} */ onclick) =>
    make("button", { type: "button", title, onclick }, text);

  // The worker; where there may be none, the page computes in its place.
  /** @type {any} */
  let port, deaths = 0;
  function connect(inPage = false) {
    let ready = false;
    const failed = (/** @type {string} */ text) => {
      if (inPage || ++deaths > 3) return hopeless(text);
      port?.terminate?.();
      complain(ready ? `The training stopped (${text}) and was begun again.`
        : "This browser allows no worker: the page trains by itself and answers later.");
      connect(!ready);
      start();
    };
    try {
      if (inPage) {
        const channel = new MessageChannel();
        engine().serve(channel.port2);
        port = channel.port1;
      } else {
        const url = URL.createObjectURL(new Blob([`(${engine})().serve(self)`], { type: "text/javascript" }));
        port = new Worker(url);
        port.onerror = (/** @type {ErrorEvent} */ event) => failed(event.message || "no reason was given");
      }
    } catch (error) { return failed(String(error)); }
    port.onmessage = (/** @type {MessageEvent} */ { data: news }) => {
      ready = true;
      if (news.kind === "wrong") hopeless(news.text);
      if (news.id !== id) return;
      if (news.kind === "diverged") {
        const who = data.methods[news.method].label, rate = settings.learning_rate;
        complain(`${who} diverged at ${news.where}: its loss is not finite. Try a learning rate below ${rate}.`);
      }
      if (news.kind !== "rows") return;
      rows.push(...news.rows);
      if (news.rows.length) total = news.rows[0].total;
      finished = news.done;
      draw();
    };
    port.postMessage({ kind: "open", data });
  }

  const complain = (/** @type {string} */ text) => { wrong.textContent = text; };
  const hopeless = (/** @type {string} */ text) =>
    complain(`Nothing can be trained here: ${text}. Reload the page, or try another browser.`);

  /** Begin a run with the settings there are. */
  function start(hold = false) {
    if (rows.length && finished) before = rows;
    [rows, finished, held, at] = [[], false, hold, null];
    if (settings.new === "own" && drawn?.key !== packed(signs)) drawn = drawnTask(signs, data.side);
    const own = settings.new === "own" ? drawn : undefined;
    port.postMessage({ kind: "run", id: ++id, settings, methods, own, held });
    show();
  }

  /** @param {Partial<Settings>} changes */
  function change(changes) {
    const lacking = signs.findIndex((examples) => !examples.length);
    if (changes.new === "own" && lacking >= 0) {
      drawing.open = true;
      if (id) show(); else change({ ...changes, new: demonstration.new });  // at first there is nothing to go on with
      return complain(`Draw at least one example of each of the ${SIGNS} signs first: sign ${lacking + 1} has none.`);
    }
    complain("");
    if (changes.new && changes.new !== settings.new) [rows, before] = [[], []];
    settings = /** @type {Settings} */ ({ ...settings, ...changes });
    start();
  }

  // Controls
  /** @type {Record<string, () => void>} */
  const shown = {};
  const controls = names.map((name) => {
    const { label, doc, grid } = data.settings[name], key = `ebll-${name}-${Math.random().toString(36).slice(2)}`;
    const head = make("label", { htmlFor: key, title: doc }, label);
    if (name === "new") {
      const list = make("select", { id: key, title: doc, onchange: () => change({ new: list.value }) });
      list.append(...grid.map((one) => make("option", { value: one }, one === "own" ? "your own four signs" : one)));
      shown[name] = () => { list.value = settings.new; };
      return make("div", { className: "setting" }, head, list);
    }
    const number = make("output", { htmlFor: key });
    const slider = make("input", { type: "range", id: key, title: doc, min: 0, max: grid.length - 1 });
    slider.oninput = () => change({ [name]: grid[slider.value] });
    shown[name] = () => {
      const value = settings[name], distances = grid.map((one) => Math.abs(one - value));
      slider.value = distances.indexOf(Math.min(...distances));
      number.textContent = slider.ariaValueText = String(value);
    };
    return make("div", { className: "setting" }, head, slider, number);
  });
  const hold = (/** @type {boolean} */ on) => { held = on; port.postMessage({ kind: "hold", held }); show(); };
  const play = button("Pause", "Hold the run, let it go on, or run again.", () => (finished ? start() : hold(!held)));
  const step = button("Step", "One step of each method, measured, and hold there.", () => {
    if (finished) return start(true);
    hold(true);
    port.postMessage({ kind: "step" });
  });
  const reset = button("Reset", "Back to step 0, and hold there.", () => start(true));
  const kept = () => ({ new: settings.new, seed: settings.seed });
  const asDemonstration = button("Demonstration setting", "Where the effect is large.", () => change({ ...demonstration, ...kept() }));
  const asTuned = button("Tuned setting", "Chosen on validation images.", () => change({ ...tuned, ...kept() }));
  const details = make("select", { "aria-label": "Method whose loss terms are drawn" },
    ...methods.map((name) => make("option", { value: name }, data.methods[name].label)));
  details.onchange = () => { detail = details.value; show(); };
  scrubber.oninput = () => { at = Number(scrubber.value) >= total ? null : Number(scrubber.value); show(); };
  line.onchange = () => take(() => readLine(line.value));
  const copy = button("Copy as Python", "Copy the line that does the same in the kit.", async () => {
    try {
      await navigator.clipboard.writeText(line.value);
      say.textContent = "The line is on the clipboard.";
    } catch {
      line.select();
      say.textContent = "The line is selected: copy it with the keyboard.";
    }
  });
  /** @param {() => Record<string, string>} read */
  function take(read) {
    try {
      const { settings: wanted, wrong: told } = applied(data, tuned, read());
      if (told.length) throw new Error(told.join(" "));
      change(wanted);
    } catch (error) {
      complain(/** @type {Error} */ (error).message);
      show();
    }
  }

  // The pad
  const pixels = new Uint8Array(PAD * PAD), pen = { x: PAD / 2, y: PAD / 2, down: false };
  const pad = make("canvas", { width: PAD, height: PAD, className: "pad", tabIndex: 0, role: "img",
    "aria-label": "Drawing pad of 28 by 28 pixels. Draw with the mouse or a finger; "
      + "or move the pen with the arrow keys, and lower or lift it with Space." });
  const paint = (/** @type {any} */ canvas, /** @type {Uint8Array} */ from, cursor = false) => {
    const context = canvas.getContext("2d"), image = context.createImageData(PAD, PAD);
    from.forEach((ink, i) => image.data.set([ink * 255, ink * 255, ink * 255, 255], 4 * i));
    const place = PAD * Math.round(pen.y) + Math.round(pen.x);
    if (cursor) image.data.set(pen.down ? [230, 120, 30, 255] : [60, 150, 220, 255], 4 * place);
    context.putImageData(image, 0, 0);
  };
  const ink = (/** @type {number} */ x, /** @type {number} */ y) => {
    for (let i = 0; i < pixels.length; i++) if (Math.hypot((i % PAD) - x, Math.floor(i / PAD) - y) <= 1.3) pixels[i] = 1;
  };
  const toPad = (/** @type {PointerEvent} */ event) => {
    const { left, top, width, height } = pad.getBoundingClientRect(), from = { ...pen };
    const x = (event.clientX - left) / width * PAD - 0.5, y = (event.clientY - top) / height * PAD - 0.5;
    const parts = event.type === "pointerdown" ? 1 : Math.ceil(Math.hypot(x - pen.x, y - pen.y)) || 1;
    for (let i = 1; i <= parts; i++) ink(from.x + (x - from.x) * i / parts, from.y + (y - from.y) * i / parts);
    [pen.x, pen.y] = [x, y];
    paint(pad, pixels);
  };
  pad.onpointerdown = (/** @type {PointerEvent} */ event) => { pad.setPointerCapture(event.pointerId); toPad(event); };
  pad.onpointermove = (/** @type {PointerEvent} */ event) => { if (event.buttons) toPad(event); };
  pad.onkeydown = (/** @type {KeyboardEvent} */ event) => {
    /** @type {Record<string, number[]>} */
    const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1], " ": [0, 0] };
    const [dx, dy] = moves[event.key] ?? [];
    if (dx === undefined) return;
    event.preventDefault();
    if (event.key === " ") pen.down = !pen.down;
    [pen.x, pen.y] = [pen.x + dx, pen.y + dy].map((value) => Math.min(PAD - 1, Math.max(0, Math.round(value))));
    if (pen.down) ink(pen.x, pen.y);
    paint(pad, pixels, true);
  };
  const wipe = () => { pixels.fill(0); pen.down = false; paint(pad, pixels); };
  const examples = make("div"), drawing = make("details", {}, make("summary", {}, "Draw your own task"),
    make("p", {}, `Four signs, a few examples each: draw one, and add it to its sign. They are moved, turned and resized
to ${EACH.train} images each; the network learns them, and forgets the letters.`),
    make("div", { className: "row" }, pad, examples),
    make("div", { className: "row" }, button("Learn these signs", "Train with the signs as the new task.", () => change({ new: "own" })),
      button("Wipe the pad", "Begin the drawing again.", wipe),
      button("Remove all", "Remove all examples.", () => {
        signs = signs.map(() => []);
        if (settings.new === "own") change({ new: tuned.new }); else show();
      })));
  function showSigns() {
    examples.replaceChildren(...signs.map((several, i) => make("div", { className: "row" },
      button(`Add to sign ${i + 1} (${several.length})`, "Add the drawing as an example of this sign.", () => {
        if (pixels.reduce((a, b) => a + b, 0) < 8) return complain("The pad is empty: draw a sign first.");
        complain("");
        several.push(pixels.slice());
        wipe();
        if (settings.new === "own") start(); else show();
        examples.querySelectorAll("button")[i].focus();
      }),
      ...several.slice(-4).map((one) => {
        const label = `An example of sign ${i + 1}`;
        const small = make("canvas", { width: PAD, height: PAD, className: "example", role: "img", "aria-label": label });
        paint(small, one);
        return small;
      }))));
  }

  // What is shown
  const draw = () => { frame ||= requestAnimationFrame(() => { frame = 0; drawNow(); }); };
  function drawNow() {
    /** @param {Row[]} some @param {string} method @param {string} key @param {number} scale */
    const points = (some, method, key, scale = 1) => some.filter((row) => row.method === method && of(row, key) !== undefined)
      .map((row) => /** @type {[number, number]} */ ([row.step * total / row.total, scale * Number(of(row, key))]));
    const lines = (/** @type {string} */ key, scale = 1) => [before, rows].flatMap((some) =>
      methods.map((name) => ({ look: data.methods[name], faint: some === before, points: points(some, name, key, scale) })));
    const weights = [1, settings.distill_weight, settings.alpha], task = settings.new === "own" ? "your signs" : settings.new;
    const terms = Object.entries(data.terms).map(([name, look], i) => ({ look, points: points(rows, detail, name, weights[i]) }));
    panels.innerHTML = [
      panel(`Accuracy on ${data.old}, %`, lines("old", 100), total, at, true),
      panel(`Accuracy on ${task}, %`, lines("new", 100), total, at, true),
      panel(`Feature distance on ${data.old}`, lines("distance"), total, at, false),
      panel(`Weighted loss terms of ${data.methods[detail].label}`, terms, total, at, false),
    ].join("");
    const last = rows.length ? rows[rows.length - 1].step : 0, where = Math.min(at ?? last, total);
    [scrubber.max, scrubber.value, scrubber.ariaValueText] = [total, where, `step ${where} of ${total}`];
    const cells = methods.map((name) => {
      const found = Object.assign({}, ...rows.filter((row) => row.method === name && row.step <= where));
      const shares = [found.old, found.new].map((share) => (share === undefined ? "" : (100 * share).toFixed(1)));
      const texts = [...shares, ...[found.distance, found.task, found.distill, found.code].map(short)];
      return `<tr><th scope="row">${sample(data.methods[name])} ${escaped(data.methods[name].label)}</th>${
        texts.map((text) => `<td>${text}</td>`).join("")}</tr>`;
    });
    const heads = ["method", `${data.old}, %`, `${task}, %`, "distance"].map(escaped)
      .concat(Object.values(data.terms).map((look) => `${sample(look)} ${escaped(look.label)}`));
    values.innerHTML = `<table><caption>Step ${where} of ${total}; held-out images; loss terms of the last batch, before their
weights</caption><thead><tr>${heads.map((head) => `<th scope="col">${head}</th>`).join("")}</tr></thead>
<tbody>${cells.join("")}</tbody></table>`;
    play.textContent = finished ? "Run again" : held ? "Play" : "Pause";
    if (finished) say.textContent = `${total} steps are done. Move a slider: the run before stays as faint lines.`;
    else say.textContent = held ? `Held at step ${last}.` : "Training in this page.";
  }
  function show() {
    for (const name of names) shown[name]();
    line.value = pythonLine(data, settings);
    details.value = detail;
    const is = (/** @type {Settings} */ one) => names.every((name) => ["new", "seed"].includes(name) || settings[name] === one[name]);
    asDemonstration.setAttribute("aria-pressed", is(demonstration));
    asTuned.setAttribute("aria-pressed", is(tuned));
    regime.textContent = is(demonstration) ? "A demonstration: weak distillation and larger steps, chosen on validation images "
      + "so that the effect is large in one run. It ranks no method."
      : is(tuned) ? "The tuned setting: the weights were chosen on validation images, and the methods lie closer together."
        : "A setting of your own.";
    showSigns();
    draw();
    clearTimeout(saving);
    saving = window.setTimeout(() => { model.set("state", state()); model.save_changes(); }, 150);
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
    const { signs: code = "", detail: chosen = detail, at: place, ...rest } = asked;
    const told = wrong.textContent ? [wrong.textContent] : [];  // that there is no worker, say
    try {
      const found = code ? unpacked(code) : signs;
      if (found.length !== SIGNS) throw new Error("not four signs");
      signs = found;
    } catch { told.push("The drawings in the address are damaged and were left out."); }
    if (methods.includes(chosen)) detail = chosen; else told.push(`'${chosen}' is none of the methods ${methods.join(", ")}.`);
    const { settings: wanted, wrong: bad } = applied(data, demonstration, rest);
    change(wanted);
    if (place !== undefined) {
      if (Number(place) >= 0) at = Number(place); else told.push(`at: a step, 0 or more; got '${place}'.`);
    }
    if (told.length + bad.length) complain([...told, wrong.textContent, ...bad].filter(Boolean).join(" "));
  }

  el.classList.add("ebll-lab");
  el.append(make("style", {}, STYLE), regime, make("div", { className: "row" }, asDemonstration, asTuned),
    make("fieldset", {}, make("legend", {}, "Settings"), make("div", { className: "settings" }, ...controls)),
    make("div", { className: "row" }, play, step, reset, scrubber), say, wrong, panels,
    make("label", { className: "row" }, "Loss terms of ", details), values,
    make("div", { className: "row" }, line, copy), drawing);
  wipe();
  connect();
  recall();
  model.on?.("change:state", () => { if (model.get("state") !== state()) { complain(""); recall(); } });
  return () => { port.terminate?.(); clearTimeout(saving); cancelAnimationFrame(frame); };
}

export default { render, engine, pythonLine, readLine, applied, drawnTask, packed, unpacked };
