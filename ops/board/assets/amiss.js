// Orders at warehouses that a person has to look into, and what people do about them.

import { mayAct, now, read, send } from "./board.js";
import { ask } from "./dialog.js";
import { arrange, classed, node, put, show } from "./dom.js";
import { explained } from "./follow.js";
import { ago, moment } from "./format.js";
import { t } from "./text.js";

const FIRST = 20; // that are shown
const MOST = 1000; // more at once than anyone reads
const ENDED = ["shipped", "cancelled"];

export function amissOrders(say, load) {
  const list = node("div", { class: "list", role: "list" });
  const rows = new Map();
  const empty = node("p", { class: "empty calm" }, t("calmHouses"));
  const more = node("button", { type: "button", class: "plain more" }, t("more"));
  let limit = FIRST;
  more.onclick = () => {
    limit = Math.min(MOST, limit * 5);
    load();
  };
  return {
    root: node("section", { class: "amiss", hidden: "" }, node("h2", {}, t("amissTitle")), empty, list, more),
    async load() {
      const found = await read(`/v1/warehouses/anomalies?limit=${limit}`);
      arrange(list, rows, found.items, (item) => item.code, (item) => row(item, say, load));
      show(empty, !found.items.length);
      show(more, found.next !== null && limit < MOST);
    },
  };
}

function row(item, say, load) {
  const badge = node("span", { class: "badge" });
  const why = node("p", { class: "why" });
  const todo = node("p", { class: "help" });
  const since = node("b");
  const acts = actions(say, load);
  const root = node(
    "article", { role: "listitem", "data-code": item.code },
    node("div", { class: "name" },
      node("a", { class: "sku", href: `#/order/${encodeURIComponent(item.reservation_id)}` }, item.reservation_id),
      node("span", { class: "place" }, item.warehouse), badge, why, todo),
    node("div", { class: "figure" }, node("span", {}, t("since")), since), acts.root,
  );
  return {
    root,
    update(fresh) {
      classed(root, "unfit amiss-order u3");
      put(badge, t(`amiss ${fresh.anomaly}`));
      put(why, fresh.reason ?? "");
      put(todo, t(`amissTodo ${fresh.anomaly}`));
      put(since, ago(fresh.since, now()));
      since.title = moment(fresh.since);
      acts.update(fresh);
    },
  };
}

// What can be done about one order at a warehouse.
export function actions(say, load) {
  let item = null;
  const path = () => `/v1/warehouses/${item.warehouse}/orders/${encodeURIComponent(item.code)}`;
  const again = node("button", { type: "button", class: "small" }, t("retry"));
  const away = node("button", { type: "button", class: "small quiet" }, t("dismiss"));
  const back = node("button", { type: "button", class: "small outlined" }, t("keepBack"));
  again.onclick = async () => {
    again.disabled = true;
    say("");
    try {
      await send(`${path()}/retry`);
      await load();
    } catch (problem) {
      say(explained(problem));
    } finally {
      again.disabled = false;
    }
  };
  away.onclick = () => ask({
    title: t("dismissTitle", { order: item.code }), meaning: t("dismissDelivery"), go: t("dismiss"), reason: false,
    work: async () => {
      await send(`${path()}/dismiss`);
      await load();
    },
  });
  back.onclick = () => ask({
    title: t("keepBackTitle", { order: item.reservation_id }), meaning: t("keepBackMeaning"), go: t("keepBack"), danger: true,
    work: async (reason) => {
      const { verdict } = await send(`${path()}/cancel`, { reason });
      await load();
      if (verdict === "too-late") say(t("tooLate"));
    },
  });
  return {
    root: node("div", { class: "action" }, again, away, back),
    update(fresh) {
      item = fresh;
      const rejected = item.state === "rejected" && item.cancel !== "asked" && item.anomaly !== "code-used";
      const retriable = rejected || item.state === "undetailed" || item.anomaly === "lock-refused";
      show(again, mayAct() && retriable);
      show(away, mayAct() && item.anomaly !== null);
      show(back, mayAct() && !ENDED.includes(item.state) && item.cancel === null);
    },
  };
}
