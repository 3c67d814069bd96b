// The forecast of a warehouse as a picture, and what it would be if the warehouse took more or less.

import { read } from "./board.js";
import { axisStyle, colour, timeAxis } from "./chart.js";
import { fault, node, put, show } from "./dom.js";
import { count, shortTime } from "./format.js";
import { currentLanguage, t } from "./text.js";

const HEIGHT = 220; // pixels
const PAUSE_MS = 300; // after a number has changed before it is asked about
const MOST_TIMES = 4; // the capacity: what the slider reaches

export function forecast(name) {
  const ages = node("div", { class: "chart" });
  const rates = node("div", { class: "chart" });
  const slider = node("input", { type: "range", min: "1", "aria-label": t("whatIf") });
  const number = node("input", { type: "number", min: "1", "aria-label": t("whatIf"), inputmode: "numeric" });
  const clear = node("button", { type: "button", class: "plain small" }, t("whatIfClear"));
  const outcome = node("p", { class: "why", role: "status" });
  const error = fault();
  const root = node(
    "div", { class: "forecast", hidden: "" },
    node("div", { class: "columns even" },
      node("div", {}, node("h2", {}, t("ageAhead")), ages), node("div", {}, node("h2", {}, t("rateAhead")), rates)),
    node("div", { class: "what-if" }, node("label", {}, t("whatIf")), slider, number, node("span", { class: "place" }, t("perHour")), clear),
    outcome, error.root,
  );
  const charts = [picture(ages, ageSeries), picture(rates, rateSeries)];
  let told = null;
  let assumed = null; // the forecast with another rate
  let wanted = 0; // that rate; 0: none
  let timer = 0;
  let asked = 0;

  function draw() {
    for (const chart of charts) chart.draw(told, assumed);
    put(outcome, assumed ? outcomeOf(assumed) : "");
    show(outcome, Boolean(assumed));
    show(clear, wanted > 0);
  }

  async function ask() {
    const mine = ++asked;
    try {
      const found = wanted ? await read(`/v1/warehouses/${name}/forecast?orders_per_hour=${wanted}`) : null;
      if (mine !== asked) return;
      assumed = found;
      error.say("");
      draw();
    } catch (problem) {
      if (mine === asked) error.say(problem.message);
    }
  }

  function want(rate) {
    wanted = rate;
    clearTimeout(timer);
    timer = setTimeout(ask, PAUSE_MS);
  }
  slider.oninput = () => {
    number.value = slider.value;
    want(Number(slider.value));
  };
  number.oninput = () => {
    const rate = Math.floor(Number(number.value));
    if (!(rate >= 1)) return;
    slider.value = String(rate);
    want(rate);
  };
  clear.onclick = () => {
    wanted = 0;
    assumed = null;
    asked += 1;
    place();
    draw();
  };

  function place() {
    slider.value = String(told.orders_per_hour);
    number.value = String(told.orders_per_hour);
  }

  return {
    root,
    end() {
      asked += 1;
      clearTimeout(timer);
      for (const chart of charts) chart.end();
    },
    update(fresh) {
      show(root, fresh !== null);
      if (fresh === null) return;
      const most = Math.max(fresh.orders_per_hour * MOST_TIMES, Math.ceil(fresh.needed_per_hour * 1.2), 10);
      if (slider.max !== String(most)) slider.max = String(most);
      const isNew = told?.as_of !== fresh.as_of;
      told = fresh;
      if (!wanted && document.activeElement !== number) place();
      if (!isNew) return;
      draw();
      if (wanted) ask();
    },
  };
}

function outcomeOf(assumed) {
  const rate = count(assumed.orders_per_hour);
  const empty = assumed.emptied_at ? t("ifEmptied", { at: shortTime(assumed.emptied_at, assumed.as_of) }) : t("ifNeverEmptied");
  const late = assumed.first_breach_at
    ? t("ifLate", { rate, at: shortTime(assumed.first_breach_at, assumed.as_of), n: count(assumed.will_break + assumed.expected_to_break) })
    : t("ifNobody", { rate });
  return `${late} ${empty}`;
}

// ---- the pictures ---------------------------------------------------------------------------

// Values by time over past and future; each of `columns` has a value of a point, or null.
function ageSeries(told, assumed) {
  const limit = told.late_after_seconds / 3600;
  const age = (point) => (point.oldest_age_seconds === null ? null : point.oldest_age_seconds / 3600);
  const lines = [
    { label: t("ageLine"), colour: "--available", of: told.past, value: age, fill: true },
    { label: t("expected"), colour: "--available", dash: [6, 4], of: told.ahead, value: age },
    { label: t("lateLine", { h: limit }), colour: "--bad", of: [...told.past, ...told.ahead], value: () => limit },
  ];
  if (assumed) lines.splice(2, 0, { label: t("withRate", { n: count(assumed.orders_per_hour) }), colour: "--committed", dash: [6, 4], of: assumed.ahead, value: age });
  return {
    lines, unit: (value) => `${value.toFixed(1)} h`, axis: (value) => `${value} h`, least: limit * 1.15,
    marks: [
      [told.as_of, "--soft", t("now")],
      ...(told.first_breach_at ? [[told.first_breach_at, "--bad", shortTime(told.first_breach_at, told.as_of)]] : []),
      ...(assumed?.first_breach_at ? [[assumed.first_breach_at, "--committed", shortTime(assumed.first_breach_at, assumed.as_of)]] : []),
    ],
  };
}

