// @ts-check
// The bar at the top: which room, which place in it, what is stopped, and whether the line is up.

import { el, setText } from "./dom.js";

/** @param {HTMLElement} root @param {import("./store.js").Store} store */
export function topView(root, store) {
  const room = el("strong", { class: "room-name" });
  const place = el("span", { class: "place", "aria-live": "polite" });
  const flags = el("span", { class: "flags" });
  const line = el("span", { class: "line", role: "status" });
  root.replaceChildren(room, place, flags, line);

  return () => {
    setText(room, store.name || "Anteroom");
    const away = store.place !== null;
    setText(place, store.placeName(store.place));
    place.classList.toggle("away", away);
    document.body.classList.toggle("away", away);
    setText(flags, stopped(store).join(" · "));
    setText(line, store.phase === "reconnecting" ? "Reconnecting…" : "");
    document.title = `${store.placeName(store.place)} – ${store.name || "Anteroom"}`;
  };
}

/** @param {import("./store.js").Store} store */
function stopped(store) {
  const said = [];
  if (store.mode === "lecture") said.push(store.silenced ? "Lecture: listening" : "Lecture");
  else if (store.listening) said.push("Listening only");
  if (store.flags.paused) said.push("Main room paused");
  else if (store.flags.audio_muted && store.flags.video_muted) said.push("Main room muted");
  else if (store.flags.audio_muted) said.push("Microphones muted");
  else if (store.flags.video_muted) said.push("Cameras muted");
  return said;
}
