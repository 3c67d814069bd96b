// The dialog in which a person says that it is meant, and why, where that is recorded.

import { signedOut } from "./board.js";
import { show } from "./dom.js";
import { t } from "./text.js";

const part = (name) => document.getElementById(`act${name}`);

// `work` does it, given the reason; the dialog closes when it is done. Without `reason` none is asked for.
export function ask({ title, meaning, go, danger = false, reason = true, work }) {
  const dialog = part("");
  const [field, label, error, button] = ["-reason", "-label", "-error", "-go"].map(part);
  part("-title").textContent = title;
  part("-meaning").textContent = meaning;
  label.textContent = t("reason");
  part("-cancel").textContent = t("cancel");
  part("-cancel").onclick = () => dialog.close();
  button.textContent = go;
  button.className = danger ? "danger" : "";
  field.value = "";
  field.required = reason;
  for (const each of [field, label]) show(each, reason);
  error.textContent = "";
  dialog.querySelector("form").onsubmit = async (event) => {
    event.preventDefault();
    error.textContent = reason && !field.value.trim() ? t("reasonNeeded") : "";
    if (error.textContent) return;
    button.disabled = true;
    try {
      await work(field.value.trim());
      dialog.close();
    } catch (problem) {
      error.textContent = problem.message;
      if (problem.status === 401) {
        dialog.close();
        signedOut();
      }
    } finally {
      button.disabled = false;
    }
  };
  dialog.showModal();
}
