/** The card of a class. */
import { addCollectionToClass, addToClass } from "./adding.js";
import { api } from "./api.js";
import { createClassName } from "./class_name.js";
import { askClass } from "./dialogs.js";
import { button, fileButton, h, setText } from "./dom.js";
import { addDropZone } from "./drop.js";
import { plural, quote, shorten } from "./format.js";
import { icon } from "./icons.js";
import { openMenu } from "./menu.js";
import { showPhoto } from "./photo_dialog.js";
import { createRecorder } from "./recorder.js";
import { act, findClass, getProject } from "./state.js";
import { createThumbs } from "./thumbs.js";

const nameOf = (id) => findClass(id)?.name ?? "";

const mergeInto = async (id) => {
  const name = quote(shorten(nameOf(id)));
  const target = await askClass({
    title: `Merge ${name}`,
    text: "All its photos move to the other class. You can undo this.",
    classes: getProject().classes.filter((entry) => entry.id !== id),
    allowNew: false,
    label: "Merge",
  });
  if (target === null) return;
  const into = quote(shorten(nameOf(target.classId)));
  await act(() => api.mergeClass(id, target.classId), `${name} merged into ${into}.`);
};

const deleteClass = (id) =>
  act(() => api.deleteClass(id), `${quote(shorten(nameOf(id)))} deleted. Undo brings it back.`);

const createMenuButton = (id) => {
  const opener = button("", icon("more"), {
    class: "icon-button",
    "aria-haspopup": "menu",
    "aria-expanded": "false",
    "data-testid": "class-menu",
  });
  opener.addEventListener("click", () => {
    const merge = { label: "Merge into…", testid: "merge-class", action: () => mergeInto(id) };
    const remove = { label: "Delete", testid: "delete-class", action: () => deleteClass(id) };
    openMenu(opener, getProject().classes.length > 1 ? [merge, remove] : [remove]);
  });
  return opener;
};

const createCameraButton = (id, element) => {
  const opener = button("Camera", icon("camera"), {
    "aria-expanded": "false",
    "data-testid": "camera-button",
  });
  let recorder = null;
  opener.addEventListener("click", () => {
    if (recorder) {
      recorder.close();
      return;
    }
    recorder = createRecorder(id, () => {
      recorder = null;
      opener.setAttribute("aria-expanded", "false");
      if (document.activeElement === document.body) opener.focus();
    });
    opener.setAttribute("aria-expanded", "true");
    // Above the photos: as these grow, the button must not move away from the pointer.
    element.firstElementChild.after(recorder.element);
    recorder.open();
  });
  return { opener, close: () => recorder?.close() };
};

/** Creates the card of a class; update() takes the class as the server has it. */
export const createCard = ({ id }) => {
  const name = createClassName(id);
  const count = h("span", { class: "count", "data-testid": "photo-count" });
  const menu = createMenuButton(id);
  const add = fileButton("Add photos", icon("plus"), {
    accept: "image/*",
    multiple: true,
    "data-testid": "add-photos-input",
  });
  add.input.addEventListener("change", () => {
    addToClass([...add.input.files], { classId: id });
    add.input.value = "";
  });
  const thumbs = createThumbs({
    onOpen: (photo) => showPhoto(photo, id),
    onRemove: (photo) => act(() => api.removePhoto(photo, id), "Photo removed."),
  });
  // It takes the focus on a click, so that a photo can be pasted into it.
  const element = h("li", {
    class: "class-card",
    tabindex: "-1",
    "data-testid": "class-card",
    "data-class-id": id,
  });
  const camera = createCameraButton(id, element);
  element.append(
    h("div", { class: "card-head" }, name.element, count, menu),
    thumbs.element,
    h("div", { class: "card-actions" }, add.element, camera.opener),
  );
  addDropZone(element, (collection) => addCollectionToClass(collection, id));

  let shown = null;
  const update = (entry) => {
    if (entry.name !== shown?.name) {
      name.update(entry.name);
      menu.setAttribute("aria-label", `More for ${shorten(entry.name)}`);
      add.input.setAttribute("aria-label", `Add photos to ${shorten(entry.name)}`);
      camera.opener.setAttribute("aria-label", `Camera for ${shorten(entry.name)}`);
    }
    setText(count, plural(entry.photos.length, "photo"));
    element.classList.toggle("no-photos", entry.photos.length === 0);
    thumbs.update(entry.photos);
    shown = entry;
  };
  return { element, update, close: camera.close, focus: () => add.input.focus() };
};
