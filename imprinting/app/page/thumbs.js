/** The photos on a card. One of them is a tab stop; arrow keys go to the others. */
import { thumbnailUrl } from "./api.js";
import { h, setText, syncChildren } from "./dom.js";
import { formatCount } from "./format.js";
import { icon } from "./icons.js";

const FIRST = 12;

const setTabStop = (list, current) => {
  for (const item of list.children) {
    const index = item === current ? 0 : -1;
    for (const control of item.children) {
      if (control.tabIndex !== index) control.tabIndex = index;
    }
  }
};

const moveByKey = (list, event, remove) => {
  const item = event.target.closest("li");
  if (!item) return;
  if (event.key === "Delete") {
    remove(Number(item.dataset.photoId));
    return;
  }
  const next = {
    ArrowRight: item.nextElementSibling,
    ArrowDown: item.nextElementSibling,
    ArrowLeft: item.previousElementSibling,
    ArrowUp: item.previousElementSibling,
    Home: list.firstElementChild,
    End: list.lastElementChild,
  }[event.key];
  if (!next) return;
  event.preventDefault();
  next.children[[...item.children].indexOf(event.target)].focus();
};

/** Creates the list of photos. onOpen(photo) shows one large, onRemove(id) takes one away. */
export const createThumbs = ({ onOpen, onRemove }) => {
  const views = new Map();
  const list = h("ul", { class: "thumbs", "aria-label": "Photos" });
  let showAll = false;
  let photos = [];

  const createThumb = (photo) => {
    const image = h("img", {
      src: thumbnailUrl(photo.id),
      alt: photo.name,
      loading: "lazy",
      decoding: "async",
      width: 72,
      height: 72,
    });
    const open = h(
      "button",
      { type: "button", class: "thumb-open", title: photo.name, onclick: () => onOpen(photo) },
      image,
    );
    const remove = h(
      "button",
      {
        type: "button",
        class: "thumb-remove",
        title: "Remove",
        "aria-label": `Remove ${photo.name}`,
        "data-testid": "remove-photo",
        onclick: () => onRemove(photo.id),
      },
      icon("close"),
    );
    const element = h("li", { "data-photo-id": photo.id, "data-testid": "photo" }, open, remove);
    open.tabIndex = -1;
    remove.tabIndex = -1;
    return { element };
  };

  const more = h("button", {
    type: "button",
    class: "link-button",
    "data-testid": "show-all",
    hidden: true,
    onclick: () => {
      showAll = !showAll;
      update(photos);
    },
  });

  const update = (next) => {
    photos = next;
    const shown = showAll ? photos : photos.slice(0, FIRST);
    const focused = [...list.children].findIndex((item) => item.contains(document.activeElement));
    syncChildren(list, views, shown, (photo) => photo.id, createThumb);
    const lostFocus = focused >= 0 && !list.contains(document.activeElement);
    const stop = list.children[Math.min(Math.max(focused, 0), shown.length - 1)];
    if (stop && (lostFocus || !list.querySelector("[tabindex='0']"))) setTabStop(list, stop);
    if (lostFocus) stop?.lastElementChild.focus();
    more.hidden = photos.length <= FIRST;
    setText(more, showAll ? "Show fewer" : `Show all ${formatCount(photos.length)}`);
  };

  list.addEventListener("keydown", (event) => moveByKey(list, event, onRemove));
  list.addEventListener("focusin", (event) => setTabStop(list, event.target.closest("li")));
  return { element: h("div", { class: "photos" }, list, more), update };
};
