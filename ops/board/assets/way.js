// The page of one order: its whole way, from its platform's messages to the parcels.

import { actions } from "./amiss.js";
import { read } from "./board.js";
import { arrange, classed, fault, node, put, show } from "./dom.js";
import { explained, orderSearch } from "./follow.js";
import { count, moment, shortTime } from "./format.js";
import { has, t } from "./text.js";
import { whyOf } from "./unfit.js";

const PAUSE_MS = 2000; // between two looks: it changes without an event of the store
const BAD = ["rejected", "unfit", "not in the store", "released too late", "cancel too late", "lock refused", "lock expired"];
const GOOD = ["accepted", "shipped", "fulfilled", "told"];

export function wayPage(order) {
  const badge = node("span", { class: "badge" });
  const facts = node("p", { class: "help" });
  const unread = fault();
  const undone = fault();
  const gone = node("p", { class: "empty", hidden: "" }, t("noSuchWay"));
  const trouble = node("p", { class: "why" });
  const steps = node("ol", { class: "way" });
  const parts = node("div");
  const rows = new Map();
  const parcels = node("tbody");
  const columns = ["parcel", "carrierHead", "toldState", "since"];
  const parcelTable = node("section", {}, node("h2", {}, t("parcelsOf")), node("div", { class: "scroll" },
    node("table", { class: "messages" }, node("thead", {}, node("tr", {}, ...columns.map((column) => node("th", {}, t(column))))), parcels)));
  const content = node("div", { hidden: "" }, node("div", { class: "columns" },
    node("section", {}, node("h2", {}, t("wayTitle")), steps), node("div", { class: "parts" }, parts, parcelTable)));
  const root = node(
    "div", { class: "detail" },
    node("a", { href: "#/warehouses", class: "back" }, `← ${t("housesLink")}`),
    node("div", { class: "title" }, node("h1", {}, order), badge, node("span", { class: "grow" }), orderSearch()),
    unread.root, undone.root, gone, node("div", { class: "facts" }, facts, trouble), content,
  );
  let asking = false;
  let askedAt = 0;
  let shown = ""; // nothing is drawn anew that is as it was

  async function load() {
    asking = true;
    try {
      const found = await read(`/v1/orders/${encodeURIComponent(order)}/way`);
      unread.say("");
      show(gone, false);
      draw(found);
    } catch (problem) {
      const isNone = problem.status === 404;
      show(gone, isNone);
      show(content, !isNone && Boolean(shown));
      unread.say(isNone ? "" : explained(problem));
    } finally {
      asking = false;
      askedAt = Date.now();
    }
  }

  function draw(found) {
    show(content, true);
    const state = found.reservation ? t(`reservation.${found.reservation.state}`) : "";
    put(badge, state);
    show(badge, Boolean(state));
    put(facts, (found.reservation?.lines ?? []).map((line) => `${count(line.quantity)} × ${line.sku}`).join(", "));
    put(trouble, found.trouble ? whyOf(found.trouble) : "");
    show(trouble, Boolean(found.trouble));
    classed(root, `detail u${found.trouble || found.warehouses.some((part) => part.anomaly) ? 3 : 0}`);
    arrange(parts, rows, found.warehouses.map((part) => ({ ...part, now: found.as_of })), (part) => part.code, () => partCard(undone.say, load));
    const whole = JSON.stringify([found.steps, found.parcels]);
    if (whole === shown) return;
    shown = whole;
    steps.replaceChildren(...found.steps.map((step) => stepRow(step, found.as_of)));
    show(parcelTable, found.parcels.length > 0);
    parcels.replaceChildren(...found.parcels.map(parcelRow));
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

function stepRow(step, at) {
  const words = `step ${step.what}`;
  const tone = BAD.includes(step.what) ? "bad" : GOOD.includes(step.what) ? "good" : "";
  const detail = step.where === "warehouse" && step.what === "detailed" ? t(`lane ${step.detail}`) : step.detail ?? "";
  return node(
    "li", { class: `at-${step.where} ${tone}` },
    node("time", { title: moment(step.at) }, shortTime(step.at, at)),
    node("div", {}, node("b", {}, has(words) ? t(words) : step.what), " ",
      node("span", { class: "place" }, `${t(`where ${step.where}`)} ${step.name}`),
      node("p", { class: "why" }, detail)),
  );
}

// The part of the order at one warehouse: where it is, when it leaves, who gets it.
function partCard(say, load) {
  const title = node("h2");
  const state = node("p", { class: "part-state" });
  const more = node("p", { class: "help" });
  const receiver = node("p", { class: "help" });
  const acts = actions(say, load);
  const root = node("section", { class: "part" }, title, state, more, receiver, acts.root);
  return {
    root,
    update(part) {
      classed(root, `part ${part.anomaly ? "u3" : ""}`);
      root.dataset.code = part.code;
      put(title, `${t("warehouse")} ${part.warehouse}`);
      const amiss = part.anomaly ? ` · ${t(`amiss ${part.anomaly}`)}` : "";
      put(state, `${t(`delivery ${part.state}`)}${amiss}`);
      put(more, moreOf(part));
      put(receiver, part.dispatch ? receiverOf(part.dispatch.receiver) : t("noDetails"));
      acts.update(part);
    },
  };
}

function moreOf(part) {
  const said = [];
  if (part.lane) said.push(t(`lane ${part.lane}`));
  if (part.position) said.push(t("inPlace", { n: count(part.position) }));
  if (part.estimated_at) said.push(t("expectedAt", { at: shortTime(part.estimated_at, part.now) }));
  if (part.ship_by) said.push(t("shipBy", { at: shortTime(part.ship_by, part.now) }));
  if (part.due_at) said.push(t("whyRetry", { at: shortTime(part.due_at, part.now) }));
  if (part.warehouse_order_id) said.push(t("theirNumber", { id: part.warehouse_order_id }));
  if (part.dispatch?.bench) said.push(t("bench", { bench: part.dispatch.bench }));
  if (part.dispatch?.quality_check) said.push(part.dispatch.quality_check);
  if (part.lock && part.lock.state !== "ended") said.push(lockOf(part));
  if (part.cancel) said.push(t(`cancel ${part.cancel}`));
  if (part.reason) said.push(part.reason);
  return said.join(" · ");
}

function lockOf(part) {
  const until = part.lock.valid_until;
  return t(`lock ${part.lock.state}`, { at: until ? shortTime(until, part.now) : "" });
}

function receiverOf(receiver) {
  const place = [receiver.province, receiver.city, receiver.area, receiver.detail_address].filter(Boolean).join(" ");
  return `${receiver.name} ${receiver.mobile} · ${place}`;
}

function parcelRow(parcel) {
  return node(
    "tr", {}, node("th", { scope: "row" }, parcel.fulfilment_id), node("td", {}, `${parcel.company} ${parcel.tracking_number}`),
    node("td", {}, has(`told ${parcel.state}`) ? t(`told ${parcel.state}`) : parcel.state), node("td", {}, moment(parcel.since)),
  );
}
