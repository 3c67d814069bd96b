// What the board draws. Nodes are made once and then only changed, so that a busy board stays quick.

import { alerts } from "./alerts.js";
import { act, changed, mayAct, read, signIn, state as board } from "./board.js";
import { classed, node, put, show, style } from "./dom.js";
import { ago, clock, count, milliseconds, percent, rate, span } from "./format.js";
import { currentLanguage, t } from "./text.js";

const LIMIT = 0.3; // the unshipped ratio above which a level is at risk
const RESTORED = 0.2; // below which it is healthy again, after a while
const RATE_SECONDS = 10; // over which rates are taken
const MORE = 200;
const MOST_LINES = 2; // of an order in the tape

const main = document.getElementById("main");
let page = null; // what is drawn: {key, update}

function now(state) {
  return Date.now() + state.clockOffset;
}

// ---- the frame ------------------------------------------------------------------------------

function frame(state) {
  document.documentElement.lang = currentLanguage() === "zh" ? "zh-CN" : "en";
  put(document.getElementById("language"), t("language"));
  const live = document.getElementById("live");
  classed(live, `live ${state.session ? state.connection : ""}`);
  put(live, state.session ? t(state.connection === "live" ? "live" : "connecting") : "");
  const letters = state.samples.at(-1)?.alerts_dead ?? 0;
  const told = document.getElementById("alerts");
  put(told, letters ? t("alertsDead", { n: count(letters) }) : t("alerts"));
  classed(told, letters ? "alerts bad" : "alerts");
  show(told, Boolean(state.session) && state.session.role !== "channel");
  const who = state.session ? `${state.session.name} · ${state.session.role}` : "";
  put(document.getElementById("who"), who);
  const out = document.getElementById("sign-out");
  put(out, t("signOut"));
  show(out, Boolean(state.session));
  const notice = document.getElementById("notice");
  put(notice, t("lost"));
  show(notice, Boolean(state.session) && state.connection === "lost");
}

export function draw(state) {
  frame(state);
  const hash = location.hash;
  const sku = hash.startsWith("#/sku/") ? decodeURIComponent(hash.slice(6)) : null;
  const key = `${currentLanguage()}|${mayAct()}|${hash}|${state.loaded}`;
  if (page?.key !== key) {
    page?.end?.();
    page = { key, ...(!state.loaded ? waiting() : hash === "#/alerts" ? alerts() : sku === null ? overview() : detail(sku)) };
    main.replaceChildren(page.root);
  }
  page.update(state);
}

export function tick(state) {
  if (page?.tick) page.tick(state);
  else if (page) draw(state);
}

function waiting() {
  return { root: node("p", { class: "empty" }, t("connecting")), update() {} };
}

export function drawSignIn(state) {
  frame(state);
  const key = `${currentLanguage()}|sign-in`;
  if (page?.key === key) return;
  page?.end?.();
  const input = node("input", {
    id: "key", type: "password", autocomplete: "current-password", required: "", spellcheck: "false",
  });
  const error = node("p", { class: "error", role: "alert" });
  const form = node(
    "form", { class: "sign-in" },
    node("h1", {}, t("signInTitle")),
    node("label", { for: "key" }, t("signInKey")), input, error,
    node("button", { type: "submit" }, t("signInGo")),
    node("p", { class: "help" }, t("signInHelp")),
  );
  form.onsubmit = async (event) => {
    event.preventDefault();
    put(error, "");
    try {
      await signIn(input.value.trim());
    } catch (problem) {
      put(error, problem.status === 401 ? t("signInWrong") : t("signInFailed", { why: problem.message }));
      input.select();
    }
  };
  page = { key, root: form, update() {} };
  main.replaceChildren(form);
  input.focus();
}

// ---- what needs attention -------------------------------------------------------------------

function isOpen(row) {
  return row.breaker?.state === "open";
}

function urgency(row) {
  if (isOpen(row)) return 3;
  if (row.breaker?.state === "half_open") return 2;
  return row.status === "at_risk" ? 1 : 0;
}

