// @ts-check
// Folds what the server says into the store. One entry for each event or ack that changes what is
// known; what it means in words is in sentences.js.

import { AWAY, NO_FLAGS } from "./store.js";
import { sentence } from "./sentences.js";

/** @typedef {import("./store.js").Store} Store */
/** @typedef {import("./anteroom.js").AnteroomRoom} AnteroomRoom */

/**
 * Keeps `store` at what `room` hears.
 * @param {AnteroomRoom} room
 * @param {Store} store
 */
export function follow(room, store) {
  /** @param {string} name @param {(data: any) => void} then */
  const on = (name, then) => room.addEventListener(name, (event) => {
    then(/** @type {CustomEvent} */ (event).detail);
    store.changed();
  });
  on("state", ({ state, reason }) => {
    store.phase = state;
    store.reason = reason;
  });
  on("snapshot", (data) => foldSnapshot(store, data));
  on("slots", ({ slots }) => (store.slots = slots));
  on("local", ({ kind, track }) => track ? store.local.set(kind, track) : store.local.delete(kind));
  on("error", (error) => store.note(error.msg ?? String(error), "bad"));
  on("frame", ({ name, data }) => {
    // The words come first where somebody is about to be forgotten, and know who it was.
    const words = sentence(name, data, store);
    FOLDS[name]?.(store, data, room);
    if (words) store.note(words.text, words.tone);
  });
}

/** @type {Record<string, (store: Store, data: any, room: AnteroomRoom) => void>} */
const FOLDS = {
  // The roster.
  didUserConnected: (store, { clientId, name, role }) => addPerson(store, { clientId, name, role }),
  didUserDisconnected: (store, { clientId }) => store.people.delete(clientId),
  didUserReconnecting: (store, { clientId }) => change(store, clientId, { held: true }),
  didUserReconnected: (store, { clientId }) => change(store, clientId, { held: false }),
  didRoleChanged: (store, { clientId, role }, room) => {
    change(store, clientId, { role });
    if (clientId === store.me) void refreshRooms(store, room);
  },
  didMicrophoneChanged: (store, { clientId, on }) => change(store, clientId, { microphone: on }),
  didCameraChanged: (store, { clientId, on }) => change(store, clientId, { camera: on }),
  didAckSetMicrophone: (store, { on }) => typeof on === "boolean" && change(store, store.me, { microphone: on }),
  didAckSetCamera: (store, { on }) => typeof on === "boolean" && change(store, store.me, { camera: on }),
  "active-talkers-updated": (store, { active }) => {
    store.talkers = new Set((active ?? []).map((/** @type {any} */ talker) => talker.clientId));
  },

  // The main room.
  didRoomModeChanged: (store, { mode }) => (store.mode = mode),
  parentStateChanged: (store, state) => (store.flags = flagsOf(state)),
  didAckPause: (store, { state }) => foldState(store, state),
  didAckResume: (store, { state }) => foldState(store, state),
  didAckMuteRoom: (store, { state }) => foldState(store, state),
  didAckUnmuteRoom: (store, { state }) => foldState(store, state),
  didUserPaused: (store, { clientId }) => clientId !== store.me && store.people.get(clientId)?.place === null && change(store, clientId, { place: AWAY }),
  didUserResumed: (store, { clientId }) => change(store, clientId, { place: null }),

  // Breakout rooms.
  didBreakoutRoomCreated: (store, { details }) => details.forEach((/** @type {any} */ room) => addBreakout(store, room)),
  didAckCreateBreakOutRoom: (store, { details }) => details?.forEach((/** @type {any} */ room) => addBreakout(store, room)),
  didAckCreateAndInviteBreakOutRoom: (store, { details }) => details?.forEach((/** @type {any} */ room) => addBreakout(store, room)),
  didAckListBreakoutRooms: (store, { rooms }) => foldRooms(store, rooms),
  didUserJoinedBreakoutRoom: (store, { clientId, room_id }) => change(store, clientId, { place: room_id }),
  didUserDisconnectedFromBreakoutRoom: (store, { clientId }) => change(store, clientId, { place: null }),
  didClearedBreakoutRoom: (store, { room_id }) => changeBreakout(store, room_id, { state: "cleared" }),
  didDestroyedBreakoutRoom: (store, { room_id }) => forgetBreakout(store, room_id),
  didOwnerChanged: (store, { room_id, owner }) => changeBreakout(store, room_id, { owner: owner?.id ?? "" }),

  // Invitations.
  didInvitationForBreakoutRoom: (store, invitation, room) => {
    addInvitation(store, invitation);
    if (!store.breakouts.has(invitation.room_id)) void refreshRooms(store, room);
  },
  didInvitationWithdrawn: (store, { room_id, reason }) => {
    store.invitations.delete(room_id);
    if (reason === "destroyed") store.breakouts.delete(room_id);
  },
  didAckRejectBreakoutRoom: (store, { room_id }, room) => {
    store.invitations.delete(room_id);
    forgetClosed(store, room);
  },

  // The own moves.
  didBreakoutroomjoining: (store, { name }) => (store.joining = name),
  didFailedJoinBreakOutRoom: (store) => (store.joining = null),
  didConnectedBreakoutRoom: (store, data) => {
    const { room_id, name, settings, userList, presenter } = data;
    store.joining = null;
    store.hearingOnly = false;
    store.invitations.clear();
    addBreakout(store, { ...settings, room_id, name });
    change(store, store.me, { place: room_id });
    for (const { clientId } of userList) change(store, clientId, { place: room_id });
    store.presenting = presentingOf(presenter);
    store.talkers = new Set();
  },
  didDisconnectedBreakoutRoom: (store, { room_id, reason, state, away, presenter }, room) => {
    foldState(store, state);
    store.hearingOnly = false;
    if (reason === "destroyed") store.breakouts.delete(room_id);
    store.leg = { ...NO_FLAGS };
    change(store, store.me, { place: null });
    if (away) foldAway(store, new Set(away));
    store.presenting = presentingOf(presenter);
    store.talkers = new Set();
    forgetClosed(store, room);
  },

  // Presenting.
  didScreenShareStarted: (store, data) => present(store, data, "share"),
  didScreenShareStopped: (store, data) => stopPresenting(store, data, "share"),
  didCanvasStarted: (store, data) => present(store, data, "canvas"),
  didCanvasStopped: (store, data) => stopPresenting(store, data, "canvas"),
};

