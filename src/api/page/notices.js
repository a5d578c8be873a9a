// @ts-check
// What happened: a log to look back at, and a word at once, read out by screen readers too.

import { el, keyed } from "./dom.js";

/** How long a word stays, in milliseconds. */
const STAY = 6_000;

/** How many words are shown at once. */
const MAX_TOASTS = 2;

/** @param {HTMLElement} root @param {import("./store.js").Store} store */
export function logView(root, store) {
  const list = el("ol", { class: "list log" });
  const empty = el("p", { class: "muted" }, "Nothing has happened yet.");
  root.replaceChildren(el("h2", { class: "panel-title" }, "Log"), empty, list);
  return () => {
    empty.hidden = store.notices.length > 0;
    keyed(list, store.notices, (notice) => String(notice.id), noticeRow, () => {});
  };
}

/** @param {import("./store.js").Notice} notice */
function noticeRow({ at, text, tone }) {
  const time = at.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  return el("li", { class: `tone-${tone}` }, el("time", { dateTime: at.toISOString(), class: "muted small" }, time), el("span", {}, text));
}

/**
 * @param {HTMLElement} polite
 * @param {HTMLElement} urgent
 * @param {import("./store.js").Store} store
 */
export function toastView(polite, urgent, store) {
  store.addEventListener("notice", (event) => {
    const { text, tone } = /** @type {CustomEvent} */ (event).detail;
    if (tone === "quiet") return;
    const place = tone === "bad" ? urgent : polite;
    const toast = el("p", { class: `toast tone-${tone}` }, text);
    place.append(toast);
    while (place.childElementCount > MAX_TOASTS) place.firstElementChild?.remove();
    setTimeout(() => toast.remove(), STAY);
  });
}