function ratioOf(row) {
  return row.unshipped_ratio ?? Number.MAX_VALUE;
}

function worstFirst(one, other) {
  return urgency(other) - urgency(one) || ratioOf(other) - ratioOf(one)
    || (one.sku < other.sku ? -1 : one.sku > other.sku ? 1 : one.warehouse < other.warehouse ? -1 : 1);
}

function why(row, at) {
  const breaker = row.breaker;
  const reasons = [];
  if (isOpen(row)) {
    const values = { ago: ago(breaker.since, at), reason: breaker.by ? breaker.reason : t(breaker.reason ?? ""), by: breaker.by };
    reasons.push(t(breaker.by ? "whyOpenBy" : "whyOpen", values));
    if (breaker.retry_at) reasons.push(t("whyRetry", { at: clock(breaker.retry_at) }));
  } else if (breaker?.state === "half_open") {
    reasons.push(t("whyHalf", { ago: ago(breaker.since, at) }));
  } else if (breaker?.failures) {
    reasons.push(t("whyFailures", { n: breaker.failures, threshold: breaker.threshold }));
  }
  if (row.status === "at_risk") {
    const above = row.unshipped_ratio === null || row.unshipped_ratio >= RESTORED;
    reasons.push(above ? t("whyRisk", { ratio: percent(row.unshipped_ratio) }) : t("whyDwell"));
  }
  const soon = isOpen(row) ? null : row.sold_out_in_seconds;
  if (soon !== null && soon > 0 && soon < 3600) reasons.push(t("whySoon", { time: span(soon) }));
  return reasons.join(" · ");
}

// ---- the overview ---------------------------------------------------------------------------

function overview() {
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
  const root = node(
    "div", { class: "overview" },
    tiles.root,
    node("section", { class: "skus" }, node("div", { class: "tools" }, search, ...chips, shown), empty, list, more),
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
    put(shown, t("shown", { shown: count(visible.length), total: count(state.levels.size) }));
    show(more, found.length > visible.length);
    const calm = !found.some((row) => urgency(row) > 0) && state.filter === "all" && !state.search;
    put(empty, !state.levels.size ? t("noStock") : !found.length
      ? (state.filter === "all" || state.search ? t("noMatch") : t("calm")) : calm ? t("calm") : "");
    show(empty, Boolean(empty.textContent));
  }
  return { root, update };
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
  button.onclick = () => act(isOpen(row) || row.breaker?.state === "half_open" ? "reopen" : "suspend", row.sku);
  show(button, mayAct());
  return {
    root,
    update(fresh, state) {
      row = fresh;
      classed(root, `level u${urgency(row)}`);
      put(badge, badgeText(row));
      put(reasons, why(row, now(state)));
      bar.update(row);
      ratio.update(row);
      put(weight, percent(row.exposure_weight));
      put(forecast, span(isOpen(row) ? null : row.sold_out_in_seconds));
      put(button, t(urgency(row) >= 2 ? "reopen" : "suspend"));
      classed(button, urgency(row) >= 2 ? "small" : "small quiet");
    },
  };
}

function badgeText(row) {
  if (isOpen(row)) return t("opened");
  if (row.breaker?.state === "half_open") return t("half_opened");
  return row.status === "at_risk" ? t("at_risk") : "";
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
  const root = node(
    "div", { class: "ratio", title: t("limit") },
    node("span", {}, t("unshipped")), figure, node("div", { class: "meter" }, fill, node("u")),
  );
  return {
    root,
    update(row) {
      const value = row.unshipped_ratio;
      put(figure, percent(value));
      // The limit stands at 30 of 100; what is above 100 % fills it.
      style(fill, "width", `${(100 * Math.min(1, value ?? 1)).toFixed(1)}%`);
      classed(root, `ratio ${value === null || value > LIMIT ? "above" : ""}`);
    },
  };
}

// ---- the strip of figures -------------------------------------------------------------------

