// Building and updating the document. Knows nothing about boards or campaigns.
//
// Views are pure functions that return fresh nodes; `patch` carries the difference into the page, so that focus, scroll
// positions, text selections and open <details> survive an update. Text only ever enters as text nodes and attributes:
// nothing in this page parses HTML from a string.

const SVG = "http://www.w3.org/2000/svg";

/**
 * An HTML element. `attributes` whose value is null, undefined or false are left out; `style` is an object of CSS properties.
 * @param {string} tag
 * @param {Object<string, *>} [attributes]
 * @param {...(Node|string|number|null|undefined|false|Array)} children
 * @returns {HTMLElement}
 */
export function h(tag, attributes, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** An SVG element, as `h`. */
export function s(tag, attributes, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) setAttribute(node, name, value);
  node.append(...nodes(children));
  return node;
}

function setAttribute(node, name, value) {
  if (value === null || value === undefined || value === false) return;
  if (name === "style") {
    for (const [property, setting] of Object.entries(value)) node.style.setProperty(property, setting);
  } else {
    node.setAttribute(name, value === true ? "" : String(value));
  }
}

function nodes(children) {
  return children
    .flat(Infinity)
    .filter((child) => child !== null && child !== undefined && child !== false)
    .map((child) => (child instanceof Node ? child : document.createTextNode(String(child))));
}

/** Makes the children of `target` equal to `children`, reusing what is there. */
export function patch(target, ...children) {
  patchChildren(target, nodes(children));
}

// Children with the same `data-key` are the same child wherever they moved. A node in place is never detached: detaching the
// focused row of a table would take the focus away from whoever walks it with the keyboard.
function patchChildren(target, fresh) {
  const wanted = new Set(fresh.map(key).filter((name) => name !== null));
  const known = new Map([...target.childNodes].map((node) => [key(node), node]));
  let cursor = target.firstChild;
  for (const node of fresh) {
    while (cursor && key(cursor) !== null && !wanted.has(key(cursor))) cursor = drop(cursor);
    const match = key(node) === null ? cursor : known.get(key(node));
    if (match && sameKind(match, node)) {
      if (match === cursor) cursor = cursor.nextSibling;
      else target.insertBefore(match, cursor);
      patchNode(match, node);
    } else {
      target.insertBefore(node, cursor);
    }
  }
  while (cursor) cursor = drop(cursor);
}

function drop(node) {
  const next = node.nextSibling;
  node.remove();
  return next;
}

function key(node) {
  return node instanceof Element ? node.getAttribute("data-key") : null;
}

function sameKind(old, fresh) {
  return old.nodeName === fresh.nodeName && key(old) === key(fresh);
}

function patchNode(old, fresh) {
  if (old instanceof Text) {
    if (old.data !== fresh.data) old.data = fresh.data;
    return;
  }
  patchAttributes(old, fresh);
  patchChildren(old, [...fresh.childNodes]);
}

function patchAttributes(old, fresh) {
  for (const { name, value } of [...fresh.attributes]) {
    if (name !== "style" && old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
  for (const { name } of [...old.attributes]) {
    const isReadersChoice = name === "open" && old.nodeName === "DETAILS";
    if (name !== "style" && !isReadersChoice && !fresh.hasAttribute(name)) old.removeAttribute(name);
  }
  // Through the object model: the page's content security policy forbids style attributes.
  if (old.style.cssText !== fresh.style.cssText) old.style.cssText = fresh.style.cssText;
}

/** Calls `handler(value, event)` for clicks inside `root` on an element with `data-NAME=value`. */
export function onClick(root, name, handler) {
  root.addEventListener("click", (event) => {
    const hit = event.target.closest(`[data-${name}]`);
    if (hit && root.contains(hit)) handler(hit.getAttribute(`data-${name}`), event);
  });
}
