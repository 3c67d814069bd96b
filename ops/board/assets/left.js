// What warehouses' reports and the comparison of stock leave to people, and what they do about it.

import { mayAct, now, read, send } from "./board.js";
import { ask } from "./dialog.js";
import { arrange, classed, node, put, show } from "./dom.js";
import { explained } from "./follow.js";
import { ago, count, moment } from "./format.js";
import { has, t } from "./text.js";

const FIRST = 20; // of a kind that are shown
const MOST = 1000; // more at once than anyone reads

export function leftToPeople(say, load) {
  const lists = [
    list("reports", "reportsLeft", (item) => `${item.number}`, reportRow, say, load),
    list("shortfalls", "shortfallsLeft", ofSku, shortfallRow, say, load),
    list("drifts", "driftsLeft", (item) => `${ofSku(item)} ${item.number}`, driftRow, say, load),
  ];
  const calm = node("p", { class: "empty calm", hidden: "" }, t("calmLeft"));
  return {
    root: node("section", { class: "left", hidden: "" }, node("h2", {}, t("leftTitle")), calm, ...lists.map((one) => one.root)),
    async load() {
      const shown = await Promise.all(lists.map((one) => one.load()));
      show(calm, !shown.some(Boolean));
    },
  };
}

function ofSku(item) {
  return `${item.warehouse} ${item.sku}`;
}

// Say what has gone wrong with something that others may have seen to meanwhile.
function wrong(problem) {
  return problem.slug === "not-found" ? t("problem not-found") : explained(problem);
}

// The rows of one kind, under a heading; nothing of it where there are none.
function list(name, title, keyOf, row, say, load) {
  const rows = new Map();
  const body = node("div", { class: "list", role: "list" });
  const more = node("button", { type: "button", class: "plain more" }, t("more"));
  const root = node("div", { class: "left-of", "data-left": name, hidden: "" }, node("h3", {}, t(title)), body, more);
  let limit = FIRST;
  more.onclick = () => {
    limit = Math.min(MOST, limit * 5);
    load();
  };
  return {
    root,
    async load() {
      const found = await read(`/v1/warehouses/${name}?limit=${limit}`);
      arrange(body, rows, found.items, keyOf, (item) => row(item, say, load));
      show(root, found.items.length > 0);
      show(more, found.next !== null && limit < MOST);
      return found.items.length;
    },
  };
}

// A row: what it is about, what is amiss and what to do; `acts` are buttons, each {text, fits, work, …}.
function entry({ key, href, name, place, inner, acts, say, load }) {
  const badge = node("span", { class: "badge" });
  const why = node("p", { class: "why" });
  const todo = node("p", { class: "help" });
  const since = node("b");
  const about = href ? node("a", { class: "sku", href }, name) : node("span", { class: "sku" }, name);
  const buttons = acts.map((act) => button(act, say, load));
  const root = node(
    "article", { role: "listitem", "data-key": key },
    node("div", { class: "name" }, about, node("span", { class: "place" }, place), badge, why, todo),
    node("div", { class: "figure" }, node("span", {}, t("since")), since),
    node("div", { class: "action" }, inner.button, ...buttons.map((one) => one.root)), inner.root,
  );
  return {
    root,
    update(item, told) {
      classed(root, `unfit amiss-order ${told.urgency ?? "u3"}`);
      put(badge, told.badge);
      put(why, told.why);
      put(todo, told.todo);
      put(since, ago(item.since, now()));
      since.title = moment(item.since);
      for (const one of buttons) one.update(item);
    },
  };
}

// `looked` of an act: what an item was last looked at. Done, the act rests until that is another time.
function button(act, say, load) {
  let item = null;
  let asked = null;
  const root = node("button", { type: "button", class: act.quiet ? "small quiet" : "small" }, t(act.text));
  const work = async () => {
    await send(act.path(item));
    await load();
  };
  root.onclick = act.asks
    ? () => ask({ title: t("dismissTitle", { order: act.asks(item) }), meaning: t(act.meaning), go: t(act.text), reason: false, work })
    : async () => {
      root.disabled = true;
      say("");
      try {
        const before = act.looked?.(item);
        await work();
        asked = before ?? null;
      } catch (problem) {
        say(wrong(problem));
      } finally {
        rest();
      }
    };
  function rest() {
    root.disabled = asked !== null && asked === act.looked(item);
    if (!root.disabled) asked = null;
    put(root, t(root.disabled ? "asked" : act.text));
  }
  return {
    root,
    update(fresh) {
      item = fresh;
      if (asked !== null) rest();
      show(root, mayAct() && act.fits(fresh));
    },
  };
}

// More of a row, read when it is asked for.
function inside(words, path, write, say) {
  const root = node("div", { class: "inside", hidden: "" });
  const open = node("button", { type: "button", class: "small plain", "aria-expanded": "false" }, t(words));
  open.onclick = async () => {
    const opens = root.hidden;
    say("");
    try {
      if (opens) root.replaceChildren(...write(await read(path)));
      show(root, opens);
      open.setAttribute("aria-expanded", `${opens}`);
    } catch (problem) {
      say(wrong(problem));
    }
  };
  return { root, button: open };
}

// -- reports -------------------------------------------------------------------------------------

