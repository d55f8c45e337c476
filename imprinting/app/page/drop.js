/** Drops of files anywhere on the page, and paste of images. */
import { addCollection, addLoose, addToClass } from "./adding.js";
import { byId } from "./dom.js";
import { collectDropped, collectPasted } from "./files.js";
import { sayError } from "./messages.js";

const zones = new WeakMap();

/** Makes an element a place for drops of its own; the handler gets the collection of files. */
export const addDropZone = (element, handler) => zones.set(element, handler);

const findZone = (target) => {
  let element = target instanceof Element ? target : null;
  while (element && !zones.has(element)) element = element.parentElement;
  return element;
};

const hasFiles = (event) => event.dataTransfer?.types.includes("Files");

const isModalOpen = () => document.querySelector("dialog[open]") !== null;

let marked = null;

const mark = (zone) => {
  if (zone === marked) return;
  marked?.classList.remove("drop-here");
  zone?.classList.add("drop-here");
  marked = zone;
};

const startDrops = () => {
  const veil = byId("drop-veil");
  const leave = () => {
    mark(null);
    veil.hidden = true;
  };
  document.addEventListener("dragover", (event) => {
    if (!hasFiles(event)) return;
    // Also where nothing can be dropped: the browser would leave the page and show the file.
    event.preventDefault();
    if (isModalOpen()) {
      event.dataTransfer.dropEffect = "none";
      return;
    }
    const zone = findZone(event.target);
    mark(zone);
    veil.hidden = zone !== null;
  });
  document.addEventListener("dragleave", (event) => {
    if (event.relatedTarget === null) leave();
  });
  document.addEventListener("drop", async (event) => {
    leave();
    if (!hasFiles(event)) return;
    event.preventDefault();
    if (isModalOpen()) return;
    const zone = findZone(event.target);
    const handler = zone ? zones.get(zone) : addCollection;
    try {
      handler(await collectDropped(event.dataTransfer));
    } catch (error) {
      sayError(error);
    }
  });
};

const isTextField = (element) =>
  element instanceof HTMLTextAreaElement ||
  (element instanceof HTMLInputElement && /^(text|search)$/.test(element.type));

const startPaste = (classify) => {
  document.addEventListener("paste", (event) => {
    const images = collectPasted(event.clipboardData);
    const hasText = event.clipboardData?.types.includes("text/plain");
    if (images.length === 0 || isModalOpen() || (isTextField(event.target) && hasText)) return;
    event.preventDefault();
    const card = document.activeElement?.closest("[data-class-id]");
    if (card) addToClass(images, { classId: Number(card.dataset.classId) });
    else addLoose(images, classify);
  });
};

/** Starts to listen for drops and paste. classify(file) shows the answers for a photo. */
export const startDropAndPaste = (classify) => {
  startDrops();
  startPaste(classify);
};

/** Whether an element takes typed text, so that keys such as Ctrl-Z belong to it. */
export const takesText = isTextField;
