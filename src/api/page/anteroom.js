// @ts-check
// The client of an Anteroom server: one class, one connection, the contract's own method and event
// names. It needs nothing of the page around it.
//
//   const room = new AnteroomRoom({ token });
//   room.addEventListener("didInvitationForBreakoutRoom", (event) => ... event.detail.room_id ...);
//   room.addEventListener("slots", (event) => event.detail.slots.forEach(({ track, clientId }) => ...));
//   await room.joinRoom();
//   await room.setMicrophone({ on: true });

import { MediaConnection } from "./connection.js";
import { EventLog } from "./event-log.js";
import { Publishing } from "./publishing.js";
import { AnteroomError, Signalling } from "./signalling.js";

export { AnteroomError };

/** @typedef {import("./connection.js").Kind} Kind */
/** @typedef {"new" | "joining" | "joined" | "reconnecting" | "left"} RoomState */

/**
 * One receive m-line and whose media it carries.
 * @typedef {object} Slot
 * @property {string} mid
 * @property {Kind} kind
 * @property {string | null} clientId who is bound to it; null while it is empty
 * @property {number | null} streamId 101 for a screen, 102 for a canvas
 * @property {number} ssrc
 * @property {number} from_seq
 * @property {string} [reason] why it is empty although somebody is there
 * @property {MediaStreamTrack | null} track what the browser receives there
 */

/**
 * @typedef {object} Options
 * @property {string} token says the room, the name and the role
 * @property {string} [url] the server's WebSocket address; the page's own server if absent
 * @property {string | null} [seat] the secret of a seat to come back to, from a `seat` event
 * @property {number} [audioSlots] how many talkers to hear at once
 * @property {number} [videoSlots] screen, canvas, then cameras
 */

/** How long to wait between attempts to come back, in milliseconds; the last one repeats. */
const BACKOFF = [100, 400, 1_000, 2_000, 4_000];

/** How many attempts to come back before giving up: about five minutes. */
const MAX_ATTEMPTS = 80;

/** The code of a request that has to wait for another one. */
const IN_PROGRESS = 5107;

/** How long an ICE restart may take before the connection is made anew, in milliseconds. */
const RESTART_TIMEOUT = 6_000;

/**
 * A seat in a room. Every method returns a promise of its ack's data, or rejects with an
 * AnteroomError (`code`, `error`, `msg`). Beside the contract's events (`detail` is the event's
 * data; successful acks are raised too, under their names) it raises:
 * - `frame`: every event and successful ack, in order; `detail` is `{name, data, seq}`;
 * - `snapshot`: the state of the room as a whole; `detail` is `{clientId, room}`;
 * - `slots`: `detail.slots` is a list of Slot;
 * - `state`: `detail` is `{state, reason}`;
 * - `seat`: `detail.seat` is the new secret of the seat, to be kept for a reload;
 * - `local`: `detail` is `{kind, track}`: what this client captures has changed;
 * - `error`: `detail` is the AnteroomError of something that nobody waits for.
 */
