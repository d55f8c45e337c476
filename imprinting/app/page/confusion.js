/** The confusion matrix, as a picture and as a table. */
import { api } from "./api.js";
import { h, setText } from "./dom.js";

const createTable = ({ rows, columns, counts }) =>
  h(
    "table",
    {},
    h("caption", { text: "Rows: true classes. Columns: answers." }),
    h(
      "thead",
      {},
      h("tr", {}, h("td"), ...columns.map((name) => h("th", { scope: "col", text: name }))),
    ),
    h(
      "tbody",
      {},
      ...rows.map((name, index) =>
        h(
          "tr",
          {},
          h("th", { scope: "row", text: name }),
          ...counts[index].map((count) => h("td", { text: count })),
        ),
      ),
    ),
  );

/** Creates the part of the section; show() loads the picture again. */
export const createConfusion = () => {
  const picture = h("img", {
    class: "confusion",
    alt: "Confusion matrix: what each class is taken for. The table has its numbers.",
    "data-testid": "confusion",
  });
  const problem = h("p", { class: "note", hidden: true });
  const table = h("div", { class: "table", tabindex: "0", role: "group", "aria-label": "Table" });
  const details = h(
    "details",
    { "data-testid": "confusion-table" },
    h("summary", { text: "As a table" }),
    table,
  );
  const attempt = async (action) => {
    try {
      await action();
      problem.hidden = true;
    } catch (error) {
      setText(problem, error.message);
      problem.hidden = false;
    }
  };
  const loadTable = () =>
    attempt(async () => table.replaceChildren(createTable(await api.confusion())));
  const loadPicture = () =>
    attempt(async () => {
      const url = URL.createObjectURL(await api.confusionPicture());
      URL.revokeObjectURL(picture.src);
      picture.src = url;
    });
  details.addEventListener("toggle", () => details.open && loadTable());
  const elements = [h("h3", { text: "What is taken for what" }), problem, picture, details];
  const show = async () => {
    await loadPicture();
    if (details.open) await loadTable();
  };
  return { elements, show };
};
