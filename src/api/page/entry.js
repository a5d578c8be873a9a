// @ts-check
// The way in: a name, a room and a role, or a token.

import { el, field, checkBox } from "./dom.js";

/** Where this tab keeps what was typed, for whoever joins again. */
const TYPED_KEY = "anteroom-entry";

/** @typedef {{token: string, microphone: boolean, camera: boolean}} Entering */

/**
 * Shows the form.
 * @param {HTMLElement} root
 * @param {(entering: Entering) => Promise<void>} enter rejects with what to tell the person
 */
export function showEntry(root, enter) {
  const query = new URLSearchParams(location.search);
  const typed = JSON.parse(sessionStorage.getItem(TYPED_KEY) ?? "{}");
  const given = query.get("token") ?? "";
  const claims = given ? readClaims(given) : null;

  const name = el("input", { name: "name", required: !given, maxLength: 64, autocomplete: "name", value: query.get("name") ?? typed.name ?? "" });
  const room = el("input", { name: "room", required: !given, maxLength: 64, autocomplete: "off", value: query.get("room") ?? typed.room ?? "lobby" });
  const role = el("select", { name: "role" },
    el("option", { value: "participant" }, "Participant"),
    el("option", { value: "moderator" }, "Moderator"));
  if ((query.get("role") ?? typed.role) === "moderator") role.value = "moderator";
  const token = el("textarea", { name: "token", rows: 3, spellcheck: false, value: given });
  const tokenBox = el("details", { open: false }, el("summary", {}, "I have a token"), field("Token", token));
  const microphone = checkBox("Microphone on", { name: "microphone", checked: query.get("microphone") !== "off" });
  const camera = checkBox("Camera on", { name: "camera", checked: false });
  const button = el("button", { type: "submit", class: "primary" }, "Join");
  const problem = el("p", { class: "problem", role: "alert" });

  const form = el("form", { class: "card" },
    el("h1", {}, "Anteroom"),
    claims
      ? el("p", {}, `Join “${claims.room}” as ${claims.name} (${claims.role}).`)
      : el("p", { class: "muted" }, "A meeting room with rooms beside it."),
    ...(claims ? [] : [field("Your name", name), field("Room", room), field("Role", role)]),
    el("div", { class: "row" }, microphone, camera),
    ...(claims ? [] : [tokenBox]),
    problem,
    button,
  );

  form.addEventListener("submit", async (/** @type {Event} */ event) => {
    event.preventDefault();
    button.disabled = true;
    problem.textContent = "";
    sessionStorage.setItem(TYPED_KEY, JSON.stringify({ name: name.value, room: room.value, role: role.value }));
    try {
      const own = token.value.trim();
      await enter({
        token: own || (await developmentToken(room.value.trim(), name.value.trim(), role.value)),
        microphone: microphone.querySelector("input").checked,
        camera: camera.querySelector("input").checked,
      });
    } catch (error) {
      problem.textContent = error instanceof Error ? error.message : String(error);
      if (!claims && !token.value && problem.textContent.includes("token")) tokenBox.open = true;
    } finally {
      button.disabled = false;
    }
  });
  token.addEventListener("input", () => {
    name.required = room.required = token.value.trim() === "";
  });

  root.replaceChildren(form);
  root.hidden = false;
  (claims ? button : name).focus();
}

/**
 * A server on loopback, without configuration, signs tokens for everybody who asks.
 * @param {string} room
 * @param {string} name
 * @param {string} role
 */
async function developmentToken(room, name, role) {
  const response = await fetch(`/dev/token?${new URLSearchParams({ room, name, role })}`).catch(() => null);
  if (!response) throw new Error("The server could not be reached.");
  if (response.status === 404) throw new Error("This server hands out no tokens of its own. Paste the token that you were given.");
  const text = await response.text();
  if (!response.ok) throw new Error(`The server refused this: ${reason(text)}.`);
  return text.startsWith("{") ? JSON.parse(text).token : text.trim();
}

/** What a refusal says. @param {string} text */
function reason(text) {
  try {
    return JSON.parse(text).msg ?? text;
  } catch {
    return text;
  }
}

/** What a token says, unchecked: for show only. @param {string} token */
function readClaims(token) {
  try {
    const body = token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/");
    const bytes = Uint8Array.from(atob(body), (letter) => letter.charCodeAt(0));
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    return null;
  }
}