export class AnteroomRoom extends EventTarget {
  /** @param {Options} options */
  constructor({ token, url = defaultUrl(), seat = null, audioSlots = 6, videoSlots = 4 }) {
    super();
    this.url = url;
    this.token = token;
    this.seat = seat;
    this.lines = { audioSlots, videoSlots };
    /** @type {RoomState} */
    this.state = "new";
    /** @type {string | null} */
    this.clientId = null;
    /** @type {Slot[]} */
    this.slots = [];
    /** Since when `slots` counts: what was said of an older connection is of no matter. */
    this.epoch = 0;
    /** @type {MediaConnection | null} */
    this.connection = null;
    /** @type {MediaConnection | null} the one that a `joinRoom` under way offers */
    this.offered = null;
    this.signalling = new Signalling();
    this.publishing = new Publishing(
      (method, params) => this.#ask(method, params),
      (kind, track) => this.#raise("local", { kind, track }),
      (error) => this.#raise("error", error),
    );
    this.log = new EventLog(
      (from) => this.#ask("replay", { from_seq: from }),
      (frame) => this.#tell(frame.event, frame.data, frame.seq),
      (data) => {
        this.#setRoom(data.snapshot, data);
        // It does not say who speaks, and who has fallen silent was told by what was missed.
        this.#tell("active-talkers-updated", { active: [] }, null);
      },
    );
    this.recovering = false;
    /** @type {MediaConnection | null} the one whose path is being renewed */
    this.mending = null;
    /** Whether it was said that no media gets to the server. */
    this.unreachable = false;
    this.signalling.addEventListener("frame", (event) => this.log.receive(detail(event)));
    this.signalling.addEventListener("ack", (event) => this.#acked(detail(event)));
    this.signalling.addEventListener("down", () => void this.#recover(false));
    this.signalling.addEventListener("ended", (event) => this.#end(detail(event).reason));
  }

  /** What this client captures and sends, by kind. */
  get local() {
    return this.publishing.tracks;
  }

  // ---- the session

  /**
   * Takes a seat, or comes back to the one of `seat`; a seat that is gone gives a new one. The
   * switches of a new seat are on: `setMicrophone` and `setCamera` say what is true.
   */
  async joinRoom() {
    this.#setState("joining");
    try {
      return await this.#attach(true).catch((error) => {
        if (this.seat === null || error.code === 0) throw error;
        this.#setSeat(null);
        return this.#attach(true);
      });
    } catch (error) {
      this.#end(error instanceof AnteroomError ? error.msg : "failed");
      throw error;
    }
  }

  async leaveRoom() {
    try {
      return await this.#ask("leaveRoom");
    } finally {
      this.#end("left");
    }
  }

  /** @param {{from_seq: number}} params */
  replay(params) {
    return this.#ask("replay", params);
  }

  /** Renews ICE on the same connection, without touching anything else of it. */
  async restartIce() {
    const connection = this.connection;
    if (!connection) throw new AnteroomError(0, "not_connected", "Join the room first.");
    const sdp = await connection.restartOffer();
    try {
      const { data } = await this.signalling.request("restartIce", { sdp }, { bound: true });
      await connection.answer(data.sdp);
      return data;
    } catch (error) {
      await connection.rollback();
      throw error;
    }
  }

  // ---- breakout rooms

  /** @param {object} params participants, audio, video, canvas, share, max_rooms; name, open */
  createBreakOutRoom(params) {
    return this.#ask("createBreakOutRoom", params);
  }

  /** @param {object} params as createBreakOutRoom; force_join, include_moderators, seed */
  createAndInviteBreakoutRoom(params) {
    return this.#ask("createAndInviteBreakoutRoom", params);
  }

  /** @param {{clients: string[], room_id: string, force_join?: boolean, expires_in?: number}} params */
  inviteToBreakOutRoom(params) {
    return this.#ask("inviteToBreakOutRoom", params);
  }

  /** @param {{room_id: string, role?: string, streamInfo?: object}} params */
  joinBreakOutRoom(params) {
    const usual = { role: "participant", streamInfo: { audio: true, video: false } };
    return this.#ask("joinBreakOutRoom", { ...usual, ...params });
  }

  /** @param {{room_id: string}} params */
  rejectBreakOutRoom(params) {
    return this.#ask("rejectBreakOutRoom", params);
  }

  /** @param {{room_id?: string}} [params] */
  disconnect(params) {
    return this.#ask("disconnect", params);
  }

  clearAllBreakOutSession() {
    return this.#ask("clearAllBreakOutSession");
  }

  destroyAllBreakOutSession() {
    return this.#ask("destroyAllBreakOutSession");
  }

  listBreakoutRooms() {
    return this.#ask("listBreakoutRooms");
  }

  // ---- the parent room, or the own leg in it

  /** @param {{scope?: "room"}} [params] */
  pause(params) {
    return this.#ask("pause", params);
  }

  /** @param {{scope?: "room"}} [params] */
  resume(params) {
    return this.#ask("resume", params);
  }

  /** @param {{audio?: boolean, video?: boolean, scope?: "room"}} [params] */
  muteRoom(params) {
    return this.#ask("muteRoom", params);
  }

  /** @param {{audio?: boolean, video?: boolean, scope?: "room"}} [params] */
  unmuteRoom(params) {
    return this.#ask("unmuteRoom", params);
  }

  // ---- moderators

  /** @param {{clientId: string, role: "moderator" | "participant"}} params */
  setRole(params) {
    return this.#ask("setRole", params);
  }

  /** @param {{clientId: string}} params */
  removeParticipant(params) {
    return this.#ask("removeParticipant", params);
  }

  /** @param {{mode: "group" | "lecture"}} params */
  setRoomMode(params) {
    return this.#ask("setRoomMode", params);
  }

  endRoom() {
    return this.#ask("endRoom");
  }

  // ---- own media. Each takes a `track` of the caller's own instead of asking the browser for one.

  /** @param {{on: boolean, track?: MediaStreamTrack}} params */
  setMicrophone({ on, track }) {
    return this.publishing.turn("audio", on, track);
  }

  /** @param {{on: boolean, track?: MediaStreamTrack}} params */
  setCamera({ on, track }) {
    return this.publishing.turn("video", on, track);
  }

  /** @param {{track?: MediaStreamTrack}} [params] */
  startScreenShare({ track } = {}) {
    return this.publishing.present("share", track);
  }

  stopScreenShare() {
    return this.publishing.stop("share");
  }

  /** @param {{track: MediaStreamTrack}} params for instance of `canvas.captureStream()` */
  startCanvas({ track }) {
    return this.publishing.present("canvas", track);
  }

  stopCanvas() {
    return this.publishing.stop("canvas");
  }

  // ---- coming, staying and going

  /**
   * @param {string} method
   * @param {object} [params]
   */
  async #ask(method, params = {}) {
    if (this.state === "new" || this.state === "left") {
      throw new AnteroomError(0, "not_connected", "Join the room first.");
    }
    return (await this.signalling.request(method, params)).data;
  }

