// @ts-check
// A person's initials on a colour of their own.

import { el } from "./dom.js";

/** How many colours style.css has. */
const HUES = 8;

/** @param {{id: string, name: string}} person */
export function avatar(person) {
  return el("span", { class: `avatar hue-${hue(person.id)}`, "aria-hidden": "true" }, initials(person.name));
}

/** @param {string} name */
function initials(name) {
  const words = name.trim().split(/\s+/);
  const letters = words.length > 1 ? [words[0], words[words.length - 1]] : words;
  return letters.map((word) => [...word][0] ?? "").join("").toUpperCase() || "?";
}

/** @param {string} id */
function hue(id) {
  let sum = 0;
  for (const letter of id) sum = (sum * 31 + letter.charCodeAt(0)) >>> 0;
  return sum % HUES;
}
