/** The switch that keeps the network's own classes, and a search over their names. */
import { api } from "./api.js";
import { byId, debounce, h, setText } from "./dom.js";
import { formatCount, plural } from "./format.js";
import { sayError } from "./messages.js";
import { act, onProject } from "./state.js";

const LIMIT = 50;
const SEARCH_AFTER = 200;

const createSearch = () => {
  const field = h("input", {
    type: "search",
    id: "kept-search",
    "data-testid": "kept-search",
    autocomplete: "off",
    placeholder: "for example: lemon",
  });
  const count = h("p", { class: "hint", role: "status", "data-testid": "kept-matches" });
  const names = h("ul", {
    class: "kept-names",
    tabindex: "0",
    "aria-label": "Names",
    "data-testid": "kept-names",
  });
  const details = h(
    "details",
    { "data-testid": "kept-details" },
    h("summary", { text: "Which classes are these?" }),
    h("p", { class: "field" }, h("label", { for: "kept-search", text: "Search" }), field),
    count,
    names,
  );
  const search = async () => {
    const text = field.value;
    try {
      const answer = await api.kept(text, LIMIT);
      if (text !== field.value) return;
      names.replaceChildren(...answer.names.map((name) => h("li", { text: name })));
      names.hidden = answer.names.length === 0;
      const shown = answer.names.length;
      setText(
        count,
        shown < answer.matches
          ? `${plural(answer.matches, "name")}; the first ${shown} are shown`
          : plural(answer.matches, "name"),
      );
    } catch (error) {
      sayError(error);
    }
  };
  field.addEventListener("input", debounce(search, SEARCH_AFTER));
  details.addEventListener("toggle", () => details.open && search());
  return { details, searchAgain: debounce(() => details.open && search(), SEARCH_AFTER) };
};

const describe = ({ count, total, replaced }) => {
  const names = `${formatCount(count)} of ${formatCount(total)} classes`;
  if (replaced.length === 0) return names;
  const shown = replaced.slice(0, 3).join(", ");
  const more = replaced.length > 3 ? `, and ${replaced.length - 3} more` : "";
  return `${names}. Replaced by your own: ${shown}${more}`;
};

/** Builds the panel. */
export const startKept = () => {
  const input = h("input", {
    type: "checkbox",
    role: "switch",
    id: "keep",
    "data-testid": "keep-switch",
    "aria-describedby": "keep-count",
  });
  const label = h("label", { for: "keep" });
  const count = h("p", { class: "hint", id: "keep-count", "data-testid": "kept-count" });
  const { details, searchAgain } = createSearch();
  input.addEventListener("change", async () => {
    const keepClasses = input.checked;
    const message = keepClasses
      ? "The network's own classes are kept."
      : "Only your classes are answers now.";
    if (!(await act(() => api.saveSettings({ keepClasses }), message)))
      input.checked = !keepClasses;
  });
  byId("keep-body").append(h("div", { class: "switch-row" }, label, input), count, details);
  let known = "";
  onProject(({ keepClasses, kept }) => {
    input.checked = keepClasses;
    setText(label, `Keep ${kept.name}'s classes`);
    setText(count, keepClasses ? describe(kept) : `Off: only your classes are answers.`);
    const now = JSON.stringify(kept);
    if (now !== known) searchAgain();
    known = now;
  });
};
