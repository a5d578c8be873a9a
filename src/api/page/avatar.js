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
  // Words with letters say more than a picture beside them, which is one of many code points.
  const spelt = words.filter((word) => /^[\p{L}\p{N}]/u.test(word));
  const said = spelt.length > 0 ? spelt : words.slice(0, 1);
  const ends = said.length > 1 ? [said[0], said[said.length - 1]] : said;
  return ends.map(firstSign).join("").toUpperCase() || "?";
}

/** What a reader takes for one sign, accents and joined emoji with it. @param {string} word */
function firstSign(word) {
  const [first] = new Intl.Segmenter().segment(word);
  return first?.segment ?? "";
}

/** @param {string} id */
function hue(id) {
  let sum = 0;
  for (const letter of id) sum = (sum * 31 + letter.charCodeAt(0)) >>> 0;
  return sum % HUES;
}
