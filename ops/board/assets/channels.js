// The page of the channels: orders that are not where their platform says, and what was not told.

import { mayAct, now, read } from "./board.js";
import { deadLetters, deadParcels } from "./dead.js";
import { arrange, classed, fault, node, put, show } from "./dom.js";
import { ago, count, moment } from "./format.js";
import { t } from "./text.js";
import { dismiss, explained, nameOf, retry, segments, stateOf, whyOf } from "./unfit.js";

const PAGE = 50; // orders
const PAUSE_MS = 2000; // between two looks: they change without an event of the store
const STATES = ["stuck", "waiting"];

// What is looked at stays so while one order is opened. `places`: behind which this page and those before begin.
const chosen = { channel: "", state: "", places: [] };

export function channels() {
  const unread = fault();
  const undone = fault(); // of what somebody did: it stays until somebody does something
  const orders = unfitOrders(undone.say, () => load());
  const letters = deadLetters(() => load());
  const parcels = deadParcels(() => load());
  const root = node(
    "div", { class: "detail" },
    node("a", { href: "#/", class: "back" }, `← ${t("back")}`),
    node("div", { class: "title" }, node("h1", {}, t("channelsLink"))),
    unread.root, undone.root, orders.root, letters.root, parcels.root,
  );
  let asking = false;
  let askedAt = 0;

  async function load() {
    asking = true;
    try {
      await orders.load();
      const { items } = await read("/v1/channels");
      await letters.load(items);
      await parcels.load(items);
      unread.say("");
    } catch (problem) {
      unread.say(explained(problem));
    } finally {
      asking = false;
      askedAt = Date.now();
    }
  }
  load();
  return {
    root,
    update() {},
    tick() {
      if (!asking && Date.now() - askedAt >= PAUSE_MS) load();
    },
  };
}

function unfitOrders(say, load) {
  const tools = node("div", { class: "tools" });
  const chips = new Map();
  const list = node("div", { class: "list", role: "list" });
  const rows = new Map();
  const empty = node("p", { class: "empty" });
  const columns = ["orderHead", "since", "nextTry"];
  const heads = node("div", { class: "heads unfit", "aria-hidden": "true" }, ...columns.map((column) => node("span", {}, t(column))));
  const shown = node("span", { class: "shown" });
  const turn = (turned) => { turned(); load(); };
  const back = node("button", { type: "button", class: "plain small", onclick: () => turn(() => chosen.places.pop()) }, t("previous"));
  const on = node("button", { type: "button", class: "plain small" }, t("next"));
  const pager = node("div", { class: "pager" }, back, shown, on);
  const root = node("section", { class: "orders" }, node("h2", {}, t("unfit")), tools, empty, heads, list, pager);

  function choose(what) {
    Object.assign(chosen, what, { places: [] });
    load();
  }

  // A chip for each channel that has any, and for each state, with how many.
  function offer(figures) {
    const many = (fits) => figures.filter(fits).reduce((sum, figure) => sum + figure.orders, 0);
    const names = [...new Set([...figures.map((figure) => figure.channel), chosen.channel])].filter(Boolean).sort();
    const wanted = [
      ...["", ...names].map((channel) => ({
        key: `channel ${channel}`, text: channel || t("all"), pressed: chosen.channel === channel, what: { channel },
        orders: many((figure) => !channel || figure.channel === channel),
      })),
      ...STATES.map((state) => ({
        key: `state ${state}`, text: t(`order ${state}`), pressed: chosen.state === state,
        what: { state: chosen.state === state ? "" : state },
        orders: many((figure) => figure.state === state && (!chosen.channel || figure.channel === chosen.channel)),
      })),
    ];
    arrange(tools, chips, wanted, (chip) => chip.key, chipFor);
    return many((figure) => (!chosen.channel || figure.channel === chosen.channel) && (!chosen.state || figure.state === chosen.state));
  }

  function chipFor() {
    const button = node("button", { type: "button", class: "chip" });
    return {
      root: button,
      update(chip) {
        put(button, `${chip.text} ${count(chip.orders)}`);
        button.setAttribute("aria-pressed", String(chip.pressed));
        button.onclick = () => choose(chip.what);
      },
    };
  }

  return {
    root,
    async load() {
      const path = pathOf(chosen);
      const found = await read(path);
      if (path !== pathOf(chosen)) return; // something else is asked for by now
      if (!found.items.length && chosen.places.length) { // they have come to their end meanwhile
        chosen.places.pop();
        await this.load();
        return;
      }
      const total = offer(found.figures);
      arrange(list, rows, found.items, (item) => `${item.channel}:${item.order_id}`, (item) => orderRow(item, say, load));
      put(empty, found.figures.length ? t("noSuchOrder") : t("calmOrders"));
      classed(empty, found.figures.length ? "empty" : "empty calm");
      show(empty, !found.items.length);
      show(tools, found.figures.length > 0);
      show(heads, found.items.length > 0);
      const first = PAGE * chosen.places.length;
      put(shown, t("shownOrders", { first: count(first + 1), last: count(first + found.items.length), total: count(total) }));
      show(pager, chosen.places.length > 0 || found.next !== null);
      back.disabled = !chosen.places.length;
      on.disabled = found.next === null;
      on.onclick = () => turn(() => { on.disabled = true; chosen.places.push(found.next); });
    },
  };
}

function pathOf({ channel, state, places }) {
  const asked = [`limit=${PAGE}`];
  if (channel) asked.push(`channel=${channel}`);
  if (state) asked.push(`state=${state}`);
  if (places.length) asked.push(`after=${encodeURIComponent(places.at(-1))}`);
  return `/v1/anomalies?${asked.join("&")}`;
}

function orderRow(item, say, load) {
  const badge = node("span", { class: "badge" });
  const why = node("p", { class: "why" });
  const since = node("b");
  const next = node("b");
  const tries = node("small");
  const again = node("button", { type: "button", class: "small" }, t("retry"));
  const away = node("button", { type: "button", class: "small quiet" }, t("dismiss"));
  again.onclick = async () => {
    again.disabled = true;
    say("");
    try {
      await retry(item);
      await load();
    } catch (problem) {
      say(explained(problem));
    } finally {
      again.disabled = false;
    }
  };
  away.onclick = () => dismiss(item, load);
  const root = node(
    "article", { role: "listitem", "data-order": `${item.channel}:${item.order_id}` },
    node("div", { class: "name" },
      node("a", { class: "sku", href: `#/channels/${segments(item)}` }, nameOf(item)), node("span", { class: "place" }, item.channel), badge, why),
    node("div", { class: "figure" }, node("span", {}, t("since")), since),
    node("div", { class: "figure" }, node("span", {}, t("nextTry")), next, tries),
    node("div", { class: "action" }, again, away),
  );
  return {
    root,
    update(fresh) {
      item = fresh;
      const stuck = item.state === "stuck";
      classed(root, `unfit u${stuck ? 3 : 1}`);
      put(badge, stateOf(item));
      put(why, whyOf(item));
      put(since, ago(item.since, now()));
      since.title = moment(item.since);
      put(next, stuck ? t("never") : moment(item.due));
      put(tries, item.attempts ? t("failedTries", { n: count(item.attempts) }) : "");
      show(again, mayAct() && Boolean(item.order_id));
      show(away, mayAct() && stuck);
    },
  };
}
