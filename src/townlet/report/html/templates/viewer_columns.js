// Unpacks the columns of a recording; `PackedColumn` in dto/recording.py says how they are packed.
const townletViewer = { adapters: [] };

townletViewer.unpack = (packed) => {
  const bytes = atob(packed.data);
  const table = new Int32Array(packed.length * packed.series);
  let place = 0;
  const next = () => {
    let number = 0, factor = 1, byte;
    do {
      byte = bytes.charCodeAt(place++);
      number += (byte & 127) * factor;
      factor *= 128;
    } while (byte > 127);
    return number;
  };
  let zeros = 0; // a run of zeros goes on from one series to the next
  for (let series = 0; series < packed.series; series++) {
    let value = 0;
    for (let t = 0; t < packed.length; t++) {
      if (zeros > 0) {
        zeros--;
      } else {
        const token = next();
        if (token === 0) zeros = next();
        else value += token % 2 ? -(token + 1) / 2 : token / 2;
      }
      table[t * packed.series + series] = value;
    }
  }
  return {
    name: packed.name, length: packed.length, series: packed.series, scale: packed.scale, table,
    at: (t, series = 0) => table[Math.min(t, packed.length - 1) * packed.series + series] / packed.scale,
  };
};

townletViewer.number = (value) => {
  if (value === null || !Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  const decimals = size >= 1000 ? 0 : size >= 100 ? 1 : size >= 1 ? 2 : 3;
  return Number(value.toFixed(decimals)).toLocaleString("en-US", { maximumFractionDigits: 3 });
};

townletViewer.colours = () => {
  const style = getComputedStyle(document.documentElement);
  const names = ["ground", "raised", "text", "quiet", "line", "grid", "blue", "orange", "green", "vermilion", "purple", "sky",
    "candidate", "teacher"];
  return Object.fromEntries(names.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
};

townletViewer.shortened = (text, most) => (text.length > most ? `${text.slice(0, most - 1)}…` : text);

// Fits a canvas to its box on screens of any density; returns the context, in CSS pixels, or null while it is hidden.
townletViewer.fit = (canvas, ratio) => {
  const width = canvas.clientWidth, height = Math.round(width * ratio), density = Math.min(devicePixelRatio || 1, 2);
  if (!width) return null;
  if (canvas.width !== Math.round(width * density) || canvas.height !== Math.round(height * density)) {
    canvas.width = Math.round(width * density);
    canvas.height = Math.round(height * density);
    canvas.style.height = `${height}px`;
  }
  const context = canvas.getContext("2d");
  context.setTransform(density, 0, 0, density, 0, 0);
  return context;
};
