// @ts-check
// What the log says of each event. An event without a sentence is not worth one.

/** @typedef {import("./store.js").Store} Store */
/** @typedef {{text: string, tone: import("./store.js").Tone}} Sentence */

/**
 * @param {string} name
 * @param {any} data
 * @param {Store} store the state before the event
 * @returns {Sentence | null}
 */
export function sentence(name, data, store) {
  const said = SENTENCES[name]?.(data, store);
  if (!said) return null;
  return typeof said === "string" ? { text: said, tone: "plain" } : said;
}

/** @param {string} text @returns {Sentence} */
const good = (text) => ({ text, tone: "good" });
/** @param {string} text @returns {Sentence} */
const quiet = (text) => ({ text, tone: "quiet" });
/** @param {string} text @returns {Sentence} */
const bad = (text) => ({ text, tone: "bad" });

/** @param {Store} store @param {string} id */
const nameOf = (store, id) => (id === store.me ? "You" : store.people.get(id)?.name ?? "Somebody");
/** @param {Store} store @param {any} data */
const another = (store, { clientId }) => clientId !== store.me;

/** @type {Record<string, string>} */
const LEFT = { left: "left", removed: "was removed", expired: "did not come back" };
/** @type {Record<string, string>} */
const WITHDRAWN = {
  expired: "has expired", joined_other: "", cleared: "was withdrawn: the room was cleared", destroyed: "was withdrawn: the room was closed",
};
/** @type {Record<string, string>} */
const RETURNED = { cleared: "The breakout rooms were cleared: you are back in the main room.", destroyed: "The breakout rooms were closed: you are back in the main room." };

/** @type {Record<string, (data: any, store: Store) => string | Sentence | null>} */
const SENTENCES = {
  didUserConnected: (data, store) => another(store, data) ? `${data.name} joined.` : null,
  didUserDisconnected: (data, store) => another(store, data) ? `${data.name} ${LEFT[data.reason] ?? "left"}.` : null,
  didUserReconnecting: (data, store) => another(store, data) ? `${data.name} lost the connection and may come back.` : null,
  didUserReconnected: (data, store) => another(store, data) ? `${data.name} is back.` : null,
  didRoleChanged: ({ clientId, role }, store) => `${nameOf(store, clientId)} ${clientId === store.me ? "are" : "is"} now a ${role}.`,
  didRoomModeChanged: ({ mode }) => mode === "lecture" ? "Lecture mode: only moderators speak and present." : "Group mode: everybody may speak.",
  parentStateChanged: (state, store) => parentSentence(state, store),
  didUserStateChanged: ({ clientId, name, state }, store) => clientId === store.me ? null
    : `${name} ${flagWords(state)} their place in the main room.`,
  // Moderators are told which room.
  didUserPaused: (data, store) => another(store, data) && !store.isModerator ? `${data.name} went to a breakout room.` : null,
  didUserResumed: (data, store) => another(store, data) && !store.isModerator ? `${data.name} is back in the main room.` : null,

  didBreakoutRoomCreated: ({ creator, details }, store) => creator.id === store.me ? null
    : `${creator.name} created ${details.map((/** @type {any} */ room) => room.name).join(", ")}.`,
  didAckCreateBreakOutRoom: ({ details }) => good(`Created ${(details ?? []).map((/** @type {any} */ room) => room.name).join(", ")}.`),
  didAckCreateAndInviteBreakOutRoom: () => good("The rooms are made, and everybody is on the way."),
  didAckClearAllBreakOutSession: (data) => bringing(data, "Everybody is back in the main room."),
  didAckDestroyAllBreakOutSession: (data) => bringing(data, "All breakout rooms are closed."),
  didBreakoutRoomInvited: ({ clientName, name, requestor }, store) => requestor.id === store.me ? null
    : quiet(`${requestor.name} invited ${clientName} to ${name}.`),
  didBreakoutRoomInviteRejected: ({ name, room_id, reason }, store) => reason === "expired"
    ? `${name} did not answer the invitation to ${store.placeName(room_id)}.`
    : `${name} will not join ${store.placeName(room_id)}.`,
  didInvitationForBreakoutRoom: ({ requestor, name }) => quiet(`${requestor?.name ?? "Somebody"} invites you to ${name}.`),
  didInvitationWithdrawn: ({ room_id, reason }, store) => WITHDRAWN[reason]
    ? `The invitation to ${store.invitations.get(room_id)?.name ?? "a breakout room"} ${WITHDRAWN[reason]}.` : null,
  didUserJoinedBreakoutRoom: ({ clientId, name, room_id }, store) => clientId === store.me ? null
    : `${name} came into ${store.placeName(room_id)}.`,
  didUserDisconnectedFromBreakoutRoom: ({ clientId, name, room }, store) => clientId === store.me ? null
    : `${name} left ${store.placeName(room)}.`,
  didDestroyedBreakoutRoom: ({ room_id }, store) => `${store.placeName(room_id)} was closed.`,
  didOwnerChanged: ({ room_id, owner }, store) => owner ? `${store.placeName(room_id)} now belongs to ${nameOf(store, owner.id)}.` : null,
  didConnectedBreakoutRoom: ({ name }) => good(`You are in ${name}.`),
  didDisconnectedBreakoutRoom: ({ reason }) => good(RETURNED[reason] ?? "You are back in the main room."),
  didFailedJoinBreakOutRoom: ({ msg }) => bad(msg),

  didScreenShareStarted: (data, store) => another(store, data) ? `${data.name} shares a screen.` : null,
  didCanvasStarted: (data, store) => another(store, data) ? `${data.name} shares a board.` : null,
  transportLost: () => bad("Your media connection was lost. Connecting again…"),
};

/** @param {any} state @param {Store} store */
function parentSentence(state, store) {
  const by = state.by ? nameOf(store, state.by) : "Somebody";
  const before = store.flags;
  if (state.paused !== before.paused) return `${by} ${state.paused ? "paused" : "resumed"} the main room.`;
  const kinds = [];
  if (state.audio_muted !== before.audio_muted) kinds.push([state.audio_muted, "microphones"]);
  if (state.video_muted !== before.video_muted) kinds.push([state.video_muted, "cameras"]);
  if (kinds.length === 0) return null;
  return `${by} ${kinds.map(([muted, kind]) => `${muted ? "muted" : "unmuted"} ${kind}`).join(" and ")} in the main room.`;
}

/** @param {any} state */
function flagWords(state) {
  if (state.paused) return "paused";
  if (state.audio_muted || state.video_muted) return "muted";
  return "resumed";
}

/** @param {any} data @param {string} text */
function bringing({ degraded }, text) {
  return degraded?.length > 0 ? bad(`${text} ${degraded.length} could not be reached and will come back by themselves.`) : good(text);
}
