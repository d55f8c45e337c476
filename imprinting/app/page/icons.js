/** Line icons of the page, drawn on a grid of 24 units. */
import { svg } from "./dom.js";

const PATHS = {
  undo: "M9 7 4 12l5 5M4 12h10a6 6 0 0 1 0 12",
  redo: "m15 7 5 5-5 5M20 12H10a6 6 0 0 0 0 12",
  photos: "M3 7h14v13H3zM7 7V3h14v13h-4M3 16l4-4 4 4 2-2 4 4",
  folder: "M3 6h6l2 3h10v11H3z",
  zip: "M4 8h16v12H4zM3 4h18v4H3zM10 12h4",
  plus: "M12 5v14M5 12h14",
  close: "M6 6l12 12M18 6 6 18",
  camera: "M3 8h5l2-3h4l2 3h5v12H3zM12 17a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7z",
  more: "M6 12h.01M12 12h.01M18 12h.01",
  stop: "M7 7h10v10H7z",
  download: "M12 4v11M7 11l5 5 5-5M4 20h16",
  copy: "M8 8h12v12H8zM16 8V4H4v12h4",
  test: "M4 5h10M4 11h7M4 17h5M13 16l3 3 5-7",
  fit: "M4 20V10M10 20V4M16 20v-8M22 20H2",
  open: "M12 20V9M7 13l5-5 5 5M4 4h16",
  edit: "M4 20h4L19 9l-4-4L4 16z",
};

/** An icon; it is decoration, the text beside it or a label names the control. */
export const icon = (name) =>
  svg(
    "svg",
    { viewBox: "0 0 24 24", class: "icon", "aria-hidden": "true", focusable: "false" },
    svg("path", { d: PATHS[name] }),
  );

/** Puts icons into the places which the HTML marks with data-icon. */
export const fillIcons = () => {
  for (const place of document.querySelectorAll("[data-icon]")) {
    place.replaceChildren(icon(place.dataset.icon));
  }
};
