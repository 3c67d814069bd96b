// What needs attention, and why.

import { ago, clock, count, percent, span } from "./format.js";
import { t } from "./text.js";

export const SOON_SECONDS = 600; // what is sold out sooner is told in colour

export function isOpen(row) {
  return row.breaker?.state === "open";
}

// 3 suspended, 2 on trial, 1 at risk, 0 calm.
export function urgency(row) {
  if (isOpen(row)) return 3;
  if (row.breaker?.state === "half_open") return 2;
  return row.status === "at_risk" ? 1 : 0;
}

export function worstFirst(one, other) {
  return urgency(other) - urgency(one) || sinceOf(other) - sinceOf(one) || ratioOf(other) - ratioOf(one)
    || (one.sku < other.sku ? -1 : one.sku > other.sku ? 1 : one.warehouse < other.warehouse ? -1 : 1);
}

// What was suspended last comes first.
function sinceOf(row) {
  return isOpen(row) ? Date.parse(row.breaker.since) : 0;
}

function ratioOf(row) {
  return row.unshipped_ratio ?? Number.MAX_VALUE;
}

export function badgeText(row) {
  return ["", t("at_risk"), t("half_opened"), t("opened")][urgency(row)];
}

// Name the act that a row offers: what is suspended or on trial can be reopened.
export function actOn(row) {
  return urgency(row) >= 2 ? "reopen" : "suspend";
}

export function soldOutIn(row) {
  return isOpen(row) ? null : row.sold_out_in_seconds;
}

// How much a livestream should show of it; null where there is nothing to be sold.
export function shownOnStream(row) {
  return isOpen(row) || row.available <= 0 ? null : row.exposure_weight;
}

export function isSoon(row) {
  const seconds = soldOutIn(row);
  return seconds !== null && seconds < SOON_SECONDS;
}

export function why(row, limits, at) {
  const breaker = row.breaker;
  const reasons = [];
  if (isOpen(row)) {
    reasons.push(t(breaker.by ? "whyOpenBy" : "whyOpen", {
      ago: ago(breaker.since, at), by: breaker.by, reason: breaker.by ? breaker.reason : failures(breaker),
    }));
    if (breaker.failed) reasons.push(shortage(breaker.failed));
    if (breaker.retry_at) reasons.push(t("whyRetry", { at: clock(breaker.retry_at) }));
  } else if (breaker?.state === "half_open") {
    reasons.push(t("whyHalf", { ago: ago(breaker.since, at) }));
  } else if (breaker?.failures) {
    reasons.push(t("whyFailures", { n: breaker.failures, threshold: breaker.threshold }));
  }
  if (row.status === "at_risk") reasons.push(whyAtRisk(row, limits));
  return reasons.join(" · ");
}

function failures(breaker) {
  return breaker.reason === "failed locks" ? t("whyFailed", { n: breaker.failures }) : t(breaker.reason ?? "");
}

// Say what was asked for and what there was when a lock failed.
export function shortage(failed) {
  return t("whyShort", {
    channel: failed.channel, requested: count(failed.requested), available: count(failed.available),
  });
}

function whyAtRisk(row, limits) {
  const ratio = row.unshipped_ratio;
  if (ratio === null) return t("whyNothingLeft", { n: count(row.held + row.committed) });
  if (ratio < limits.restored_below) return t("whyDwell", { time: span(limits.dwell_seconds) });
  const values = { ratio: percent(ratio), limit: percent(limits.at_risk_above) };
  return t(limits.base === "on_hand" ? "whyRiskOnHand" : "whyRisk", values);
}
