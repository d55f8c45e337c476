/** Helpers to build and update elements. Class names are data, so nothing here parses HTML. */

/** Creates an element. Keys are "on…" for listeners, "class", "text", and attributes. */
export const h = (tag, properties = {}, ...children) => {
  const element = document.createElement(tag);
  for (const [key, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (key === "class") element.className = value;
    else if (key === "text") element.textContent = value;
    else element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
};

/** Creates an SVG element with attributes. */
export const svg = (tag, attributes = {}, ...children) => {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
};

/** The element with this id; the page always has it. */
export const byId = (id) => document.getElementById(id);

/** Changes a text only if it differs, so that selections and screen readers are left alone. */
export const setText = (element, text) => {
  if (element.textContent !== text) element.textContent = text;
};

/**
 * Makes the children of a parent match a list, and keeps the elements of items that stay.
 * views maps keys to {element, update}; create(item) makes a view of a new item.
 */
export const syncChildren = (parent, views, items, keyOf, create) => {
  const wanted = new Set(items.map(keyOf));
  for (const [key, view] of views) {
    if (wanted.has(key)) continue;
    view.element.remove();
    views.delete(key);
  }
  let cursor = parent.firstElementChild;
  for (const item of items) {
    const key = keyOf(item);
    let view = views.get(key);
    if (!view) {
      view = create(item);
      views.set(key, view);
    }
    view.update?.(item);
    if (view.element === cursor) cursor = cursor.nextElementSibling;
    else parent.insertBefore(view.element, cursor);
  }
};

/** A button with an icon and a text. */
export const button = (label, iconElement, properties = {}) =>
  h("button", { type: "button", class: "button", ...properties }, iconElement, label);

/** A file input that looks like a button; the input itself keeps the focus. */
export const fileButton = (label, iconElement, inputProperties) => {
  const input = h("input", { type: "file", class: "visually-hidden", ...inputProperties });
  return { input, element: h("label", { class: "button" }, iconElement, label, input) };
};

/** Calls a function once, when it has not been asked for again for some milliseconds. */
export const debounce = (action, milliseconds) => {
  let timer;
  return (...values) => {
    clearTimeout(timer);
    timer = setTimeout(() => action(...values), milliseconds);
  };
};

/** Waits for some milliseconds. */
export const pause = (milliseconds) =>
  new Promise((resolve) => {
    setTimeout(resolve, milliseconds);
  });
