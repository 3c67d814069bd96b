// The strip of figures: what needs attention, and how the service is doing.

import { urgency } from "./attention.js";
import { classed, node, put } from "./dom.js";
import { count, milliseconds, rate } from "./format.js";
import { t } from "./text.js";

const RATE_SECONDS = 10; // over which rates are taken

export function strip() {
  const made = ["attention", "rate", "refusals", "latency", "expiryLag", "prevented"].map((key) => {
    const value = node("b");
    const small = node("small");
    return { key, value, small, root: node("div", { class: `tile ${key}` }, node("span", {}, t(key)), value, small) };
  });
  const by = Object.fromEntries(made.map((tile) => [tile.key, tile]));
  return {
    root: node("section", { class: "strip" }, ...made.map((tile) => tile.root)),
    update(state) {
      const figures = state.samples.at(-1) ?? {};
      const levels = [...state.levels.values()];
      const skus = (wanted) => new Set(levels.filter((row) => urgency(row) === wanted).map((row) => row.sku)).size;
      const counts = [["notClosedCount", figures.not_closed ?? 0], ["suspendedCount", skus(3)], ["trialCount", skus(2)], ["riskCount", levels.filter((row) => urgency(row) === 1).length], ["unfitCount", figures.orders_unfit ?? 0]];
      put(by.attention.value, count(counts.reduce((sum, [, n]) => sum + n, 0)));
      put(by.attention.small, counts.filter(([, n]) => n).map(([word, n]) => t(word, { n: count(n) })).join(" · ") || t("none"));
      classed(by.attention.root, `tile attention ${counts[0][1] + counts[1][1] ? "bad" : counts.some(([, n]) => n) ? "warn" : "good"}`);
      const recent = change(state.samples);
      put(by.rate.value, rate(recent.granted));
      put(by.rate.small, t("lately"));
      put(by.refusals.value, rate(recent.refused));
      put(by.refusals.small, recent.reasons.map(([slug, each]) => `${t(slug)} ${rate(each)}`).join(" · ") || t("none"));
      put(by.latency.value, `${milliseconds(recent.p50)} · ${milliseconds(recent.p99)}`);
      put(by.latency.small, t("lately"));
      put(by.expiryLag.value, milliseconds(figures.expiry_lag_seconds ?? 0));
      put(by.expiryLag.small, "");
      put(by.prevented.value, figures.today ? count(figures.today.oversell_prevented ?? 0) : "—");
      put(by.prevented.small, t("units"));
    },
  };
}

function change(samples) {
  const last = samples.at(-1);
  const first = samples.find((sample) => last.at - sample.at <= RATE_SECONDS) ?? last;
  if (!last || last.at === first.at) return { granted: 0, refused: 0, reasons: [], p50: null, p99: null };
  const seconds = last.at - first.at;
  const reasons = Object.entries(last.refused)
    .map(([slug, value]) => [slug, (value - (first.refused[slug] ?? 0)) / seconds])
    .filter(([, each]) => each > 0)
    .sort((one, other) => other[1] - one[1]);
  return {
    granted: (last.granted - first.granted) / seconds,
    refused: reasons.reduce((sum, [, each]) => sum + each, 0),
    reasons: reasons.slice(0, 2),
    p50: quantile(first, last, 0.5),
    p99: quantile(first, last, 0.99),
  };
}

// Read a quantile of what was added to a histogram, within its bucket by proportion.
function quantile(first, last, share) {
  const before = new Map(first.reserve_seconds);
  const added = last.reserve_seconds.map(([bound, value]) => [Number(bound.replace("+Inf", "Infinity")), value - (before.get(bound) ?? 0)]);
  const total = added.at(-1)?.[1] ?? 0;
  if (!total) return null;
  let lower = 0;
  let below = 0;
  for (const [bound, value] of added) {
    if (value >= share * total) {
      return Number.isFinite(bound) ? lower + ((bound - lower) * (share * total - below)) / Math.max(1, value - below) : lower;
    }
    lower = bound;
    below = value;
  }
  return lower;
}