/** @param {Store} store @param {any} data the ack of `joinRoom`, or a replay's snapshot */
function foldSnapshot(store, { clientId, room }) {
  if (clientId) store.me = clientId;
  store.name = room.name;
  store.mode = room.mode;
  store.flags = flagsOf(room.state);
  const { audio, video, share, canvas, max_active_talkers } = room.settings;
  store.kinds = { audio, video, share, canvas };
  store.maxSeats = max_active_talkers - 1;
  store.people.clear();
  for (const user of room.userList) addPerson(store, user);
  foldRooms(store, room.breakoutRooms);
  store.invitations.clear();
  for (const invitation of room.invitations) addInvitation(store, invitation);
  store.leg = room.me.leg ? flagsOf(room.me.leg) : { ...NO_FLAGS };
  store.presenting = presentingOf(room.presenter);
  store.joining = null;
}

/** @param {Store} store @param {any} user */
function addPerson(store, user) {
  store.people.set(user.clientId, {
    id: user.clientId,
    name: user.name,
    role: user.role,
    place: user.room_id ?? (user.away ? AWAY : null),
    held: user.state === "reconnecting",
    // A new seat's switches are on, until the client says what is true.
    microphone: user.microphone ?? true,
    camera: user.camera ?? true,
  });
}

/** @param {Store} store @param {string} id @param {Partial<import("./store.js").Person>} what */
function change(store, id, what) {
  const person = store.people.get(id);
  if (person) store.people.set(id, { ...person, ...what });
}

/** @param {Store} store @param {any} details */
function addBreakout(store, details) {
  const { room_id, name, participants, audio, video, share, canvas, open, owner, state } = details;
  store.breakouts.set(room_id, {
    id: room_id, name, seats: participants, kinds: { audio, video, share, canvas }, open: open === true,
    owner: owner ?? "", state: state ?? "created",
  });
}

/** @param {Store} store @param {string} id @param {Partial<import("./store.js").Breakout>} what */
function changeBreakout(store, id, what) {
  const room = store.breakouts.get(id);
  if (room) store.breakouts.set(id, { ...room, ...what });
}

/** @param {Store} store @param {string} id */
function forgetBreakout(store, id) {
  store.breakouts.delete(id);
  store.invitations.delete(id);
  for (const person of store.peopleIn(id)) change(store, person.id, { place: null });
}

/** @param {Store} store @param {any[]} rooms */
function foldRooms(store, rooms) {
  store.breakouts.clear();
  for (const room of rooms) {
    addBreakout(store, room);
    for (const { clientId } of room.userList ?? []) change(store, clientId, { place: room.room_id });
  }
}

/** @param {Store} store @param {Set<string>} away */
function foldAway(store, away) {
  for (const person of [...store.people.values()]) {
    if (!away.has(person.id)) change(store, person.id, { place: null });
    else if (person.place === null) change(store, person.id, { place: AWAY });
  }
}

/** @param {Store} store @param {AnteroomRoom} room */
async function refreshRooms(store, room) {
  await room.listBreakoutRooms().catch((error) => store.note(error.msg, "bad"));
}

/** Who runs no room is not told when one that was open to them is gone. @param {Store} store @param {AnteroomRoom} room */
function forgetClosed(store, room) {
  if (!store.isModerator) void refreshRooms(store, room);
}

/** @param {Store} store @param {any} invitation */
function addInvitation(store, { room_id, name, requestor, expires_at }) {
  store.invitations.set(room_id, { room: room_id, name, by: requestor?.name ?? "Somebody", expires: expires_at ?? null });
}

/** @param {Store} store @param {any} state */
function foldState(store, state) {
  if (!state) return;
  if (state.scope === "leg") store.leg = flagsOf(state);
  else store.flags = flagsOf(state);
}

/** @param {any} state @returns {import("./store.js").Flags} */
function flagsOf(state) {
  return { paused: state.paused, audio_muted: state.audio_muted, video_muted: state.video_muted };
}

/** @param {Store} store @param {any} data @param {"share" | "canvas"} kind */
function present(store, { clientId, name, room_id }, kind) {
  if (isHere(store, room_id)) store.presenting = { ...store.presenting, [kind]: { id: clientId, name } };
}

/** @param {Store} store @param {any} data @param {"share" | "canvas"} kind */
function stopPresenting(store, { clientId, room_id }, kind) {
  if (isHere(store, room_id) && store.presenting[kind]?.id === clientId) store.presenting = { ...store.presenting, [kind]: null };
}

/** @param {Store} store @param {string} room */
function isHere(store, room) {
  return room === (store.place ?? store.name);
}

/** @param {any} presenter @returns {Store["presenting"]} */
function presentingOf(presenter) {
  const someone = presenter ? { id: presenter.clientId, name: presenter.name } : null;
  return { share: presenter?.streamId === 101 ? someone : null, canvas: presenter?.streamId === 102 ? someone : null };
}
