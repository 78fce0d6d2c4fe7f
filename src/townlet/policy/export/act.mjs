// Acts without a dependency, in Node and in browsers: new Policy(spec, weights).act(features, actionMask).
// `node act.mjs --verify` plays the recorded observations of probe.safetensors again.

const KINDS = { F32: ["getFloat32", 4], F64: ["getFloat64", 8], I64: ["getBigInt64", 8], BOOL: ["getUint8", 1] };

/** Return the arrays of a safetensors file (an ArrayBuffer) by name: {shape, data}. */
export function tensors(buffer) {
  const view = new DataView(buffer), start = 8 + Number(view.getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 8, start - 8)));
  delete header.__metadata__;
  const read = ({ dtype, shape, data_offsets: [from, to] }) => {
    const [getter, size] = KINDS[dtype];
    const value = (index) => Number(view[getter](start + from + index * size, true));
    return { shape, data: Float64Array.from({ length: (to - from) / size }, (_, index) => value(index)) };
  };
  return Object.fromEntries(Object.entries(header).map(([name, about]) => [name, read(about)]));
}

const roundHalfToEven = (x) => (Math.abs(x % 1) === 0.5 ? 2 * Math.round(x / 2) : Math.round(x));

/** A policy: `spec` is what spec.json holds, `weights` the arrays of policy.safetensors. */
export class Policy {
  constructor(spec, weights) {
    Object.assign(this, { spec, weights });
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
  act(features, actionMask = null) { return this.choose(this.outputs(features), actionMask); }

  /** Return the action that outputs stand for. */
  choose(outputs, actionMask = null) {
    let at = 0;
    const options = this.spec.discrete.map((head) => {
      const legal = head.options.map((_, i) => (actionMask === null || actionMask[at + i] ? outputs[at + i] : -1e9));
      at += legal.length;
      return legal.indexOf(Math.max(...legal)) + head.start;
    });
    const numbers = this.spec.box.map(({ centre, half, bounds: [low, high], integer }) => {
      const x = Math.min(high, Math.max(low, centre + half * outputs[at++]));
      return Math.fround(integer ? roundHalfToEven(x) : x);
    });
    return [...options, ...numbers];
  }
}

if (typeof process !== "undefined" && process.argv?.[2] === "--verify") {
  const { readFileSync } = await import("node:fs");
  const file = (name) => new Uint8Array(readFileSync(new URL(name, import.meta.url))).buffer;
  const spec = JSON.parse(new TextDecoder().decode(file("spec.json")));
  const policy = new Policy(spec, tensors(file("policy.safetensors")));
  const probe = tensors(file("probe.safetensors"));
  const rows = ({ shape: [n, w], data }) => Array.from({ length: n }, (_, i) => data.subarray(i * w, (i + 1) * w));
  const [features, masks, recorded, actions] =
    ["features", "action_mask", "outputs", "actions"].map((name) => rows(probe[name]));
  const same = features.filter((row, i) => {
    const outputs = policy.outputs(row), most = 1e-4 * Math.max(1, ...recorded[i].map(Math.abs));
    return outputs.every((value, k) => Math.abs(value - recorded[i][k]) <= most) &&
      policy.choose(recorded[i], masks[i]).every((value, k) => value === actions[i][k]) &&
      spec.discrete.every((_, k) => policy.choose(outputs, masks[i])[k] === actions[i][k]);
  }).length;
  console.log(`${same} of ${masks.length} actions are the same`);
  process.exit(same === masks.length ? 0 : 1);
}
