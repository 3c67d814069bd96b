// The page of the warehouses: what waits for each and for how long, what will be late, what is amiss.

import { amissOrders } from "./amiss.js";
import { read } from "./board.js";
import { arrange, fault, node, put, show } from "./dom.js";
import { explained, orderSearch } from "./follow.js";
import { house } from "./house.js";
import { leftToPeople } from "./left.js";
import { t } from "./text.js";

const PAUSE_MS = 5000; // between two looks: it is foreseen anew as rarely

export function warehouses() {
  const unread = fault();
  const undone = fault(); // of what somebody did: it stays until somebody does something
  const list = node("div", { class: "houses" });
  const rows = new Map();
  const none = node("p", { class: "empty", hidden: "" }, t("noHouses"));
  const amiss = amissOrders(undone.say, () => load());
  const left = leftToPeople(undone.say, () => load());
  const root = node(
    "div", { class: "detail" },
    node("a", { href: "#/", class: "back" }, `← ${t("back")}`),
    node("div", { class: "title" }, node("h1", {}, t("housesLink")), node("span", { class: "grow" }), orderSearch()),
    unread.root, undone.root, none, list, amiss.root, left.root,
  );
  let asking = false;
  let askedAt = 0;

  async function load() {
    asking = true;
    try {
      const told = await read("/v1/warehouses");
      for (const item of told.items) {
        item.as_of = told.as_of;
        item.foreseen = item.forecast ? await read(`/v1/warehouses/${item.warehouse}/forecast`) : null;
      }
      arrange(list, rows, told.items, (item) => item.warehouse, house);
      show(none, !told.items.length);
      await Promise.all([amiss.load(), left.load()]);
      for (const one of [amiss, left]) show(one.root, told.items.length > 0);
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
    end() {
      for (const row of rows.values()) row.end();
    },
    tick() {
      if (!asking && Date.now() - askedAt >= PAUSE_MS) load();
    },
  };
}