function strip() {
  const made = ["attention", "rate", "refusals", "latency", "expiryLag", "prevented"].map((key) => {
    const value = node("b");
    const small = node("small");
    return { key, value, small, root: node("div", { class: `tile ${key}` }, node("span", {}, t(key)), value, small) };
  });
  const by = Object.fromEntries(made.map((tile) => [tile.key, tile]));
  return {
    root: node("section", { class: "strip" }, ...made.map((tile) => tile.root)),
    update(state) {
      const figures = state.samples.at(-1) ?? {};
      const levels = [...state.levels.values()];
      const suspended = new Set(levels.filter(isOpen).map((row) => row.sku)).size;
      const risky = levels.filter((row) => row.status === "at_risk").length;
      put(by.attention.value, count(suspended + risky));
      put(by.attention.small, `${t("suspendedCount", { n: suspended })} · ${t("riskCount", { n: risky })}`);
      classed(by.attention.root, `tile attention ${suspended ? "bad" : risky ? "warn" : ""}`);
      const recent = change(state.samples);
      put(by.rate.value, rate(recent.granted));
      put(by.rate.small, t("lately"));
      put(by.refusals.value, rate(recent.refused));
      put(by.refusals.small, recent.reasons.map(([slug, each]) => `${t(slug)} ${rate(each)}`).join(" · ") || t("none"));
      put(by.latency.value, `${milliseconds(recent.p50)} · ${milliseconds(recent.p99)}`);
      put(by.latency.small, t("lately"));
      put(by.expiryLag.value, milliseconds(figures.expiry_lag_seconds ?? 0));
      put(by.expiryLag.small, "");
      put(by.prevented.value, figures.today ? count(figures.today.oversell_prevented ?? 0) : "—");
      put(by.prevented.small, t("units"));
    },
  };
}

function change(samples) {
  const last = samples.at(-1);
  const first = samples.find((sample) => last.at - sample.at <= RATE_SECONDS) ?? last;
  if (!last || last.at === first.at) return { granted: 0, refused: 0, reasons: [], p50: null, p99: null };
  const seconds = last.at - first.at;
  const reasons = Object.entries(last.refused)
    .map(([slug, value]) => [slug, (value - (first.refused[slug] ?? 0)) / seconds])
    .filter(([, each]) => each > 0)
    .sort((one, other) => other[1] - one[1]);
  return {
    granted: (last.granted - first.granted) / seconds,
    refused: reasons.reduce((sum, [, each]) => sum + each, 0),
    reasons: reasons.slice(0, 2),
    p50: quantile(first, last, 0.5),
    p99: quantile(first, last, 0.99),
  };
}

// Read a quantile of what was added to a histogram, within its bucket by proportion.
function quantile(first, last, share) {
  const before = new Map(first.reserve_seconds);
  const added = last.reserve_seconds.map(([bound, value]) => [Number(bound.replace("+Inf", "Infinity")), value - (before.get(bound) ?? 0)]);
  const total = added.at(-1)?.[1] ?? 0;
  if (!total) return null;
  let lower = 0;
  let below = 0;
  for (const [bound, value] of added) {
    if (value >= share * total) {
      return Number.isFinite(bound) ? lower + ((bound - lower) * (share * total - below)) / Math.max(1, value - below) : lower;
    }
    lower = bound;
    below = value;
  }
  return lower;
}

// ---- channels and the tape ------------------------------------------------------------------

function channelShare() {
  const list = node("div", { class: "channels" });
  const empty = node("p", { class: "empty" }, t("noChannels"));
  return {
    root: node("section", {}, node("h2", {}, t("channels")), empty, list),
    update(state) {
      const today = state.samples.at(-1)?.today ?? {};
      const units = Object.entries(today)
        .filter(([name]) => name.startsWith("units:"))
        .map(([name, value]) => [name.slice(6), value])
        .sort((one, other) => other[1] - one[1]);
      const whole = units.reduce((sum, [, value]) => sum + value, 0);
      show(empty, !whole);
      while (list.children.length > units.length) list.lastChild.remove();
      while (list.children.length < units.length) {
        list.append(node(
          "div", { class: "channel" },
          node("span"), node("b"), node("div", { class: "meter" }, node("i")), node("small"),
        ));
      }
      units.forEach(([channel, value], index) => {
        const [label, share, meter, orders] = list.children[index].children;
        put(label, channel);
        put(share, percent(value / whole));
        style(meter.firstChild, "width", `${((100 * value) / whole).toFixed(1)}%`);
        put(orders, `${count(value)} ${t("units")} · ${t("orders", { n: count(today[`orders:${channel}`] ?? 0) })}`);
      });
    },
  };
}

