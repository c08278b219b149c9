import uPlot from "./vendor/uPlot.esm.js";

/** A plot of a report: lines over months or days, each named at its right end. The table below it has every number. */
const HEIGHT = 240;
const FONT = "11px system-ui, sans-serif";
const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const TONES = { accent: "--accent", ok: "--ok-bar", warn: "--warn-bar", bad: "--bad-bar", mute: "--muted" };
const tone = (series) => css(TONES[series.tone]);

function formatter(digits) {
  return new Intl.NumberFormat("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

/** A filled point is a number that stands, a hollow one may still change. */
function points(plot) {
  return (u) => {
    const { ctx } = u;
    ctx.save();
    ctx.lineWidth = 1.5 * devicePixelRatio;
    plot.series.forEach((series) => {
      ctx.strokeStyle = tone(series);
      series.values.forEach((value, index) => {
        if (value === null) return;
        ctx.beginPath();
        ctx.arc(u.valToPos(index, "x", true), u.valToPos(value, "y", true), 3 * devicePixelRatio, 0, 2 * Math.PI);
        ctx.fillStyle = series.early[index] ? css("--raised") : tone(series);
        ctx.fill();
        ctx.stroke();
      });
    });
    ctx.restore();
  };
}

/** Names beside the last points, moved apart where they would meet. */
function names(plot) {
  return (u) => {
    const { ctx, bbox } = u;
    const line = 14 * devicePixelRatio;
    const ends = plot.series
      .map((series) => ({ series, at: series.values.findLastIndex((value) => value !== null) }))
      .filter(({ at }) => at >= 0)
      .map(({ series, at }) => ({ series, y: u.valToPos(series.values[at], "y", true) }))
      .sort((one, other) => one.y - other.y);
    ends.forEach((end, index) => {
      if (index) end.y = Math.max(end.y, ends[index - 1].y + line);
    });
    const over = Math.max(0, (ends.at(-1)?.y ?? 0) - (bbox.top + bbox.height));
    ctx.save();
    ctx.font = `${11 * devicePixelRatio}px system-ui, sans-serif`;
    ctx.textAlign = "left";
    ctx.textBaseline = "middle";
    ends.forEach(({ series, y }) => {
      const x = bbox.left + bbox.width + 12 * devicePixelRatio;
      ctx.beginPath();
      ctx.arc(x, y - over, 3 * devicePixelRatio, 0, 2 * Math.PI);
      ctx.fillStyle = tone(series);
      ctx.fill();
      ctx.fillStyle = css("--text");
      ctx.fillText(series.label, x + 7 * devicePixelRatio, y - over);
    });
    ctx.restore();
  };
}

function range(plot) {
  const known = plot.series.flatMap((series) => series.values).filter((value) => value !== null);
  const [low, high] = [Math.min(0, ...known), Math.max(0, ...known)];
  if (high === low) return [0, 1];
  const space = (high - low) * 0.08;
  return [low < 0 ? low - space : 0, high + space];
}

function width(plot) {
  const ctx = document.createElement("canvas").getContext("2d");
  ctx.font = FONT;
  return Math.max(...plot.series.map((series) => ctx.measureText(series.label).width)) + 26;
}

function describe(plot, index) {
  const number = formatter(plot.digits);
  const each = plot.series
    .filter((series) => series.values[index] !== null)
    .map((series) => `${series.label} ${number.format(series.values[index])}${series.early[index] ? " (early)" : ""}`);
  return each.length ? `${plot.x[index]}  ·  ${each.join("  ·  ")} ${plot.unit}` : `${plot.x[index]}  ·  nothing`;
}

function options(plot, holder, note) {
  const quiet = { stroke: css("--muted"), ticks: { show: false }, font: FONT };
  return {
    width: holder.clientWidth,
    height: HEIGHT,
    padding: [8, width(plot), 0, 0],
    legend: { show: false },
    cursor: { y: false, drag: { x: false, y: false }, points: { show: false } },
    scales: { x: { time: false, range: (_, low, high) => [low - 0.4, high + 0.4] }, y: { range: () => range(plot) } },
    axes: [
      {
        ...quiet, grid: { show: false }, size: 30, space: 62, incrs: [1, 2, 3, 6, 12, 24],
        values: (_, splits) => splits.map((at) => plot.x[at] ?? ""),
      },
      {
        ...quiet, grid: { stroke: css("--line"), width: 1 }, size: 64, label: plot.unit, labelFont: FONT, labelSize: 18,
        values: (_, splits) => splits.map((value) => formatter(splits.every(Number.isInteger) ? 0 : 1).format(value)),
      },
    ],
    series: [
      {},
      ...plot.series.map((series) => ({ label: series.label, stroke: tone(series), width: 1.5, points: { show: false } })),
    ],
    hooks: {
      draw: [points(plot), names(plot)],
      setCursor: [
        (u) => {
          const at = u.cursor.idx;
          note.textContent = at === null || at === undefined ? note.dataset.idle : describe(plot, at);
        },
      ],
    },
  };
}

export function drawPlot(holder) {
  const plot = JSON.parse(holder.dataset.plot);
  const note = holder.parentElement.querySelector(".note");
  note.dataset.idle = note.textContent;
  let drawn = null;
  const draw = () => {
    drawn?.destroy();
    const data = [plot.x.map((_, index) => index), ...plot.series.map((series) => series.values)];
    drawn = new uPlot(options(plot, holder, note), data, holder);
    holder.dataset.drawn = String(plot.x.length);
  };
  draw();
  document.addEventListener("propos:theme", draw);
  new ResizeObserver(() => drawn.setSize({ width: holder.clientWidth, height: HEIGHT })).observe(holder);
}
