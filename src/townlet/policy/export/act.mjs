// Acts without a dependency, in Node and in browsers: new Policy(spec, weights).act(features, actionMask).
// `node act.mjs --verify` plays the recorded observations of probe.safetensors again.

const READERS = {
  F32: (view, at) => view.getFloat32(at, true),
  F64: (view, at) => view.getFloat64(at, true),
  I64: (view, at) => Number(view.getBigInt64(at, true)),
  BOOL: (view, at) => view.getUint8(at),
};
const SIZES = { F32: 4, F64: 8, I64: 8, BOOL: 1 };

/** Return the arrays of a safetensors file (an ArrayBuffer) by name: {shape, data}. */
export function tensors(buffer) {
  const view = new DataView(buffer);
  const start = 8 + Number(view.getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 8, start - 8)));
  delete header.__metadata__;
  const read = ({ dtype, shape, data_offsets: [from, to] }) => {
    const count = (to - from) / SIZES[dtype];
    const value = (index) => READERS[dtype](view, start + from + index * SIZES[dtype]);
    return { shape, data: Float64Array.from({ length: count }, (_, index) => value(index)) };
  };
  return Object.fromEntries(Object.entries(header).map(([name, about]) => [name, read(about)]));
}

const roundHalfToEven = (x) => (Math.abs(x % 1) === 0.5 ? 2 * Math.round(x / 2) : Math.round(x));

/** A policy: `spec` is what spec.json holds, `weights` the arrays of policy.safetensors. */
export class Policy {
  constructor(spec, weights) {
    this.spec = spec;
    this.weights = weights;
  }

  /** Return the logits of all options and the means of the numbers, for features in the order of the spec. */
  outputs(features) {
    const { "normaliser.mean": mean, "normaliser.scale": scale } = this.weights;
    const clip = (x) => Math.min(10, Math.max(-10, x));
    let x = Float64Array.from(features, (f, i) => clip((Math.fround(f) - mean.data[i]) / scale.data[i]));
    for (let k = 0; k < this.spec.layers; k++) {
      const weight = this.weights[`actor.${k}.weight`].data;
      const y = Float64Array.from(this.weights[`actor.${k}.bias`].data);
      x.forEach((value, i) => {
        const input = k > 0 ? Math.max(0, value) : value;
        if (input !== 0) for (let j = 0; j < y.length; j++) y[j] += input * weight[i * y.length + j];
      });
      x = y;
    }
    return x;
  }

  /** Return the greedy action: an option or a number for each head. */
  act(features, actionMask = null) {
    const outputs = this.outputs(features);
    let at = 0;
    const options = this.spec.discrete.map((head) => {
      const legal = head.options.map((_, i) => (actionMask === null || actionMask[at + i] ? outputs[at + i] : -1e9));
      at += legal.length;
      return legal.indexOf(Math.max(...legal)) + head.start;
    });
    const numbers = this.spec.box.map(({ centre, half, bounds: [low, high], integer }) => {
      const x = Math.min(high, Math.max(low, centre + half * outputs[at++]));
      return integer ? roundHalfToEven(x) : x;
    });
    return [...options, ...numbers];
  }
}

if (typeof process !== "undefined" && process.argv?.[2] === "--verify") {
  const { readFileSync } = await import("node:fs");
  const file = (name) => new Uint8Array(readFileSync(new URL(name, import.meta.url))).buffer;
  const policy = new Policy(JSON.parse(new TextDecoder().decode(file("spec.json"))), tensors(file("policy.safetensors")));
  const probe = tensors(file("probe.safetensors"));
  const rows = ({ shape: [count, width], data }) => Array.from({ length: count }, (_, i) => data.subarray(i * width, (i + 1) * width));
  const masks = rows(probe.action_mask), expected = rows(probe.actions);
  const same = rows(probe.features).filter((row, i) =>
    policy.act(row, masks[i]).every((value, k) => Math.abs(value - expected[i][k]) <= 1e-4)).length;
  console.log(`${same} of ${masks.length} actions are the same`);
  process.exit(same === masks.length ? 0 : 1);
}