function eventTape() {
  const list = node("ol", { class: "tape" });
  const empty = node("p", { class: "empty" }, t("quiet"));
  let newest = null;
  return {
    root: node("section", {}, node("h2", {}, t("tape")), empty, list),
    update(state) {
      show(empty, !state.tape.length);
      if (state.tape[0]?.id === newest) return;
      newest = state.tape[0]?.id ?? null;
      list.replaceChildren(...state.tape.slice(0, 30).map(tapeLine));
    },
  };
}

function tapeLine(event) {
  const kind = event.type.replace("io.holdfast.", "");
  const data = event.data;
  const lines = (data.lines ?? []).map((line) => `${line.quantity ?? line.requested} × ${line.sku ?? data.sku}`);
  if (lines.length > MOST_LINES) lines.splice(MOST_LINES, Infinity, `+ ${lines.length - MOST_LINES}`);
  const told = kind.startsWith("reservation.") ? `${event.subject} ${lines.join(", ")}`
    : kind === "lock.failed" ? `${data.reservation_id} ${lines.join(", ")}`
      : kind === "stock.changed" ? `${event.subject} → ${data.on_hand}`
        : kind === "health.changed" ? `${event.subject} ${t(data.status)} ${percent(data.unshipped_ratio)}`
          : `${event.subject} ${data.reason ?? ""}`;
  return node(
    "li", { class: kind.replace(/[._]/g, "-") },
    node("time", {}, clock(event.time)), node("b", {}, t(kind)), node("span", {}, told),
  );
}

// ---- one SKU --------------------------------------------------------------------------------

const RANGES = [15, 60, 360, 1440];

