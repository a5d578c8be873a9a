// @ts-check
// Delivers the server's events once each and in order, and fetches those that were lost.

/**
 * @typedef {object} EventFrame
 * @property {number} seq the session-wide number of the change
 * @property {number} prev the `seq` of the event that was sent to this client before
 * @property {string} event
 * @property {any} data
 */

/** What this client has seen of the session's events. */
export class EventLog {
  /**
   * @param {(from: number) => Promise<any>} replay asks the server for events from a number on
   * @param {(frame: EventFrame) => void} deliver gets each event once
   * @param {(data: any) => void} reset gets the whole state where events are too old to be had
   */
  constructor(replay, deliver, reset) {
    this.replay = replay;
    this.deliver = deliver;
    this.reset = reset;
    /** The highest number seen; null before the session begins. */
    this.last = /** @type {number | null} */ (null);
    /** How many events of the number `last` were delivered: one change can tell several things. */
    this.seenAtLast = 0;
    /** How many times events had to be fetched, for tests. */
    this.gaps = 0;
    /** @type {EventFrame[] | null} what arrives while lost events are fetched */
    this.held = null;
  }

  /** @param {number} seq everything up to here is known */
  start(seq) {
    this.last = seq;
    this.seenAtLast = 0;
    this.held = null;
  }

  /** @param {EventFrame} frame */
  receive(frame) {
    if (this.held) {
      this.held.push(frame);
    } else if (this.last !== null && frame.prev > this.last) {
      this.held = [frame];
      void this.catchUp();
    } else {
      this.#pass(frame);
    }
  }

  /** Holds events back from now on; `catchUp` lets them go. */
  hold() {
    this.held ??= [];
  }

  /** Fetches what was sent since the last event seen, then delivers everything in order. */
  async catchUp() {
    this.gaps += 1;
    this.hold();
    try {
      const data = await this.replay(this.last ?? 0);
      if (data.snapshot) {
        this.last = data.snapshot.seq;
        this.reset(data);
      } else {
        this.#passUnseen(data.events ?? []);
      }
    } catch {
      // The link was lost again: coming back starts the next attempt. What is held is still news.
    }
    const held = this.held ?? [];
    const known = this.last ?? 0;
    this.held = null;
    for (const frame of held) {
      if (frame.seq > known) this.#pass(frame);
    }
  }

  /** @param {EventFrame[]} frames */
  #passUnseen(frames) {
    const last = this.last ?? 0;
    let skip = this.seenAtLast;
    for (const frame of frames) {
      if (frame.seq < last) continue;
      if (frame.seq === last && skip > 0) skip -= 1;
      else this.#pass(frame);
    }
  }

  /** @param {EventFrame} frame */
  #pass(frame) {
    if (frame.seq === this.last) this.seenAtLast += 1;
    else this.seenAtLast = 1;
    this.last = Math.max(this.last ?? 0, frame.seq);
    this.deliver(frame);
  }
}
