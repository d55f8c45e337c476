/** The classes, and the ways to add photos above them. */
import { addCollection, addLoose, addZips } from "./adding.js";
import { api } from "./api.js";
import { createCard } from "./card.js";
import { byId, setText, syncChildren } from "./dom.js";
import { collectChosen } from "./files.js";
import { plural, quote, shorten } from "./format.js";
import { act, onProject } from "./state.js";

const views = new Map();
let focusNext = null;

const onFiles = (id, handler) => {
  const input = byId(id);
  input.addEventListener("change", () => {
    const files = [...input.files];
    // Cleared, so that the same choice works a second time.
    input.value = "";
    if (files.length > 0) handler(files);
  });
};

const createClass = async (event) => {
  event.preventDefault();
  const field = byId("new-class-name");
  const name = field.value.trim();
  if (name === "") {
    field.focus();
    return;
  }
  const message = `${quote(shorten(name))} is ready for its first photo.`;
  const answer = await act(() => api.createClass(name), message);
  if (!answer) return;
  field.value = "";
  focusNext = answer.id;
  focusCard();
};

const focusCard = () => {
  const view = views.get(focusNext);
  if (!view) return;
  focusNext = null;
  view.focus();
  view.element.scrollIntoView({ block: "nearest" });
};

const show = (project) => {
  const { classes, numPhotos } = project;
  for (const [id, view] of views) {
    if (!classes.some((entry) => entry.id === id)) view.close();
  }
  syncChildren(byId("class-list"), views, classes, (entry) => entry.id, createCard);
  byId("add-area").classList.toggle("empty", classes.length === 0);
  byId("class-list").hidden = classes.length === 0;
  setText(
    byId("classes-summary"),
    classes.length === 0
      ? ""
      : `${plural(classes.length, "class", "classes")}, ${plural(numPhotos, "photo")}`,
  );
  focusCard();
};

/** Shows the classes and wires the controls that add to them. */
export const startClassList = () => {
  onFiles("loose-input", (files) => addLoose(files));
  onFiles("folder-input", (files) => addCollection(collectChosen(files)));
  onFiles("zip-input", addZips);
  byId("new-class-form").addEventListener("submit", createClass);
  onProject(show);
};