  /**
   * Takes the seat, with a new connection or the one that is there, over a new socket unless the
   * one that is there speaks for the seat.
   * @param {boolean} withMedia
   */
  async #attach(withMedia) {
    if (!this.signalling.isOpen || this.seat === null) {
      await this.signalling.open(`${this.url}?token=${encodeURIComponent(this.token)}`);
    }
    const connection = withMedia ? new MediaConnection(this.lines) : null;
    const offer = connection ? await connection.offer() : {};
    const resume = this.seat === null ? {} : { resume: this.seat };
    this.offered = connection;
    try {
      const { data } = await this.signalling.request("joinRoom", { ...offer, ...resume }, { bound: true });
      if (connection) await this.#connect(connection, data.sdp);
      this.signalling.resend();
      return data;
    } catch (error) {
      connection?.close();
      throw error;
    } finally {
      this.offered = null;
    }
  }

  /**
   * @param {MediaConnection} connection
   * @param {string} sdp
   */
  async #connect(connection, sdp) {
    connection.addEventListener("weak", () => void this.#mend());
    connection.addEventListener("lost", () => {
      // Chromium gives up at once what it could never connect, without being weak before.
      this.#tellUnreachable(connection);
      void this.#recover(true);
    });
    await connection.answer(sdp);
    await this.publishing.moveTo(connection);
  }

  /** The state of the seat, before any event that follows it is looked at. @param {any} data */
  #seated(data) {
    const known = this.clientId === data.clientId && this.log.last !== null;
    this.clientId = data.clientId;
    this.#setSeat(data.resume);
    this.epoch = data.epoch ?? 0;
    if (this.offered) {
      this.connection?.close();
      this.connection = this.offered;
    }
    this.#setState("joined");
    this.#setRoom(data.room, data);
    if (known) void this.log.catchUp();
    else this.log.start(data.seq);
  }

  /** The media path is gone: a new ICE path if that is possible, else a new connection. */
  async #mend() {
    const connection = this.connection;
    if (!connection || !this.signalling.isOpen || this.recovering || this.mending === connection) return;
    this.mending = connection;
    this.#tellUnreachable(connection);
    try {
      await this.restartIce();
      await delay(RESTART_TIMEOUT);
      if (connection === this.connection && !connection.isUp) await this.#recover(true);
    } catch {
      if (connection === this.connection) await this.#recover(true);
    } finally {
      if (this.mending === connection) this.mending = null;
    }
  }

  /** Says once that media never got to the server. @param {MediaConnection} connection */
  #tellUnreachable(connection) {
    if (connection.wasUp || this.unreachable) return;
    this.unreachable = true;
    this.#raise("error", new AnteroomError(0, "unreachable", connection.whyUnreachable));
  }

  /** Comes back to the seat. @param {boolean} withMedia */
  async #recover(withMedia) {
    if (this.recovering || this.state === "new" || this.state === "joining" || this.state === "left") return;
    this.recovering = true;
    this.log.hold();
    this.#setState("reconnecting");
    try {
      await this.#comeBack(withMedia);
    } finally {
      this.recovering = false;
    }
  }

  /** @param {boolean} withMedia */
  async #comeBack(withMedia) {
    let anew = withMedia;
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt += 1) {
      await delay(BACKOFF[Math.min(attempt, BACKOFF.length - 1)] * (0.75 + Math.random() / 2));
      if (this.state === "left") return;
      try {
        const isNew = this.seat === null;
        await this.#attach(anew || isNew);
        if (isNew) await this.publishing.announce();
        return;
      } catch (error) {
        if (!(error instanceof AnteroomError) || error.code === 0 || error.code === IN_PROGRESS) continue;
        if (this.seat === null) return this.#end(error.msg);
        // Either the media connection is gone as well, or the seat: then a new one is taken.
        if (anew) this.#setSeat(null);
        anew = true;
      }
    }
    this.#end("The server could not be reached.");
  }

  /** @param {string} reason */
  #end(reason) {
    if (this.state === "left") return;
    this.publishing.end();
    this.connection?.close();
    this.signalling.close();
    this.#setSeat(null);
    this.#setSlots({ slots: [] });
    this.#setState("left", reason);
  }

  // ---- what the server says

  /** @param {{ack: string, seq: number | null, data: any}} frame */
  #acked({ ack, seq, data }) {
    if (data.result !== 0 && data.result !== undefined) return;
    if (ack === "didJoinRoom") this.#seated(data);
    else this.#tell(ack, data, seq);
  }

  /**
   * @param {string} name
   * @param {any} data
   * @param {number | null} seq
   */
  #tell(name, data, seq) {
    if (name === "slots") return this.#setSlots(data);
    if (data.clientId === this.clientId) this.publishing.heard(name);
    if (name === "transportLost") void this.#recover(true);
    this.#raise("frame", { name, data, seq });
    this.#raise(name, data);
  }

  /** @param {any} room the room as a whole @param {any} data with what the slots carry */
  #setRoom(room, data) {
    this.#raise("snapshot", { clientId: this.clientId, room });
    this.publishing.keepTo(room.presenter?.clientId === this.clientId ? room.presenter.streamId : null);
    this.#setSlots(data);
  }

  /** @param {any} data */
  #setSlots(data) {
    if (data.epoch < this.epoch) return;
    this.slots = (data.slots ?? []).map((/** @type {any} */ slot) => ({
      ...slot,
      track: this.connection?.track(slot.mid) ?? null,
    }));
    this.#raise("slots", { ...data, slots: this.slots });
  }

  /** @param {string | null} seat */
  #setSeat(seat) {
    this.seat = seat;
    this.#raise("seat", { seat });
  }

  /**
   * @param {RoomState} state
   * @param {string} [reason]
   */
  #setState(state, reason = "") {
    if (state === this.state) return;
    this.state = state;
    this.#raise("state", { state, reason });
  }

  /**
   * @param {string} name
   * @param {any} data
   */
  #raise(name, data) {
    this.dispatchEvent(new CustomEvent(name, { detail: data }));
  }
}

/** @param {Event} event @returns {any} */
function detail(event) {
  return /** @type {CustomEvent} */ (event).detail;
}

/** @param {number} milliseconds @returns {Promise<void>} */
function delay(milliseconds) {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

function defaultUrl() {
  return `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/v1/ws`;
}
