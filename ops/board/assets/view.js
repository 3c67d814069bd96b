// What is drawn: the frame, and the page that the address names. Nodes are made once and then only
// changed, so that a busy board stays quick.

import { alerts } from "./alerts.js";
import { mayAct, signIn } from "./board.js";
import { channels } from "./channels.js";
import { classed, node, put, show } from "./dom.js";
import { clock, count } from "./format.js";
import { orderPage } from "./order.js";
import { overview } from "./overview.js";
import { skuPage } from "./sku.js";
import { currentLanguage, t } from "./text.js";
import { warehouses } from "./warehouses.js";
import { wayPage } from "./way.js";

const UNDONE = ["orders_unfit", "letters_dead", "not_closed", "parcels_dead"]; // what people see to on the page of the channels

const main = document.getElementById("main");
let page = null; // what is drawn: {key, update}

function frame(state) {
  document.documentElement.lang = currentLanguage() === "zh" ? "zh-CN" : "en";
  put(document.getElementById("language"), t("language"));
  const live = document.getElementById("live");
  classed(live, `live ${state.session ? state.connection : ""}`);
  put(live, state.session ? t(state.connection === "live" ? "live" : "connecting") : "");
  const letters = state.samples.at(-1)?.alerts_dead ?? 0;
  const told = document.getElementById("alerts");
  put(told, letters ? t("alertsDead", { n: count(letters) }) : t("alerts"));
  classed(told, letters ? "alerts bad" : "alerts");
  const undone = UNDONE.reduce((sum, name) => sum + (state.samples.at(-1)?.[name] ?? 0), 0);
  const desk = document.getElementById("channels");
  put(desk, undone ? t("channelsUndone", { n: count(undone) }) : t("channelsLink"));
  classed(desk, undone ? "alerts bad" : "alerts");
  const houses = document.getElementById("warehouses");
  const amiss = state.samples.at(-1)?.houses_amiss ?? 0;
  put(houses, amiss ? t("housesUndone", { n: count(amiss) }) : t("housesLink"));
  classed(houses, amiss ? "alerts bad" : "alerts");
  for (const link of [told, desk, houses]) show(link, Boolean(state.session) && state.session.role !== "channel");
  const who = state.session ? `${state.session.name} · ${state.session.role}` : "";
  put(document.getElementById("who"), who);
  const out = document.getElementById("sign-out");
  put(out, t("signOut"));
  show(out, Boolean(state.session));
  const notice = document.getElementById("notice");
  const lost = Boolean(state.session) && state.connection === "lost";
  put(notice, lost ? t(state.notReady ? "notReady" : "lost", { at: clock(state.heardAt) }) : state.fault);
  show(notice, Boolean(notice.textContent));
  classed(main, lost && state.loaded ? "stale" : "");
}

export function draw(state) {
  frame(state);
  const hash = location.hash;
  const key = `${currentLanguage()}|${mayAct()}|${hash}|${state.loaded}`;
  if (page?.key !== key) {
    page?.end?.();
    page = { key, ...(state.loaded ? pageOf(hash) : waiting()) };
    main.replaceChildren(page.root);
  }
  page.update(state);
}

// Make the page that an address names; what it does not know is the overview.
function pageOf(hash) {
  const [name, ...rest] = hash.replace("#/", "").split("/").map(decoded);
  if (name === "sku") return skuPage(rest.join("/"));
  if (name === "alerts") return alerts();
  if (name === "channels" && rest.length > 1) return orderPage(rest[0], rest[1] === "~" ? "" : rest[1]);
  if (name === "warehouses") return warehouses();
  if (name === "order" && rest[0]) return wayPage(rest[0]);
  return name === "channels" ? channels() : overview();
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // an address that someone typed
  }
}

export function tick(state) {
  if (page?.tick) page.tick(state);
  else if (page) draw(state);
}

function waiting() {
  return { root: node("p", { class: "empty" }, t("connecting")), update() {} };
}

export function drawSignIn(state) {
  frame(state);
  const key = `${currentLanguage()}|sign-in`;
  if (page?.key === key) return;
  page?.end?.();
  const input = node("input", {
    id: "key", type: "password", autocomplete: "current-password", required: "", spellcheck: "false",
  });
  const error = node("p", { class: "error", role: "alert" });
  const form = node(
    "form", { class: "sign-in" },
    node("h1", {}, t("signInTitle")),
    node("label", { for: "key" }, t("signInKey")), input, error,
    node("button", { type: "submit" }, t("signInGo")),
    node("p", { class: "help" }, t("signInHelp")),
  );
  form.onsubmit = async (event) => {
    event.preventDefault();
    put(error, "");
    try {
      await signIn(input.value.trim());
    } catch (problem) {
      put(error, problem.status === 401 ? t("signInWrong") : t("signInFailed", { why: problem.message }));
      input.select();
    }
  };
  page = { key, root: form, update() {} };
  main.replaceChildren(form);
  input.focus();
}
