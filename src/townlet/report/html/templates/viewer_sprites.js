// Keeps pictures of what is drawn again and again: texts, agents. Measuring and drawing a text costs more than its picture.
townletViewer.sprites = () => {
  const kept = new Map(), MOST = 3000;
  let density = 1, left = 0, top = 0, scheme = "";
  // Says where the middle of what is drawn next lies: on which pixels of the screen.
  const begin = (g) => {
    ({ a: density, e: left, f: top } = g.getTransform());
    scheme = townletViewer.colours().scheme;
  };
  // Returns the picture that `draw(context)` draws around its middle, `width` by `height` CSS pixels.
  const sprite = (key, size, draw) => {
    const whole = `${key} ${density} ${scheme}`;
    let picture = kept.get(whole);
    if (!picture) {
      if (kept.size > MOST) kept.clear();
      const [width, height] = size();
      const canvas = document.createElement("canvas");
      canvas.width = Math.ceil(width * density);
      canvas.height = Math.ceil(height * density);
      const context = canvas.getContext("2d");
      context.setTransform(density, 0, 0, density, canvas.width / 2, canvas.height / 2);
      draw(context);
      picture = { canvas, width: canvas.width / density, height: canvas.height / density };
      kept.set(whole, picture);
    }
    return picture;
  };
  // Draws a picture around a point, on whole pixels of the screen, so that it stays sharp.
  const put = (g, picture, x, y) => {
    const { canvas, width, height } = picture;
    const across = Math.round(x * density + left - canvas.width / 2), down = Math.round(y * density + top - canvas.height / 2);
    g.drawImage(canvas, (across - left) / density, (down - top) / density, width, height);
  };
  const font = (size) => `600 ${size}px system-ui, sans-serif`;
  const write = (context, words, size, colour, halo, y = 0) => {
    context.font = font(size);
    context.textAlign = "center";
    context.textBaseline = "middle";
    if (halo) {
      context.lineWidth = 3;
      context.strokeStyle = halo;
      context.lineJoin = "round";
      context.strokeText(words, 0, y);
    }
    context.fillStyle = colour;
    context.fillText(words, 0, y);
  };
  const text = (g, words, size, colour, halo) => sprite(`${words} ${size} ${colour} ${halo}`, () => {
    g.font = font(size);
    return [g.measureText(words).width + 4, size * 1.4 + 4];
  }, (context) => write(context, words, size, colour, halo));
  return { begin, sprite, put, text, write };
};

// Finds a place for each name beside what it names, where it covers no other name, nothing that stands there, and as few
// agents as can be; a name that is not urgent and finds none is left out. A name stays where it is unless another side is
// clearly better, so that names do not jump.
townletViewer.labels = () => {
  const sides = new Map();
  const overlaps = (a, b) => a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
  // Each of `things` has a box, a width, a height and may be `urgent`; boxes have left, right, top, bottom.
  return (things, standing, agents, frame) => {
    const placed = [];
    const order = [...things.keys()].sort((a, b) => things[b].urgent - things[a].urgent || a - b);
    const places = new Array(things.length).fill(null);
    for (const index of order) {
      const { box, width, height, urgent } = things[index];
      const x = (box.left + box.right) / 2, y = (box.top + box.bottom) / 2;
      const middle = Math.min(Math.max(x, frame.left + width / 2), frame.right - width / 2);
      const points = [
        [middle, box.top - height / 2], [middle, box.bottom + height / 2],
        [box.right + width / 2, y], [box.left - width / 2, y],
        ...[box.top - height / 2, box.bottom + height / 2].flatMap((py) => [[box.right + width / 2, py], [box.left - width / 2, py]]),
      ];
      let best = null, least = Infinity;
      points.forEach(([px, py], side) => {
        const own = { left: px - width / 2, right: px + width / 2, top: py - height / 2 + 2, bottom: py + height / 2 - 2 };
        const isOutside = own.left < frame.left || own.right > frame.right || own.top < frame.top || own.bottom > frame.bottom;
        let cost = side - (sides.get(index) === side ? 6 : 0) + (isOutside ? 1000 : 0);
        for (const other of placed) if (overlaps(own, other)) cost += 1000;
        for (const other of standing) if (overlaps(own, other)) cost += 30;
        for (const other of agents) if (overlaps(own, other)) cost += 10;
        if (cost < least) [best, least] = [{ side, x: px, y: py, own }, cost];
      });
      if (least >= 990 && !urgent) continue;
      sides.set(index, best.side);
      placed.push(best.own);
      places[index] = best;
    }
    return places;
  };
};
