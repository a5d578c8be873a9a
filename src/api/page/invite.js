// @ts-check
// Asking people into a breakout room, or bringing them there.

import { checkBox, el, field, openDialog } from "./dom.js";

/** How long an invitation may stand: seconds and words. @type {[seconds: number, words: string][]} */
const TERMS = [[30, "30 seconds"], [120, "2 minutes"], [600, "10 minutes"], [0, "no limit"]];

/**
 * Into which room with one person.
 * @param {import("./store.js").Person} person
 * @param {import("./store.js").Breakout[]} rooms
 * @param {import("./page.js").Page} page
 * @param {() => void} done
 */
export function invitePerson(person, rooms, page, done) {
  const room = el("select", {}, ...rooms.map(({ id, name }) => el("option", { value: id }, name)));
  const send = (/** @type {boolean} */ force_join) => () => {
    done();
    void invite(page, { clients: [person.id], room_id: room.value, force_join });
  };
  return el("div", { class: "stack" }, field("Breakout room", room),
    el("div", { class: "row" },
      el("button", { type: "button", class: "primary", onclick: send(false) }, "Invite"),
      page.store.isModerator ? el("button", { type: "button", onclick: send(true) }, "Bring there now") : null));
}

/**
 * Whom into one room.
 * @param {import("./store.js").Breakout} room
 * @param {import("./page.js").Page} page
 */
export function inviteDialog(room, page) {
  const { store } = page;
  const people = store.peopleIn(null).filter((person) => person.id !== store.me);
  const boxes = people.map((person) => checkBox(person.name, { value: person.id }));
  const force = checkBox("Bring them there without asking", {});
  const term = el("select", {}, ...TERMS.map(([seconds, words]) => el("option", { value: seconds, selected: seconds === 120 }, words)));
  const send = el("button", { type: "submit", class: "primary", disabled: true }, "Invite");
  const form = el("form", { class: "stack" },
    people.length > 0
      ? el("fieldset", {}, el("legend", {}, "From the main room"), ...boxes)
      : el("p", { class: "muted" }, "Nobody else is in the main room."),
    store.isModerator ? force : null,
    field("The invitation stands for", term),
    el("div", { class: "row end" }, send));
  const { close } = openDialog(`Invite to ${room.name}`, [form]);
  form.addEventListener("change", () => {
    send.disabled = !boxes.some((box) => box.querySelector("input").checked);
  });
  form.addEventListener("submit", (/** @type {Event} */ event) => {
    event.preventDefault();
    const clients = boxes.map((box) => box.querySelector("input")).filter((box) => box.checked).map((box) => box.value);
    close();
    void invite(page, {
      clients, room_id: room.id, force_join: force.querySelector("input").checked, expires_in: Number(term.value),
    });
  });
}

/**
 * @param {import("./page.js").Page} page
 * @param {{clients: string[], room_id: string, force_join?: boolean, expires_in?: number}} params
 */
async function invite(page, params) {
  const { store } = page;
  const nameOf = (/** @type {string} */ id) => store.people.get(id)?.name ?? "somebody";
  const answer = await page.attempt(() => page.room.inviteToBreakOutRoom(params));
  if (!answer) return;
  if (answer.invited?.length > 0) {
    store.note(`${params.force_join ? "Brought over" : "Invited"}: ${answer.invited.map(nameOf).join(", ")}.`, "good");
  }
  for (const { clientId, result } of answer.failed ?? []) {
    store.note(`${nameOf(clientId)} could not be invited: ${page.reasonOf(result)}`, "bad");
  }
}
