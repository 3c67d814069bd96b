// An order that is not where its platform says it is, in words; and what people have done about it.

import { send } from "./board.js";
import { ask } from "./dialog.js";
import { t } from "./text.js";

// What the intake says of some kinds in few words of its own.
const SAID = [
  [["short", "rejected"], / (\d+) of a quota's (\d+)/g, "saidQuota"],
  [["short", "rejected"], / (\d+) of (\d+)/g, "saidShort"],
  [["lines-differ"], / (\d+) of (\d+)/g, "saidHeld"],
  [["unknown-sku"], / in ([A-Za-z0-9_-]{1,32})(?=,|$)/g, "saidIn"],
  [["unknown-sku"], /^no code of ours on lines (.+)$/g, "saidNameless"],
];
// That much the kind says.
const SAID_ALREADY = /^beyond what is held: |, and its stock was given back$|(?:; )?its platform was told so at \S+$/;
const NAMES_NONE = "~"; // in a path, for messages that name no order

export function nameOf(item) {
  return item.order_id || t("noOrder");
}

export function segments(item) {
  return `${item.channel}/${encodeURIComponent(item.order_id || NAMES_NONE)}`;
}

export function kindOf(item) {
  return t(`kind ${item.kind}`);
}

export function whyOf(item) {
  const figures = SAID.filter(([kinds]) => kinds.includes(item.kind)).reduce(
    (text, [, pattern, words]) => text.replace(pattern, (_, wanted, there) => t(words, { wanted, there })),
    item.reason.slice(item.kind.length + 1).trim().replace(SAID_ALREADY, ""),
  );
  return [kindOf(item), figures].filter(Boolean).join(t("colon"));
}

export function stateOf(item) {
  return t(`order ${item.state}`);
}

export function retry(item) {
  return send(`/v1/anomalies/${segments(item)}/retry`);
}

export function dismiss(item, done) {
  ask({
    title: t("dismissTitle", { order: nameOf(item) }), meaning: t("dismissMeaning"), go: t("dismiss"), reason: false,
    work: async () => {
      await send(`/v1/anomalies/${segments(item)}/dismiss`);
      await done();
    },
  });
}

// Say what has gone wrong, and what to do next, to who looks at what the agents keep of channels.
export function explained(problem) {
  if (problem.slug === "archive-unavailable") return t("channelsUnreadable");
  return problem.slug === "not-found" ? t("gone") : problem.message;
}
