// What tests/test_web_lab.py asks of ebll/web/lab.js: a job as JSON on the standard input, answers on the output.
import { readFileSync } from "node:fs";

const { default: lab } = await import(process.argv[2]);
const job = JSON.parse(readFileSync(0, "utf8"));
const engine = lab.engine();
const floats = (nested) => Float64Array.from(nested.flat());
const weights = ({ weight, bias }) => ({
  outputs: weight.length, inputs: weight[0].length, weight: floats(weight), bias: Float64Array.from(bias),
});
const layer = (given) => engine.layer(weights(given));

/** Layers of a network; with separate operators the new task has one of its own. */
function network({ F, T, heads, encoder }) {
  const operators = T.map(layer);
  return { F: layer(F), T: [operators[0], operators.at(-1)], heads: heads.map(layer), encoder: weights(encoder) };
}
const parts = (net, what) => Object.fromEntries(
  [["F", net.F], ["T", net.T[1]], ["before", net.heads[0]], ["head", net.heads[1]]].map(([name, one]) =>
    [name, { weight: [...one[what("Weight")]], bias: [...one[what("Bias")]] }]));

const answers = {
  objective() {
    const net = network(job.net), { inputs, labels, soft, codes } = job.batch;
    const batch = { n: labels.length, inputs: floats(inputs), labels: Uint8Array.from(labels) };
    const terms = engine.objective(net, job.method, { ...batch, soft: floats(soft), codes: floats(codes) }, job.settings);
    return { terms, gradients: parts(net, (name) => `d${name}`) };
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
    return { terms, weights: parts(net, (name) => name.toLowerCase()) };
  },
  async ends() {
    const begin = await engine.open(job.data), ends = [];
    for (const settings of job.settings) for (const method of job.methods) {
      let last = null;
      const run = begin(settings, method);
      for (let next = run.next(false); !next.done; next = run.next(false)) last = next.value ?? last;
      ends.push({ ...last, seed: settings.seed });
    }
    return ends;
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