function reportRow(item, say, load) {
  const path = `/v1/warehouses/${item.warehouse}/reports/${item.number}`;
  const reservation = item.code ? item.code.replace(/@[^@]*$/, "") : null;
  const href = reservation ? `#/order/${encodeURIComponent(reservation)}` : item.sku ? `#/sku/${encodeURIComponent(item.sku)}` : null;
  const name = reservation ?? item.sku ?? t("reportNumber", { n: item.number });
  const row = entry({
    key: `${item.number}`, href, name, place: item.warehouse, inner: inside("whatItSays", path, said, say), say, load,
    acts: [
      { text: "retry", path: () => `${path}/retry`, fits: (one) => one.retriable },
      {
        text: "dismiss", quiet: true, path: () => `${path}/dismiss`, fits: (one) => one.state === "dead" || one.anomaly !== null,
        asks: () => name, meaning: "dismissReport",
      },
    ],
  });
  return {
    root: row.root,
    update(fresh) {
      const how = fresh.kind === "unread" ? "unread" : fresh.anomaly !== null ? "odd" : fresh.state;
      row.update(fresh, {
        urgency: how === "waiting" ? "u1" : "u3", badge: t(`report ${how}`),
        why: [t(`told ${fresh.kind}`), fresh.anomaly ?? fresh.reason].filter(Boolean).join(t("colon")), todo: t(`reportTodo ${how}`),
      });
    },
  };
}

function said(report) {
  const lines = [t(report.times > 1 ? "reportCameAgain" : "reportCame", { at: moment(report.kept_at), n: count(report.times) })];
  if (report.masked) lines.push(t("reportMasked"));
  const told = Object.entries({ ...report.said, ...report.plan && { plan: report.plan } });
  const shown = report.masked ? "" : report.body ?? told.map(([name, value]) => `${name}: ${JSON.stringify(value)}`).join("\n");
  const parts = lines.map((line) => node("p", { class: "help" }, line));
  return shown ? [...parts, node("pre", {}, shown)] : parts;
}

// -- the comparison ------------------------------------------------------------------------------

function skuPath(item) {
  return `/v1/warehouses/${item.warehouse}/skus/${encodeURIComponent(item.sku)}`;
}

function ofComparison(item, dismissed, meaning, looks, say, load) {
  return entry({
    key: ofSku(item), href: `#/sku/${encodeURIComponent(item.sku)}`, name: item.sku, place: item.warehouse, say, load,
    inner: inside("itsHistory", skuPath(item), history, say),
    acts: [
      { text: "lookAgain", path: (one) => `${skuPath(one)}/look`, fits: (one) => looks(one) !== undefined, looked: looks },
      { text: "dismiss", quiet: true, path: (one) => `${skuPath(one)}/${dismissed}/dismiss`, fits: () => true, asks: (one) => one.sku, meaning },
    ],
  });
}

function shortfallRow(item, say, load) {
  const row = ofComparison(item, "shortfall", "dismissShortfall", (one) => one.compared?.seen_at, say, load);
  const known = row.root.querySelector(".action > .plain"); // what was compared has a history
  return {
    root: row.root,
    update(fresh) {
      show(known, fresh.compared !== null);
      const why = fresh.missing ? [t("shortOf", { n: count(fresh.missing), promised: count(fresh.promised) })] : [];
      if (fresh.untaken) why.push(t("goneBeyond", { n: count(fresh.untaken) }));
      const by = [fresh.reported && t("byReports"), fresh.compared && t("byComparison")].filter(Boolean).join(t("comma"));
      row.update(fresh, {
        badge: t("shortBadge", { n: count(fresh.missing || fresh.untaken) }), why: why.join(t("comma")), todo: `${t("toldBy", { who: by })} ${t("shortTodo")}`,
      });
    },
  };
}

function driftRow(item, say, load) {
  const row = ofComparison(item, "drift", "dismissDrift", (one) => one.seen_at, say, load);
  return {
    root: row.root,
    update(fresh) {
      const { free, locked, on_hand: ours, promised, handed } = fresh.figures;
      const there = t("thereOurs", {
        free: count(free), locked: count(locked), ours: count(ours), promised: count(promised), handed: count(handed),
      });
      row.update(fresh, { urgency: fresh.units < 0 ? "u3" : "u1", badge: difference(fresh.range), why: there, todo: t("driftTodo") });
    },
  };
}

// Say by how many units what is there differs from our books.
function difference({ low, high, foreign }) {
  const bound = foreign ? t("boundElsewhere", { n: count(foreign) }) : "";
  if (low <= 0 && high >= 0) return bound || t("agrees");
  const [least, most] = [Math.min(Math.abs(low), Math.abs(high)), Math.max(Math.abs(low), Math.abs(high))];
  const units = least === most ? count(least) : `${count(least)}–${count(most)}`;
  const said = t(high < 0 ? "fewerThere" : "moreThere", { n: units });
  return bound ? said + t("comma") + bound : said;
}

function history(found) {
  const last = t("lastLook", { at: moment(found.looked_at), what: difference(found.range) });
  const rows = found.history.map((note) => {
    const name = `note ${note.what}`;
    const more = note.range ? difference(note.range) : short(note.detail ?? "");
    return node("li", {}, node("time", {}, moment(note.at)), node("b", {}, has(name) ? t(name) : note.what), node("span", {}, more));
  });
  return [node("p", { class: "help" }, last), node("ol", { class: "tape" }, ...rows.reverse())];
}

// What is noted of a shortfall has its figures in it.
function short(detail) {
  return detail.replace(/^(\d+) of (\d+) promised are not there$/, (_, n, promised) => t("shortOf", { n, promised }));
}
