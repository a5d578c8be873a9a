// @ts-check
// The breakout rooms: what there is, who is in them, and everything that can be done with them.

import { confirmFirst, checkBox, el, field, keyed, openDialog, setText } from "./dom.js";
import { createDialog } from "./create.js";
import { inviteDialog } from "./invite.js";

/**
 * @param {HTMLElement} root
 * @param {import("./page.js").Page} page
 */
export function roomsView(root, page) {
  const { store, room } = page;
  const create = el("button", { type: "button", class: "primary", onclick: () => createDialog(page) }, "Create…");
  const lecture = el("p", { class: "hint" }, "Breakout rooms are not available in lecture mode.");
  const list = el("ul", { class: "list rooms" });
  const empty = el("div", { class: "empty-panel" }, el("p", { class: "empty-title" }, "No breakout rooms"), el("p", { class: "muted" }));
  const clear = el("button", { type: "button", onclick: () => confirmFirst("Bring everybody back?",
    "Everybody in a breakout room returns to the main room. The rooms stay and can be used again.", "Bring back",
    () => void page.attempt(() => room.clearAllBreakOutSession())) }, "Bring everybody back");
  const destroy = el("button", { type: "button", class: "danger", onclick: () => confirmFirst("Close all breakout rooms?",
    "Everybody returns to the main room, which is resumed and unmuted. The rooms are gone.", "Close all",
    () => void page.attempt(() => room.destroyAllBreakOutSession())) }, "Close all rooms");
  const foot = el("div", { class: "row wrap" }, clear, destroy);
  root.replaceChildren(
    el("div", { class: "panel-head" }, el("h2", { class: "panel-title" }, "Breakout rooms"), create), lecture, empty, list, foot);

  // Others are not told of rooms that they may enter without an invitation.
  document.getElementById("tab-rooms")?.addEventListener("click", () => {
    if (!store.isModerator) void page.attempt(() => room.listBreakoutRooms());
  });

  return () => {
    const rooms = [...store.breakouts.values()];
    const owns = rooms.some((breakout) => breakout.owner === store.me);
    lecture.hidden = store.mode !== "lecture";
    create.disabled = store.mode === "lecture" || store.place !== null;
    create.title = store.place === null ? "" : "Go back to the main room first";
    empty.hidden = rooms.length > 0 || store.mode === "lecture";
    setText(empty.children[1], store.place === null
      ? "Create some, and let people talk in small groups beside the main room."
      : "Rooms that you may enter appear here.");
    clear.hidden = rooms.length === 0 || !(store.isModerator || owns);
    destroy.hidden = rooms.length === 0 || !store.isModerator;
    keyed(list, rooms, (breakout) => breakout.id, (breakout) => roomCard(breakout.id, page),
      (card, breakout) => fillCard(card, breakout, store));
  };
}

/** @param {string} id @param {import("./page.js").Page} page */
function roomCard(id, page) {
  const { store, room } = page;
  const with_ = (/** @type {(room: import("./store.js").Breakout, page: import("./page.js").Page) => void} */ act) => () => {
    const breakout = store.breakouts.get(id);
    if (breakout) act(breakout, page);
  };
  return el("li", { class: "room-card" },
    el("div", { class: "row spread" }, el("h3", {}), el("span", { class: "seats muted small" })),
    el("p", { class: "about muted small" }),
    el("p", { class: "members" }),
    el("div", { class: "row wrap" },
      el("button", { type: "button", class: "join", onclick: with_(joinDialog) }, "Join…"),
      el("button", { type: "button", class: "invite", onclick: with_(inviteDialog) }, "Invite…"),
      el("button", { type: "button", class: "go-back", onclick: () => page.attempt(() => room.disconnect({ room_id: id })) }, "Leave")));
}

/** @param {HTMLElement} card @param {import("./store.js").Breakout} breakout @param {import("./store.js").Store} store */
function fillCard(card, breakout, store) {
  const part = (/** @type {string} */ selector) => /** @type {HTMLElement} */ (card.querySelector(selector));
  const members = store.peopleIn(breakout.id);
  const here = store.place === breakout.id;
  setText(part("h3"), breakout.name);
  setText(part(".seats"), `${members.length} of ${breakout.seats}`);
  setText(part(".about"), about(breakout, store));
  setText(part(".members"), members.length > 0
    ? members.map((person) => person.name).join(", ")
    : breakout.state === "cleared" ? "Cleared: nobody is here." : "Nobody is here.");
  part(".members").classList.toggle("muted", members.length === 0);
  card.classList.toggle("here", here);
  const mayEnter = store.mayRun(breakout) || breakout.open || store.invitations.has(breakout.id);
  part(".join").hidden = here || store.place !== null || !mayEnter;
  part(".invite").hidden = store.place !== null || !store.mayRun(breakout);
  part(".go-back").hidden = !here;
}

/** @param {import("./store.js").Breakout} breakout @param {import("./store.js").Store} store */
function about(breakout, store) {
  const names = { audio: "sound", video: "cameras", share: "screens", canvas: "boards" };
  const kinds = Object.entries(names).filter(([kind]) => breakout.kinds[/** @type {keyof typeof names} */ (kind)]).map(([, name]) => name);
  const owner = store.people.get(breakout.owner);
  const parts = [kinds.join(", ") || "no media", breakout.open ? "open to all" : "by invitation"];
  if (owner) parts.push(owner.id === store.me ? "yours" : `by ${owner.name}`);
  return parts.join(" · ");
}

/** @param {import("./store.js").Breakout} breakout @param {import("./page.js").Page} page */
function joinDialog(breakout, page) {
  const speak = checkBox("Send my microphone there", { checked: breakout.kinds.audio, disabled: !breakout.kinds.audio });
  const role = el("select", {},
    el("option", { value: "participant" }, "Participant"),
    el("option", { value: "moderator" }, "Moderator (takes no seat)"));
  const form = el("form", { class: "stack" }, speak,
    page.store.mayRun(breakout) ? field("Join as", role) : null,
    el("div", { class: "row end" }, el("button", { type: "submit", class: "primary" }, "Join")));
  const { close } = openDialog(`Join ${breakout.name}`, [form]);
  form.addEventListener("submit", (/** @type {Event} */ event) => {
    event.preventDefault();
    close();
    void page.enter(breakout.id, role.value, speak.querySelector("input").checked);
  });
}
