/** The map of the photos: near points look alike to the network. */
import { api, thumbnailUrl } from "./api.js";
import { button, h, setText, svg } from "./dom.js";
import { shorten } from "./format.js";
import { getProject } from "./state.js";

const SIZE = 400;
const MARGIN = 12;
const COLOURS = 8;
const MOST_IN_LEGEND = 200;

// Colour and shape repeat with different periods, so that many classes differ in one of them.
const SHAPES = [
  "M-5 0a5 5 0 1 0 10 0a5 5 0 1 0 -10 0z",
  "M-4.5-4.5h9v9h-9z",
  "M0-6 5.5 4.5h-11z",
  "M0-6.5 5 0 0 6.5-5 0z",
  "M-2-5.5h4v3.5h3.5v4H2v3.5h-4V2h-3.5v-4H-2z",
  "M0 6-5.5-4.5h11z",
  "M-5.5-3.5-3.5-5.5 0-2 3.5-5.5 5.5-3.5 2 0 5.5 3.5 3.5 5.5 0 2-3.5 5.5-5.5 3.5-2 0z",
];

const createMark = (index) =>
  svg("path", {
    d: SHAPES[index % SHAPES.length],
    class: `mark colour-${index % COLOURS}`,
  });

const scale = (value) => MARGIN + value * (SIZE - 2 * MARGIN);

const createLegend = (classes, used, mark) =>
  classes.slice(0, MOST_IN_LEGEND).flatMap((entry, index) => {
    if (!used.has(entry.id)) return [];
    const sample = svg("svg", { viewBox: "-8 -8 16 16", class: "sample", "aria-hidden": "true" });
    sample.append(createMark(index));
    const label = h("span", { class: "ellipsis", text: entry.name });
    const control = h(
      "button",
      {
        type: "button",
        class: "legend-button",
        title: entry.name,
        "aria-pressed": "false",
        onclick: () => mark(entry.id, control),
      },
      sample,
      label,
    );
    return [h("li", {}, control)];
  });

const createPoint = (point, name, entry, index) => {
  const element = svg(
    "g",
    {
      transform: `translate(${scale(point.x).toFixed(1)} ${scale(point.y).toFixed(1)})`,
      class: "point",
      role: "img",
      tabindex: "-1",
      "aria-label": `${name}, ${entry.name}`,
      "data-class": entry.id,
    },
    createMark(index),
  );
  return { element, photo: point.photo, name, className: entry.name };
};

const createCard = () => {
  const image = h("img", { alt: "", width: 96, height: 96 });
  const name = h("p", { class: "ellipsis" });
  const className = h("p", { class: "ellipsis strong" });
  const element = h("div", { class: "map-card", hidden: true }, image, className, name);
  const show = (point, box) => {
    image.src = thumbnailUrl(point.photo);
    setText(name, point.name);
    setText(className, shorten(point.className, 60));
    element.hidden = false;
    const [at, outer] = [point.element.getBoundingClientRect(), box.getBoundingClientRect()];
    const left = Math.min(at.right - outer.left + 8, outer.width - element.offsetWidth);
    const below = at.bottom - outer.top + 8;
    const fits = below + element.offsetHeight < outer.height;
    element.style.left = `${Math.max(0, left)}px`;
    element.style.top = `${fits ? below : at.top - outer.top - element.offsetHeight - 8}px`;
  };
  const hide = () => {
    element.hidden = true;
  };
  return { element, show, hide };
};

const createPicture = () => {
  const picture = svg("svg", {
    viewBox: `0 0 ${SIZE} ${SIZE}`,
    class: "map",
    role: "group",
    "aria-label": "Map of the photos. Arrow keys go from photo to photo.",
    "data-testid": "map",
  });
  const card = createCard();
  const box = h("div", { class: "map-box" }, picture, card.element);
  let points = new Map();

  const onPoint = (event, action) => {
    const point = points.get(event.target.closest?.(".point"));
    if (point) action(point);
  };
  picture.addEventListener("pointerover", (event) =>
    onPoint(event, (point) => card.show(point, box)),
  );
  picture.addEventListener("pointerout", card.hide);
  picture.addEventListener("focusin", (event) => onPoint(event, (point) => card.show(point, box)));
  picture.addEventListener("focusout", card.hide);
  picture.addEventListener("keydown", (event) => {
    if (event.key === "Escape") card.hide();
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (step === undefined) return;
    event.preventDefault();
    const elements = [...points.keys()];
    const now = elements.indexOf(document.activeElement);
    const next = elements[(now + step + elements.length) % elements.length];
    elements[now]?.setAttribute("tabindex", "-1");
    next.setAttribute("tabindex", "0");
    next.focus();
  });
  const show = (list) => {
    points = new Map(list.map((point) => [point.element, point]));
    card.hide();
    list[0]?.element.setAttribute("tabindex", "0");
    picture.replaceChildren(...points.keys());
  };
  const mark = (classId) => {
    picture.classList.toggle("one-marked", classId !== null);
    for (const element of points.keys()) {
      element.classList.toggle("marked", element.dataset.class === String(classId));
    }
  };
  return { box, show, mark };
};

/** Creates the part of the section; show() loads the map again. */
export const createMap = () => {
  const { box, show: showPoints, mark } = createPicture();
  const legend = h("ul", { class: "legend", "aria-label": "Classes on the map" });
  const status = h("p", { class: "hint", role: "status" });
  let method = "pca";

  const markClass = (classId, control) => {
    const pressed = control.getAttribute("aria-pressed") === "true";
    for (const other of legend.querySelectorAll("button")) {
      other.setAttribute("aria-pressed", String(other === control && !pressed));
    }
    mark(pressed ? null : classId);
  };
  const load = async () => {
    const asked = method;
    setText(status, "Computing the map…");
    try {
      const { points } = await api.map(asked);
      if (asked !== method) return;
      const { classes } = getProject();
      const indices = new Map(classes.map((entry, index) => [entry.id, index]));
      const known = points.filter((point) => indices.has(point.class));
      const names = new Map(
        classes.flatMap(({ photos }) => photos.map(({ id, name }) => [id, name])),
      );
      showPoints(
        known.map((point) => {
          const index = indices.get(point.class);
          return createPoint(point, names.get(point.photo) ?? "photo", classes[index], index);
        }),
      );
      mark(null);
      const used = new Set(known.map((point) => point.class));
      legend.replaceChildren(...createLegend(classes, used, markClass));
      setText(status, "");
    } catch (error) {
      showPoints([]);
      legend.replaceChildren();
      setText(status, error.message);
    }
  };
  const methods = [
    ["pca", "PCA"],
    ["tsne", "t-SNE"],
  ].map(([value, label]) =>
    button(label, null, {
      "aria-pressed": String(value === method),
      "data-testid": `map-${value}`,
      onclick: (event) => {
        method = value;
        for (const control of methods) {
          control.setAttribute("aria-pressed", String(control === event.currentTarget));
        }
        load();
      },
    }),
  );
  const elements = [
    h("h3", { text: "Map of the photos" }),
    h("p", { class: "hint", text: "Photos that look alike to the network are near each other." }),
    h("div", { class: "toggle-group", role: "group", "aria-label": "Method" }, ...methods),
    status,
    h("div", { class: "map-columns" }, box, legend),
  ];
  return { elements, show: load };
};
