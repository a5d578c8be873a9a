// @ts-check
// What this client sends: its sources, each with the request that says so to the server.

import { capture } from "./capture.js";
import { AnteroomError } from "./signalling.js";

/** @typedef {import("./connection.js").Kind} Kind */
/** @typedef {(method: string, params?: object) => Promise<any>} Ask */

/** @type {Record<"audio" | "video", string>} */
const SWITCH = { audio: "setMicrophone", video: "setCamera" };
/** @type {Record<"share" | "canvas", [start: string, stop: string]>} */
const PRESENT = { share: ["startScreenShare", "stopScreenShare"], canvas: ["startCanvas", "stopCanvas"] };
/** @type {Record<"share" | "canvas", [streamId: number, word: string]>} */
const SHOWN = { share: [101, "screen"], canvas: [102, "board"] };

/** The own microphone, camera, screen and canvas. */
export class Publishing {
  /**
   * @param {Ask} ask makes a request
   * @param {(kind: Kind, track: MediaStreamTrack | null) => void} changed hears of every change
   * @param {(error: unknown) => void} failed hears of what failed without anybody waiting for it
   */
  constructor(ask, changed, failed) {
    this.ask = ask;
    this.changed = changed;
    this.failed = failed;
    /** @type {Map<Kind, MediaStreamTrack>} */
    this.tracks = new Map();
    /** @type {import("./connection.js").MediaConnection | null} */
    this.connection = null;
  }

  /**
   * The source opens before the server is told, so that "on" is only said when it is true; it
   * closes before, so that nothing is sent after the switch was touched.
   * @param {"audio" | "video"} kind
   * @param {boolean} on
   * @param {MediaStreamTrack} [track]
   */
  async turn(kind, on, track) {
    if (!on) {
      await this.set(kind, null);
      return this.ask(SWITCH[kind], { on });
    }
    try {
      if (track || !this.tracks.has(kind)) await this.set(kind, track ?? (await capture(kind)));
      return await this.ask(SWITCH[kind], { on });
    } catch (error) {
      // What cannot be captured, or may not be, is off.
      await this.set(kind, null);
      await this.ask(SWITCH[kind], { on: false }).catch(() => {});
      throw error;
    }
  }

  /** Says of a new seat what is on. */
  async announce() {
    for (const kind of /** @type {("audio" | "video")[]} */ (["audio", "video"])) {
      await this.ask(SWITCH[kind], { on: this.tracks.has(kind) });
    }
  }

  /**
   * @param {"share" | "canvas"} kind
   * @param {MediaStreamTrack} [track] a screen is captured without one
   */
  async present(kind, track) {
    const source = track ?? (await capture("share"));
    try {
      const data = await this.ask(PRESENT[kind][0]);
      await this.set(kind, source);
      return data;
    } catch (error) {
      source.stop();
      throw error;
    }
  }

  /** The server has ended something of this client's. @param {string} event */
  heard(event) {
    if (event === "didScreenShareStopped") void this.set("share", null);
    if (event === "didCanvasStopped") void this.set("canvas", null);
  }

  /**
   * Ends what the server shows to nobody: it forgets who presents when it is started anew, on a new
   * seat, and while a seat is held. Whoever goes on drawing for nobody would not learn of it.
   * @param {number | null} streamId what it shows of this client
   */
  keepTo(streamId) {
    for (const kind of /** @type {("share" | "canvas")[]} */ (["share", "canvas"])) {
      const [id, word] = SHOWN[kind];
      if (!this.tracks.has(kind) || id === streamId) continue;
      void this.set(kind, null).catch(this.failed);
      this.failed(new AnteroomError(0, "not_presenting", `Your ${word} is no longer shared: the connection was lost for a moment. Share it again.`));
    }
  }

  /** @param {"share" | "canvas"} kind */
  async stop(kind) {
    await this.set(kind, null);
    return this.ask(PRESENT[kind][1]);
  }

  /**
   * Sends `track` as `kind` from now on, and stops what was sent before.
   * @param {Kind} kind
   * @param {MediaStreamTrack | null} track
   */
  async set(kind, track) {
    const before = this.tracks.get(kind);
    if (before && before !== track) {
      before.onended = null;
      before.stop();
    }
    if (track) {
      this.tracks.set(kind, track);
      track.onended = () => void this.#sourceEnded(kind).catch(this.failed);
    } else {
      this.tracks.delete(kind);
    }
    this.changed(kind, track);
    await this.connection?.publish(kind, track);
  }

  /** Goes on over another connection. @param {import("./connection.js").MediaConnection} connection */
  async moveTo(connection) {
    this.connection = connection;
    for (const [kind, track] of this.tracks) await connection.publish(kind, track);
  }

  /** Lets all sources go. */
  end() {
    this.connection = null;
    for (const kind of [...this.tracks.keys()]) void this.set(kind, null);
  }

  /** The person stopped it in the browser's own bar, or unplugged it. @param {Kind} kind */
  #sourceEnded(kind) {
    return kind === "audio" || kind === "video" ? this.turn(kind, false) : this.stop(kind);
  }
}
