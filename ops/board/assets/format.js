// Figures as people read them.

import { currentLanguage, t } from "./text.js";

export function count(value) {
  return Math.round(value).toLocaleString(currentLanguage() === "zh" ? "zh-CN" : "en-GB");
}

export function rate(value) {
  return value >= 100 ? count(value) : value.toFixed(value >= 10 || value === 0 ? 0 : 1);
}

export function percent(value) {
  if (value === null) return "∞";
  return value >= 9.995 ? "> 999 %" : `${(100 * value).toFixed(value < 0.1 && value > 0 ? 1 : 0)} %`;
}

export function milliseconds(seconds) {
  if (seconds === null) return "—";
  const ms = 1000 * seconds;
  if (ms === 0) return "0 ms";
  return ms >= 1000 ? `${(ms / 1000).toFixed(1)} s` : `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms`;
}

export function span(seconds) {
  if (seconds === null || seconds === undefined) return t("never");
  if (seconds === 0) return t("now");
  const zh = currentLanguage() === "zh";
  const unit = (value, en, cn) => `${Math.max(1, Math.round(value))} ${zh ? cn : en}`;
  if (seconds < 90) return unit(seconds, "s", "秒");
  if (seconds < 5400) return unit(seconds / 60, "min", "分钟");
  if (seconds < 129600) return unit(seconds / 3600, "h", "小时");
  return unit(seconds / 86400, "d", "天");
}

export function ago(time, now) {
  const seconds = Math.max(1, (now - Date.parse(time)) / 1000);
  return currentLanguage() === "zh" ? `${span(seconds)}前` : `${span(seconds)} ago`;
}

export function clock(time) {
  return new Date(time).toLocaleTimeString(currentLanguage() === "zh" ? "zh-CN" : "en-GB", { hour12: false });
}

// A time with its day, where it is another one than today.
export function moment(time) {
  const at = new Date(time);
  const day = at.toDateString() === new Date().toDateString() ? "" : `${at.getMonth() + 1}-${at.getDate()} `;
  return day + clock(time);
}

// A time of day for pictures and sentences, with its day where that is not the one of `reference`.
export function shortTime(time, reference) {
  const at = new Date(time);
  const day = at.toDateString() === new Date(reference).toDateString() ? "" : `${at.getMonth() + 1}-${at.getDate()} `;
  return day + at.toLocaleTimeString(currentLanguage() === "zh" ? "zh-CN" : "en-GB", { hour: "2-digit", minute: "2-digit", hour12: false });
}
