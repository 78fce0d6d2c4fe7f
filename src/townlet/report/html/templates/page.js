"use strict";
document.documentElement.classList.add("js");

/* Columns of a data element: a list as it is, an array as a typed array with its `shape`. */
function townletColumns(id) {
  const kinds = {
    int8: Int8Array, uint8: Uint8Array, bool: Uint8Array, int16: Int16Array, uint16: Uint16Array, int32: Int32Array,
    uint32: Uint32Array, float32: Float32Array, float64: Float64Array,
  };
  const content = JSON.parse(document.getElementById(id).textContent);
  const columns = {};
  for (const [name, column] of Object.entries(content)) {
    if (column.values) {
      columns[name] = column.values;
      continue;
    }
    const bytes = Uint8Array.from(atob(column.base64), (letter) => letter.charCodeAt(0));
    columns[name] = new kinds[column.dtype](bytes.buffer);
    columns[name].shape = column.shape;
  }
  return columns;
}
