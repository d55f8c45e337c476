/** The fit: adjusts the network to the classes, on request. */
import { api } from "./api.js";
import { button, byId, h, setText } from "./dom.js";
import { formatCount, formatPercent, plural } from "./format.js";
import { icon } from "./icons.js";
import { act, onProject, onTask } from "./state.js";

const createBar = (label) => {
  const fill = h("span", { class: "fill" });
  const number = h("span", { class: "number" });
  const element = h(
    "div",
    { class: "fit-bar" },
    h("span", { text: label }),
    h("span", { class: "bar", "aria-hidden": "true" }, fill),
    number,
  );
  const update = (share) => {
    fill.style.width = `${share * 100}%`;
    setText(number, formatPercent(share));
  };
  return { element, update };
};

const measured = (fit) => fit.before !== null && fit.after !== null;

const describe = (fit) => {
  if (!measured(fit)) return fit.description;
  return (
    `Before the fit, ${formatPercent(fit.before)} of the photos that were left out were ` +
    `recognised, now ${formatPercent(fit.after)}.`
  );
};

const describeLimits = (fit) => {
  const notes = [];
  if (!fit.applies) {
    notes.push(
      "The fit is not in use: it was made with the switch “Keep” in its other position. " +
        "Turn the switch back, or fit again.",
    );
  }
  if (fit.applies && !fit.changedEmbedding && measured(fit)) {
    notes.push("The fit left the network's embedding as it was: no change did better.");
  }
  if (fit.photosSince > 0) {
    notes.push(
      `It has not seen ${plural(fit.photosSince, "photo")} added since. Fit again for them.`,
    );
  }
  return notes.join(" ");
};

const createResult = () => {
  const sentence = h("p", { "data-testid": "fit-sentence" });
  const note = h("p", { class: "note", "data-testid": "fit-note" });
  const before = createBar("Before");
  const after = createBar("After");
  const bars = h("div", { class: "fit-bars" }, before.element, after.element);
  const description = h("p", { class: "hint", "data-testid": "fit-description" });
  const remove = button("Remove the fit", icon("close"), {
    "data-testid": "fit-undo",
    onclick: () => act(api.undoFit, "The fit is removed."),
  });
  const element = h(
    "div",
    { "data-testid": "fit-result", hidden: true },
    sentence,
    bars,
    note,
    h("details", {}, h("summary", { text: "What the fit has done" }), description),
    remove,
  );
  const update = (fit) => {
    element.hidden = fit === null;
    if (fit === null) return;
    setText(sentence, describe(fit));
    bars.hidden = !measured(fit);
    if (measured(fit)) {
      before.update(fit.before);
      after.update(fit.after);
    }
    setText(note, describeLimits(fit));
    note.hidden = note.textContent === "";
    setText(description, fit.description);
    description.parentElement.hidden = !measured(fit);
  };
  return { element, update };
};

/** Builds the panel. */
export const startFit = () => {
  const start = button("Fit", icon("fit"), { "data-testid": "fit-button" });
  const progress = h("progress", { "aria-label": "Progress of the fit" });
  const progressText = h("p", { class: "hint" });
  const working = h("div", { "data-testid": "fit-progress", hidden: true }, progressText, progress);
  const result = createResult();
  let waiting = false;
  let task = null;

  const showWorking = () => {
    const fitting = waiting || task?.kind === "fit";
    working.hidden = !fitting;
    // Not "disabled", which would drop the keyboard's focus.
    start.setAttribute("aria-disabled", String(fitting || task !== null));
    const { done = 0, total = 0 } = task?.kind === "fit" ? task : {};
    if (total > 0) {
      progress.max = total;
      progress.value = done;
    } else progress.removeAttribute("value");
    const numbers = total > 0 ? `: ${formatCount(done)} of ${formatCount(total)}` : "…";
    setText(progressText, `Fitting${numbers}`);
  };
  start.addEventListener("click", async () => {
    if (start.getAttribute("aria-disabled") === "true") return;
    waiting = true;
    showWorking();
    await act(api.fit, "Fitted.");
    waiting = false;
    showWorking();
  });
  onTask((next) => {
    task = next;
    showWorking();
  });
  onProject(({ fit }) => {
    start.replaceChildren(icon("fit"), fit === null ? "Fit" : "Fit again");
    result.update(fit);
  });
  byId("fit-body").append(
    h("p", {
      class: "hint",
      text:
        "Not needed to begin. With several photos in each class it can make the answers better. " +
        "If it does not, it changes nothing.",
    }),
    start,
    working,
    result.element,
  );
};
