// What channels have not been told and are not told by themselves any more: dead letters.

import { mayAct, read, send } from "./board.js";
import { ask } from "./dialog.js";
import { arrange, node, put, show } from "./dom.js";
import { count, moment, percent } from "./format.js";
import { t } from "./text.js";

const FIRST = 20; // letters of a channel that are shown
const MOST = 1000; // more at once than anyone reads

export function deadLetters(load) {
  const empty = node("p", { class: "empty" });
  const list = node("div");
  const blocks = new Map();
  return {
    root: node("section", { class: "dead" }, node("h2", {}, t("deadTitle")), empty, list),
    async load() {
      const { items } = await read("/v1/channels");
      const dead = items.filter((item) => item.dead);
      for (const item of dead) {
        const limit = blocks.get(item.channel)?.limit() ?? FIRST;
        item.page = await read(`/v1/channels/${item.channel}/dead-letters?limit=${limit}`);
      }
      arrange(list, blocks, dead, (item) => item.channel, (item) => block(item.channel, load));
      put(empty, t(items.length ? "noDead" : "noneNamed"));
      show(empty, !dead.length);
    },
  };
}

function block(channel, load) {
  let limit = FIRST;
  let dead = 0;
  const rows = node("tbody");
  const kept = new Map();
  const columns = ["skuHead", "told", "toldWhy", "toldSince", "tries"];
  const title = node("b");
  const again = node("button", { type: "button", class: "small" }, t("resendAll"));
  const more = node("button", { type: "button", class: "plain more" }, t("more"));
  more.onclick = () => {
    limit = Math.min(MOST, limit * 5);
    load();
  };
  again.onclick = () => ask({
    title: t("resendTitle", { channel, n: count(dead) }), meaning: t("resendMeaning"), go: t("resendAll"), reason: false,
    work: async () => {
      await send(`/v1/channels/${channel}/dead-letters/resend`);
      await load();
    },
  });
  const root = node(
    "div", { class: "letters-of", "data-channel": channel },
    node("div", { class: "title" }, title, node("span", { class: "grow" }), again),
    node("div", { class: "scroll" }, node("table", { class: "dead" },
      node("thead", {}, node("tr", {}, ...columns.map((column) => node("th", {}, t(column))))), rows)),
    more,
  );
  return {
    root,
    limit: () => limit,
    update(item) {
      dead = item.dead;
      put(title, t("deadOf", { channel, n: count(dead) }));
      show(again, mayAct());
      arrange(rows, kept, item.page.items, (letter) => `${letter.kind} ${letter.sku}`, letterRow);
      show(more, item.page.next !== null && limit < MOST);
    },
  };
}

function letterRow(letter) {
  const [what, why, since, tries] = [0, 1, 2, 3].map(() => node("td"));
  why.className = "wide";
  return {
    root: node("tr", {}, node("th", { scope: "row" }, node("a", { href: `#/sku/${encodeURIComponent(letter.sku)}` }, letter.sku)), what, why, since, tries),
    update(fresh) {
      put(what, fresh.kind === "stock" ? `${count(fresh.units)} ${t("units")}` : `${t("toldConsole")} ${percent(fresh.weight)}`);
      put(since, moment(fresh.since));
      put(tries, count(fresh.attempts));
      put(why, fresh.reason ?? "");
    },
  };
}
