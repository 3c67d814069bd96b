// One warehouse: how it is fed, what waits by lane and for how long, and what becomes of it.

import { classed, node, put, show, style } from "./dom.js";
import { ago, count, percent, shortTime, span } from "./format.js";
import { forecast } from "./forecast.js";
import { t } from "./text.js";

const LANES = ["rush", "sample", "normal"];
const LATE_SECONDS = 28800; // where nothing is foreseen that says it
const STATES = ["undetailed", "pending", "sent", "accepted", "shipped", "rejected", "cancelled"];

export function house(first) {
  const name = first.warehouse;
  const badge = node("span", { class: "badge" });
  const why = node("p", { class: "why" });
  const tiles = ["houseWaiting", "houseUsed", "housePace", "houseBreaker"].map(tile);
  const lanes = LANES.map(lane);
  const states = node("p", { class: "help states" });
  const compared = node("p", { class: "help compared" });
  const ahead = forecast(name);
  const root = node(
    "section", { class: "house", "data-warehouse": name },
    node("div", { class: "title" }, node("h2", { class: "house-name" }, name), badge), why,
    node("div", { class: "tiles" }, ...tiles.map((one) => one.root)),
    node("div", { class: "lanes" }, ...lanes.map((one) => one.root)), states, compared, ahead.root,
  );
  return {
    root,
    end: ahead.end,
    update(item) {
      const state = stateOf(item);
      classed(root, `house u${state.urgency}`);
      put(badge, state.badge);
      put(why, sentence(item));
      const [waiting, used, pace, breaker] = tiles;
      const late = item.foreseen?.late_after_seconds ?? LATE_SECONDS;
      const age = item.oldest_age_seconds;
      waiting.update(count(item.waiting), age === null ? "" : t("oldestWaits", { time: hours(age) }), age > late ? "bad" : "");
      used.update(
        item.capacity_used === null ? t("never") : percent(item.capacity_used),
        item.orders_per_hour === null ? t("notConfigured") : t("ofCapacity", { n: count(item.orders_per_hour) }),
      );
      pace.update(item.pace === null ? t("never") : percent(item.pace), item.paused_until ? t("pausedUntil", { at: shortTime(item.paused_until, item.as_of) }) : "", item.pace !== null && item.pace < 0.5 ? "warn" : "");
      const open = item.breaker?.state ?? "closed";
      breaker.update(
        item.breaker ? t(`calls ${open}`) : t("never"),
        item.breaker?.retry_at ? t("whyRetry", { at: shortTime(item.breaker.retry_at, item.as_of) }) : "",
        { open: "bad", half_open: "warn", closed: item.breaker ? "good" : "" }[open],
      );
      lanes.forEach((one) => one.update(item, late));
      put(states, STATES.map((each) => [each, sum(item, (row) => row.state === each)])
        .filter(([, orders]) => orders).map(([each, orders]) => `${t(`delivery ${each}`)} ${count(orders)}`).join(" · "));
      put(compared, comparison(item));
      ahead.update(item.foreseen);
    },
  };
}

function tile(name) {
  const figure = node("b");
  const small = node("small");
  const root = node("div", { class: "tile" }, node("span", {}, t(name)), figure, small);
  return {
    root,
    update(text, more, tone = "") {
      put(figure, text);
      put(small, more);
      small.title = more;
      classed(root, `tile ${tone}`);
    },
  };
}

// What waits in a lane, and how old its oldest is against the time that is too long.
function lane(name) {
  const figure = node("b");
  const age = node("span", { class: "age" });
  const fill = node("i");
  const root = node(
    "div", { class: "lane", "data-lane": name },
    node("span", { class: "lane-name" }, t(`lane ${name}`)), figure, node("div", { class: "meter" }, fill), age,
  );
  return {
    root,
    update(item, late) {
      const waits = item.counts.filter((row) => row.lane === name && row.state === "pending");
      const orders = waits.reduce((all, row) => all + row.orders, 0);
      const seconds = orders ? Math.max(0, (Date.parse(item.as_of) - Date.parse(waits[0].oldest_at)) / 1000) : 0;
      put(figure, count(orders));
      put(age, orders ? t("ageOf", { time: hours(seconds), limit: hours(late) }) : t("none"));
      style(fill, "width", `${Math.min(100, (100 * seconds) / late).toFixed(1)}%`);
      classed(root, `lane ${seconds > late ? "late" : seconds > late / 2 ? "soon" : ""}`);
    },
  };
}

function sum(item, fits) {
  return item.counts.filter(fits).reduce((all, row) => all + row.orders, 0);
}

// Say how far its stock is compared with ours.
function comparison({ comparison: told, drifts, as_of: at }) {
  if (!told) return t(drifts === null ? "comparisonUnread" : "notCompared");
  const figures = { checked: count(told.checked), skus: count(told.skus), n: count(told.suspected) };
  const said = [t(told.under_way ? "comparedNow" : "comparedLast", figures)];
  said.push(told.ended_at ? t("passEnded", { ago: ago(told.ended_at, Date.parse(at)) }) : t("noPass"));
  if (told.suspected) said.push(t("suspectedNow", figures));
  return said.join(" · ");
}

function stateOf(item) {
  if (!item.configured) return { urgency: 1, badge: t("notConfigured") };
  if (item.breaker?.state === "open") return { urgency: 3, badge: t("calls open") };
  if (item.forecast?.stuck) return { urgency: 3, badge: t("houseLate", { n: count(item.forecast.stuck) }) };
  if (item.forecast?.first_breach_at) return { urgency: 2, badge: t("houseLateAhead") };
  return { urgency: 0, badge: "" };
}

// Say in a sentence what will be late, and what would avert it.
function sentence({ forecast: told, orders_per_hour: rate, as_of: at }) {
  if (!told) return t("nothingForeseen");
  const said = told.stuck ? [t("stuckNow", { n: count(told.stuck) })] : [];
  if (told.first_breach_at) {
    const left = span(Math.max(1, (Date.parse(told.first_breach_at) - Date.parse(at)) / 1000));
    said.push(t(told.stuck ? "nextBreach" : "firstBreach", {
      at: shortTime(told.first_breach_at, at), left, needed: count(told.needed_per_hour), rate: count(rate),
    }));
  } else {
    said.push(t(told.stuck ? "nobodyElse" : "nobodyLate"));
  }
  return said.join(" ");
}

// Ages are compared with hours: 7 h 40 min, not 8 h.
function hours(seconds) {
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return t("minutes", { m: minutes });
  const rest = minutes % 60;
  return rest ? t("hoursMinutes", { h: Math.floor(minutes / 60), m: rest }) : t("hours", { h: minutes / 60 });
}
