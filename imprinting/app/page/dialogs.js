/** Questions to the user, as modal dialogs. */
import { h } from "./dom.js";
import { quote, shorten } from "./format.js";

let count = 0;

/** Shows a dialog; the result is the value of the chosen action, or null. */
export const openDialog = ({ title, content, actions, onSubmit }) =>
  new Promise((resolve) => {
    count += 1;
    const titleId = `dialog-${count}`;
    let result = null;
    const close = (value) => {
      result = value;
      dialog.close();
    };
    const buttons = actions.map(({ label, value, kind = "" }) =>
      h("button", {
        type: value === "submit" ? "submit" : "button",
        class: `button ${kind}`,
        "data-testid": `dialog-${value}`,
        autofocus: value === "submit" && !onSubmit,
        text: label,
        onclick: value === "submit" ? undefined : () => close(value),
      }),
    );
    const form = h(
      "form",
      {
        onsubmit: (event) => {
          event.preventDefault();
          const value = onSubmit ? onSubmit() : "submit";
          if (value !== null) close(value);
        },
      },
      h("h2", { id: titleId, text: title }),
      ...content,
      h(
        "div",
        { class: "dialog-actions" },
        h("button", {
          type: "button",
          class: "button",
          text: "Cancel",
          onclick: () => close(null),
        }),
        ...buttons,
      ),
    );
    const dialog = h("dialog", { class: "dialog", "aria-labelledby": titleId }, form);
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(result);
    });
    document.body.append(dialog);
    dialog.showModal();
  });

/** Asks a yes-or-no question; true for yes. */
const confirmAction = async (title, text, label) =>
  (await openDialog({
    title,
    content: [h("p", { text })],
    actions: [{ label, value: "submit", kind: "primary" }],
  })) === "submit";

/** A select with the names of classes; values are ids. */
export const classSelect = (classes, properties) =>
  h(
    "select",
    properties,
    ...classes.map((entry) => h("option", { value: entry.id, text: shorten(entry.name, 50) })),
  );

/**
 * Asks for a class. The result is {classId} or {className}, the value of one of the further
 * actions, or null.
 */
export const askClass = ({ title, text, classes, allowNew = true, label, actions = [] }) => {
  const select = classSelect(classes, { id: "dialog-class", "data-testid": "dialog-class" });
  // First, so that photos of another thing do not get into the first class by mistake.
  if (allowNew) select.prepend(h("option", { value: "", text: "New class…", selected: true }));
  const name = h("input", {
    type: "text",
    id: "dialog-name",
    "data-testid": "dialog-name",
    maxlength: 200,
    autocomplete: "off",
    placeholder: "for example: my mug",
  });
  const nameField = h(
    "p",
    { class: "field" },
    h("label", { for: "dialog-name", text: "Name" }),
    name,
  );
  const showName = () => {
    nameField.hidden = select.value !== "";
    name.required = !nameField.hidden;
  };
  select.addEventListener("change", () => {
    showName();
    if (!nameField.hidden) name.focus();
  });
  showName();
  const selectField = h(
    "p",
    { class: "field" },
    h("label", { for: "dialog-class", text: "Class" }),
    select,
  );
  selectField.hidden = classes.length === 0;
  const result = openDialog({
    title,
    content: [text ? h("p", { text }) : null, selectField, nameField],
    actions: [...actions, { label, value: "submit", kind: "primary" }],
    onSubmit: () => {
      if (select.value !== "") return { classId: Number(select.value) };
      const className = name.value.trim();
      return className === "" ? null : { className };
    },
  });
  if (nameField.hidden) select.focus();
  else name.focus();
  return result;
};

/** Asks whether a class is to be merged into the one which has the name already. */
export const confirmMerge = (from, into) =>
  confirmAction(
    `Merge with ${quote(shorten(into))}?`,
    `There is a class with this name already. Its photos and those of ${quote(shorten(from))} ` +
      "become one class. You can undo this.",
    "Merge",
  );