function rateSeries(told, assumed) {
  const handed = (point) => point.handed_per_hour;
  const lines = [
    { label: t("handedLine"), colour: "--available", of: told.past, value: handed, fill: true },
    { label: t("expected"), colour: "--available", dash: [6, 4], of: told.ahead, value: handed },
    { label: t("capacityLine"), colour: "--held", of: [...told.past, ...told.ahead], value: (point) => point.orders_per_hour },
  ];
  if (assumed) lines.splice(2, 0, { label: t("withRate", { n: count(assumed.orders_per_hour) }), colour: "--committed", dash: [6, 4], of: assumed.ahead, value: handed });
  return { lines, unit: count, axis: count, least: 1, marks: [[told.as_of, "--soft", t("now")]] };
}

// A picture that is made anew where its lines are other ones, else only given its new values.
function picture(canvas, seriesOf) {
  let chart = null;
  let made = "";
  let drawn = null; // what is marked
  const resized = new ResizeObserver(() => {
    if (chart && canvas.clientWidth) chart.setSize({ width: canvas.clientWidth, height: HEIGHT });
  });
  resized.observe(canvas);
  return {
    draw(told, assumed) {
      drawn = seriesOf(told, assumed);
      const times = [...new Set(drawn.lines.flatMap((line) => line.of.map((point) => Date.parse(point.at))))].sort((one, other) => one - other);
      const columns = drawn.lines.map((line) => {
        const values = new Map(line.of.map((point) => [Date.parse(point.at), line.value(point)]));
        return times.map((at) => values.get(at)); // undefined: no gap between two that are known
      });
      const data = [times.map((at) => at / 1000), ...columns];
      const key = `${currentLanguage()} ${drawn.lines.map((line) => line.label).join()}`;
      if (chart && key === made) {
        chart.setData(data);
        return;
      }
      chart?.destroy();
      made = key;
      chart = plot(canvas, data, drawn, () => drawn);
    },
    end() {
      resized.disconnect();
      chart?.destroy();
    },
  };
}

function plot(canvas, data, { lines, unit, axis: told, least }, marked) {
  const axis = axisStyle();
  return new window.uPlot({
    width: canvas.clientWidth || 400, height: HEIGHT, cursor: { y: false },
    hooks: { draw: [(chart) => mark(chart, marked().marks), (chart) => atNow(chart, marked())], setCursor: [(chart) => atNow(chart, marked())] },
    scales: { y: { range: (_, lowest, highest) => [0, Math.max(least, (highest ?? 0) * 1.15)] } },
    axes: [{ ...timeAxis(axis), size: 30 }, { ...axis, size: 56, values: (_, splits) => splits.map(told) }],
    series: [
      { label: t("time"), value: (_, seconds) => (seconds === null ? "" : shortTime(1000 * seconds, Date.now())) },
      ...lines.map((line) => ({
        label: line.label, stroke: colour(line.colour), width: 2, dash: line.dash, points: { show: false },
        fill: line.fill ? `${colour(line.colour)}22` : undefined, value: (_, value) => (value == null ? "" : unit(value)),
      })),
    ],
  }, data, canvas);
}

// Nobody points at a time: the legend says how it is now.
function atNow(chart, { marks: [[now]] }) {
  if (chart.cursor.idx == null) chart.setLegend({ idx: chart.valToIdx(Date.parse(now) / 1000) }, false);
}

// Draw a line down at each time that is marked, and say what it is.
function mark(chart, marks) {
  const { ctx, bbox } = chart;
  const scale = window.devicePixelRatio;
  let right = -Infinity; // of the last text
  ctx.save();
  ctx.font = `${12 * scale}px system-ui, sans-serif`;
  ctx.textAlign = "left";
  ctx.textBaseline = "alphabetic";
  ctx.lineWidth = scale;
  ctx.setLineDash([3 * scale, 3 * scale]);
  for (const [time, tone, text] of [...marks].sort(([one], [other]) => Date.parse(one) - Date.parse(other))) {
    const at = chart.valToPos(Date.parse(time) / 1000, "x", true);
    if (at < bbox.left || at > bbox.left + bbox.width) continue;
    ctx.strokeStyle = colour(tone);
    ctx.fillStyle = colour(tone);
    ctx.beginPath();
    ctx.moveTo(at, bbox.top);
    ctx.lineTo(at, bbox.top + bbox.height);
    ctx.stroke();
    const wide = ctx.measureText(text).width;
    const left = Math.min(at + 4 * scale, bbox.left + bbox.width - wide);
    ctx.fillText(text, left, bbox.top + (left < right ? 28 : 13) * scale);
    right = left + wide + 6 * scale;
  }
  ctx.restore();
}
