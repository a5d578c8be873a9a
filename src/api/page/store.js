// @ts-check
// What this page knows of the meeting. The fold of the server's events changes it, views read it.

/** @typedef {"moderator" | "participant"} Role */
/** @typedef {{paused: boolean, audio_muted: boolean, video_muted: boolean}} Flags */
/** @typedef {{audio: boolean, video: boolean, share: boolean, canvas: boolean}} Kinds */

/**
 * @typedef {object} Person
 * @property {string} id
 * @property {string} name
 * @property {Role} role
 * @property {string | null} place a breakout room's id, or AWAY; null is the main room
 * @property {boolean} held lost, the seat is kept
 * @property {boolean} microphone
 * @property {boolean} camera
 */

/**
 * @typedef {object} Breakout
 * @property {string} id
 * @property {string} name
 * @property {number} seats
 * @property {Kinds} kinds
 * @property {string} state created, active or cleared
 * @property {string} owner
 * @property {boolean} open
 */

/** @typedef {{room: string, name: string, by: string, expires: number | null}} Invitation `expires` in page time, milliseconds */
/** @typedef {{id: string, name: string}} Presenter */
/** @typedef {"quiet" | "plain" | "good" | "bad"} Tone quiet: in the log only */
/** @typedef {{id: number, at: Date, text: string, tone: Tone}} Notice */

/** The place of somebody who is in a breakout room that this page is not told of. */
export const AWAY = "away";

/** How many notices are kept. */
const MAX_NOTICES = 200;

/** Nothing is stopped. @type {Flags} */
export const NO_FLAGS = { paused: false, audio_muted: false, video_muted: false };

/** The state of one page. It raises `change`, once for all changes of a turn, and `notice`. */
export class Store extends EventTarget {
  constructor() {
    super();
    /** @type {import("./anteroom.js").RoomState} */
    this.phase = "new";
    /** Why the meeting ended for this page. */
    this.reason = "";
    this.me = "";
    this.name = "";
    /** @type {"group" | "lecture"} */
    this.mode = "group";
    /** The largest breakout room. */
    this.maxSeats = 5;
    /** What the main room carries. @type {Kinds} */
    this.kinds = { audio: true, video: true, share: true, canvas: true };
    /** @type {Flags} */
    this.flags = { ...NO_FLAGS };
    /** The own leg in the main room while away. @type {Flags} */
    this.leg = { ...NO_FLAGS };
    /** @type {Map<string, Person>} */
    this.people = new Map();
    /** @type {Map<string, Breakout>} */
    this.breakouts = new Map();
    /** @type {Map<string, Invitation>} */
    this.invitations = new Map();
    /** The name of the room that this page is being taken to. @type {string | null} */
    this.joining = null;
    /** Whether this page is in a breakout room without sending its microphone there. */
    this.hearingOnly = false;
    /** Who is heard now. @type {Set<string>} */
    this.talkers = new Set();
    /** Who presents where this page is. @type {{share: Presenter | null, canvas: Presenter | null}} */
    this.presenting = { share: null, canvas: null };
    /** @type {import("./anteroom.js").Slot[]} */
    this.slots = [];
    /** What this page captures. @type {Map<import("./anteroom.js").Kind, MediaStreamTrack>} */
    this.local = new Map();
    /** @type {Notice[]} */
    this.notices = [];
    this.noticeCount = 0;
    this.scheduled = false;
  }

  /** The own row of the roster. */
  get self() {
    return this.people.get(this.me) ?? null;
  }

  /** The breakout room that this page is in; null is the main room. */
  get place() {
    return this.self?.place ?? null;
  }

  get isModerator() {
    return this.self?.role === "moderator";
  }

  /** What is carried where this page is. @type {Kinds} */
  get carried() {
    return (this.place === null ? null : this.breakouts.get(this.place)?.kinds) ?? this.kinds;
  }

  /** What moderators have stopped where this page is: the main room's flags reach no breakout room. @type {Flags} */
  get stopped() {
    return this.place === null ? this.flags : NO_FLAGS;
  }

  /** Whether this page is where it has no voice, as long as it is there. */
  get listening() {
    return !this.carried.audio || this.hearingOnly || this.silenced;
  }

  /** Whether a microphone that is on stays unheard, whatever its switch says. */
  get unheard() {
    return this.listening || this.stopped.paused || this.stopped.audio_muted;
  }

  /** Whether a camera that is on stays unseen. */
  get unseen() {
    return !this.carried.video || this.silenced || this.stopped.paused || this.stopped.video_muted;
  }

  /** In a lecture only moderators are heard and seen. */
  get silenced() {
    return this.mode === "lecture" && !this.isModerator;
  }

  /** The own rooms count as well as a moderator's rights. @param {Breakout} room */
  mayRun(room) {
    return this.isModerator || room.owner === this.me;
  }

  /** @param {string | null} place */
  placeName(place) {
    if (place === null) return "Main room";
    if (place === AWAY) return "In breakout rooms";
    return this.breakouts.get(place)?.name || "Breakout room";
  }

  /** @param {string | null} place */
  peopleIn(place) {
    return [...this.people.values()].filter((person) => person.place === place).sort(byName(this.me));
  }

  /** Tells the views, after everything of this turn. */
  changed() {
    if (this.scheduled) return;
    this.scheduled = true;
    queueMicrotask(() => {
      this.scheduled = false;
      this.dispatchEvent(new Event("change"));
    });
  }

  /**
   * Adds to the log.
   * @param {string} text
   * @param {Tone} [tone]
   */
  note(text, tone = "plain") {
    this.noticeCount += 1;
    const notice = { id: this.noticeCount, at: new Date(), text, tone };
    this.notices = [notice, ...this.notices].slice(0, MAX_NOTICES);
    this.dispatchEvent(new CustomEvent("notice", { detail: notice }));
    this.changed();
  }
}

/** Oneself first, then moderators, then by name. @param {string} me */
function byName(me) {
  return (/** @type {Person} */ a, /** @type {Person} */ b) => rank(a, me) - rank(b, me) || a.name.localeCompare(b.name);
}

/** @param {Person} person @param {string} me */
function rank(person, me) {
  if (person.id === me) return 0;
  return person.role === "moderator" ? 1 : 2;
}
