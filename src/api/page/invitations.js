// @ts-check
// Invitations that wait for an answer, and the word that one is being taken somewhere.

import { el, keyed, setText } from "./dom.js";

/**
 * @param {HTMLElement} root
 * @param {import("./page.js").Page} page
 */
export function invitationsView(root, page) {
  const { store } = page;
  const moving = el("p", { class: "banner moving", role: "status" });
  const list = el("ul", { class: "list" });
  root.replaceChildren(moving, list);

  const count = () => {
    for (const [id, invitation] of store.invitations) {
      const clock = list.querySelector(`[data-key="${CSS.escape(id)}"] .clock`);
      if (clock) setText(clock, remaining(invitation.expires));
    }
  };
  setInterval(count, 1_000);

  return () => {
    const waiting = store.phase === "joined" || store.phase === "reconnecting" ? [...store.invitations.values()] : [];
    moving.hidden = store.joining === null;
    setText(moving, store.joining === null ? "" : `Taking you to ${store.joining}…`);
    keyed(list, waiting, (invitation) => invitation.room, (invitation) => banner(invitation, page), () => {});
    root.hidden = waiting.length === 0 && store.joining === null;
    count();
  };
}

/** @param {import("./store.js").Invitation} invitation @param {import("./page.js").Page} page */
function banner({ room, name, by }, page) {
  return el("li", { class: "banner", role: "alert" },
    el("p", {}, el("strong", {}, by), " invites you to ", el("strong", {}, name), ". ", el("span", { class: "clock muted", "aria-hidden": "true" })),
    el("div", { class: "row" },
      el("button", { type: "button", class: "primary", onclick: () => page.enter(room, "participant", true) }, "Join"),
      el("button", { type: "button", onclick: () => page.attempt(() => page.room.rejectBreakOutRoom({ room_id: room })) }, "Not now")));
}

/** @param {number | null} expires */
function remaining(expires) {
  if (expires === null) return "";
  const seconds = Math.max(0, Math.round((expires - Date.now()) / 1_000));
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")} left`;
}
