/** How good the classes are: accuracy, confusion, suspects and the map; on request. */
import { api, thumbnailUrl } from "./api.js";
import { createConfusion } from "./confusion.js";
import { button, byId, debounce, h, setText, syncChildren } from "./dom.js";
import { formatPercent, plural, quote, shorten } from "./format.js";
import { createMap } from "./map.js";
import { act, findClass, getProject, onProject } from "./state.js";
import { isUploading } from "./upload.js";

const REFRESH_AFTER = 1000;

const describe = ({ accuracy, numPhotos, fitted }) => {
  if (accuracy === null) return "No class has two photos yet. Add a second photo to one.";
  const share = formatPercent(accuracy, numPhotos >= 200 ? 1 : 0);
  const verb = numPhotos === 1 ? "is" : "are";
  const repeated = fitted ? " The fit was repeated without the photos that were left out." : "";
  return `${share} of ${plural(numPhotos, "photo")} ${verb} recognised.${repeated}`;
};

const createClassRow = () => {
  const name = h("span", { class: "ellipsis" });
  const fill = h("span", { class: "fill" });
  const number = h("span", { class: "number" });
  const bar = h("span", { class: "bar", "aria-hidden": "true" }, fill);
  const element = h("li", { "data-testid": "class-accuracy" }, name, bar, number);
  const update = (entry) => {
    setText(name, entry.name);
    name.title = entry.name;
    fill.style.width = `${(entry.accuracy ?? 0) * 100}%`;
    setText(number, entry.accuracy === null ? "one photo" : formatPercent(entry.accuracy));
  };
  return { element, update };
};

const createSuspect = ({ photo, class: from, likely, likelyName }) => {
  const likelyText = `likely ${quote(likelyName)}`;
  const move = async () => {
    const message = `Photo moved to ${quote(shorten(likelyName))}.`;
    if (!(await act(() => api.movePhoto(photo, from, likely), message))) return;
    const next = element.nextElementSibling ?? element.previousElementSibling;
    element.remove();
    next?.querySelector("button")?.focus();
  };
  const owner = findClass(from);
  const name = owner?.photos.find((entry) => entry.id === photo)?.name ?? "photo";
  const element = h(
    "li",
    { "data-testid": "suspect" },
    h("img", { src: thumbnailUrl(photo), alt: name, loading: "lazy", width: 96, height: 96 }),
    h("p", { class: "ellipsis hint", text: `in ${quote(owner?.name ?? "")}`, title: owner?.name }),
    h("p", { class: "ellipsis", text: likelyText, title: likelyName }),
    likely === null
      ? null
      : button(`Move to ${shorten(likelyName, 16)}`, null, {
          "data-testid": "move-suspect",
          title: `Move to ${likelyName}`,
          onclick: move,
        }),
  );
  return { element };
};

const suspectKey = (suspect) =>
  [suspect.photo, suspect.class, suspect.likely, suspect.likelyName].join(" ");

const createAccuracy = () => {
  const rows = new Map();
  const sentence = h("p", { class: "score", "data-testid": "quality-accuracy", role: "status" });
  const list = h("ul", {
    class: "accuracies",
    tabindex: "0",
    "aria-label": "Recognised photos of each class",
  });
  const show = (quality) => {
    setText(sentence, describe(quality));
    const worstFirst = quality.classes.toSorted(
      (one, other) => (one.accuracy ?? 2) - (other.accuracy ?? 2),
    );
    syncChildren(list, rows, worstFirst, (entry) => entry.id, createClassRow);
  };
  return { elements: [sentence, list], show };
};

const createSuspects = () => {
  const views = new Map();
  const list = h("ul", { class: "suspects", "data-testid": "suspects" });
  const none = h("p", { class: "hint", text: "No photo looks as if it were in a wrong class." });
  const show = ({ accuracy, suspects }) => {
    none.hidden = suspects.length > 0 || accuracy === null;
    list.hidden = suspects.length === 0;
    syncChildren(list, views, suspects, suspectKey, createSuspect);
  };
  return { elements: [h("h3", { text: "Perhaps in the wrong class" }), none, list], show };
};

/** Builds the section. */
export const startQuality = () => {
  const opener = byId("quality-open");
  const body = byId("quality-body");
  const parts = [createAccuracy(), createConfusion(), createSuspects(), createMap()];
  const problem = h("p", { class: "note", role: "status", hidden: true });
  const content = h("div", { hidden: true }, ...parts.flatMap(({ elements }) => elements));
  body.append(problem, content);
  let shownVersion = null;
  let loading = false;

  const load = async () => {
    if (loading || body.hidden) return;
    loading = true;
    body.setAttribute("aria-busy", "true");
    try {
      const quality = await api.quality();
      shownVersion = quality.version;
      for (const part of parts) part.show(quality);
      content.hidden = false;
      problem.hidden = true;
    } catch (error) {
      shownVersion = getProject()?.version;
      setText(problem, error.message);
      problem.hidden = false;
    }
    body.removeAttribute("aria-busy");
    loading = false;
    if (shownVersion !== getProject()?.version) loadSoon();
  };
  const loadSoon = debounce(() => (isUploading() ? loadSoon() : load()), REFRESH_AFTER);

  opener.addEventListener("click", () => {
    body.hidden = !body.hidden;
    opener.setAttribute("aria-expanded", String(!body.hidden));
    setText(opener, body.hidden ? "Show" : "Hide");
    opener.setAttribute("aria-label", body.hidden ? "Show how good it is" : "Hide how good it is");
    if (!body.hidden && shownVersion !== getProject()?.version) {
      setText(problem, "Computing…");
      problem.hidden = shownVersion !== null;
      load();
    }
  });
  onProject(({ version }) => {
    if (!body.hidden && version !== shownVersion) loadSoon();
  });
};
