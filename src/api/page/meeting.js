// @ts-check
// What concerns the whole main room: pause, mute, mode, end; and the own leg in it while away.

import { confirmFirst, el, setText } from "./dom.js";
import { NO_FLAGS } from "./store.js";

/**
 * @param {HTMLElement} root
 * @param {import("./page.js").Page} page
 */
export function meetingView(root, page) {
  const { store, room } = page;
  const about = el("p", { class: "muted" });
  const forAll = flagControls(page, "room", "Main room, for everybody", {
    paused: ["Pause everything", "Resume"],
    audio_muted: ["Mute microphones", "Unmute microphones"],
    video_muted: ["Mute cameras", "Unmute cameras"],
  });
  const own = flagControls(page, undefined, "Your place in the main room", {
    paused: ["Pause it", "Resume it"],
    audio_muted: ["Mute its sound", "Unmute its sound"],
    video_muted: ["Mute its cameras", "Unmute its cameras"],
  });
  const leg = el("section", { class: "stack block" }, own.element,
    el("p", { class: "muted small" }, "While you are in a breakout room nothing of the main room reaches you anyway. The others see what you set here, and it ends when you return."));
  const mode = el("button", { type: "button", onclick: () =>
    page.attempt(() => room.setRoomMode({ mode: store.mode === "lecture" ? "group" : "lecture" })) });
  const modeHint = el("p", { class: "muted small" });
  const end = el("button", { type: "button", class: "danger", onclick: () => confirmFirst("End the meeting?",
    "It ends for everybody, in the breakout rooms too.", "End for everybody", () => void page.attempt(() => room.endRoom())) }, "End the meeting");
  const hosts = el("section", { class: "stack block" }, forAll.element);
  const modes = el("section", { class: "stack block" }, el("h3", {}, "Mode"), modeHint, mode);
  const ending = el("section", { class: "stack block" }, end);
  root.replaceChildren(el("h2", { class: "panel-title" }, "Meeting"), about, leg, hosts, modes, ending);

  return () => {
    setText(about, `${store.people.size} ${store.people.size === 1 ? "person" : "people"} in “${store.name}”.`);
    leg.hidden = store.place === null;
    hosts.hidden = !store.isModerator;
    modes.hidden = !store.isModerator;
    ending.hidden = !store.isModerator;
    own.render(store.place === null ? NO_FLAGS : store.leg);
    forAll.render(store.flags);
    setText(mode, store.mode === "lecture" ? "Switch to group mode" : "Switch to lecture mode");
    setText(modeHint, store.mode === "lecture" ? "Lecture: only moderators speak and present." : "Group: everybody may speak and present.");
  };
}

/**
 * Pause and mute of one scope.
 * @param {import("./page.js").Page} page
 * @param {"room" | undefined} scope
 * @param {string} title
 * @param {Record<keyof import("./store.js").Flags, [on: string, off: string]>} words
 */
function flagControls(page, scope, title, words) {
  const { room } = page;
  const at = scope ? { scope } : {};
  let flags = NO_FLAGS;
  const acts = {
    paused: () => flags.paused ? room.resume(at) : room.pause(at),
    audio_muted: () => flags.audio_muted ? room.unmuteRoom({ audio: true, ...at }) : room.muteRoom({ audio: true, ...at }),
    video_muted: () => flags.video_muted ? room.unmuteRoom({ video: true, ...at }) : room.muteRoom({ video: true, ...at }),
  };
  const names = /** @type {(keyof import("./store.js").Flags)[]} */ (Object.keys(acts));
  const buttons = names.map((name) => el("button", { type: "button", class: "flag", onclick: () => page.attempt(acts[name]) }));
  const element = el("div", { class: "stack" }, el("h3", {}, title), ...buttons);
  return {
    element,
    /** @param {import("./store.js").Flags} now */
    render(now) {
      flags = now;
      names.forEach((name, index) => {
        setText(buttons[index], words[name][now[name] ? 1 : 0]);
        buttons[index].classList.toggle("on", now[name]);
      });
    },
  };
}
