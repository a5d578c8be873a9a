// @ts-check
// Plays what the audio slots receive. Who is in which slot is of no matter here.

import { el } from "./dom.js";

/**
 * @param {HTMLElement} root
 * @param {import("./store.js").Store} store
 */
export function soundView(root, store) {
  /** @type {Map<string, HTMLAudioElement>} */
  const players = new Map();
  /** Browsers may refuse sound until the page was touched, or captures something. */
  const ask = el("button", { type: "button", class: "primary hear", hidden: true, onclick: () => void playAll() }, "Tap to hear the meeting");
  document.body.append(ask);

  async function playAll() {
    try {
      await Promise.all([...players.values()].filter((player) => player.paused).map((player) => player.play()));
      ask.hidden = true;
    } catch (error) {
      if (error instanceof DOMException && error.name === "NotAllowedError") ask.hidden = false;
    }
  }

  return () => {
    ask.hidden ||= store.phase === "left";
    for (const { mid, kind, track } of store.slots) {
      if (kind !== "audio" || !track) continue;
      const player = players.get(mid) ?? el("audio", { autoplay: true });
      if (!players.has(mid)) {
        players.set(mid, player);
        root.append(player);
      }
      const playing = player.srcObject;
      if (playing instanceof MediaStream && playing.getTracks()[0] === track) continue;
      player.srcObject = new MediaStream([track]);
    }
    void playAll();
  };
}
