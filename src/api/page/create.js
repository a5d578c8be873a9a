// @ts-check
// The form that makes breakout rooms, empty or with the people dealt round.

import { checkBox, el, field, openDialog } from "./dom.js";

/** How many live breakout rooms a session has at most. */
const MAX_ROOMS = 10;

/** @param {import("./page.js").Page} page */
export function createDialog(page) {
  const { store, room } = page;
  const most = Math.max(1, MAX_ROOMS - store.breakouts.size);
  const name = el("input", { maxLength: 64, autocomplete: "off", placeholder: "Table" });
  const rooms = number(1, most, Math.min(2, most));
  const seats = number(2, Math.max(2, store.maxSeats), Math.max(2, store.maxSeats));
  const deal = el("select", {},
    el("option", { value: "" }, "Nobody yet: empty rooms"),
    el("option", { value: "deal" }, "Everybody here, dealt round"));
  const force = checkBox("Bring them there without asking", { checked: store.isModerator, disabled: !store.isModerator });
  const moderators = checkBox("Moderators too", {});
  const dealing = el("div", { class: "stack inset", hidden: true }, force, moderators);
  deal.addEventListener("change", () => (dealing.hidden = deal.value === ""));
  const kinds = {
    audio: checkBox("Sound", { checked: store.kinds.audio }),
    video: checkBox("Cameras", { checked: false }),
    share: checkBox("Screens", { checked: store.kinds.share }),
    canvas: checkBox("Boards", { checked: store.kinds.canvas }),
  };
  const open = checkBox("Open: whoever is in the main room may join", {});
  const form = el("form", { class: "stack" },
    field("Name", name),
    el("div", { class: "row even" }, field("Rooms", rooms), field("Seats in each", seats)),
    field("Who goes in", deal), dealing,
    el("fieldset", { class: "kinds" }, el("legend", {}, "What they carry"), ...Object.values(kinds)),
    open,
    el("div", { class: "row end" }, el("button", { type: "submit", class: "primary" }, "Create")));
  const { close } = openDialog("Create breakout rooms", [form]);

  form.addEventListener("submit", async (/** @type {Event} */ event) => {
    event.preventDefault();
    const checked = (/** @type {HTMLElement} */ box) => /** @type {HTMLInputElement} */ (box.querySelector("input")).checked;
    const params = {
      participants: Number(seats.value), max_rooms: Number(rooms.value),
      audio: checked(kinds.audio), video: checked(kinds.video), share: checked(kinds.share), canvas: checked(kinds.canvas),
      open: checked(open), ...(name.value.trim() ? { name: name.value.trim() } : {}),
    };
    close();
    if (deal.value === "") {
      tell(page, await page.attempt(() => room.createBreakOutRoom(params)));
    } else {
      const people = { force_join: checked(force), include_moderators: checked(moderators) };
      tell(page, await page.attempt(() => room.createAndInviteBreakoutRoom({ ...params, ...people })));
    }
  });
}

/** @param {number} min @param {number} max @param {number} value */
function number(min, max, value) {
  return el("input", { type: "number", required: true, min: String(min), max: String(max), value: String(value), inputMode: "numeric" });
}

/** What the person should know beside "done". @param {import("./page.js").Page} page @param {any} answer */
function tell(page, answer) {
  if (!answer) return;
  const { store } = page;
  const names = (/** @type {string[]} */ ids) => ids.map((id) => store.people.get(id)?.name ?? "somebody").join(", ");
  if (answer.warnings?.includes("video_not_supported")) store.note("Cameras are not carried in breakout rooms here.");
  if (answer.unassigned?.length > 0) store.note(`No seat was left for ${names(answer.unassigned)}.`, "bad");
  for (const { clientId, result } of answer.failed ?? []) {
    store.note(`${names([clientId])} could not be brought over: ${page.reasonOf(result)}`, "bad");
  }
}
