// What act.mjs reads: arrays of a file, features of an observation, legal options of a mask.

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

/** Return the numbers of nested arrays, typed or not, in one array; what is no number is NaN. */
const flat = (value) => {
  if (typeof value === "object" && value !== null) return Array.from(value, flat).flat();
  return [["number", "boolean", "bigint"].includes(typeof value) ? Number(value) : NaN];
};

/** Return the features of one observation: objects and nested arrays as the environment has them; throws for another. */
export function features(spec, observation) {
  return spec.observation.flatMap((part) => {
    const { path, kind, shape, starts, counts } = part;
    const values = flat(path.reduce((value, key) => value?.[key], observation));
    const fail = () => { throw new RangeError(`an array of ${values.length} numbers; expected ${JSON.stringify(part)}`); };
    if (values.length !== shape.reduce((size, length) => size * length, 1)) fail();
    if (kind !== "choice") return values;
    return values.flatMap((value, i) => {
      const option = Array.from({ length: counts[i] }, (_, index) => Number(value === starts[i] + index));
      return option.includes(1) ? option : fail();
    });
  });
}

/** Return which options are legal, all where there is no mask; throws where it leaves a head nothing. */
export function legal(spec, actionMask) {
  const sizes = spec.discrete.map((head) => head.options.length), total = sizes.reduce((a, b) => a + b, 0);
  const isOpen = actionMask === null || actionMask === undefined || total === 0;
  const mask = isOpen ? Array(total).fill(1) : flat(actionMask);
  let at = 0;
  const isLegal = sizes.every((size) => mask.slice(at, (at += size)).some(Boolean));
  if (mask.length === total && isLegal) return mask;
  throw new RangeError(`a mask of ${mask.length} options; expected ${total}, one or more of each head legal`);
}
