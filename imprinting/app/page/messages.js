/** The message at the bottom of the page; it is the live region for results of actions, too. */
import { byId } from "./dom.js";

const SHOWN_FOR = 7000;
let timer;

const show = (text, kind) => {
  clearTimeout(timer);
  byId("toast").dataset.kind = kind;
  byId("toast").classList.add("shown");
  byId("toast-text").textContent = text;
};

const hide = () => {
  byId("toast").classList.remove("shown");
  byId("toast-text").textContent = "";
};

/** Tells the result of an action; the message goes away by itself. */
export const say = (text) => {
  show(text, "done");
  timer = setTimeout(hide, SHOWN_FOR);
};

/** Tells what failed; the message stays until it is closed or replaced. */
export const sayError = (error) => {
  show(error.message ?? error, "error");
};

/** Wires the close button. */
export const startMessages = () => {
  byId("toast-close").addEventListener("click", hide);
};
