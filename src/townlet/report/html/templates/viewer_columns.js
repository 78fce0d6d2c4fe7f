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
  return townletViewer.numerals.format(Number(value.toFixed(decimals)));
};
townletViewer.numerals = new Intl.NumberFormat("en-US", { maximumFractionDigits: 3 });

// The colours of the page, looked up once for each colour scheme.
townletViewer.dark = matchMedia("(prefers-color-scheme: dark)");
townletViewer.colours = () => {
  const scheme = townletViewer.dark.matches ? "dark" : "light";
  if (townletViewer.found?.scheme !== scheme) {
    const style = getComputedStyle(document.documentElement);
    const names = ["ground", "raised", "text", "quiet", "line", "grid", "blue", "orange", "green", "vermilion", "purple", "sky"];
    const values = names.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]);
    townletViewer.found = { scheme, ...Object.fromEntries(values) };
  }
  return townletViewer.found;
};

// Draws what rarely changes once, and the picture of it from then on, until `key` changes.
townletViewer.layer = () => {
  const picture = document.createElement("canvas");
  let drawn = null;
  return (g, canvas, key, draw) => {
    const whole = `${key} ${canvas.width} ${canvas.height} ${townletViewer.colours().scheme}`;
    if (whole !== drawn) {
      drawn = whole;
      picture.width = canvas.width;
      picture.height = canvas.height;
      const context = picture.getContext("2d");
      context.setTransform(g.getTransform());
      draw(context);
    }
    g.save();
    g.setTransform(1, 0, 0, 1, 0, 0);
    g.drawImage(picture, 0, 0);
    g.restore();
  };
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
