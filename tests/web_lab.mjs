// What tests/test_web_lab.py asks of ebll/web/lab.js: a job as JSON on the standard input, answers on the output.
import { readFileSync } from "node:fs";

const { default: lab } = await import(process.argv[2]);
const job = JSON.parse(readFileSync(0, "utf8"));
const engine = lab.engine();
const floats = (nested) => Float64Array.from(nested.flat());
const layer = ({ weight, bias }) =>
  engine.layer({ inputs: weight[0].length, outputs: weight.length, w: [...weight.flat(), ...bias] });

/** Layers of a network; with separate operators the new task has one of its own. */
function network({ F, T, heads, encoder }) {
  const operators = T.map(layer);
  return { F: layer(F), T: [operators[0], operators.at(-1)], heads: heads.map(layer), encoder: layer(encoder) };
}
/** Weights or gradients of the layers that may learn: the weight, and behind it the bias. */
const parts = (net, what) => Object.fromEntries(
  [["F", net.F], ["T", net.T[1]], ["before", net.heads[0]], ["head", net.heads[1]]].map(([name, one]) => {
    const size = one.inputs * one.outputs;
    return [name, { weight: [...one[what].slice(0, size)], bias: [...one[what].slice(size)] }];
  }));

const answers = {
  objective() {
    const net = network(job.net), batch = Object.entries(job.batch).map(([name, rows]) => [name, floats(rows)]);
    const terms = engine.objective(net, job.batch.inputs.length, Object.fromEntries(batch), job.settings);
    return { terms, gradients: parts(net, "d") };
  },
  steps() {
    const net = network(job.net), start = network(job.start);
    const images = { images: Uint8Array.from(job.images.flat()), labels: Uint8Array.from(job.labels) };
    const recorded = engine.record({ F: start.F, T: start.T[0], head: start.heads[0] }, job.task, images);
    const order = job.order.map((one) => Uint32Array.from(one));
    engine.warmUp(job.data, net, job.method, recorded, job.settings, order);
    const terms = [];
    for (const step of engine.train(job.data, net, job.method, recorded, job.settings, order)) {
      if (step.step === job.count) break;
      terms.push(step.terms);
    }
    return { terms, weights: parts(net, "w") };
  },
  async ends() {
    const begin = await engine.open(job.data), ends = [];
    for (const settings of job.settings) for (const method of job.methods) {
      const run = begin(settings, method);
      let next = run.next(false);
      while (!next.done) next = run.next(false);
      ends.push({ ...next.value, seed: settings.seed });
    }
    return ends;
  },
  /** All rows of several runs of one engine, with the new head and the order of the images of one of its seeds. */
  async runs() {
    const begin = await engine.open(job.data), { count, classes, epochs, seed } = job;
    const all = (run) => {
      const rows = [];
      for (let next = run.next(false); ; next = run.next(false)) {
        if (next.value) rows.push(next.value);
        if (next.done) return rows;
      }
    };
    const rows = job.settings.map((settings) => job.methods.flatMap((method) => all(begin(settings, method))));
    const head = engine.freshHead(32, classes, seed), order = engine.orders(count, seed, epochs).map((one) => [...one]);
    return { rows, order, head: { weight: [...head.w.slice(0, 32 * classes)], bias: [...head.w.slice(32 * classes)] } };
  },
  /** A run of one step whose update, after a finite loss, makes the weights infinite. */
  async late() {
    const image = { images: new Uint8Array(2 * 196).fill(50, 0, 196), labels: Uint8Array.from([0, 1]) };
    const own = { classes: ["a", "b"], key: "own", mean: 0, std: 1, train: image, held: image };
    const settings = { ...job.settings, epochs: 1 }, run = (await engine.open(job.data))(settings, "lwf", own);
    const first = run.next(false).value;
    settings.learning_rate = Infinity;
    return [first, run.next(false).value];
  },
  plain() {
    const [script, exported] = readFileSync(process.argv[2], "utf8").split("\nexport default");
    return [typeof new Function(`${script}; return render;`)(), exported.trim().split("\n").length];
  },
  line() {
    const usual = Object.fromEntries(Object.entries(job.data.settings).map(([name, one]) => [name, one.default]));
    return job.lines.map((line) => {
      try {
        const { settings, wrong } = lab.applied(job.data, usual, lab.readLine(line));
        return { line: lab.pythonLine(job.data, settings), wrong };
      } catch (error) {
        return { wrong: [error.message] };
      }
    });
  },
  drawn() {
    const signs = job.signs.map((several) => several.map((one) => Uint8Array.from(one)));
    const { classes, mean, std, train, held } = lab.drawnTask(signs, 14);
    const back = lab.unpacked(lab.packed(signs)).map((several) => several.map((one) => [...one]));
    return { classes, mean, std, images: [...train.images], labels: [...train.labels], held: held.labels.length, back };
  },
};
console.log(JSON.stringify(await answers[job.kind]()));
