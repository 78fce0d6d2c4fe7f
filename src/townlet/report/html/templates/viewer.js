// One clock for all episodes: play, pause, scrub, speed, follow; the KPIs so far and their difference.
(() => {
  const $ = (id) => document.getElementById(id);
  // On a page of its own the viewer has all keys and the address; inside a report it has the keys while it has the focus.
  const inside = $("viewer"), blocks = ["episodes", "episodes-1"].filter((id) => $(id));
  const canvases = ["stage-0", "stage-1"].map($).filter(Boolean);
  let films = [], kpis = [], last = 0, first = null, objective = -1, rows = [], start = 0, shown = 0;
  const TEXT_EVERY = 100;
  let time = 0, playing = false, followed = null, before = null, textAt = 0, shownText = -1, dirty = true, ready = false;

  townletViewer.time = () => time;
  townletViewer.last = () => last;
  townletViewer.redraw = () => { dirty = true; };

  const speed = () => Number($("speed").value);
  const on = (id, kind, action) => { if ($(id)) $(id).addEventListener(kind, action); };

  const seek = (to) => {
    time = Math.min(Math.max(to, 0), last);
    dirty = true;
    shownText = -1;
  };
  const setPlaying = (on) => {
    playing = on;
    if (on && time >= last) seek(0);
    $("play").textContent = on ? "Pause" : "Play";
    $("play").setAttribute("aria-pressed", String(on));
    if (!on) {
      [shownText, dirty] = [-1, true];
      remember();
    }
  };
  const follow = (n) => {
    followed = n !== null && n >= 0 && n < first.people.length ? n : null;
    if ($("follow")) $("follow").value = followed === null ? "" : String(followed);
    dirty = true;
    shownText = -1;
    remember();
  };
  // The place stands in the address, so that it can be sent; where a frame has no address of its own, it does not.
  const remember = () => {
    if (inside || !ready) return;
    const hash = `#t=${Math.floor(time)}${followed === null ? "" : `&agent=${followed}`}`;
    try { history.replaceState(null, "", hash); } catch { /* a frame without an address */ }
  };
  const recall = () => {
    if (inside) return;
    const words = new URLSearchParams(location.hash.slice(1)), t = Number(words.get("t")), n = words.get("agent");
    if (words.has("t") && Number.isFinite(t)) seek(t);
    if (n !== null && /^\d+$/.test(n)) follow(Number(n));
  };

  // The timeline: a stroke for each conflict and each end of a life; one row for each policy.
  const timeline = $("strokes"), strokes = townletViewer.layer();
  const drawTimeline = () => {
    const g = townletViewer.fit(timeline, (14 * films.length + 4) / Math.max(1, timeline.clientWidth));
    if (!g) return;
    const c = townletViewer.colours(), width = timeline.clientWidth, x = (t) => 8 + ((width - 16) * t) / last;
    g.clearRect(0, 0, width, timeline.clientHeight);
    strokes(g, timeline, `${shown} ${followed}`, (layer) => {
      films.forEach((film, row) => {
        const top = 2 + 14 * row;
        layer.fillStyle = c.grid;
        layer.fillRect(8, top, width - 16, 11);
        for (const event of film.events) {
          if (followed !== null && !event.agents.includes(followed)) continue;
          if (event.kind !== "conflict" && event.kind !== "end") continue;
          layer.fillStyle = event.kind === "end" ? c.text : c.vermilion;
          layer.fillRect(x(event.t) - (event.kind === "end" ? 1.5 : 0.5), top, event.kind === "end" ? 3 : 1.5, 11);
        }
        if (film.last < last) { layer.fillStyle = c.line; layer.fillRect(x(film.last), top + 5, width - 8 - x(film.last), 1); }
      });
      if (first.day) {
        layer.fillStyle = c.quiet;
        for (let t = first.day - (start % first.day); t < last; t += first.day) layer.fillRect(x(t), 0, 1, timeline.clientHeight);
      }
    });
    g.fillStyle = c.text;
    g.fillRect(x(time) - 0.5, 0, 1.5, timeline.clientHeight);
  };

  const valueAt = (kpi, film, t) => {
    const decision = film.decision(Math.min(t, film.last));
    return kpi.known.at(decision) ? kpi.running.at(decision) : null;
  };
  // Text is written where it changes, and while the episode plays only where it is on the screen: laying out the tables
  // of many agents takes longer than drawing them.
  const write = (node, words) => { if (node.textContent !== words) node.textContent = words; };
  const hidden = new Set();
  const observer = window.IntersectionObserver && new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) hidden[isIntersecting ? "delete" : "add"](target);
    [shownText, dirty] = [-1, true];
  });
  const watch = (node) => { if (node) observer?.observe(node); return node; };
  const isShown = (node) => !playing || !hidden.has(node);

  const drawKpis = (t) => {
    films.forEach((film, index) => {
      const shown = kpis[index][objective];
      if (shown) write($(`headline-${index}`), `${townletViewer.number(valueAt(shown, film, t))} ${shown.name} so far`);
    });
    if (!isShown(totals)) return;
    kpis[0].forEach((kpi, row) => {
      const values = kpis.map((each, index) => valueAt(each[row], films[index], t));
      values.forEach((value, index) => write($(`kpi-${row}-${index}`), townletViewer.number(value)));
      const cell = $(`kpi-${row}-difference`);
      if (!cell) return;
      const difference = values.includes(null) ? null : values[0] - values[1];
      const better = difference === null || !difference || kpi.direction === "none" ? null : (difference > 0) === (kpi.direction === "higher");
      write(cell, `${difference > 0 ? "+" : ""}${townletViewer.number(difference)}${better === null ? "" : better ? " better" : " worse"}`);
      cell.classList.toggle("is-pass", better === true);
      cell.classList.toggle("is-fail", better === false);
    });
  };

  const element = (name, kind, words) => {
    const made = document.createElement(name);
    if (kind) made.className = kind;
    if (words !== undefined) made.textContent = words;
    return made;
  };
  // A row for each agent; only words and widths change later.
  const makeRows = () => films.map((film, index) => film.people.map((name, n) => {
    const row = element("tr"), head = element("th"), button = element("button", "name", townletViewer.shortened(name, 40));
    button.type = "button";
    button.addEventListener("click", () => follow(followed === n ? null : n));
    head.scope = "row";
    head.append(button);
    const doing = element("td", "doing"), needs = element("td", "needs"), wallet = element("td", "number"), total = element("td", "number");
    const bars = ["hunger", "hygiene", "energy"].map((need) => {
      const bar = element("meter");
      bar.max = 1; bar.low = 0.2; bar.high = 0.45; bar.optimum = 1;
      bar.setAttribute("aria-label", need);
      bar.title = need;
      needs.append(bar);
      return bar;
    });
    row.append(head, doing, needs, wallet, total);
    $(`people-${index}`).append(watch(row));
    return { row, doing, bars, wallet, total };
  }));
  const drawPeople = (t) => {
    films.forEach((film, index) => rows[index].forEach((row, n) => {
      if (!isShown(row.row)) return;
      const state = film.state(Math.min(t, film.last), n), duty = state.duty === "late" || state.duty === "absent" ? `, ${state.duty}` : "";
      write(row.doing, state.doing + duty);
      row.bars.forEach((bar, need) => { if (bar.value !== state.needs[need]) bar.value = state.needs[need]; });
      write(row.wallet, state.wallet.toFixed(2));
      write(row.total, state.total.toFixed(1));
      row.row.classList.toggle("followed", n === followed);
    }));
  };
  const drawEvents = (t) => {
    films.forEach((film, index) => {
      const list = $(`events-${index}`);
      if (!list || !isShown(list)) return;
      const past = film.events.filter((event) => event.t <= t && (followed === null || !event.agents.length || event.agents.includes(followed)));
      list.replaceChildren(...past.slice(-6).reverse().map((event) => {
        const item = element("li", event.kind === "conflict" ? "" : "quiet"), link = element("button", "when", film.clock(event.t));
        link.type = "button";
        link.addEventListener("click", () => { setPlaying(false); seek(event.t); remember(); });
        item.append(link, ` ${event.text}`);
        return item;
      }));
      if (!past.length) list.replaceChildren(element("li", "quiet", "nothing yet"));
    });
  };

  const totals = watch(document.querySelector("table.totals"));
  canvases.forEach((_, index) => watch($(`events-${index}`)));
  const drawText = (now) => {
    const t = Math.floor(time);
    if (t === shownText || (playing && now - textAt < TEXT_EVERY && time < last)) return;
    textAt = now;
    shownText = t;
    write($("clock"), first.clock(t));
    write($("status"), first.status(t));
    $("scrub").value = String(t);
    $("scrub").setAttribute("aria-valuetext", first.clock(t));
    drawKpis(t);
    drawPeople(t);
    drawEvents(t);
  };
  const frame = (now) => {
    if (playing && before !== null) {
      time = Math.min(last, time + (Math.min(now - before, 250) / 1000) * speed());
      dirty = true;
      if (time >= last) setPlaying(false);
    }
    before = now;
    if (dirty) {
      dirty = false;
      films.forEach((film, index) => film.draw(canvases[index], time, followed));
      drawTimeline();
      drawText(now);
      if (playing || shownText !== Math.floor(time)) dirty = playing;
    }
    requestAnimationFrame(frame);
  };

  const leap = (direction) => {
    const moments = [...new Set(films.flatMap((film) => film.events)
      .filter((event) => event.kind === "conflict" && (followed === null || event.agents.includes(followed))).map((event) => event.t))]
      .sort((a, b) => a - b);
    const now = Math.floor(time);
    const to = direction > 0 ? moments.find((t) => t > now) : moments.reverse().find((t) => t < now);
    if (to !== undefined) { setPlaying(false); seek(to); remember(); }
  };
  const changeSpeed = (by) => {
    const select = $("speed");
    select.selectedIndex = Math.min(Math.max(select.selectedIndex + by, 0), select.options.length - 1);
  };
  const step = (by) => { setPlaying(false); seek(Math.floor(time) + by); remember(); };

  $("play").addEventListener("click", () => setPlaying(!playing));
  $("back").addEventListener("click", () => step(-first.step));
  $("forward").addEventListener("click", () => step(first.step));
  on("previous", "click", () => leap(-1));
  on("next", "click", () => leap(1));
  $("scrub").addEventListener("input", () => seek(Number($("scrub").value)));
  $("scrub").addEventListener("change", remember);
  on("follow", "change", () => follow($("follow").value === "" ? null : Number($("follow").value)));
  timeline.addEventListener("pointerdown", (event) => {
    seek(((event.offsetX - 8) / (timeline.clientWidth - 16)) * last);
    remember();
  });
  canvases.forEach((canvas, index) => canvas.addEventListener("click", (event) => {
    const n = films[index].pick(canvas, event.offsetX, event.offsetY);
    follow(n === followed ? null : n);
  }));
  const keys = {
    " ": () => setPlaying(!playing), k: () => setPlaying(!playing), ArrowLeft: () => step(-first.step), ArrowRight: () => step(first.step),
    ",": () => step(-1), ".": () => step(1), "[": () => leap(-1), "]": () => leap(1), "+": () => changeSpeed(1), "=": () => changeSpeed(1),
    "-": () => changeSpeed(-1), Home: () => { seek(0); remember(); }, End: () => { setPlaying(false); seek(last); remember(); },
    Escape: () => follow(null),
  };
  (inside ?? document).addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const kind = event.target.tagName, isButton = kind === "BUTTON" || kind === "SUMMARY";
    if (kind === "SELECT" || kind === "TEXTAREA") return;
    if (kind === "INPUT" && event.key !== " " && event.key !== "Escape" && event.key.length > 1) return;
    if (isButton && event.key === " ") return;
    const action = /^\d$/.test(event.key) && first.people.length ? () => follow(followed === Number(event.key) ? null : Number(event.key)) : keys[event.key];
    if (!action) return;
    event.preventDefault();
    action();
  });
  addEventListener("hashchange", recall);
  addEventListener("resize", () => { dirty = true; });
  townletViewer.dark.addEventListener("change", () => { dirty = true; });
  const option = (select, value, words) => {
    const made = element("option", "", words);
    made.value = value;
    select.append(made);
  };
  const open = (which) => {
    const columns = townletColumns(blocks[which]), recordings = columns.recording.map((text) => JSON.parse(text));
    shown = which;
    films = recordings.map((recording) => townletViewer.adapters.find((each) => each.fits(recording)).make(recording));
    kpis = recordings.map((recording) => recording.kpis.map((kpi) => ({
      ...kpi, running: townletViewer.unpack(kpi.running), known: townletViewer.unpack(kpi.known) })));
    [last, first, start] = [Math.max(...films.map((film) => film.last)), films[0], recordings[0].town?.start ?? 0];
    objective = kpis[0].findIndex((kpi) => kpi.name === columns.objective[0]);
    $("scrub").max = String(last);
    if ($("follow")) $("follow").replaceChildren($("follow").options[0]);
    first.people.forEach((name, n) => option($("follow"), String(n), townletViewer.shortened(name, 60)));
    rows.flat().forEach(({ row }) => { observer?.unobserve(row); hidden.delete(row); });
    films.forEach((_, index) => $(`people-${index}`)?.replaceChildren());
    rows = makeRows();
    setPlaying(false);
    follow(null);
    seek(0);
  };
  open(0);
  const isTown = first.unit === "ticks";
  for (const each of isTown ? [1, 5, 15, 30, 60, 120, 300] : [1, 2, 5, 10, 25, 50])
    option($("speed"), String(each), isTown ? `${each} ${each === 1 ? "minute" : "minutes"} a second` : `${each} a second`);
  $("speed").value = String(isTown ? 15 : 10);
  on("choice", "change", () => open(Number($("choice").value)));
  recall();
  ready = true;
  drawText(0);
  requestAnimationFrame(frame);
})();
