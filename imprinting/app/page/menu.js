/** The menu of a card: one popover above everything, so that no card can clip it. */
import { byId, h } from "./dom.js";

const GAP = 4;

const place = (menu, opener) => {
  const box = opener.getBoundingClientRect();
  const right = Math.max(8, Math.min(window.innerWidth - 8, box.right) - menu.offsetWidth);
  const below = box.bottom + GAP;
  const fits = below + menu.offsetHeight < window.innerHeight;
  menu.style.left = `${right}px`;
  menu.style.top = `${fits ? below : Math.max(8, box.top - GAP - menu.offsetHeight)}px`;
};

const moveFocus = (menu, event) => {
  const items = [...menu.children];
  const now = items.indexOf(document.activeElement);
  const next = {
    ArrowDown: (now + 1) % items.length,
    ArrowUp: (now - 1 + items.length) % items.length,
    Home: 0,
    End: items.length - 1,
  }[event.key];
  if (event.key === "Tab") menu.hidePopover();
  if (next === undefined) return;
  event.preventDefault();
  items[next].focus();
};

/** Opens a menu at a button. items: [{label, action, testid}]. */
export const openMenu = (opener, items) => {
  byId("card-menu")?.remove();
  const menu = h("div", { id: "card-menu", class: "menu", role: "menu", popover: "auto" });
  menu.setAttribute("aria-label", opener.getAttribute("aria-label"));
  for (const { label, action, testid } of items) {
    menu.append(
      h("button", {
        type: "button",
        role: "menuitem",
        "data-testid": testid,
        text: label,
        onclick: () => {
          menu.hidePopover();
          action();
        },
      }),
    );
  }
  menu.addEventListener("keydown", (event) => moveFocus(menu, event));
  menu.addEventListener("toggle", (event) => {
    opener.setAttribute("aria-expanded", String(event.newState === "open"));
    if (event.newState === "open") return;
    if (menu.contains(document.activeElement) || document.activeElement === document.body) {
      opener.focus();
    }
    menu.remove();
  });
  document.querySelector("main").append(menu);
  menu.showPopover();
  place(menu, opener);
  menu.firstElementChild.focus();
};
