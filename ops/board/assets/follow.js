// The box that leads to one order's whole way, and what went wrong on it.

import { node } from "./dom.js";
import { t } from "./text.js";

export function orderSearch() {
  const input = node("input", {
    class: "search", id: "follow", type: "search", placeholder: t("followOrder"), "aria-label": t("followOrder"),
    autocomplete: "off", spellcheck: "false",
  });
  const form = node("form", { class: "follow", role: "search" }, input, node("button", { type: "submit", class: "plain" }, t("follow")));
  form.onsubmit = (event) => {
    event.preventDefault();
    const asked = input.value.trim().replace(/@[^@]*$/, ""); // a warehouse's code names its order
    if (asked) location.hash = `#/order/${encodeURIComponent(asked)}`;
  };
  return form;
}

// Say what has gone wrong, and what to do next.
export function explained(problem) {
  if (problem.slug === "archive-unavailable") return t("housesUnreadable");
  return problem.slug === "not-found" ? t("noSuchWay") : problem.message;
}
