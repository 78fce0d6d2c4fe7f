// Shows what another environment drew of itself, or curves where it drew nothing.
(() => {
  const film = (recording) => {
    const strip = recording.film, last = recording.decisions;
    const pictures = strip.pictures.map((data) => {
      const picture = new Image();
      picture.src = `data:${strip.media_type};base64,${data}`;
      picture.decode().then(() => townletViewer.redraw(), () => undefined);
      return picture;
    });
    return {
      ...clock(recording),
      draw: (canvas, time) => {
        const g = townletViewer.fit(canvas, strip.height / strip.width);
        if (!g) return;
        let index = 0;
        while (index + 1 < strip.decisions.length && strip.decisions[index + 1] <= time) index++;
        const width = canvas.clientWidth, height = width * (strip.height / strip.width);
        g.clearRect(0, 0, width, height);
        if (pictures[index].complete && pictures[index].naturalWidth) g.drawImage(pictures[index], 0, 0, width, height);
        if (time >= last) ended(g, width, height);
      },
    };
  };

  const curves = (recording) => {
    const columns = recording.curves.columns.map(townletViewer.unpack), last = recording.decisions;
    const ranges = columns.map((column) => {
      let low = Infinity, high = -Infinity;
      for (let t = 0; t < column.length; t++) { low = Math.min(low, column.at(t)); high = Math.max(high, column.at(t)); }
      return [low, high > low ? high : low + 1];
    });
    const ratio = 0.16 * columns.length;
    return {
      ...clock(recording),
      draw: (canvas, time) => {
        const g = townletViewer.fit(canvas, ratio);
        if (!g) return;
        const c = townletViewer.colours(), width = canvas.clientWidth, height = (width * ratio) / columns.length;
        g.fillStyle = c.raised;
        g.fillRect(0, 0, width, width * ratio);
        columns.forEach((column, row) => {
          const [low, high] = ranges[row], top = row * height;
          const x = (t) => 6 + ((width - 12) * t) / Math.max(1, townletViewer.last());
          const y = (value) => top + height - 6 - ((height - 26) * (value - low)) / (high - low);
          g.strokeStyle = c.blue;
          g.lineWidth = 1.5;
          g.beginPath();
          for (let t = 0; t < column.length; t++) g[t ? "lineTo" : "moveTo"](x(t), y(column.at(t)));
          g.stroke();
          g.strokeStyle = c.vermilion;
          g.beginPath();
          g.moveTo(x(Math.min(time, last)), top + 18);
          g.lineTo(x(Math.min(time, last)), top + height);
          g.stroke();
          g.fillStyle = c.text;
          g.font = "12px system-ui, sans-serif";
          g.textAlign = "left";
          g.textBaseline = "top";
          const value = townletViewer.number(column.at(Math.floor(Math.min(time, last))));
          g.fillText(`${townletViewer.shortened(column.name, 40)} ${value}`, 6, top + 4);
        });
      },
    };
  };

  const clock = (recording) => ({
    last: recording.decisions, events: [], unit: "decisions", step: 1, day: null, decision: (t) => Math.floor(t), people: [],
    clock: (t) => `decision ${t}`, status: () => "", pick: () => null, state: () => null,
  });

  const ended = (g, width, height) => {
    const c = townletViewer.colours();
    g.font = "600 14px system-ui, sans-serif";
    const words = "the episode is over", wide = g.measureText(words).width + 16;
    g.fillStyle = c.ground;
    g.fillRect(width / 2 - wide / 2, height - 30, wide, 24);
    g.fillStyle = c.text;
    g.textAlign = "center";
    g.textBaseline = "middle";
    g.fillText(words, width / 2, height - 18);
  };

  townletViewer.adapters.push({ fits: (recording) => recording.film !== null, make: film });
  townletViewer.adapters.push({ fits: () => true, make: curves });
})();
