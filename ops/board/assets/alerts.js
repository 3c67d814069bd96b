// The page of the alerts: who is told of what happens, and what nobody took.

import { mayAct, read, send } from "./board.js";
import { classed, node, put, show } from "./dom.js";
import { clock, count } from "./format.js";
import { t } from "./text.js";
import { nameOf, segments } from "./unfit.js";

const MOST_NAMED = 5; // SKUs and orders of a message
const MOST_LETTERS = 1000; // more at once than anyone reads

export function alerts() {
  const receivers = node("tbody");
  const letters = node("ol", { class: "letters" });
  const nobody = node("p", { class: "empty" }, t("noReceivers"));
  const none = node("p", { class: "empty" }, t("noLetters"));
  const error = node("p", { class: "error", role: "alert", hidden: "" });
  const table = node("div", { class: "scroll" }, node("table", { class: "receivers" }, header(), receivers));
  const root = node(
    "div", { class: "detail" },
    node("a", { href: "#/", class: "back" }, `← ${t("back")}`),
    node("div", { class: "title" }, node("h1", {}, t("alerts"))),
    error,
    node("section", {}, node("h2", {}, t("receivers")), nobody, table),
    node("section", {}, node("h2", {}, t("letters")), none, letters),
  );
  let asking = false;
  let shown = ""; // nothing is drawn anew that is as it was: someone may be about to click it

  async function load() {
    if (asking) return;
    asking = true;
    try {
      const told = await read(`/v1/alerts?state=dead&limit=${MOST_LETTERS}`);
      say(error, "");
      if (JSON.stringify(told) === shown) return;
      shown = JSON.stringify(told);
      receivers.replaceChildren(...told.receivers.map(receiverRow));
      show(nobody, !told.receivers.length);
      show(table, Boolean(told.receivers.length));
      letters.replaceChildren(...told.items.map((item) => letterRow(item, load, error)));
      show(none, !told.items.length);
    } catch (problem) {
      say(error, problem.message);
    } finally {
      asking = false;
    }
  }
  load();
  return { root, update() {}, tick: load };
}

function say(error, text) {
  put(error, text);
  show(error, Boolean(text));
}

function header() {
  const columns = ["receiver", "kind", "waiting", "since", "dead", "lastRefusal"];
  return node("thead", {}, node("tr", {}, ...columns.map((column) => node("th", {}, t(column)))));
}

function receiverRow(receiver) {
  const row = node(
    "tr", { "data-receiver": receiver.name },
    node("td", {}, receiver.name), node("td", {}, t(receiver.kind ?? "notConfigured")),
    node("td", {}, count(receiver.waiting)),
    node("td", {}, receiver.since ? clock(receiver.since) : t("never")),
    node("td", {}, count(receiver.dead)), node("td", { class: "wide" }, receiver.reason ?? t("never")),
  );
  classed(row, receiver.dead ? "bad" : "");
  return row;
}

function pageOf(alert) {
  if (alert.type.startsWith("warehouse.")) return alert.channel === null ? "#/warehouses" : `#/order/${encodeURIComponent(`${alert.channel}:${alert.order_id}`)}`;
  return alert.sku === null ? `#/channels/${segments(alert)}` : `#/sku/${encodeURIComponent(alert.sku)}`;
}

function nameIn(alert) {
  return alert.sku ?? (alert.channel === null ? alert.warehouse : `${alert.channel}:${nameOf(alert)}`);
}

function letterRow(letter, load, error) {
  const pages = new Map(letter.first.map((alert) => [pageOf(alert), nameIn(alert)]));
  const more = pages.size > MOST_NAMED || letter.alerts > letter.first.length;
  const named = [...pages].slice(0, MOST_NAMED).flatMap(([href, name], index) => [index ? ", " : "", node("a", { href }, name)]);
  const button = node("button", { type: "button", class: "small" }, t("resend"));
  button.onclick = async () => {
    button.disabled = true;
    try {
      await send(`/v1/alerts/${letter.id}/resend`);
      await load();
    } catch (problem) {
      say(error, problem.message);
      button.disabled = false;
    }
  };
  show(button, mayAct());
  return node(
    "li", { "data-letter": letter.id },
    node("div", {},
      node("b", {}, letter.receiver), " · ", t("letterMade", { at: clock(letter.made_at), n: count(letter.attempts) }),
      node("p", {}, `${t(letter.alerts === 1 ? "letterAlert" : "letterAlerts", { n: count(letter.alerts) })} `, ...named, more ? " …" : ""),
      node("p", { class: "why" }, letter.reason ?? "")),
    button,
  );
}
