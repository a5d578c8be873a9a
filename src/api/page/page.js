// @ts-check
// What the views share: the room, what is known of it, and how things are tried.

import { AnteroomError } from "./anteroom.js";

/** Codes that come without words, inside a longer answer. @type {Record<number, string>} */
const REASONS = {
  1171: "they are not connected.",
  1729: "the move failed.",
  5007: "a moderator can only be asked.",
  9704: "the room is full.",
  9708: "they have left.",
  9709: "they are in a breakout room already.",
};

/** One meeting as this page shows it. */
export class Page {
  /**
   * @param {import("./anteroom.js").AnteroomRoom} room
   * @param {import("./store.js").Store} store
   */
  constructor(room, store) {
    this.room = room;
    this.store = store;
    /** @type {import("./board.js").Board | null} */
    this.board = null;
  }

  /**
   * Tries something and tells the person if it fails.
   * @template T
   * @param {() => Promise<T>} work
   * @returns {Promise<T | undefined>}
   */
  async attempt(work) {
    try {
      return await work();
    } catch (error) {
      this.store.note(error instanceof AnteroomError ? error.msg : `Something went wrong: ${error}`, "bad");
      return undefined;
    }
  }

  /**
   * Goes into a breakout room with what it carries.
   * @param {string} id
   * @param {string} role
   * @param {boolean} speak
   */
  enter(id, role, speak) {
    const kinds = this.store.breakouts.get(id)?.kinds;
    const streamInfo = {
      audio: speak && kinds?.audio !== false,
      video: kinds?.video === true,
      share: kinds?.share === true,
      canvas: kinds?.canvas === true,
    };
    return this.attempt(async () => {
      await this.room.joinBreakOutRoom({ room_id: id, role, streamInfo });
      this.store.hearingOnly = !streamInfo.audio;
      this.store.changed();
    });
  }

  /** @param {number} code */
  reasonOf(code) {
    return REASONS[code] ?? `error ${code}.`;
  }
}
