// @ts-check
// The little that a page without a framework needs: making elements and keeping lists of them.

/**
 * An element. Properties that start with `on` are listeners, `class`, `data-…` and `aria-…` are
 * attributes, the rest are properties.
 * @param {string} tag
 * @param {Record<string, any>} [properties]
 * @param {...(Node | string | null)} children
 * @returns {any}
 */
export function el(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name in element && !name.includes("-")) /** @type {any} */ (element)[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}

/**
 * An icon of icons.svg; the text beside it, or the button's label, says what it means.
 * @param {string} name
 */
export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", `/page/icons.svg#${name}`);
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  svg.append(use);
  return svg;
}

/** @param {SVGElement} svg @param {string} name */
export function setIcon(svg, name) {
  const href = `/page/icons.svg#${name}`;
  const use = svg.firstElementChild;
  if (use && use.getAttribute("href") !== href) use.setAttribute("href", href);
}

/** @param {Node} node @param {string} text */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/**
 * Makes the children of `parent` those of `items`, in order. Children stay the same elements as
 * long as their key does, so that focus, video and scroll positions survive.
 * @template T
 * @param {Element} parent
 * @param {T[]} items
 * @param {(item: T) => string} keyOf
 * @param {(item: T) => HTMLElement} make
 * @param {(element: any, item: T) => void} update
 */
export function keyed(parent, items, keyOf, make, update) {
  const old = new Map([...parent.children].map((child) => [/** @type {HTMLElement} */ (child).dataset.key, child]));
  let place = parent.firstElementChild;
  for (const item of items) {
    const key = keyOf(item);
    let element = old.get(key);
    old.delete(key);
    if (!element) {
      element = make(item);
      /** @type {HTMLElement} */ (element).dataset.key = key;
    }
    if (element === place) place = place.nextElementSibling;
    else parent.insertBefore(element, place);
    update(element, item);
  }
  for (const gone of old.values()) gone.remove();
}

/**
 * A dialog that is shown at once and forgotten when it closes.
 * @param {string} title
 * @param {(Node | null)[]} content
 * @returns {{dialog: HTMLDialogElement, close: () => void}}
 */
export function openDialog(title, content) {
  const close = () => dialog.close();
  const head = el("div", { class: "dialog-head" },
    el("h2", { id: "dialog-title" }, title),
    el("button", { type: "button", class: "quiet square", "aria-label": "Close", onclick: close }, icon("close")),
  );
  const dialog = el("dialog", { "aria-labelledby": "dialog-title" }, head, ...content);
  dialog.addEventListener("close", () => dialog.remove());
  dialog.addEventListener("click", (/** @type {Event} */ event) => event.target === dialog && close());
  document.body.append(dialog);
  dialog.showModal();
  // What the dialog is for has the focus, not the button that leaves it.
  /** @type {HTMLElement | null} */ (dialog.querySelector("input, select, textarea, .row.end button"))?.focus();
  return { dialog, close };
}

/**
 * Asks before something that cannot be taken back.
 * @param {string} title
 * @param {string} text
 * @param {string} yes
 * @param {() => void} then
 */
export function confirmFirst(title, text, yes, then) {
  const { close } = openDialog(title, [
    el("p", {}, text),
    el("div", { class: "row end" },
      el("button", { type: "button", onclick: () => close() }, "Cancel"),
      el("button", { type: "button", class: "danger", onclick: () => { close(); then(); } }, yes),
    ),
  ]);
}

/**
 * A labelled check box.
 * @param {string} label
 * @param {Record<string, any>} properties
 */
export function checkBox(label, properties) {
  return el("label", { class: "check" }, el("input", { type: "checkbox", ...properties }), el("span", {}, label));
}

/**
 * A labelled field.
 * @param {string} label
 * @param {HTMLElement} control
 */
export function field(label, control) {
  return el("label", { class: "field" }, el("span", {}, label), control);
}
