// What stands beside the SKUs: each channel's share of the day, and the tape of events.

import { shortage } from "./attention.js";
import { node, put, show, style } from "./dom.js";
import { clock, count, percent } from "./format.js";
import { t } from "./text.js";

const MOST_LINES = 2; // of an order in the tape

export function channelShare() {
  const list = node("div", { class: "channels" });
  const empty = node("p", { class: "empty" }, t("noChannels"));
  return {
    root: node("section", {}, node("h2", {}, t("channels")), empty, list),
    update(state) {
      const today = state.samples.at(-1)?.today ?? {};
      const units = Object.entries(today)
        .filter(([name]) => name.startsWith("units:"))
        .map(([name, value]) => [name.slice(6), value])
        .sort((one, other) => other[1] - one[1]);
      const whole = units.reduce((sum, [, value]) => sum + value, 0);
      show(empty, !whole);
      while (list.children.length > units.length) list.lastChild.remove();
      while (list.children.length < units.length) {
        list.append(node(
          "div", { class: "channel" },
          node("span"), node("b"), node("div", { class: "meter" }, node("i")), node("small"),
        ));
      }
      units.forEach(([channel, value], index) => {
        const [label, share, meter, orders] = list.children[index].children;
        put(label, channel);
        put(share, percent(value / whole));
        style(meter.firstChild, "width", `${((100 * value) / whole).toFixed(1)}%`);
        const many = today[`orders:${channel}`] ?? 0;
        put(orders, `${count(value)} ${t("units")} · ${t(many === 1 ? "order" : "orders", { n: count(many) })}`);
      });
    },
  };
}

export function eventTape() {
  const list = node("ol", { class: "tape" });
  const empty = node("p", { class: "empty" }, t("quiet"));
  let newest = null;
  return {
    root: node("section", {}, node("h2", {}, t("tape")), empty, list),
    update(state) {
      show(empty, !state.tape.length);
      if (state.tape[0]?.id === newest) return;
      newest = state.tape[0]?.id ?? null;
      list.replaceChildren(...state.tape.slice(0, 30).map(tapeLine));
    },
  };
}

// A lock that the warehouse refused names no lines.
function failedLock(data) {
  const channel = data.reservation_id.split(":")[0];
  const told = (data.lines ?? []).map((line) => shortage({ channel, ...line }));
  return told[0] ?? data.reservation_id;
}

function tapeLine(event) {
  const kind = event.type.replace("io.holdfast.", "");
  const data = event.data;
  const lines = (data.lines ?? []).map((line) => `${line.quantity ?? line.requested} × ${line.sku ?? data.sku}`);
  if (lines.length > MOST_LINES) lines.splice(MOST_LINES, Infinity, `+ ${lines.length - MOST_LINES}`);
  const told = kind.startsWith("reservation.") ? `${event.subject} ${lines.join(", ")}`
    : kind === "lock.failed" ? `${event.subject} ${failedLock(data)}`
      : kind === "stock.changed" ? `${event.subject} → ${data.on_hand}`
        : kind === "health.changed" ? `${event.subject} ${t(data.status)} ${percent(data.unshipped_ratio)}`
          : `${event.subject} ${t(data.reason ?? "")}`;
  return node(
    "li", { class: `${kind.replace(/[._]/g, "-")} ${data.status ?? ""}` },
    node("time", {}, clock(event.time)), node("b", {}, t(kind)), node("span", {}, told),
  );
}
