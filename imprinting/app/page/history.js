/** Undo and Redo. */
import { api } from "./api.js";
import { byId } from "./dom.js";
import { takesText } from "./drop.js";
import { act, getProject, onProject } from "./state.js";

const ACTIONS = {
  undo: { request: api.undo, label: "Undo", done: "Undone", keys: "Ctrl-Z" },
  redo: { request: api.redo, label: "Redo", done: "Redone", keys: "Ctrl-Shift-Z" },
};

const run = (kind) => {
  const step = getProject()?.[kind];
  if (step) act(ACTIONS[kind].request, `${ACTIONS[kind].done}: ${step}.`);
};

const show = (kind, step) => {
  const element = byId(kind);
  const { label, keys } = ACTIONS[kind];
  // A disabled button loses the focus, which would throw a keyboard user to the top of the page.
  element.disabled = step === null && document.activeElement !== element;
  element.setAttribute("aria-disabled", String(step === null));
  element.title = step === null ? `Nothing to ${kind}` : `${label}: ${step} (${keys})`;
  element.setAttribute("aria-label", step === null ? label : `${label}: ${step}`);
};

/** Wires the buttons and keys. */
export const startHistory = () => {
  for (const kind of Object.keys(ACTIONS)) {
    byId(kind).addEventListener("click", () => run(kind));
    byId(kind).addEventListener("blur", () => show(kind, getProject()?.[kind] ?? null));
  }
  document.addEventListener("keydown", (event) => {
    const isZ = (event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "z";
    if (!isZ || event.altKey || takesText(event.target)) return;
    if (document.querySelector("dialog[open]")) return;
    event.preventDefault();
    run(event.shiftKey ? "redo" : "undo");
  });
  onProject((project) => {
    for (const kind of Object.keys(ACTIONS)) show(kind, project[kind]);
  });
};