function detail(sku) {
  let minutes = 60;
  let chart = null;
  let asked = 0;
  const badge = node("span", { class: "badge" });
  const reasons = node("p", { class: "why" });
  const button = node("button", { type: "button" });
  const body = node("tbody");
  const canvas = node("div", { class: "chart" });
  const nothing = node("p", { class: "empty" });
  const marks = node("ol", { class: "tape" });
  const ranges = RANGES.map((range) => node(
    "button", { type: "button", class: "chip", onclick: () => { minutes = range; load(); } }, span(range * 60),
  ));
  const missing = node("p", { class: "empty" }, t("unknownSku", { sku }));
  const content = node(
    "div", {},
    node("section", {}, node("h2", {}, t("timeline")), node("div", { class: "tools" }, ...ranges), nothing, canvas),
    node("div", { class: "columns" },
      node("section", {}, node("h2", {}, t("warehouses")), node("div", { class: "scroll" }, node("table", {}, header(), body))),
      node("section", {}, node("h2", {}, t("marks")), marks)),
  );
  const root = node(
    "div", { class: "detail" },
    node("a", { href: "#/", class: "back" }, `← ${t("back")}`),
    node("div", { class: "title" }, node("h1", {}, sku), badge, node("span", { class: "grow" }), button),
    reasons, missing, content,
  );
  show(button, mayAct());
  let levels = [];
  button.onclick = () => act(levels.some((row) => urgency(row) >= 2) ? "reopen" : "suspend", sku);

  async function load() {
    const mine = ++asked;
    ranges.forEach((chip, index) => chip.setAttribute("aria-pressed", String(RANGES[index] === minutes)));
    try {
      const drawn = await read(`/v1/board/skus/${encodeURIComponent(sku)}/timeline?minutes=${minutes}`);
      if (mine === asked) show_(drawn);
    } catch (problem) {
      if (mine === asked) {
        put(nothing, problem.message);
        show(nothing, true);
      }
    }
  }

  function show_(drawn) {
    put(nothing, t("noHistory"));
    show(nothing, !drawn.points.length);
    show(canvas, Boolean(drawn.points.length));
    if (drawn.points.length) {
      const data = [0, 4, 2, 3].map((column) => drawn.points.map((point) => (column ? point[column] : point[0] / 1000)));
      const last = data[0].at(-1);
      if (chart === null) chart = timeline(canvas, data);
      else chart.setData(data, false);
      chart.setScale("x", { min: last - minutes * 60, max: last });
    }
    marks.replaceChildren(...drawn.marks.slice(-30).reverse().map((mark) => node(
      "li", { class: mark.what }, node("time", {}, clock(mark.at)), node("b", {}, t(mark.what)), node("span", {}, detailOf(mark)),
    )));
  }

  const again = new ResizeObserver(() => chart?.setSize({ width: canvas.clientWidth, height: 280 }));
  again.observe(canvas);
  const timer = setInterval(load, 5000);
  load();
  return {
    root,
    end() {
      clearInterval(timer);
      again.disconnect();
      chart?.destroy();
    },
    update(state) {
      levels = [...state.levels.values()].filter((row) => row.sku === sku)
        .sort((one, other) => (one.warehouse < other.warehouse ? -1 : 1));
      show(missing, !levels.length);
      show(content, Boolean(levels.length));
      const worst = [...levels].sort(worstFirst)[0];
      put(badge, worst ? badgeText(worst) : "");
      classed(root, `detail u${worst ? urgency(worst) : 0}`);
      put(reasons, worst ? why(worst, now(state)) : "");
      put(button, t(worst && urgency(worst) >= 2 ? "reopen" : "suspend"));
      show(button, mayAct() && Boolean(worst));
      classed(button, worst && urgency(worst) >= 2 ? "" : "danger");
      body.replaceChildren(...levels.map((row) => node(
        "tr", {},
        node("th", { scope: "row" }, row.warehouse),
        ...[row.on_hand, row.safety_stock, row.held, row.committed, row.available].map((value) => node("td", {}, count(value))),
        node("td", {}, percent(row.unshipped_ratio)), node("td", {}, percent(row.exposure_weight)),
        node("td", {}, span(isOpen(row) ? null : row.sold_out_in_seconds)),
      )));
    },
  };
}

function header() {
  const columns = ["onHand", "safety", "held", "committed", "available", "unshipped", "exposure", "soldOut"];
  return node("thead", {}, node("tr", {}, node("th", {}, t("warehouse")), ...columns.map((column) => node("th", {}, t(column)))));
}

function detailOf(mark) {
  const words = mark.detail.split(" ");
  if (mark.what === "failed") return mark.detail;
  if (mark.what === "health") return `${t(words[0])} ${percent(words[1] === "inf" ? null : Number(words[1]))}`;
  return words.slice(2).join(" ");
}

function timeAxis(axis) {
  const told = (seconds) => new Date(1000 * seconds).toLocaleTimeString(
    currentLanguage() === "zh" ? "zh-CN" : "en-GB", { hour: "2-digit", minute: "2-digit", hour12: false },
  );
  return { ...axis, space: 90, values: (_, splits) => splits.map(told) };
}

function timeline(canvas, data) {
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const axis = { stroke: colour("--soft"), grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false } };
  const series = (label, name) => ({
    label, stroke: colour(name), fill: `${colour(name)}22`, width: 2, points: { show: false },
    paths: window.uPlot.paths.stepped({ align: 1 }),
  });
  return new window.uPlot({
    width: canvas.clientWidth || 600,
    height: 280,
    legend: { live: true },
    scales: { y: { range: (_, least, most) => [Math.min(0, least), Math.max(1, most * 1.05)] } },
    axes: [timeAxis(axis), { ...axis, size: 60 }],
    series: [
      { label: t("time"), value: (_, seconds) => (seconds === null ? "" : clock(1000 * seconds)) },
      series(t("available"), "--available"), series(t("held"), "--held"), series(t("committed"), "--committed"),
    ],
  }, data, canvas);
}
