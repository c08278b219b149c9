import uPlot from "./vendor/uPlot.esm.js";

/** The equity curve of one account: money in major units, times in seconds (UTC), floors as stepped lines. */
const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const plain = new Intl.NumberFormat("en-US", { minimumFractionDigits: 2, maximumFractionDigits: 2 });
const axis = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });
const clock = (seconds) => new Date(seconds * 1000).toISOString().slice(0, 16).replace("T", " ");

function tint(colour, alpha) {
  return `color-mix(in srgb, ${colour} ${alpha}%, transparent)`;
}

function resets(curve) {
  return (u) => {
    const { ctx, bbox } = u;
    ctx.save();
    ctx.fillStyle = css("--muted");
    for (const at of curve.resets) {
      const x = u.valToPos(at, "x", true);
      if (x < bbox.left || x > bbox.left + bbox.width) continue;
      ctx.fillRect(Math.round(x), bbox.top + bbox.height - 7 * devicePixelRatio, devicePixelRatio, 7 * devicePixelRatio);
    }
    ctx.restore();
  };
}

function marks(curve) {
  return (u) => {
    const { ctx } = u;
    const size = 3.5 * devicePixelRatio;
    ctx.save();
    for (const deal of curve.deals) {
      if (deal.at < u.scales.x.min || deal.at > u.scales.x.max) continue;
      const x = u.valToPos(deal.at, "x", true);
      const y = u.valToPos(deal.equity, "y", true);
      ctx.beginPath();
      ctx.arc(x, y, size, 0, 2 * Math.PI);
      ctx.fillStyle = deal.entry === "in" ? css("--raised") : css("--accent");
      ctx.strokeStyle = css("--accent");
      ctx.lineWidth = devicePixelRatio;
      ctx.fill();
      ctx.stroke();
    }
    for (const breach of curve.breaches) {
      const x = u.valToPos(breach.at, "x", true);
      const y = u.valToPos(breach.equity, "y", true);
      ctx.strokeStyle = css("--bad");
      ctx.lineWidth = 2 * devicePixelRatio;
      ctx.beginPath();
      ctx.moveTo(x - 1.6 * size, y - 1.6 * size);
      ctx.lineTo(x + 1.6 * size, y + 1.6 * size);
      ctx.moveTo(x + 1.6 * size, y - 1.6 * size);
      ctx.lineTo(x - 1.6 * size, y + 1.6 * size);
      ctx.stroke();
      label(u, `breach: ${breach.rule}`, x - 2.4 * size, y - 2 * size, css("--bad"), "right");
    }
    ctx.restore();
  };
}

/** Each breach is a link to its proof, over its mark. The page names the same proof in a line below the picture. */
function proofs(curve) {
  return (u) => {
    u.over.querySelectorAll("a.breach-mark").forEach((old) => old.remove());
    for (const breach of curve.breaches) {
      if (breach.at < u.scales.x.min || breach.at > u.scales.x.max) continue;
      const link = document.createElement("a");
      link.className = "breach-mark";
      link.href = breach.proof;
      link.title = `Proof of the breach: ${breach.rule}`;
      link.tabIndex = -1;
      link.style.left = `${u.valToPos(breach.at, "x") - 12}px`;
      link.style.top = `${u.valToPos(breach.equity, "y") - 12}px`;
      u.over.append(link);
    }
  };
}

function label(u, text, x, y, colour, align) {
  const { ctx } = u;
  ctx.font = `${11 * devicePixelRatio}px system-ui, sans-serif`;
  ctx.textAlign = align;
  ctx.textBaseline = "bottom";
  const width = ctx.measureText(text).width + 6 * devicePixelRatio;
  const height = 14 * devicePixelRatio;
  ctx.fillStyle = tint(css("--raised"), 82); // what is below stays in sight and does not disturb the text
  ctx.fillRect(align === "right" ? x - width + 3 * devicePixelRatio : x - 3 * devicePixelRatio, y - height, width, height);
  ctx.fillStyle = colour;
  ctx.fillText(text, x, y);
}

