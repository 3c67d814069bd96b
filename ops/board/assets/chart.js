// The chart of a SKU's balances, and what it shares with others.

import { clock, count } from "./format.js";
import { currentLanguage, t } from "./text.js";

const HEIGHT = 280; // pixels
const LEAST_SECONDS = 60; // shown of a SKU that is newer than the time that was asked for
const STEPS = [1, 2, 5, 10, 20, 50, 100, 200, 500].flatMap((step) => [step, step * 1e3, step * 1e6]).sort((one, other) => one - other);

// Points are [ms, on hand, held, committed, available]; the last ones go on to `at` (ms).
export function balanceChart(canvas) {
  let chart = null;
  const resized = new ResizeObserver(() => chart?.setSize({ width: canvas.clientWidth, height: HEIGHT }));
  resized.observe(canvas);
  return {
    draw(points, minutes, at) {
      const drawn = [...points, [Math.max(at, points.at(-1)[0]), ...points.at(-1).slice(1)]];
      const data = [0, 4, 2, 3].map((column) => drawn.map((point) => (column ? point[column] : point[0] / 1000)));
      if (chart === null) chart = made(canvas, data);
      else chart.setData(data, false);
      const last = data[0].at(-1);
      chart.setScale("x", { min: Math.max(last - minutes * 60, Math.min(data[0][0], last - LEAST_SECONDS)), max: last });
    },
    end() {
      resized.disconnect();
      chart?.destroy();
    },
  };
}

// A colour of the stylesheet, as a canvas needs it.
export function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

export function axisStyle() {
  return { stroke: colour("--soft"), grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false } };
}

function made(canvas, data) {
  const axis = axisStyle();
  const series = (label, name) => ({
    label, stroke: colour(name), fill: `${colour(name)}22`, width: 2, points: { show: false },
    paths: window.uPlot.paths.stepped({ align: 1 }), value: (_, value) => (value === null ? "" : count(value)),
  });
  return new window.uPlot({
    width: canvas.clientWidth || 600,
    height: HEIGHT,
    hooks: { draw: [latest], setCursor: [latest] },
    scales: { y: { range: (_, least, most) => [Math.min(0, least), Math.max(1, most * 1.05)] } },
    axes: [timeAxis(axis), { ...axis, size: 60, incrs: STEPS, values: (_, splits) => splits.map(count) }],
    series: [
      { label: t("time"), value: (_, seconds) => (seconds === null ? "" : clock(1000 * seconds)) },
      series(t("available"), "--available"), series(t("held"), "--held"), series(t("committed"), "--committed"),
    ],
  }, data, canvas);
}

// Nobody points at a time: the legend says how it is now.
function latest(chart) {
  if (chart.cursor.idx == null) chart.setLegend({ idx: chart.data[0].length - 1 }, false);
}

export function timeAxis(axis) {
  const told = (splits) => {
    const seconds = splits[1] - splits[0] < 60 ? "2-digit" : undefined;
    const form = { hour: "2-digit", minute: "2-digit", second: seconds, hour12: false };
    return splits.map((at) => new Date(1000 * at).toLocaleTimeString(currentLanguage() === "zh" ? "zh-CN" : "en-GB", form));
  };
  return { ...axis, space: 90, values: (_, splits) => told(splits) };
}
