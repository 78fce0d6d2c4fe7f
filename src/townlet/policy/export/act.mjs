// Acts without a dependency, in Node and in browsers: new Policy(spec, weights).act(observation, actionMask).
// `node act.mjs --verify` plays the recorded observations of probe.safetensors again.

import { features, legal, tensors } from "./inputs.mjs";

export { tensors };

const roundHalfToEven = (x) => (Math.abs(x % 1) === 0.5 ? 2 * Math.round(x / 2) : Math.round(x));

/** A policy: `spec` is what spec.json holds, `weights` the arrays of policy.safetensors. */
export class Policy {
  constructor(spec, weights) {
    Object.assign(this, { spec, weights });
  }

  /** Return the greedy action of one observation: an option or a number for each head. The mask may be a part of it. */
  act(observation, actionMask = null) {
    return this.choose(this.outputs(features(this.spec, observation)), actionMask ?? observation?.action_mask);
  }

  /** Return the logits of all options and the means of the numbers, for features in the order of the spec. */
  outputs(row) {
    const { "normaliser.mean": mean, "normaliser.scale": scale } = this.weights;
    if (row.length !== mean.data.length || row.some(Number.isNaN)) {
      throw new RangeError(`${row.length} features; expected ${mean.data.length} numbers`);
    }
    const clip = (x) => Math.min(10, Math.max(-10, x));
    let x = Float64Array.from(row, (f, i) => clip((Math.fround(f) - mean.data[i]) / scale.data[i]));
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

  /** Return the action that outputs stand for. */
  choose(outputs, actionMask = null) {
    const mask = legal(this.spec, actionMask);
    let at = 0;
    const options = this.spec.discrete.map((head) => {
      const logits = head.options.map((_, i) => (mask[at + i] ? outputs[at + i] : -1e9));
      at += logits.length;
      return logits.indexOf(Math.max(...logits)) + head.start;
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
  const [seen, masks, recorded, actions] =
    ["features", "action_mask", "outputs", "actions"].map((name) => rows(probe[name]));
  const same = seen.filter((row, i) => {
    const outputs = policy.outputs(row), most = 1e-4 * Math.max(1, ...recorded[i].map(Math.abs));
    return outputs.every((value, k) => Math.abs(value - recorded[i][k]) <= most) &&
      policy.choose(recorded[i], masks[i]).every((value, k) => value === actions[i][k]) &&
      spec.discrete.every((_, k) => policy.choose(outputs, masks[i])[k] === actions[i][k]);
  }).length;
  console.log(`${same} of ${masks.length} actions are the same`);
  process.exit(same === masks.length ? 0 : 1);
}