/** Each floor is named at its right end, below its line; one that lies below the picture is named at the bottom. */
function floorLabels(curve) {
  return (u) => {
    const { bbox } = u;
    const line = 14 * devicePixelRatio;
    const bottom = bbox.top + bbox.height - 9 * devicePixelRatio; // above the ticks of resets
    const used = [];
    for (const floor of curve.floors) {
      const value = floor.values.at(-1);
      const at = u.valToPos(value, "y", true) + line;
      let y = Math.min(at, bottom);
      while (used.some((other) => Math.abs(other - y) < line)) y -= line;
      used.push(y);
      const text = `${floor.label} ${plain.format(value)}${at > bottom + line ? " ↓" : ""}`;
      label(u, text, bbox.left + bbox.width - 4 * devicePixelRatio, y, css("--bad"), "right");
    }
  };
}

const least = (values) => values.reduce((found, value) => (value !== null && value < found ? value : found), Infinity);
const most = (values) => values.reduce((found, value) => (value !== null && value > found ? value : found), -Infinity);

/** Room for the curve: floors far below it would press it flat, so that only near ones widen the picture. */
function span(curve) {
  const bottom = Math.min(least(curve.low), least(curve.balance));
  const top = Math.max(most(curve.high), most(curve.balance));
  const leastSeen = 0.005 * Math.max(top, 1); // of a flat account: axis labels of whole units must differ
  const height = Math.max(top - bottom, leastSeen);
  const floors = curve.floors.flatMap((floor) => [least(floor.values), most(floor.values)]);
  const nearest = most(curve.floors.map((floor) => least(floor.values)));
  const near = floors.filter((value) => value >= Math.min(nearest, bottom - 1.2 * height) && value >= bottom - 4 * height);
  const low = Math.min(bottom, ...near);
  const high = Math.max(top, ...near);
  const room = Math.max(high - low, leastSeen);
  const spare = (room - (high - low)) / 2;
  return [low - spare - 0.12 * room, high + spare + 0.06 * room];
}

/** 24-hour clock; the date stands below the first mark of each day. */
function times(u, splits) {
  let day = "";
  return splits.map((seconds) => {
    const iso = new Date(seconds * 1000).toISOString();
    const fresh = iso.slice(0, 10) !== day;
    day = iso.slice(0, 10);
    const hour = iso.slice(11, 16);
    return fresh ? `${hour}\n${iso.slice(5, 10)}` : hour;
  });
}

function options(curve, holder, note, zoom) {
  const bounds = span(curve);
  const grid = { stroke: css("--line"), width: 1 };
  const floorSeries = curve.floors.map((floor) => ({
    label: floor.label,
    stroke: css("--bad"),
    width: 1,
    dash: [4, 3],
    fill: (u) => tint(css("--bad"), 5),
    fillTo: () => bounds[0],
    paths: uPlot.paths.stepped({ align: 1 }),
    points: { show: false },
  }));
  return {
    width: holder.clientWidth,
    height: 320,
    tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC"),
    cursor: { points: { size: 6 }, drag: { x: true, y: false, setScale: false } },
    scales: { y: { range: () => bounds } },
    axes: [
      {
        stroke: css("--muted"), grid: { show: false }, ticks: { show: false }, font: "11px system-ui, sans-serif",
        size: 44, values: times,
      },
      {
        stroke: css("--muted"), grid, ticks: { show: false }, size: 74, font: "11px system-ui, sans-serif",
        label: `equity, ${curve.currency}`, labelFont: "11px system-ui, sans-serif", labelSize: 18,
        values: (u, values) => values.map((value) => axis.format(value)),
      },
    ],
    series: [
      {},
      { label: "high", stroke: "transparent", points: { show: false } },
      { label: "low", stroke: "transparent", points: { show: false } },
      { label: "equity", stroke: css("--accent"), width: 1.5, points: { show: false } },
      { label: "balance", stroke: css("--muted"), width: 1, dash: [1, 3], paths: uPlot.paths.stepped({ align: 1 }), points: { show: false } },
      ...floorSeries,
    ],
    bands: [{ series: [1, 2], fill: tint(css("--accent"), 16) }],
    hooks: {
      draw: [resets(curve), marks(curve), floorLabels(curve), proofs(curve)],
      setSelect: [(u) => u.select.width > 4 && zoom(u.posToVal(u.select.left, "x"), u.posToVal(u.select.left + u.select.width, "x"))],
      setCursor: [
        (u) => {
          const at = u.cursor.idx;
          note.textContent = at === null || at === undefined ? note.dataset.idle : describe(curve, u.data, at);
        },
      ],
    },
  };
}

