// @ts-check
// Puts the page together: the way in, the meeting, the way out.

import { AnteroomRoom } from "./anteroom.js";
import { dockView } from "./dock.js";
import { el } from "./dom.js";
import { showEntry } from "./entry.js";
import { follow } from "./fold.js";
import { invitationsView } from "./invitations.js";
import { meetingView } from "./meeting.js";
import { logView, toastView } from "./notices.js";
import { Page } from "./page.js";
import { peopleView } from "./people.js";
import { roomsView } from "./rooms.js";
import { soundView } from "./sound.js";
import { stageView } from "./stage.js";
import { Store } from "./store.js";
import { tabsView } from "./tabs.js";
import { topView } from "./top.js";

/** Where a reload finds its seat again. It lives as long as the tab. */
const SEAT_KEY = "anteroom";

/** @param {string} id */
const at = (id) => /** @type {HTMLElement} */ (document.getElementById(id));

/** @typedef {import("./entry.js").Entering & {seat?: string | null}} Entering */

/** @param {Entering} entering */
async function enter(entering) {
  const { token, seat = null } = entering;
  const room = new AnteroomRoom({ token, seat });
  // For whoever wants to look in, tests among them.
  Object.assign(window, { anteroom: room });
  const store = new Store();
  const page = new Page(room, store);
  keepSeat(room, entering);
  follow(room, store);
  await room.joinRoom();
  show(page);
  await page.attempt(() => room.setMicrophone({ on: entering.microphone }));
  await page.attempt(() => room.setCamera({ on: entering.camera }));
}

/**
 * @param {AnteroomRoom} room
 * @param {Entering} entering
 */
function keepSeat(room, entering) {
  const kept = { ...entering };
  const keep = () => {
    if (kept.seat) sessionStorage.setItem(SEAT_KEY, JSON.stringify(kept));
    else sessionStorage.removeItem(SEAT_KEY);
  };
  room.addEventListener("seat", (event) => {
    kept.seat = /** @type {CustomEvent} */ (event).detail.seat;
    keep();
  });
  room.addEventListener("local", () => {
    if (room.state === "left") return;
    kept.microphone = room.local.has("audio");
    kept.camera = room.local.has("video");
    keep();
  });
}

/** @param {Page} page */
function show(page) {
  const { store } = page;
  const views = [
    topView(at("top"), store),
    invitationsView(at("invitations"), page),
    stageView(at("stage"), page),
    tabsView(at("tabs"), at("meeting"), store),
    peopleView(at("panel-people"), page),
    roomsView(at("panel-rooms"), page),
    meetingView(at("panel-meeting"), page),
    logView(at("panel-log"), store),
    dockView(at("dock"), page),
    soundView(at("sound"), store),
  ];
  toastView(at("toasts"), at("alerts"), store);
  at("entry").hidden = true;
  at("meeting").hidden = false;
  const render = () => {
    for (const view of views) view();
    if (store.phase === "left") showEnd(store);
  };
  store.addEventListener("change", render);
  render();
}

/** @type {Record<string, string>} */
const ENDINGS = {
  left: "You left the meeting.",
  removed: "A moderator removed you from the meeting.",
  room_ended: "The meeting was ended.",
  replaced: "This seat was taken over in another window.",
  seat_freed: "You were away for too long, and your seat was given up.",
};

/** @param {Store} store */
function showEnd(store) {
  // An open one would lie over the way back in, and act on a meeting that is over.
  for (const dialog of document.querySelectorAll("dialog")) dialog.close();
  at("meeting").hidden = true;
  at("words").hidden = true;
  const again = el("button", { type: "button", class: "primary", onclick: () => location.reload() }, "Join again");
  at("entry").replaceChildren(el("div", { class: "card" },
    el("h1", {}, "Anteroom"), el("p", { role: "status" }, ENDINGS[store.reason] ?? store.reason), again));
  at("entry").hidden = false;
  again.focus();
}

/** A reload comes back to its seat; everybody else gets the form. */
async function start() {
  const kept = sessionStorage.getItem(SEAT_KEY);
  if (kept) {
    try {
      await enter(JSON.parse(kept));
      return;
    } catch {
      sessionStorage.removeItem(SEAT_KEY);
    }
  }
  showEntry(at("entry"), enter);
}

void start();
