/** The best answers for a photo, as bars. */
import { h, setText } from "./dom.js";
import { formatProbability } from "./format.js";
import { getProject } from "./state.js";

const createRow = () => {
  const name = h("span", { class: "ellipsis", "data-testid": "answer-label" });
  const tag = h("span", { class: "tag" });
  const number = h("span", { class: "number", "data-testid": "answer-probability" });
  const fill = h("span", { class: "fill" });
  const element = h(
    "li",
    { "data-testid": "answer" },
    h("span", { class: "answer-text" }, name, tag, number),
    h("span", { class: "bar", "aria-hidden": "true" }, fill),
  );
  const update = ({ label, probability, kept }) => {
    setText(name, label);
    name.title = label;
    tag.hidden = !kept;
    if (kept) setText(tag, getProject()?.kept.name ?? "kept");
    setText(number, formatProbability(probability));
    fill.style.width = `${probability * 100}%`;
  };
  return { element, update };
};

/** Creates the view of answers. */
export const createAnswers = () => {
  const best = h("p", { class: "best", "data-testid": "best-answer" });
  const note = h("p", { class: "hint", "data-testid": "answer-note" });
  const list = h("ol", {
    class: "answers",
    "data-testid": "answers",
    "aria-label": "Best answers",
  });
  const element = h("div", { class: "answer-view", hidden: true }, best, note, list);
  const rows = [];

  const show = ({ answers, known, milliseconds }) => {
    element.hidden = false;
    element.classList.toggle("unknown", !known);
    setText(best, known ? answers[0].label : "unknown");
    best.title = best.textContent;
    const time = milliseconds.toFixed(milliseconds < 10 ? 1 : 0);
    const below = known ? "" : ". No answer reaches the threshold.";
    setText(note, `${time}\u00a0ms a photo${below}`);
    while (rows.length < answers.length) rows.push(createRow());
    answers.forEach((answer, index) => {
      rows[index].update(answer);
      if (!rows[index].element.isConnected) list.append(rows[index].element);
    });
    for (const row of rows.slice(answers.length)) row.element.remove();
  };
  const hide = () => {
    element.hidden = true;
  };
  return { element, show, hide };
};
