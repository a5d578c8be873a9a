// @ts-check
// What there is to see: the shared screen and canvas large, cameras as tiles.

import { avatar } from "./avatar.js";
import { Board } from "./board.js";
import { el, keyed, setText } from "./dom.js";

/** How many tiles there are at most; everybody is on the list of people. */
const MAX_TILES = 16;

/** @typedef {{key: string, kind: string, id: string, name: string, track: MediaStreamTrack | null, own: boolean, label: string}} Picture */

/**
 * @param {HTMLElement} root
 * @param {import("./page.js").Page} page
 */
export function stageView(root, page) {
  const { store } = page;
  const large = el("div", { class: "large" });
  const tiles = el("ul", { class: "tiles", "aria-label": "Cameras" });
  const empty = el("div", { class: "empty" }, el("p", { class: "empty-title" }), el("p", { class: "muted" }));
  const board = new Board(page);
  root.replaceChildren(large, empty, tiles);

  return () => {
    const shown = presented(store);
    board.show(store.local.has("canvas"));
    keyed(large, store.local.has("canvas") ? [boardPicture(store), ...shown] : shown,
      (picture) => picture.key,
      (picture) => picture.key === "board" ? board.element : frame(picture),
      (element, picture) => picture.key !== "board" && fill(element, picture));
    const cameras = seen(store);
    keyed(tiles, cameras, (picture) => picture.key, (picture) => el("li", {}, frame(picture)),
      (element, picture) => fillTile(element, picture, store));
    tiles.style.setProperty("--columns", String(Math.ceil(Math.sqrt(cameras.length))));
    tiles.style.setProperty("--columns-narrow", cameras.length > 2 ? "2" : "1");
    const isEmpty = large.childElementCount === 0;
    large.hidden = isEmpty;
    root.classList.toggle("presenting", !isEmpty);
    empty.hidden = !isEmpty || cameras.length > 1;
    describe(empty, store);
  };
}

/** @param {import("./store.js").Store} store @returns {Picture} */
function boardPicture(store) {
  return { key: "board", kind: "canvas", id: store.me, name: "", track: null, own: true, label: "Your board" };
}

/** Screens and canvases of others, and the own screen. @param {import("./store.js").Store} store @returns {Picture[]} */
function presented(store) {
  /** @type {Picture[]} */
  const pictures = [];
  for (const slot of store.slots) {
    if (slot.clientId === null || (slot.kind !== "share" && slot.kind !== "canvas")) continue;
    const name = store.people.get(slot.clientId)?.name ?? "Somebody";
    const label = slot.kind === "share" ? `${name}’s screen` : `${name}’s board`;
    pictures.push({ key: slot.mid, kind: slot.kind, id: slot.clientId, name, track: slot.track, own: false, label });
  }
  const own = store.local.get("share");
  if (own) pictures.push({ key: "own-share", kind: "share", id: store.me, name: "", track: own, own: true, label: "You share your screen" });
  return pictures;
}

/** Cameras that arrive, and the own one. @param {import("./store.js").Store} store @returns {Picture[]} */
function seen(store) {
  const self = store.self;
  /** @type {Picture[]} */
  const pictures = [];
  for (const slot of store.slots) {
    const person = slot.clientId === null || slot.kind !== "video" ? null : store.people.get(slot.clientId);
    if (person) pictures.push({ key: slot.mid, kind: "video", id: person.id, name: person.name, track: slot.track, own: false, label: tileLabel(person) });
  }
  const faces = new Set(pictures.map((picture) => picture.id));
  for (const person of store.peopleIn(store.place)) {
    if (person.id === store.me || faces.has(person.id)) continue;
    pictures.push({ key: `p-${person.id}`, kind: "video", id: person.id, name: person.name, track: null, own: false, label: tileLabel(person) });
  }
  if (self) {
    pictures.unshift({ key: "own", kind: "video", id: self.id, name: self.name, track: store.local.get("video") ?? null, own: true, label: ownLabel(store) });
  }
  return pictures.slice(0, MAX_TILES);
}

/** @param {import("./store.js").Person} person */
function tileLabel(person) {
  return person.microphone ? person.name : `${person.name} · muted`;
}

/** @param {import("./store.js").Store} store */
function ownLabel(store) {
  const unseen = store.local.has("video") && store.unseen;
  return unseen ? "You · not seen by others here" : "You";
}

/** @param {Picture} picture */
function frame(picture) {
  const video = el("video", { autoplay: true, muted: true, playsInline: true, "aria-label": picture.label });
  return el("figure", { class: `picture ${picture.kind}` }, avatar(picture), video, el("figcaption", {}));
}

/** @param {HTMLElement} element @param {Picture} picture */
function fill(element, picture) {
  const figure = /** @type {HTMLElement} */ (element.tagName === "FIGURE" ? element : element.querySelector("figure"));
  const video = /** @type {HTMLVideoElement} */ (figure.querySelector("video"));
  const face = figure.querySelector(".avatar");
  if (figure.dataset.of !== picture.id) {
    figure.dataset.of = picture.id;
    face?.replaceWith(avatar(picture));
  }
  video.setAttribute("aria-label", picture.label);
  setText(/** @type {Element} */ (figure.querySelector("figcaption")), picture.label);
  figure.classList.toggle("own", picture.own);
  figure.classList.toggle("dark", picture.track === null);
  const current = video.srcObject instanceof MediaStream ? video.srcObject.getTracks()[0] : null;
  if (current === picture.track) return;
  video.srcObject = picture.track ? new MediaStream([picture.track]) : null;
  if (picture.track) video.play().catch(() => {});
}

/** @param {HTMLElement} element @param {Picture} picture @param {import("./store.js").Store} store */
function fillTile(element, picture, store) {
  fill(element, picture);
  element.classList.toggle("speaking", store.talkers.has(picture.id));
  element.classList.toggle("held", store.people.get(picture.id)?.held === true);
}

/** @param {HTMLElement} empty @param {import("./store.js").Store} store */
function describe(empty, store) {
  const [title, text] = empty.children;
  setText(title, store.place === null ? "Nobody else is here" : "You are alone in this room");
  setText(text, "Others appear here when they join.");
}
