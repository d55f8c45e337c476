/** The threshold below which an answer is "unknown". */
import { api } from "./api.js";
import { debounce, h, setText } from "./dom.js";
import { formatPercent } from "./format.js";
import { act, onProject } from "./state.js";

const SAVE_AFTER = 250;

/** Creates the slider of the threshold. */
export const createThreshold = () => {
  const input = h("input", {
    type: "range",
    id: "threshold",
    min: 0,
    max: 1,
    step: 0.01,
    "data-testid": "threshold",
    "aria-describedby": "threshold-hint",
  });
  const output = h("output", { for: "threshold", class: "number" });
  let unsaved = false;
  const showValue = () => {
    const text = formatPercent(input.valueAsNumber);
    setText(output, text);
    input.setAttribute("aria-valuetext", text);
  };
  const save = debounce(async () => {
    const threshold = input.valueAsNumber;
    await act(() => api.saveSettings({ threshold }));
    if (threshold === input.valueAsNumber) unsaved = false;
  }, SAVE_AFTER);
  input.addEventListener("input", () => {
    unsaved = true;
    showValue();
    save();
  });
  onProject(({ threshold }) => {
    // An older value from the server must not move the slider under the user's hand.
    if (unsaved) return;
    input.value = threshold;
    showValue();
  });
  return h(
    "div",
    { class: "threshold" },
    h(
      "div",
      { class: "label-row" },
      h("label", { for: "threshold", text: "Threshold for “unknown”" }),
      output,
    ),
    input,
    h("p", {
      class: "hint",
      id: "threshold-hint",
      text: "If the best answer is below it, the answer is “unknown”.",
    }),
  );
};
