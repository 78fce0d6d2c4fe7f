// Draws a town: places, queues, agents with their needs, rivalry, conflicts.
(() => {
  const KINDS = { fridge: "sky", stove: "orange", shower: "green", bed: "purple" };
  const NEEDS = ["hunger", "hygiene", "energy"];
  const FLASH = 12, TRAIL = 90, FAINTEST = 0.1, MARGIN = 0.9;

  const make = (recording) => {
    const town = recording.town;
    const columns = Object.fromEntries(town.columns.map((packed) => [packed.name, townletViewer.unpack(packed)]));
    const rivalry = townletViewer.unpack(town.rivalry), rows = townletViewer.unpack(town.conflicts);
    const conflicts = Array.from({ length: rows.length }, (_, row) => {
      const [t, a, b, object] = [0, 1, 2, 3].map((series) => rows.table[row * 5 + series]);
      return { t, a, b, object, intensity: rows.at(row, 4) };
    });
    const grouped = (prefix) => Object.fromEntries(Object.entries(columns)
      .filter(([name]) => name.startsWith(prefix)).map(([name, column]) => [name.slice(prefix.length), column]));
    const agents = grouped("agent."), objects = grouped("object.");
    const agent = (name) => agents[name];
    const object = (name) => objects[name];
    const count = town.agents.length, last = agent("x").length - 1;
    const word = (list, name, t, n) => list[agent(name).at(t, n)];
    const lowest = (t, n) => Math.min(...NEEDS.map((need) => agent(need).at(t, n)));
    const isAway = (t, n) => word(town.activities, "activity", t, n) === "is away";
    const busySince = town.objects.map((_, o) => {
      const since = new Int32Array(last + 1);
      for (let t = 0; t <= last; t++) since[t] = object("running").at(t, o) ? (t ? since[t - 1] : 0) + 1 : 0;
      return since;
    });
    const label = (n) => String(n);
    const solid = new Set([...town.objects, ...town.jobs].map((each) => `${each.x},${each.y}`));

    const sentence = (t, n) => {
      const activity = word(town.activities, "activity", t, n), queue = agent("queue").at(t, n);
      const place = agent("place").at(t, n), intent = agent("intent").at(t, n);
      const at = queue >= 0 ? town.objects[queue].name : "";
      if (activity === "uses") return `uses ${at}`;
      if (activity === "queues") return place > 0 ? `waits for ${at}, number ${place}` : `may begin at ${at}`;
      if (activity === "walks") {
        if (at) return `walks to ${at}`;
        const aim = town.objects[intent - town.intents.length];
        return aim ? `walks to ${aim.name}` : intent === 0 ? "walks" : town.intents[intent];
      }
      return activity;
    };

    const events = [];
    for (const each of conflicts) {
      const place = each.object >= 0 ? ` at ${town.objects[each.object].name}` : "";
      events.push({ t: each.t, kind: "conflict", agents: [each.a, each.b],
        text: `${town.agents[each.a].name} and ${town.agents[each.b].name} quarrel${place} (${townletViewer.number(each.intensity)})` });
    }
    for (let n = 0; n < count; n++) {
      for (let t = 1; t <= last; t++) {
        const duty = agent("duty").at(t, n), ended = agent("ended").at(t, n);
        if (ended) events.push({ t, kind: "end", agents: [n], text: `${town.agents[n].name} ${town.ends[ended]}` });
        const turned = town.duties[duty];
        if (duty !== agent("duty").at(t - 1, n) && (turned === "late" || turned === "absent"))
          events.push({ t, kind: turned, agents: [n], text: `${town.agents[n].name} is ${turned} for work` });
      }
    }
    for (const [name, on, off] of [["power", "power fails", "power is back"], ["water", "water fails", "water is back"]])
      for (let t = 1; t <= last; t++) {
        const now = columns[`town.${name}`].at(t), before = columns[`town.${name}`].at(t - 1);
        if (now !== before) events.push({ t, kind: "town", agents: [], text: now ? off : on });
      }
    events.sort((a, b) => a.t - b.t);

    const columnsShown = town.width + 2 * MARGIN, ratio = (town.height + 2 * MARGIN) / columnsShown;

    // Where each agent is between two ticks; those on one tile stand around its middle, and beside what stands there.
    const positions = (time) => {
      const t = Math.floor(time), share = time - t, places = [], crowd = new Map();
      for (let n = 0; n < count; n++) {
        const [x, y] = ["x", "y"].map((axis) => {
          const from = agent(axis).at(t, n), to = agent(axis).at(t + 1, n);
          return Math.abs(to - from) > 1 ? from : from + (to - from) * share;
        });
        places.push({ x, y, away: isAway(t, n) });
        if (!places[n].away) {
          const key = `${Math.round(x)},${Math.round(y)}`;
          crowd.set(key, [...(crowd.get(key) || []), n]);
        }
      }
      for (const [key, members] of crowd) {
        const taken = solid.has(key), radius = taken ? 0.95 : 0.45;
        if (taken || members.length > 1)
          members.forEach((n, index) => {
            const angle = (2 * Math.PI * index) / members.length + (taken ? Math.PI / 2 - Math.PI / 5 : -Math.PI / 2);
            places[n].x += radius * Math.cos(angle);
            places[n].y += radius * Math.sin(angle);
          });
      }
      return places;
    };

    const clock = (t) => {
      const tick = town.start + t, minute = tick % town.day;
      const two = (value) => String(value).padStart(2, "0");
      return `day ${Math.floor(tick / town.day) + 1}, ${two(Math.floor(minute / 60))}:${two(minute % 60)}`;
    };

    const status = (t) => {
      const words = [], price = columns["town.price"].at(t);
      if (!columns["town.power"].at(t)) words.push("no power");
      if (!columns["town.water"].at(t)) words.push("no water");
      if (price !== 1) words.push(`prices × ${townletViewer.number(price)}`);
      return words.join(", ");
    };

    const ground = townletViewer.layer();
    const square = (g, x, y, cell, margin, radius) => {
      g.beginPath();
      g.roundRect((x + margin) * cell, (y + margin) * cell, (1 - 2 * margin) * cell, (1 - 2 * margin) * cell, radius);
    };
    const sprites = townletViewer.sprites();
    const text = (g, words, x, y, size, colour, halo) => sprites.put(g, sprites.text(g, words, size, colour, halo), x, y);

    const drawGround = (g, c, cell, t) => {
      const width = town.width * cell, height = town.height * cell, margin = MARGIN * cell;
      g.fillStyle = c.raised;
      g.fillRect(-margin, -margin, width + 2 * margin, height + 2 * margin);
      g.strokeStyle = c.grid;
      g.lineWidth = 1;
      g.beginPath();
      for (let x = 0; x <= town.width; x++) { g.moveTo(Math.round(x * cell) + 0.5, 0); g.lineTo(Math.round(x * cell) + 0.5, height); }
      for (let y = 0; y <= town.height; y++) { g.moveTo(0, Math.round(y * cell) + 0.5); g.lineTo(width, Math.round(y * cell) + 0.5); }
      g.stroke();
      const hour = ((town.start + t) % town.day) / town.day;
      g.fillStyle = `rgba(40, 50, 120, ${(0.06 * (1 + Math.cos(2 * Math.PI * hour))).toFixed(3)})`;
      g.fillRect(-margin, -margin, width + 2 * margin, height + 2 * margin);
      g.strokeStyle = c.quiet;
      g.globalAlpha = 0.6;
      g.lineWidth = 1;
      town.agents.forEach((each, n) => {
        const x = (each.home_x + 0.5) * cell, y = (each.home_y + 0.5) * cell, r = cell * 0.34;
        g.beginPath();
        g.moveTo(x - r, y); g.lineTo(x, y - r); g.lineTo(x + r, y); g.lineTo(x + r, y + r); g.lineTo(x - r, y + r); g.closePath();
        g.stroke();
        if (cell >= 12) text(g, label(n), x, y + r * 0.45, Math.max(7, cell * 0.36), c.quiet);
      });
      g.globalAlpha = 1;
      town.jobs.forEach((job) => {
        const minute = (town.start + t) % town.day, open = minute >= job.start && minute < job.end;
        g.setLineDash(open ? [] : [3, 3]);
        g.lineWidth = open ? 2 : 1;
        g.strokeStyle = open ? c.blue : c.quiet;
        g.fillStyle = c.ground;
        square(g, job.x, job.y, cell, 0.06, 3);
        g.fill();
        g.stroke();
        g.setLineDash([]);
      });
    };

    // Names of places and sites; where they stand is found once a tick.
    const findPlaces = townletViewer.labels();
    let found = { key: "", places: [] };
    const drawLabels = (g, c, cell, t, places, queues) => {
      const size = Math.max(9, Math.min(12, cell * 0.6)), minute = (town.start + t) % town.day;
      const box = (x, y, margin) => ({
        left: (x - margin) * cell, right: (x + 1 + margin) * cell, top: (y - margin) * cell, bottom: (y + 1 + margin) * cell });
      const things = town.objects.map((each, o) => {
        const waiting = queues[o].filter(([place]) => place > 0).length;
        const words = townletViewer.shortened(each.name, 14) + (waiting ? ` · ${waiting} wait${waiting === 1 ? "s" : ""}` : "");
        return { at: each, words, colour: waiting ? c.vermilion : c.text, urgent: waiting > 0 };
      }).concat(town.jobs.map((job) => {
        const open = minute >= job.start && minute < job.end;
        return { at: job, words: open ? "work, open" : "work", colour: open ? c.blue : c.quiet, urgent: false };
      })).map((thing) => ({ ...thing, picture: sprites.text(g, thing.words, size, thing.colour, c.raised), box: box(thing.at.x, thing.at.y, 0) }));
      const key = `${t} ${cell} ${c.scheme}`;
      if (key !== found.key) {
        const radius = Math.max(6, cell * 0.44);
        const standing = things.map((thing) => thing.box);
        const agents = places.filter((place) => !place.away).map((place) => {
          const x = (place.x + 0.5) * cell, y = (place.y + 0.5) * cell;
          return { left: x - radius, right: x + radius, top: y - radius, bottom: y + radius + 7 };
        });
        const margin = MARGIN * cell, frame = { left: -margin, right: town.width * cell + margin, top: -margin, bottom: town.height * cell + margin };
        found = { key, places: findPlaces(things.map((thing) => ({ ...thing, width: thing.picture.width, height: thing.picture.height })), standing, agents, frame) };
      }
      things.forEach((thing, index) => {
        const place = found.places[index];
        if (place) sprites.put(g, thing.picture, place.x, place.y);
      });
    };

    const drawObjects = (g, c, cell, t) => {
      town.objects.forEach((each, o) => {
        g.fillStyle = c[KINDS[each.kind]] || c.blue;
        square(g, each.x, each.y, cell, 0.04, cell * 0.2);
        g.fill();
        text(g, each.letter, (each.x + 0.5) * cell, (each.y + 0.54) * cell, cell * 0.62, c.ground);
        const busy = busySince[o][Math.min(t, last)];
        if (busy) {
          g.strokeStyle = c.text;
          g.lineWidth = Math.max(2, cell * 0.13);
          g.beginPath();
          g.arc((each.x + 0.5) * cell, (each.y + 0.5) * cell, cell * 0.74, -Math.PI / 2,
            -Math.PI / 2 + 2 * Math.PI * Math.min(1, busy / each.duration));
          g.stroke();
        }
      });
    };

    // By object, who stands there: place and agent, the holder first.
    const queuesAt = (t, places) => {
      const queues = town.objects.map(() => []);
      for (let n = 0; n < count; n++) {
        const queue = agents.queue.at(t, n);
        if (queue >= 0 && !places[n].away) queues[queue].push([agents.place.at(t, n), n]);
      }
      for (const queue of queues) queue.sort((a, b) => a[0] - b[0]);
      return queues;
    };

    const drawQueues = (g, c, cell, places, queues) => {
      g.strokeStyle = c.quiet;
      g.lineWidth = 1.5;
      g.setLineDash([2, 4]);
      town.objects.forEach((each, o) => {
        g.beginPath();
        g.moveTo((each.x + 0.5) * cell, (each.y + 0.5) * cell);
        for (const [, n] of queues[o]) g.lineTo((places[n].x + 0.5) * cell, (places[n].y + 0.5) * cell);
        g.stroke();
      });
      g.setLineDash([]);
    };

    let rivals = { t: -1, pairs: [] };
    const rivalsAt = (t) => {
      if (rivals.t !== t) {
        const sizes = town.pairs.map(([a, b], pair) => [a, b, rivalry.at(t, pair)]);
        rivals = { t, pairs: sizes.filter(([, , size]) => size >= FAINTEST) };
      }
      return rivals.pairs;
    };
    const drawRivalry = (g, c, cell, t, places, followed) => {
      g.strokeStyle = c.vermilion;
      rivalsAt(t).forEach(([a, b, size]) => {
        if (places[a].away || places[b].away) return;
        const concerns = followed === null || followed === a || followed === b;
        g.globalAlpha = concerns ? 0.25 + 0.6 * size : 0.08;
        g.lineWidth = size >= town.avoid ? 2 : 1;
        g.setLineDash(size >= town.avoid ? [] : [5, 4]);
        g.beginPath();
        g.moveTo((places[a].x + 0.5) * cell, (places[a].y + 0.5) * cell);
        g.lineTo((places[b].x + 0.5) * cell, (places[b].y + 0.5) * cell);
        g.stroke();
      });
      g.globalAlpha = 1;
      g.setLineDash([]);
    };

    const drawConflicts = (g, c, cell, time, places) => {
      for (const each of conflicts) {
        const age = time - each.t;
        if (age < 0 || age > FLASH) continue;
        const fresh = 1 - age / FLASH, middle = each.object >= 0 ? town.objects[each.object] : places[each.a];
        g.globalAlpha = fresh;
        g.strokeStyle = c.vermilion;
        g.lineWidth = 1 + 3 * fresh;
        g.beginPath();
        g.arc((middle.x + 0.5) * cell, (middle.y + 0.5) * cell, cell * (1 + 1.2 * (1 - fresh)), 0, 2 * Math.PI);
        g.stroke();
        g.beginPath();
        g.moveTo((places[each.a].x + 0.5) * cell, (places[each.a].y + 0.5) * cell);
        g.lineTo((places[each.b].x + 0.5) * cell, (places[each.b].y + 0.5) * cell);
        g.stroke();
        g.globalAlpha = 1;
      }
    };

    const drawTrail = (g, c, cell, t, n) => {
      g.strokeStyle = c.text;
      g.globalAlpha = 0.35;
      g.lineWidth = 2;
      g.beginPath();
      for (let s = Math.max(0, t - TRAIL); s <= t; s++) {
        const x = (agent("x").at(s, n) + 0.5) * cell, y = (agent("y").at(s, n) + 0.5) * cell;
        if (s === Math.max(0, t - TRAIL) || isAway(s, n)) g.moveTo(x, y);
        else g.lineTo(x, y);
      }
      g.stroke();
      g.globalAlpha = 1;
    };

    const drawAgents = (g, c, cell, t, places, followed) => {
      const r = Math.max(6, cell * 0.44), width = Math.max(2, r * 0.34), bars = new Map();
      const order = [...places.keys()].filter((n) => !places[n].away).sort((a, b) => (a === followed) - (b === followed));
      const bar = (colour, x, y, height) => {
        if (!bars.has(colour)) bars.set(colour, []);
        bars.get(colour).push([x, y, height]);
      };
      const shade = (level, calm) => (level < 0.2 ? c.vermilion : level < 0.45 ? c.orange : calm);
      for (const n of order) {
        const x = (places[n].x + 0.5) * cell, y = (places[n].y + 0.5) * cell + r + 2;
        NEEDS.forEach((name, index) => {
          const level = agent(name).at(t, n), left = x - r * 0.85 + index * (width + r * 0.34);
          bar(c.line, left, y, 5 * (1 - level));
          bar(shade(level, c.blue), left, y + 5 * (1 - level), 5 * level);
        });
      }
      for (const [colour, boxes] of bars) {
        g.fillStyle = colour;
        for (const [x, y, height] of boxes) g.fillRect(x, y, width, height);
      }
      for (const n of order) {
        const x = (places[n].x + 0.5) * cell, y = (places[n].y + 0.5) * cell, need = lowest(t, n), duty = word(town.duties, "duty", t, n);
        const ring = shade(need, c.blue), bold = need < 0.2 ? 3 : 2, is = n === followed;
        const picture = sprites.sprite(`agent ${n} ${r} ${ring} ${bold} ${is}`, () => [2 * r + 6, 2 * r + 6], (own) => {
          own.beginPath();
          own.arc(0, 0, r, 0, 2 * Math.PI);
          own.fillStyle = is ? c.text : c.ground;
          own.fill();
          own.strokeStyle = ring;
          own.lineWidth = bold;
          own.stroke();
          sprites.write(own, label(n), r * 1.1, is ? c.ground : c.text, null, 0.5);
        });
        sprites.put(g, picture, x, y);
        const badge = duty === "late" || duty === "absent" ? duty : word(town.activities, "activity", t, n) === "chats" ? "chats" : "";
        if (badge) text(g, badge, x, y - r - 5, Math.max(8, cell * 0.5), badge === "chats" ? c.green : c.vermilion, c.raised);
      }
    };

    return {
      last, events, clock, status, unit: "ticks", step: town.ticks_per_decision, day: town.day, decision: (t) => Math.floor(t / town.ticks_per_decision),
      people: town.agents.map((each) => each.name),
      draw: (canvas, time, followed) => {
        const g = townletViewer.fit(canvas, ratio);
        if (!g) return;
        const c = townletViewer.colours(), width = canvas.clientWidth, cell = width / columnsShown, t = Math.floor(Math.min(time, last));
        const places = positions(Math.min(time, last)), queues = queuesAt(t, places);
        g.translate(MARGIN * cell, MARGIN * cell);
        sprites.begin(g);
        const hour = Math.floor((24 * ((town.start + t) % town.day)) / town.day), minute = (town.start + t) % town.day;
        const open = town.jobs.map((job) => minute >= job.start && minute < job.end);
        ground(g, canvas, `${hour} ${open}`, (layer) => drawGround(layer, c, cell, t));
        if (followed !== null) drawTrail(g, c, cell, t, followed);
        drawRivalry(g, c, cell, t, places, followed);
        drawQueues(g, c, cell, places, queues);
        drawObjects(g, c, cell, t);
        drawConflicts(g, c, cell, time, places);
        drawLabels(g, c, cell, t, places, queues);
        drawAgents(g, c, cell, t, places, followed);
      },
      pick: (canvas, x, y) => {
        const cell = canvas.clientWidth / columnsShown;
        let nearest = null, least = 1.2;
        positions(pickTime()).forEach((place, n) => {
          const apart = Math.hypot(x / cell - MARGIN - place.x - 0.5, y / cell - MARGIN - place.y - 0.5);
          if (!place.away && apart < least) [nearest, least] = [n, apart];
        });
        return nearest;
      },
      state: (t, n) => ({
        doing: isAway(t, n) ? "is away" : sentence(t, n),
        duty: word(town.duties, "duty", t, n),
        wallet: agent("wallet").at(t, n),
        needs: NEEDS.map((need) => agent(need).at(t, n)),
        total: agent("episode_return").at(t, n),
      }),
    };
  };
  const pickTime = () => townletViewer.time();
  townletViewer.adapters.push({ fits: (recording) => recording.town !== null, make });
})();
