// @ts-check
// Who is here, where, and who speaks; for those who may, what can be done about each.

import { avatar } from "./avatar.js";
import { confirmFirst, el, icon, keyed, openDialog, setIcon, setText } from "./dom.js";
import { invitePerson } from "./invite.js";
import { AWAY } from "./store.js";

/**
 * @param {HTMLElement} root
 * @param {import("./page.js").Page} page
 */
export function peopleView(root, page) {
  const { store } = page;
  const places = el("div", { class: "places" });
  root.replaceChildren(el("h2", { class: "panel-title" }, "People"), places);

  return () => {
    const known = [null, ...store.breakouts.keys(), AWAY];
    const shown = known.filter((place) => place === null || store.peopleIn(place).length > 0);
    keyed(places, shown, (place) => place ?? "main", placeSection, (section, place) => {
      const people = store.peopleIn(place);
      section.classList.toggle("here", place === store.place);
      setText(section.querySelector("h3"), `${store.placeName(place)} · ${people.length}`);
      const list = section.querySelector("ul");
      keyed(list, people, (person) => person.id, (person) => personRow(person, page),
        (row, person) => fillRow(row, person, store));
      section.querySelector("p").hidden = people.length > 0;
    });
  };
}

function placeSection() {
  return el("section", {}, el("h3", {}), el("p", { class: "muted small" }, "Nobody is here."), el("ul", { class: "list" }));
}

/** @param {import("./store.js").Person} person @param {import("./page.js").Page} page */
function personRow(person, page) {
  const more = el("button", { type: "button", class: "quiet square more", onclick: () => personDialog(person.id, page) }, icon("more"));
  return el("li", { class: "person" }, avatar(person),
    el("span", { class: "who" }, el("span", { class: "name" }), el("span", { class: "about muted small" })),
    el("span", { class: "switches" }, icon("mic")), more);
}

/** @param {HTMLElement} row @param {import("./store.js").Person} person @param {import("./store.js").Store} store */
function fillRow(row, person, store) {
  const part = (/** @type {string} */ selector) => /** @type {HTMLElement} */ (row.querySelector(selector));
  const own = person.id === store.me;
  const speaking = store.talkers.has(person.id);
  setText(part(".name"), own ? `${person.name} (you)` : person.name);
  const about = [person.role === "moderator" ? "Moderator" : "", person.held ? "reconnecting…" : "", speaking ? "speaking" : ""];
  setText(part(".about"), about.filter(Boolean).join(" · "));
  row.classList.toggle("speaking", speaking);
  row.classList.toggle("held", person.held);
  const shape = /** @type {SVGElement} */ (row.querySelector(".switches svg"));
  setIcon(shape, person.microphone ? "mic" : "mic-off");
  part(".switches").classList.toggle("off", !person.microphone);
  part(".switches").title = person.microphone ? "Microphone on" : "Microphone off";
  const more = part(".more");
  const rooms = [...store.breakouts.values()].some((room) => store.mayRun(room));
  more.hidden = own || !(store.isModerator || (rooms && person.place === null));
  more.setAttribute("aria-label", `What to do with ${person.name}`);
}

/** @param {string} id @param {import("./page.js").Page} page */
function personDialog(id, page) {
  const { store, room } = page;
  const person = store.people.get(id);
  if (!person) return;
  const other = person.role === "moderator" ? "participant" : "moderator";
  const act = (/** @type {() => Promise<any>} */ work) => () => {
    close();
    void page.attempt(work);
  };
  const rooms = [...store.breakouts.values()].filter((breakout) => store.mayRun(breakout));
  const forModerators = store.isModerator ? el("div", { class: "stack" },
    el("button", { type: "button", onclick: act(() => room.setRole({ clientId: id, role: other })) },
      other === "moderator" ? "Make moderator" : "Make participant"),
    el("button", { type: "button", class: "danger", onclick: () => {
      close();
      confirmFirst(`Remove ${person.name}?`, "They leave the meeting and its breakout rooms.", "Remove",
        () => void page.attempt(() => room.removeParticipant({ clientId: id })));
    } }, "Remove from the meeting")) : null;
  const { close } = openDialog(person.name, [
    el("p", { class: "muted" }, `In: ${store.placeName(person.place)}`),
    person.place === null && rooms.length > 0 ? invitePerson(person, rooms, page, () => close()) : null,
    forModerators,
  ]);
}