function describe(curve, data, at) {
  const floors = curve.floors
    .map((floor, index) => [floor.label, data[5 + index][at]])
    .filter(([, value]) => value !== null && value !== undefined)
    .map(([name, value]) => `${name} ${plain.format(value)}`);
  const equity = data[3][at];
  const worth = equity === null || equity === undefined ? "equity not known" : `equity ${plain.format(equity)}`;
  const parts = [`${clock(data[0][at])} UTC`, worth, `balance ${plain.format(data[4][at])}`, ...floors];
  return parts.join("  ·  ");
}

/** One part of a range, the newest one without `before`; null if it could not be loaded. */
async function load(holder, range, before) {
  const address = new URL(holder.dataset.curve, document.baseURI);
  const width = Math.max(200, Math.round(holder.clientWidth));
  const given = { width, from: Math.floor(range.from), to: Math.ceil(range.to), before };
  for (const [name, value] of Object.entries(given)) {
    if (Number.isFinite(value)) address.searchParams.set(name, String(value));
  }
  const answer = await fetch(address, { headers: { Accept: "application/json" } });
  return answer.ok ? answer.json() : null;
}

function joined(older, newer) {
  const columns = ["at", "equity", "low", "high", "balance", "resets", "deals"];
  const together = Object.fromEntries(columns.map((name) => [name, [...older[name], ...newer[name]]]));
  const floors = newer.floors.map((floor, index) => ({ ...floor, values: [...older.floors[index].values, ...floor.values] }));
  return { ...newer, ...together, floors, earlier: older.earlier };
}

/** A curve of very many minutes comes in parts: `show` gets it with each older one, and says whether to go on. */
async function loadEarlier(holder, range, curve, show) {
  for (let known = curve; known.earlier !== null; ) {
    const older = await load(holder, range, known.earlier);
    if (older === null) return;
    known = joined(older, known);
    if (!show(known)) return;
  }
}

export async function drawEquity(holder) {
  const note = holder.parentElement.querySelector(".note");
  note.dataset.idle = note.textContent;
  let whole = await load(holder, {});
  if (whole === null) {
    note.textContent = "The curve could not be loaded. Reload the page; the table below reads the same data.";
    return;
  }
  if (whole.at.length === 0) {
    holder.hidden = true;
    note.textContent = "No equity has been recorded in this range yet. The curve begins with the first minute of trading.";
    return;
  }
  let [plot, curve] = [null, whole];
  const draw = () => {
    plot?.destroy();
    const data = [curve.at, curve.high, curve.low, curve.equity, curve.balance, ...curve.floors.map((f) => f.values)];
    plot = new uPlot(options(curve, holder, note, zoom), data, holder);
    plot.over.addEventListener("dblclick", all);
    holder.dataset.drawn = String(curve.at.length);
  };
  const show = (found) => {
    curve = found;
    draw();
  };
  const all = () => show(whole);
  const zoom = async (from, to) => {
    const range = { from: Math.max(whole.at[0], from), to: Math.min(whole.at.at(-1), to) };
    const part = to - from < 180 ? null : await load(holder, range);
    if (part === null || part.at.length < 2) return draw();
    let seen = part;
    show(part);
    return loadEarlier(holder, range, part, (more) => {
      if (curve !== seen) return false; // another range is looked at
      seen = more;
      show(more);
      return true;
    });
  };
  const keys = {
    "+": (min, max) => zoom(min + (max - min) / 4, max - (max - min) / 4),
    "-": (min, max) => zoom(min - (max - min) / 2, max + (max - min) / 2),
    0: all,
    ArrowLeft: () => point(-1),
    ArrowRight: () => point(1),
  };
  const point = (by) => {
    const now = plot.cursor.idx ?? curve.at.length - 1;
    const next = Math.max(0, Math.min(curve.at.length - 1, now + by));
    plot.setCursor({ left: plot.valToPos(curve.at[next], "x"), top: plot.over.clientHeight / 2 });
  };
  holder.addEventListener("keydown", (event) => {
    const act = event.ctrlKey || event.metaKey || event.altKey ? undefined : keys[event.key];
    if (act === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    act(plot.scales.x.min, plot.scales.x.max);
  });
  draw();
  loadEarlier(holder, {}, whole, (more) => {
    const seen = curve === whole;
    whole = more;
    if (seen) all();
    return true;
  });
  document.addEventListener("propos:theme", draw);
  new ResizeObserver(() => plot.setSize({ width: holder.clientWidth, height: 320 })).observe(holder);
}
