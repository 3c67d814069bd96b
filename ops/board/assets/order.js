// The page of one order that is not where its platform says it is: what it says, and what we hold.

import { mayAct, now, read, state as board } from "./board.js";
import { classed, fault, node, put, show } from "./dom.js";
import { ago, count, moment } from "./format.js";
import { t } from "./text.js";
import { dismiss, explained, nameOf, retry, segments, stateOf, whyOf } from "./unfit.js";

const PAUSE_MS = 2000; // between two looks: it changes without an event of the store

export function orderPage(channel, order) {
  const named = { channel, order_id: order };
  const badge = node("span", { class: "badge" });
  const again = node("button", { type: "button" }, t("retry"));
  const away = node("button", { type: "button", class: "plain" }, t("dismiss"));
  const why = node("p", { class: "why" });
  const todo = node("p", { class: "help" });
  const facts = node("p", { class: "help" });
  const said = node("p", { class: "help", role: "status" });
  const unread = fault();
  const undone = fault(); // of what somebody did: it stays until somebody does something
  const gone = node("p", { class: "empty", hidden: "" }, t("gone"));
  const lines = section("lines", "noLines", ["skuHead", "ordered", "toldState", "ours", "available"]);
  const ours = node("section", {}, node("h2", {}, t("ourReservation")), node("p"));
  const messages = section("messages", "noMessages", ["time", "topic", "times", "unknownWord", "messageId"]);
  const content = node(
    "div", { hidden: "" }, node("div", { class: "columns" }, lines.root, ours), messages.root,
  );
  const root = node(
    "div", { class: "detail" },
    node("a", { href: "#/channels", class: "back" }, `← ${t("channelsLink")}`),
    node("div", { class: "title" }, node("h1", {}, nameOf(named)), node("span", { class: "place" }, channel), badge, node("span", { class: "grow" }), again, away),
    unread.root, undone.root, gone, node("div", { class: "facts" }, why, todo, facts, said), content,
  );
  let item = null;
  let asking = false;
  let askedAt = 0;
  let shown = ""; // nothing is drawn anew that is as it was

  async function load() {
    asking = true;
    try {
      const found = await missing(read(`/v1/anomalies/${segments(named)}`));
      const reservation = order ? await missing(read(`/v1/reservations/${encodeURIComponent(`${channel}:${order}`)}`)) : null;
      unread.say("");
      draw(found, reservation);
    } catch (problem) {
      unread.say(explained(problem));
    } finally {
      asking = false;
      askedAt = Date.now();
    }
  }

  function draw(found, reservation) {
    item = found;
    show(gone, !item);
    show(content, Boolean(item));
    for (const each of [badge, why, todo, facts]) show(each, Boolean(item));
    show(again, mayAct() && Boolean(item) && Boolean(order));
    show(away, mayAct() && item?.state === "stuck");
    if (!item) {
      put(said, "");
      classed(root, "detail");
      return;
    }
    classed(root, `detail u${item.state === "stuck" ? 3 : 1}`);
    put(badge, stateOf(item));
    put(why, whyOf(item));
    put(todo, t(`todo ${item.kind}`));
    put(facts, factsOf(item));
    const whole = JSON.stringify([item.order, item.messages, reservation, availables(item)]);
    if (whole === shown) return;
    shown = whole;
    lines.fill(
      item.order ? t("linesAsOf", { at: moment(item.order.seen_at), word: item.order.word }) : "",
      (item.order?.lines ?? []).map((line) => lineRow(line, reservation)),
    );
    put(ours.lastChild, reservation ? reserved(reservation) : t("noReservation"));
    messages.fill("", item.messages.map(messageRow));
  }

  again.onclick = async () => {
    again.disabled = true;
    undone.say("");
    try {
      await retry(named);
      put(said, t("retried"));
      await load();
    } catch (problem) {
      undone.say(explained(problem));
    } finally {
      again.disabled = false;
    }
  };
  away.onclick = () => dismiss(named, load);
  load();
  return {
    root,
    update() {},
    tick() {
      if (!asking && Date.now() - askedAt >= PAUSE_MS) load();
    },
  };
}

// What is not there is an answer, too.
async function missing(asked) {
  try {
    return await asked;
  } catch (problem) {
    if (problem.status === 404) return null;
    throw problem;
  }
}

function section(title, none, columns) {
  const empty = node("p", { class: "empty" }, t(none));
  const about = node("p", { class: "help" });
  const rows = node("tbody");
  const head = node("tr", {}, ...columns.map((column) => node("th", {}, t(column))));
  const table = node("div", { class: "scroll" }, node("table", { class: title }, node("thead", {}, head), rows));
  return {
    root: node("section", {}, node("h2", {}, t(title)), empty, about, table),
    fill(text, found) {
      put(about, text);
      show(about, Boolean(text));
      rows.replaceChildren(...found);
      show(empty, !found.length);
      show(table, found.length > 0);
    },
  };
}

function factsOf(item) {
  const told = [`${t("since")} ${moment(item.since)} (${ago(item.since, now())})`];
  if (item.due) told.push(`${t("nextTry")} ${moment(item.due)}`);
  if (item.attempts) told.push(t("failedTries", { n: count(item.attempts) }));
  if (item.rejected_at) told.push(t("rejectedAt", { at: moment(item.rejected_at) }));
  return told.join(" · ");
}

function availables(item) {
  return (item.order?.lines ?? []).map((line) => available(line.sku));
}

function available(sku) {
  const levels = [...board.levels.values()].filter((row) => row.sku === sku);
  return levels.length ? levels.reduce((sum, row) => sum + row.available, 0) : null;
}

function lineRow(line, reservation) {
  const held = (reservation?.lines ?? []).filter((one) => one.sku === line.sku).reduce((sum, one) => sum + one.quantity, 0);
  const there = available(line.sku);
  const name = line.sku ? node("a", { href: `#/sku/${encodeURIComponent(line.sku)}` }, line.sku) : t("noCode");
  return node(
    "tr", { "data-line": line.line_id },
    node("th", { scope: "row" }, name), node("td", {}, count(line.quantity)),
    node("td", {}, [t(`line ${line.state}`), line.refund].filter(Boolean).join(" · ")),
    node("td", {}, count(held)), node("td", {}, there === null ? t("never") : count(there)),
  );
}

function reserved(reservation) {
  const told = [`${t(`reservation.${reservation.state}`)}: ${reservation.lines.map((line) => `${count(line.quantity)} × ${line.sku}`).join(", ")}`];
  const shipped = reservation.lines.reduce((sum, line) => sum + line.fulfilled, 0);
  if (shipped) told.push(t("shippedOf", { n: count(shipped) }));
  told.push(`${t("since")} ${moment(reservation.created_at)}`);
  return told.join(" · ");
}

function messageRow(message) {
  return node(
    "tr", {},
    node("th", { scope: "row" }, moment(message.at)), node("td", {}, message.topic), node("td", {}, count(message.times)),
    node("td", { class: "wide" }, message.unknown ?? ""), node("td", { class: "wide" }, message.message_id),
  );
}
