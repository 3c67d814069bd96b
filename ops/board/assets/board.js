// The board's state: the session, the stream of changes, what is chosen. view.js draws it.

import { ask } from "./dialog.js";
import { has, switchLanguage, t } from "./text.js";
import { draw, drawSignIn, tick } from "./view.js";

const STREAM = "/v1/board/stream";
const RETRY_MS = 1000; // after a stream that ended
const SESSION_MS = 600000; // a session lives an hour: it is renewed long before
const KEPT_SAMPLES = 15; // of the figures, one a second
const KEPT_TAPE = 60;

export const state = {
  session: null, // who has signed in
  connection: "connecting", // or "live", "lost"
  levels: new Map(), // "sku@warehouse" -> row
  tape: [], // the newest events, newest first
  samples: [], // figures of the last seconds
  filter: "all",
  search: "",
  shown: 100,
  limits: null, // of health, as they are set
  clockOffset: 0, // the store's time less this browser's, in ms
  heardAt: Date.now(), // when the stream last told anything
  beginnings: 0, // of the stream
  loaded: false,
  notReady: false, // the service answers, and has nothing to show
  fault: "", // of the last thing that somebody did
};

let stream = null;
let drawing = false;

export function now() {
  return Date.now() + state.clockOffset;
}

// ---- drawing --------------------------------------------------------------------------------

export function changed() {
  if (drawing) return;
  drawing = true;
  requestAnimationFrame(() => {
    drawing = false;
    if (state.session) draw(state);
    else drawSignIn(state);
  });
}

// ---- the session ----------------------------------------------------------------------------

async function request(method, path, body) {
  const headers = {};
  if (body !== undefined) headers["content-type"] = "application/json";
  if (state.session) headers["x-csrf-token"] = state.session.csrf;
  const answer = await fetch(path, {
    method, headers, credentials: "same-origin", cache: "no-store",
    body: body === undefined ? undefined : JSON.stringify(body),
  }).catch(() => { throw new Error(t("noConnection")); });
  const text = await answer.text();
  const document = text ? JSON.parse(text) : null;
  if (!answer.ok) {
    const problem = new Error(explained(document, answer.status));
    problem.status = answer.status;
    problem.slug = document?.type?.split("/").at(-1);
    throw problem;
  }
  return document;
}

// Say what a refusal means to who looks at a board; what has no words is said as the service does.
function explained(problem, status) {
  const words = `problem ${problem?.type?.split("/").at(-1)}`;
  return has(words) ? t(words) : problem?.detail ?? `HTTP ${status}`;
}

async function resume() {
  try {
    state.session = await request("GET", "/v1/session");
  } catch (problem) {
    if (problem.status === 401 || problem.status === 403) signedOut();
    else setTimeout(resume, RETRY_MS);
    return;
  }
  if (state.connection === "lost") {
    // A stream that fails does not say why.
    const look = await fetch(STREAM, { method: "HEAD", cache: "no-store" }).catch(() => null);
    state.notReady = look !== null && !look.ok;
    if (!look?.ok) {
      changed();
      setTimeout(resume, RETRY_MS);
      return;
    }
  }
  connect();
  changed();
}

export async function signIn(key) {
  state.session = await request("POST", "/v1/session", { key });
  connect();
  changed();
}

export async function signOut() {
  try {
    await request("DELETE", "/v1/session");
    signedOut();
  } catch (problem) {
    if (problem.status === 401) signedOut();
    else say(t("signOutFailed", { why: problem.message }));
  }
}

function say(fault) {
  state.fault = fault;
  changed();
}

export function signedOut() {
  state.session = null;
  state.fault = "";
  stream?.close();
  stream = null;
  changed();
}

export function mayAct() {
  return ["ops", "admin"].includes(state.session?.role);
}

// ---- the stream -----------------------------------------------------------------------------

function connect() {
  stream?.close();
  state.connection = state.loaded ? state.connection : "connecting";
  stream = new EventSource(STREAM);
  stream.addEventListener("state", (event) => {
    const document = JSON.parse(event.data);
    state.levels = new Map(document.levels.map((row) => [name(row), row]));
    state.limits = document.limits;
    state.beginnings += 1;
    state.clockOffset = Date.parse(document.as_of) - Date.now();
    state.loaded = true;
    state.notReady = false;
    state.connection = "live";
    state.samples = [];
    record(document.tape);
    take(document.figures);
    changed();
  });
  stream.addEventListener("change", (event) => {
    const document = JSON.parse(event.data);
    for (const row of document.levels) state.levels.set(name(row), row);
    record(document.tape);
    take(document.figures);
    changed();
  });
  stream.onerror = () => {
    // The browser would try again by itself, but not after an answer that is no stream.
    stream?.close();
    stream = null;
    state.connection = "lost";
    changed();
    setTimeout(resume, RETRY_MS);
  };
}

function name(row) {
  return `${row.sku}@${row.warehouse}`;
}

// Put events, oldest first, in front of those that are known already.
function record(events) {
  const known = new Set(state.tape.map((event) => event.id));
  const fresh = events.filter((event) => !known.has(event.id)).reverse();
  state.tape = [...fresh, ...state.tape].slice(0, KEPT_TAPE);
}

function take(figures) {
  state.heardAt = Date.now();
  const last = state.samples.at(-1);
  if (last && figures.at <= last.at) return;
  state.samples = [...state.samples, figures].slice(-KEPT_SAMPLES);
}

// ---- what people do -------------------------------------------------------------------------

export function act(kind, sku) {
  const verb = kind === "suspend" ? "trip" : "reset";
  const path = `/v1/skus/${encodeURIComponent(sku)}/breaker/${verb}`;
  ask({
    title: t(`${kind}Title`, { sku }), meaning: t(`${kind}Meaning`), go: t(kind), danger: kind === "suspend",
    work: (reason) => request("POST", path, { reason }),
  });
}

export function read(path) {
  return request("GET", path);
}

export function send(path, body = {}) {
  return request("POST", path, body);
}

document.getElementById("language").onclick = () => {
  switchLanguage();
  changed();
};
document.getElementById("sign-out").onclick = () => signOut();
window.addEventListener("hashchange", () => {
  window.scrollTo(0, 0);
  changed();
});
setInterval(() => {
  if (state.session) tick(state);
}, 1000);
setInterval(() => {
  if (!state.session) return;
  request("GET", "/v1/session").then((session) => { state.session = session; }, (problem) => {
    if (problem.status === 401) signedOut();
  });
}, SESSION_MS);
resume();
