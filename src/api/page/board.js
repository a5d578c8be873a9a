// @ts-check
// A drawing board whose pixels are shared as the canvas.

import { el, icon } from "./dom.js";

const WIDTH = 1280;
const HEIGHT = 720;

/** Frames a second at most while drawing. */
const FRAME_RATE = 15;

/** A still board is painted again this often (milliseconds): whoever comes later gets a picture. */
const HEARTBEAT = 400;

/** Ink, by name. */
const INKS = { Black: "#1d1d1b", Red: "#b3261e", Blue: "#1a56b0", Green: "#1b7340", Paper: "#ffffff" };

/** The board: an element to draw on and a track of what is drawn. */
export class Board {
  /** @param {import("./page.js").Page} page */
  constructor(page) {
    this.page = page;
    this.canvas = el("canvas", { width: WIDTH, height: HEIGHT, "aria-label": "Drawing board: draw with the pointer" });
    this.context = /** @type {CanvasRenderingContext2D} */ (this.canvas.getContext("2d"));
    this.ink = INKS.Black;
    this.element = el("figure", { class: "picture canvas board" }, this.canvas, this.#tools());
    /** @type {ReturnType<typeof setInterval> | undefined} */
    this.timer = undefined;
    this.clear();
    this.#listen();
    page.board = this;
  }

  /** A fresh track of the board. @returns {MediaStreamTrack} */
  capture() {
    const [track] = this.canvas.captureStream(FRAME_RATE).getVideoTracks();
    track.contentHint = "detail";
    return track;
  }

  /** @param {boolean} live whether it is being shared */
  show(live) {
    if (live && this.timer === undefined) this.timer = setInterval(() => this.#repaint(), HEARTBEAT);
    if (!live && this.timer !== undefined) {
      clearInterval(this.timer);
      this.timer = undefined;
    }
  }

  clear() {
    this.context.fillStyle = INKS.Paper;
    this.context.fillRect(0, 0, WIDTH, HEIGHT);
  }

  #tools() {
    const inks = Object.entries(INKS).map(([name, colour]) => {
      const button = el("button", {
        type: "button", class: `ink ink-${name.toLowerCase()}`, "aria-label": name === "Paper" ? "Eraser" : `${name} ink`,
        "aria-pressed": String(colour === this.ink), title: name === "Paper" ? "Eraser" : name,
      });
      button.addEventListener("click", () => {
        this.ink = colour;
        for (const other of inks) other.setAttribute("aria-pressed", String(other === button));
      });
      return button;
    });
    const clear = el("button", { type: "button", class: "quiet", onclick: () => this.clear() }, "Clear");
    const stop = el("button", { type: "button", class: "quiet", onclick: () => this.page.attempt(() => this.page.room.stopCanvas()) },
      icon("close"), "Stop");
    return el("div", { class: "board-tools", role: "toolbar", "aria-label": "Board" }, ...inks, clear, stop);
  }

  #listen() {
    /** @type {{x: number, y: number} | null} */
    let last = null;
    const point = (/** @type {PointerEvent} */ event) => {
      // The sheet keeps its shape and stands in the middle of the element (`object-fit: contain`).
      const box = this.canvas.getBoundingClientRect();
      const scale = Math.min(box.width / WIDTH, box.height / HEIGHT);
      const left = box.left + (box.width - WIDTH * scale) / 2;
      const top = box.top + (box.height - HEIGHT * scale) / 2;
      return { x: (event.clientX - left) / scale, y: (event.clientY - top) / scale };
    };
    this.canvas.addEventListener("pointerdown", (/** @type {PointerEvent} */ event) => {
      this.canvas.setPointerCapture(event.pointerId);
      last = point(event);
      this.#line(last, last);
    });
    this.canvas.addEventListener("pointermove", (/** @type {PointerEvent} */ event) => {
      if (!last) return;
      const next = point(event);
      this.#line(last, next);
      last = next;
    });
    for (const end of ["pointerup", "pointercancel"]) this.canvas.addEventListener(end, () => (last = null));
  }

  /** @param {{x: number, y: number}} from @param {{x: number, y: number}} to */
  #line(from, to) {
    const { context } = this;
    context.strokeStyle = this.ink;
    context.lineWidth = this.ink === INKS.Paper ? 36 : 5;
    context.lineCap = "round";
    context.beginPath();
    context.moveTo(from.x, from.y);
    context.lineTo(to.x, to.y);
    context.stroke();
  }

  /** Touches the canvas without changing it, so that the browser captures a frame. */
  #repaint() {
    this.context.drawImage(this.canvas, 0, 0, 1, 1, 0, 0, 1, 1);
  }
}
