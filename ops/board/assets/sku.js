// The page of one SKU: its balances over time, its warehouses, what happened to its breaker.

import { actOn, badgeText, isSoon, shortage, shownOnStream, soldOutIn, urgency, why, worstFirst } from "./attention.js";
import { act, mayAct, now, read } from "./board.js";
import { balanceChart } from "./chart.js";
import { classed, node, put, show } from "./dom.js";
import { clock, count, percent, span } from "./format.js";
import { t } from "./text.js";
import { toldOf } from "./told.js";

const RANGES = [15, 60, 360, 1440]; // minutes
const PAUSE_MS = 2000; // between two looks at the history, however much happens
const EDGE_MS = 5000; // between two moves of the chart's right edge where nothing happens
const SHOWN_MARKS = 30;

export function skuPage(sku) {
  const badge = node("span", { class: "badge" });
  const reasons = node("p", { class: "why" });
  const button = node("button", { type: "button" });
  const body = node("tbody");
  const missing = node("p", { class: "empty" }, t("unknownSku", { sku }));
  const history = skuHistory(sku);
  const told = toldOf(sku);
  const content = node(
    "div", {},
    history.chart,
    told.root,
    node("div", { class: "columns" },
      node("section", {}, node("h2", {}, t("warehouses")), node("div", { class: "scroll" }, node("table", {}, header(), body))),
      history.marks),
  );
  const root = node(
    "div", { class: "detail" },
    node("a", { href: "#/", class: "back" }, `← ${t("back")}`),
    node("div", { class: "title" }, node("h1", {}, sku), badge, node("span", { class: "grow" }), button),
    reasons, missing, content,
  );
  let levels = [];
  let beginnings = 0; // of the stream that the levels came on
  button.onclick = () => act(actOn(worstOf(levels)), sku);
  return {
    root,
    end() {
      history.end();
      told.end();
    },
    update(state) {
      const before = levels;
      levels = [...state.levels.values()].filter((row) => row.sku === sku)
        .sort((one, other) => (one.warehouse < other.warehouse ? -1 : 1));
      show(missing, !levels.length);
      show(content, Boolean(levels.length));
      show(button, mayAct() && Boolean(levels.length));
      if (!levels.length) return;
      const at = now();
      if (beginnings !== state.beginnings) history.begin();
      else if (before.length !== levels.length || levels.some((row, index) => row !== before[index])) history.touch();
      beginnings = state.beginnings;
      history.tick(at);
      const worst = worstOf(levels);
      put(badge, badgeText(worst));
      classed(root, `detail u${urgency(worst)}`);
      const soon = isSoon(worst) && soldOutIn(worst) > 0 ? t("whySoon", { time: span(soldOutIn(worst)) }) : "";
      put(reasons, [why(worst, state.limits, at), soon].filter(Boolean).join(" · "));
      put(button, t(actOn(worst)));
      classed(button, urgency(worst) >= 2 ? "" : "outlined");
      body.replaceChildren(...levels.map(warehouseRow));
    },
  };
}

// The history of a SKU: read whole once, then what has happened since, and only where something has.
function skuHistory(sku) {
  let minutes = 60;
  let points = [];
  let marks = [];
  let version = null; // up to which it is known
  let asked = 0;
  let busy = false; // it asks, or rests after it
  let touched = false; // since it asked
  let drawnAt = 0;
  const canvas = node("div", { class: "chart" });
  const chart = balanceChart(canvas);
  const nothing = node("p", { class: "empty" });
  const list = node("ol", { class: "tape" });
  const noMarks = node("p", { class: "empty" }, t("noMarks"));
  const ranges = RANGES.map((range) => node(
    "button", { type: "button", class: "chip", onclick: () => { minutes = range; begin(); } }, span(range * 60),
  ));

  function begin() {
    version = null;
    ranges.forEach((chip, index) => chip.setAttribute("aria-pressed", String(RANGES[index] === minutes)));
    load();
  }

  function touch() {
    touched = true;
    if (!busy) load();
  }

  async function load() {
    const mine = ++asked;
    busy = true;
    touched = false;
    const since = version === null ? "" : `&after=${version}`;
    try {
      const told = await read(`/v1/board/skus/${encodeURIComponent(sku)}/timeline?minutes=${minutes}${since}`);
      if (mine !== asked) return; // what was asked for since is another time
      take(told);
    } catch (problem) {
      if (mine !== asked) return;
      put(nothing, problem.message);
      show(nothing, true);
      touched = true;
    }
    setTimeout(() => {
      if (mine !== asked) return;
      busy = false;
      if (touched) load();
    }, PAUSE_MS);
  }

  function take(told) {
    // The last point is no event: it only says that all was as before.
    points = version === null ? told.points : [...points.slice(0, -1), ...told.points];
    marks = (version === null ? told.marks : [...marks, ...told.marks]).slice(-SHOWN_MARKS);
    version = told.version;
    put(nothing, t("noHistory"));
    show(nothing, !points.length);
    show(canvas, Boolean(points.length));
    drawnAt = 0;
    show(noMarks, !marks.length);
    list.replaceChildren(...[...marks].reverse().map((mark) => node(
      "li", { class: `${mark.what} ${mark.what === "health" ? mark.detail.split(" ")[0] : ""}` }, node("time", {}, clock(mark.at)), node("b", {}, t(mark.what)), node("span", {}, detailOf(mark)),
    )));
    tick(points.at(-1)?.[0] ?? 0);
  }

  function tick(at) {
    if (!points.length || Date.now() - drawnAt < EDGE_MS) return;
    drawnAt = Date.now();
    const begins = at - minutes * 60000;
    const inside = points.findIndex((point) => point[0] > begins);
    if (inside > 1) points = points.slice(inside - 1); // the one before holds at the beginning
    chart.draw(points, minutes, at);
  }

  return {
    chart: node("section", {}, node("h2", {}, t("timeline")), node("div", { class: "tools" }, ...ranges), nothing, canvas),
    marks: node("section", {}, node("h2", {}, t("marks")), noMarks, list),
    begin, touch, tick,
    end() {
      asked += 1;
      chart.end();
    },
  };
}

function worstOf(levels) {
  return [...levels].sort(worstFirst)[0];
}

function warehouseRow(row) {
  const share = shownOnStream(row);
  const units = [row.on_hand, row.safety_stock, row.held, row.committed, row.available];
  return node(
    "tr", {},
    node("th", { scope: "row" }, row.warehouse),
    ...units.map((value) => node("td", {}, count(value))),
    node("td", {}, percent(row.unshipped_ratio)), node("td", {}, share === null ? t("never") : percent(share)),
    node("td", {}, span(soldOutIn(row))),
  );
}

function header() {
  const columns = ["onHand", "safety", "held", "committed", "available", "unshipped", "exposure", "soldOut"];
  return node("thead", {}, node("tr", {}, node("th", {}, t("warehouse")), ...columns.map((column) => node("th", {}, t(column)))));
}

function detailOf(mark) {
  const words = mark.detail.split(" ");
  if (mark.what === "failed") {
    const [id, requested, available] = words;
    return requested === undefined ? id
      : `${shortage({ channel: id.split(":")[0], requested: Number(requested), available: Number(available) })} · ${id}`;
  }
  if (mark.what === "health") return `${t(words[0])} ${percent(words[1] === "inf" ? null : Number(words[1]))}`;
  return t(words.slice(2).join(" "));
}
