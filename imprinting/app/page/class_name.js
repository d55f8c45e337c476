/** The name of a class on its card, which can be changed in place. */
import { api } from "./api.js";
import { confirmMerge } from "./dialogs.js";
import { h, setText } from "./dom.js";
import { icon } from "./icons.js";
import { sayError } from "./messages.js";
import { act, findClass, refresh } from "./state.js";

const rename = async (id, oldName, name) => {
  try {
    await api.renameClass(id, name);
  } catch (error) {
    const other = error.conflict === undefined ? undefined : findClass(error.conflict);
    if (!other) sayError(error);
    else if (await confirmMerge(oldName, other.name)) {
      await act(() => api.mergeClass(id, other.id), "The two classes are one now.");
    }
  }
  refresh();
};

/** Creates the heading with the name. */
export const createClassName = (id) => {
  const text = h("span", { class: "ellipsis" });
  const open = h(
    "button",
    { type: "button", class: "name-button", "data-testid": "class-name" },
    text,
    icon("edit"),
  );
  const heading = h("h3", { class: "class-name" }, open);
  let name = "";

  const edit = () => {
    const input = h("input", {
      type: "text",
      value: name,
      maxlength: 200,
      "aria-label": "Name of the class",
      "data-testid": "class-name-input",
    });
    let done = false;
    const finish = (save, keepFocus) => {
      if (done) return;
      done = true;
      const next = input.value.trim();
      heading.replaceChildren(open);
      if (keepFocus) open.focus();
      if (save && next !== "" && next !== name) {
        const before = name;
        update(next);
        rename(id, before, next).finally(() => update(findClass(id)?.name ?? next));
      }
    };
    input.addEventListener("keydown", (event) => {
      if (event.isComposing) return;
      if (event.key === "Enter") {
        // Otherwise the key would also press the button, which has the focus then.
        event.preventDefault();
        finish(true, true);
      } else if (event.key === "Escape") finish(false, true);
    });
    input.addEventListener("blur", () => finish(true, false));
    heading.replaceChildren(input);
    input.focus();
    input.select();
  };
  open.addEventListener("click", edit);

  const update = (next) => {
    name = next;
    setText(text, next);
    open.title = `${next} (click to rename)`;
  };
  return { element: heading, update };
};
