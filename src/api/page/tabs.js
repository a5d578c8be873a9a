// @ts-check
// The panels beside the stage. On a phone the stage is one of them.

import { el, icon, setText } from "./dom.js";

/** @type {[name: string, label: string][]} */
const TABS = [["stage", "Stage"], ["people", "People"], ["rooms", "Rooms"], ["meeting", "Meeting"], ["log", "Log"]];

/**
 * @param {HTMLElement} root
 * @param {HTMLElement} meeting
 * @param {import("./store.js").Store} store
 */
export function tabsView(root, meeting, store) {
  const list = el("div", { role: "tablist", "aria-label": "Panels" });
  /** @type {Map<string, HTMLElement>} */
  const tabs = new Map();
  for (const [name, label] of TABS) {
    const tab = el("button", {
      type: "button", role: "tab", id: `tab-${name}`, class: `tab tab-${name}`,
      "aria-controls": name === "stage" ? "stage" : `panel-${name}`, onclick: () => select(name),
    }, icon(name), el("span", { class: "tab-label" }, label), el("span", { class: "count" }));
    tabs.set(name, tab);
    list.append(tab);
  }
  list.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const shown = [...tabs.entries()].filter(([, tab]) => tab.offsetParent !== null);
    const at = shown.findIndex(([, tab]) => tab === document.activeElement);
    const [name, tab] = shown[(at + step + shown.length) % shown.length];
    select(name);
    tab.focus();
  });
  root.replaceChildren(list);

  let read = 0;
  /** @param {string} name */
  function select(name) {
    meeting.dataset.panel = name;
    // On a desktop the stage is always there, and the people beside it are its panel.
    for (const [panel] of TABS.slice(1)) {
      const element = document.getElementById(`panel-${panel}`);
      if (element) element.hidden = panel !== (name === "stage" ? "people" : name);
    }
    for (const [other, tab] of tabs) {
      tab.setAttribute("aria-selected", String(other === name));
      // A keyboard comes in by the selected tab, or by that of the panel beside the stage: a desktop
      // does not show the stage's own.
      tab.tabIndex = other === name || (name === "stage" && other === "people") ? 0 : -1;
    }
    tabs.get("people")?.classList.toggle("beside", name === "stage");
    render();
  }

  function render() {
    const panel = meeting.dataset.panel;
    if (panel === "log") read = store.noticeCount;
    count("people", store.people.size);
    count("rooms", store.breakouts.size);
    count("log", store.noticeCount - read);
  }

  /** @param {string} name @param {number} number */
  function count(name, number) {
    const badge = tabs.get(name)?.querySelector(".count");
    if (badge) setText(badge, number > 0 ? String(Math.min(number, 99)) : "");
  }

  select("stage");
  return render;
}
