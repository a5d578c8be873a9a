// @ts-check
// The own switches: microphone, camera, screen, board, and the ways out.

import { el, icon, setIcon } from "./dom.js";

/**
 * @param {HTMLElement} root
 * @param {import("./page.js").Page} page
 */
export function dockView(root, page) {
  const { store, room } = page;
  const microphone = toggle("mic", "Mic", () => switchTo("audio", "setMicrophone"));
  const camera = toggle("camera", "Camera", () => switchTo("video", "setCamera"));
  const screen = toggle("screen", "Screen", () =>
    page.attempt(() => store.local.has("share") ? room.stopScreenShare() : room.startScreenShare()));
  const board = toggle("board", "Board", () => page.attempt(() => store.local.has("canvas")
    ? room.stopCanvas()
    : room.startCanvas({ track: /** @type {import("./board.js").Board} */ (page.board).capture() })));
  const back = el("button", { type: "button", class: "dock-button away-button", title: "Back to the main room", onclick: () => page.attempt(() => room.disconnect()) },
    icon("back"), el("span", {}, "Back"));
  const leave = el("button", { type: "button", class: "dock-button leave", onclick: () => page.attempt(() => room.leaveRoom()) },
    icon("leave"), el("span", {}, "Leave"));
  screen.button.hidden = !navigator.mediaDevices?.getDisplayMedia;
  root.replaceChildren(microphone.button, camera.button, screen.button, board.button, back, leave);

  /** @param {"audio" | "video"} kind @param {"setMicrophone" | "setCamera"} method */
  function switchTo(kind, method) {
    return page.attempt(() => room[method]({ on: !store.local.has(kind) }));
  }

  return () => {
    const on = { mic: store.local.has("audio"), camera: store.local.has("video") };
    set(microphone, on.mic, on.mic ? "mic" : "mic-off", on.mic ? "Turn the microphone off" : "Turn the microphone on");
    set(camera, on.camera, on.camera ? "camera" : "camera-off", on.camera ? "Turn the camera off" : "Turn the camera on");
    set(screen, store.local.has("share"), "screen", store.local.has("share") ? "Stop sharing the screen" : "Share the screen");
    set(board, store.local.has("canvas"), "board", store.local.has("canvas") ? "Stop sharing the board" : "Share a board");
    back.hidden = store.place === null;
    hint(microphone, store.unheard ? "Nobody hears your microphone here" : "");
    hint(camera, store.unseen ? "Nobody sees your camera here" : "");
    hint(screen, whyNotPresent(store, "share"));
    hint(board, whyNotPresent(store, "canvas"));
  };
}

/**
 * Why this page cannot present now: a room carries one presentation at a time.
 * @param {import("./store.js").Store} store
 * @param {"share" | "canvas"} kind
 */
function whyNotPresent(store, kind) {
  if (store.local.has(kind)) return "";
  if (store.silenced) return "Only moderators present in a lecture";
  if (!store.carried[kind]) return "This room does not carry it";
  const by = store.presenting.share ?? store.presenting.canvas;
  if (!by) return "";
  return by.id === store.me ? "You are presenting something else: stop that first" : `${by.name} is presenting`;
}

/** @param {string} name @param {string} label @param {() => Promise<any>} act */
function toggle(name, label, act) {
  const shape = icon(name);
  const button = el("button", { type: "button", class: "dock-button", "aria-pressed": "false" }, shape, el("span", {}, label));
  button.addEventListener("click", async () => {
    if (button.getAttribute("aria-busy") === "true") return;
    button.setAttribute("aria-busy", "true");
    await act();
    button.removeAttribute("aria-busy");
  });
  return { button, shape };
}

/** @param {{button: HTMLElement, shape: SVGElement}} part @param {boolean} on @param {string} name @param {string} title */
function set({ button, shape }, on, name, title) {
  button.setAttribute("aria-pressed", String(on));
  button.title = title;
  setIcon(shape, name);
}

/** @param {{button: HTMLElement}} part @param {string} text */
function hint({ button }, text) {
  button.classList.toggle("taken", text !== "");
  if (text) button.title = text;
}
