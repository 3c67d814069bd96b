// What each channel has been told of one SKU, and whether it has acknowledged that it is closed.

import { read } from "./board.js";
import { node, show } from "./dom.js";
import { clock, count } from "./format.js";
import { t } from "./text.js";

const PAUSE_MS = 2000; // between two looks: it changes without an event of the store

export function toldOf(sku) {
  const rows = node("tbody");
  const columns = ["channel", "told", "toldState", "toldSince", "toldWhy"];
  const head = node("tr", {}, ...columns.map((column) => node("th", {}, t(column))));
  const root = node(
    "section", { hidden: "" }, node("h2", {}, t("toldTitle")),
    node("div", { class: "scroll" }, node("table", { class: "told" }, node("thead", {}, head), rows)),
  );
  let timer = 0;
  let ended = false;

  async function look() {
    try {
      const { items } = await read(`/v1/skus/${encodeURIComponent(sku)}/channels`);
      if (ended) return;
      show(root, items.length > 0);
      rows.replaceChildren(...items.map(row));
    } catch {
      // The page says by itself that there is no connection; what was told last stays.
    }
    if (!ended) timer = setTimeout(look, PAUSE_MS);
  }

  look();
  return {
    root,
    end() {
      ended = true;
      clearTimeout(timer);
    },
  };
}

function row(offer) {
  const what = offer.closed === null ? `${count(offer.units)} ${t("units")}` : t(`closed ${offer.closed}`);
  return node(
    "tr", { class: offer.state },
    node("th", { scope: "row" }, offer.kind === "stock" ? offer.channel : `${offer.channel} · ${t("toldConsole")}`),
    node("td", {}, what), node("td", { class: "state" }, stateOf(offer)),
    node("td", {}, clock(offer.acknowledged_at && offer.state === "acknowledged" ? offer.acknowledged_at : offer.since)),
    node("td", { class: "refusal" }, offer.reason ?? ""),
  );
}

// What is dead is seen to on the page of the channels; of what is to be closed it is tried on all the same.
function stateOf(offer) {
  if (offer.state !== "dead") return t(`told ${offer.state}`);
  return node("a", { href: "#/channels" }, t(offer.closed === null ? "told dead" : "toldNotClosed"));
}
