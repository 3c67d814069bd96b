// The overview: the figures, the SKUs that need attention first, channels and events beside them.

import { channelShare, eventTape } from "./aside.js";
import { actOn, badgeText, isSoon, shownOnStream, soldOutIn, urgency, why, worstFirst } from "./attention.js";
import { act, changed, mayAct, now, state as board } from "./board.js";
import { classed, node, put, show, style } from "./dom.js";
import { strip } from "./figures.js";
import { count, percent, span } from "./format.js";
import { t } from "./text.js";

const MORE = 200; // rows that one click adds

export function overview() {
  const tiles = strip();
  const search = node("input", {
    type: "search", class: "search", placeholder: t("search"), "aria-label": t("search"),
  });
  search.value = board.search;
  search.oninput = () => {
    board.search = search.value;
    board.shown = 100;
    changed();
  };
  const chips = ["all", "atRisk", "suspended"].map((filter) => node(
    "button",
    { type: "button", class: "chip", onclick: () => { board.filter = filter; board.shown = 100; changed(); } },
    t(filter),
  ));
  const shown = node("span", { class: "shown" });
  const list = node("div", { class: "list", role: "list" });
  const empty = node("p", { class: "empty" });
  const more = node(
    "button", { type: "button", class: "plain more", onclick: () => { board.shown += MORE; changed(); } },
    t("more"),
  );
  const channels = channelShare();
  const tape = eventTape();
  const rows = new Map();
  const tools = node("div", { class: "tools" }, search, ...chips, shown);
  const columns = heads();
  const root = node(
    "div", { class: "overview" },
    tiles.root,
    node("section", { class: "skus" }, tools, empty, columns, list, more),
    node("aside", {}, channels.root, tape.root),
  );

  function wanted(state) {
    const text = state.search.trim().toLowerCase();
    return [...state.levels.values()].filter((row) =>
      (!text || row.sku.toLowerCase().includes(text) || row.warehouse.toLowerCase().includes(text))
      && (state.filter === "all" || (state.filter === "suspended" ? urgency(row) >= 2 : row.status === "at_risk")));
  }

  function update(state) {
    tiles.update(state);
    channels.update(state);
    tape.update(state);
    ["all", "atRisk", "suspended"].forEach((filter, index) =>
      chips[index].setAttribute("aria-pressed", String(state.filter === filter)));
    const found = wanted(state).sort(worstFirst);
    const visible = found.slice(0, state.shown);
    const order = visible.map((row) => {
      const key = `${row.sku}@${row.warehouse}`;
      if (!rows.has(key)) rows.set(key, levelRow(row));
      rows.get(key).update(row, state);
      return rows.get(key).root;
    });
    if (order.length !== list.children.length || order.some((child, index) => list.children[index] !== child)) {
      list.replaceChildren(...order);
    }
    put(shown, t("shown", { shown: count(visible.length), total: count(found.length) }));
    show(more, found.length > visible.length);
    show(tools, state.levels.size > 0);
    show(columns, found.length > 0);
    const calm = !found.some((row) => urgency(row) > 0) && state.filter === "all" && !state.search;
    put(empty, !state.levels.size ? t("noStock") : !found.length
      ? (state.filter === "all" || state.search ? t("noMatch") : t("calm")) : calm ? t("calm") : "");
    classed(empty, calm && found.length ? "empty calm" : "empty");
    show(empty, Boolean(empty.textContent));
  }
  return { root, update };
}

// The names of the columns, once, where the rows have columns: a phone's rows name their own.
function heads() {
  const columns = ["unshipped", "exposure", "soldOut"].map((column) => node("span", {}, t(column)));
  return node("div", { class: "heads", "aria-hidden": "true" }, node("span", {}, "SKU"), node("span", {}, t("stock")), ...columns);
}

function levelRow(row) {
  const link = node("a", { class: "sku", href: `#/sku/${encodeURIComponent(row.sku)}` }, row.sku);
  const place = node("span", { class: "place" }, row.warehouse);
  const badge = node("span", { class: "badge" });
  const reasons = node("p", { class: "why" });
  const bar = stockBar();
  const ratio = ratioMeter();
  const weight = node("b");
  const forecast = node("b");
  const button = node("button", { type: "button", class: "small" });
  const root = node(
    "article", { class: "level", role: "listitem", "data-level": `${row.sku}@${row.warehouse}` },
    node("div", { class: "name" }, link, place, badge, reasons),
    bar.root, ratio.root,
    node("div", { class: "figure" }, node("span", {}, t("exposure")), weight),
    node("div", { class: "figure" }, node("span", {}, t("soldOut")), forecast),
    node("div", { class: "action" }, button),
  );
  button.onclick = () => act(actOn(row), row.sku);
  show(button, mayAct());
  return {
    root,
    update(fresh, state) {
      row = fresh;
      classed(root, `level u${urgency(row)}`);
      put(badge, badgeText(row));
      put(reasons, why(row, state.limits, now()));
      bar.update(row);
      ratio.update(row, state.limits);
      const share = shownOnStream(row);
      put(weight, share === null ? t("never") : percent(share));
      put(forecast, span(soldOutIn(row)));
      classed(forecast, isSoon(row) ? "soon" : "");
      put(button, t(actOn(row)));
      classed(button, urgency(row) >= 2 ? "small" : "small quiet");
    },
  };
}

function stockBar() {
  const parts = ["available", "held", "committed"].map((part) => node("i", { class: part }));
  const figures = ["available", "held", "committed"].map(() => node("b"));
  const words = node("div", { class: "words" });
  ["available", "held", "committed"].forEach((part, index) =>
    words.append(node("span", { class: part }, figures[index], ` ${t(part)}`)));
  const root = node("div", { class: "stock" }, node("div", { class: "bar" }, ...parts), words);
  return {
    root,
    update(row) {
      const values = [row.available, row.held, row.committed];
      const whole = Math.max(1, values[0] + values[1] + values[2], row.on_hand);
      values.forEach((value, index) => {
        style(parts[index], "width", `${((100 * value) / whole).toFixed(2)}%`);
        put(figures[index], count(value));
      });
    },
  };
}

function ratioMeter() {
  const fill = node("i");
  const figure = node("b");
  const tick = node("u");
  const root = node(
    "div", { class: "ratio" },
    node("span", {}, t("unshipped")), figure, node("div", { class: "meter" }, fill, tick),
  );
  return {
    root,
    update(row, limits) {
      const value = row.unshipped_ratio;
      const limit = limits.at_risk_above;
      put(figure, percent(value));
      root.title = t("limit", { limit: percent(limit) });
      style(tick, "left", `${(100 * limit).toFixed(1)}%`);
      // What is above 100 % fills it.
      style(fill, "width", `${(100 * Math.min(1, value ?? 1)).toFixed(1)}%`);
      classed(root, `ratio ${value === null || value > limit ? "above" : ""}`);
    },
  };
}
