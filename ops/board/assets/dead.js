// What channels have not been told and a person has to see to: what they may sell, and parcels.

import { mayAct, send, read } from "./board.js";
import { ask } from "./dialog.js";
import { arrange, classed, node, put, show } from "./dom.js";
import { count, moment, percent } from "./format.js";
import { t } from "./text.js";

const FIRST = 20; // letters of a channel that are shown
const MOST = 1000; // more at once than anyone reads

// The channels are those of `/v1/channels`.
export function deadLetters(load) {
  return dead({
    name: "dead-letters", title: "deadTitle", none: "noDead", columns: ["skuHead", "told", "toldWhy", "toldSince", "tries"],
    path: (channel) => `/v1/channels/${channel}/dead-letters`, asked: "?",
    many: (item) => item.dead, alarm: (item) => item.not_closed,
    keyOf: (letter) => `${letter.kind} ${letter.sku}`, row: letterRow, load,
  });
}

export function deadParcels(load) {
  return dead({
    name: "dead-parcels", title: "parcelsTitle", none: "noParcels", columns: ["orderHead", "parcel", "toldWhy", "toldSince", "tries", "act"],
    path: (channel) => `/v1/channels/${channel}/parcels`, asked: "?state=dead&",
    many: (item) => item.parcels_dead, alarm: () => 0,
    keyOf: (parcel) => `${parcel.order_id} ${parcel.fulfilment_id}`, row: (parcel) => parcelRow(parcel, load), load,
  });
}

function dead(what) {
  const empty = node("p", { class: "empty" });
  const list = node("div");
  const blocks = new Map();
  return {
    root: node("section", { class: `dead ${what.name}` }, node("h2", {}, t(what.title)), empty, list),
    async load(channels) {
      const some = channels.filter(what.many).map((item) => ({ ...item }));
      for (const item of some) {
        const limit = blocks.get(item.channel)?.limit() ?? FIRST;
        item.page = await read(`${what.path(item.channel)}${what.asked}limit=${limit}`);
      }
      arrange(list, blocks, some, (item) => item.channel, (item) => block(item.channel, what));
      put(empty, t(channels.length ? what.none : "noneNamed"));
      show(empty, !some.length);
    },
  };
}

function block(channel, what) {
  let limit = FIRST;
  let many = 0;
  const rows = node("tbody");
  const kept = new Map();
  const title = node("b");
  const alarm = node("span", { class: "badge" });
  const again = node("button", { type: "button", class: "small" }, t("resendAll"));
  const more = node("button", { type: "button", class: "plain more" }, t("more"));
  more.onclick = () => {
    limit = Math.min(MOST, limit * 5);
    what.load();
  };
  again.onclick = () => ask({
    title: t("resendTitle", { channel, n: count(many) }), meaning: t("resendMeaning"), go: t("resendAll"), reason: false,
    work: async () => {
      await send(`${what.path(channel)}/resend`);
      await what.load();
    },
  });
  const root = node(
    "div", { "data-channel": channel },
    node("div", { class: "title" }, title, alarm, node("span", { class: "grow" }), again),
    node("div", { class: "scroll" }, node("table", { class: "dead" },
      node("thead", {}, node("tr", {}, ...what.columns.map((column) => node("th", {}, t(column))))), rows)),
    more,
  );
  return {
    root,
    limit: () => limit,
    update(item) {
      many = what.many(item);
      const open = what.alarm(item);
      classed(root, open ? "letters-of u3" : "letters-of");
      put(title, t("deadOf", { channel, n: count(many) }));
      put(alarm, t("notClosedCount", { n: count(open) }));
      show(alarm, open > 0);
      show(again, mayAct());
      arrange(rows, kept, item.page.items, what.keyOf, what.row);
      show(more, item.page.next !== null && limit < MOST);
    },
  };
}

function cells(number) {
  return Array.from({ length: number }, () => node("td"));
}

function letterRow(letter) {
  const [what, why, since, tries] = cells(4);
  why.className = "wide";
  const root = node("tr", {}, node("th", { scope: "row" }, node("a", { href: `#/sku/${encodeURIComponent(letter.sku)}` }, letter.sku)), what, why, since, tries);
  return {
    root,
    update(fresh) {
      classed(root, fresh.kind === "stock" && fresh.closed !== null ? "alarm" : "");
      put(what, fresh.kind === "stock" ? toldOf(fresh) : `${t("toldConsole")} ${percent(fresh.weight)}`);
      put(since, moment(fresh.since));
      put(tries, count(fresh.attempts));
      put(why, fresh.reason ?? "");
    },
  };
}

function toldOf(letter) {
  return letter.closed === null ? `${count(letter.units)} ${t("units")}` : t(`unclosed ${letter.closed}`);
}

function parcelRow(parcel, load) {
  const [sent, why, since, tries, acts] = cells(5);
  why.className = "wide";
  const away = node("button", { type: "button", class: "small quiet" }, t("dismiss"));
  acts.append(away);
  away.onclick = () => ask({
    title: t("dismissTitle", { order: parcel.order_id }), meaning: t("dismissParcels"), go: t("dismiss"), reason: false,
    work: async () => {
      await send(`/v1/channels/${parcel.channel}/orders/${encodeURIComponent(parcel.order_id)}/parcels/dismiss`);
      await load();
    },
  });
  return {
    root: node("tr", { "data-parcel": parcel.fulfilment_id }, node("th", { scope: "row" }, parcel.order_id), sent, why, since, tries, acts),
    update(fresh) {
      put(sent, `${fresh.company} ${fresh.tracking_number}`);
      put(since, moment(fresh.since));
      put(tries, count(fresh.attempts));
      put(why, fresh.reason ?? "");
      show(away, mayAct());
    },
  };
}
