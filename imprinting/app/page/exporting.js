/** Downloads of the model and the project, and the ways to open another project. */
import { api, exportUrl } from "./api.js";
import { button, byId, debounce, fileButton, h, setText } from "./dom.js";
import { icon } from "./icons.js";
import { say } from "./messages.js";
import { act, onProject } from "./state.js";

const LOAD_AFTER = 800;
const COPIED_SHOWN_FOR = 2000;

const DOWNLOADS = [
  ["edge_tpu.zip", "Edge TPU model", "Two .tflite files for a Coral accelerator."],
  ["labels.txt", "Labels", "The class names, one per line, in the order of the model's outputs."],
  ["photos.zip", "Photos", "All photos, in a folder for each class."],
  ["report.html", "Report", "How good it is, as one file to keep or to send."],
  ["project.zip", "Project", "Everything. It can be opened again, here or on another computer."],
  ["example.py", "Python example", "The lines below, as a file."],
];

// Without photos, there would be nothing in them.
const OF_PHOTOS = ["photos.zip", "report.html"];

const createDownload = (file, label, text) => {
  const link = h(
    "a",
    {
      class: "button",
      href: exportUrl(file),
      download: file,
      "data-testid": `export-${file.split(".")[0].replace("_", "-")}`,
    },
    icon("download"),
    label,
  );
  const element = h("li", {}, link, h("span", { class: "hint", text }));
  return { link, element, needsPhotos: OF_PHOTOS.includes(file) };
};

const cleanName = (text) => {
  const name = text
    .trim()
    .replace(/\.tflite$/i, "")
    .replaceAll(/[^A-Za-z0-9_.-]/g, "_");
  return `${name || "my_model"}.tflite`;
};

const createModelPart = (onName) => {
  const field = h("input", {
    type: "text",
    id: "model-name",
    value: "my_model",
    maxlength: 100,
    autocomplete: "off",
    spellcheck: "false",
    "aria-describedby": "model-hint",
    "data-testid": "model-name",
  });
  const { link } = createDownload("my_model.tflite", "Download the model", "");
  link.classList.add("primary");
  link.dataset.testid = "export-tflite";
  const file = h("span");
  const update = () => {
    const name = cleanName(field.value);
    link.href = exportUrl(name);
    link.download = name;
    setText(file, `The file is ${name}: one LiteRT (TensorFlow Lite) model with its labels.`);
    onName();
  };
  field.addEventListener("input", update);
  const element = h(
    "div",
    {},
    h(
      "div",
      { class: "model-row" },
      h(
        "p",
        { class: "field" },
        h("label", { for: "model-name", text: "Name of the model" }),
        field,
      ),
      link,
    ),
    h("p", { class: "hint", id: "model-hint" }, file),
  );
  return { element, update, name: () => cleanName(field.value) };
};

const createLines = (testid, label) => {
  const lines = h("pre", {
    tabindex: "0",
    "data-testid": testid,
    "aria-label": label,
    role: "group",
  });
  const copy = button("Copy", icon("copy"), { "aria-label": `Copy ${label}` });
  copy.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(lines.textContent);
      say("Copied.");
      copy.lastChild.textContent = "Copied";
      setTimeout(() => {
        copy.lastChild.textContent = "Copy";
      }, COPIED_SHOWN_FOR);
    } catch {
      window.getSelection().selectAllChildren(lines);
      say("The lines are selected. Copy them with Ctrl-C.");
    }
  });
  return { lines, element: h("div", { class: "lines" }, lines, copy) };
};

const loadLines = async (lines, request) => {
  try {
    setText(lines, await request());
  } catch (error) {
    setText(lines, error.message);
  }
};

const createOpenPart = () => {
  const open = fileButton("Open a file…", icon("open"), {
    accept: ".tflite,.zip",
    "data-testid": "open-input",
  });
  open.input.addEventListener("change", async () => {
    const [file] = open.input.files;
    open.input.value = "";
    if (file)
      await act(() => api.open(file), `${file.name} is open. Undo brings the old one back.`);
  });
  const fresh = button("New project", icon("plus"), {
    "data-testid": "new-project",
    onclick: () => act(api.newProject, "A new project. Undo brings the old one back."),
  });
  return h(
    "div",
    {},
    h("h3", { text: "Open" }),
    h("div", { class: "zone-buttons" }, open.element, fresh),
    h("p", {
      class: "hint",
      text:
        "Opens a project.zip, or a .tflite model whose classes are to be kept. It takes the " +
        "place of this project; Undo brings this one back.",
    }),
  );
};

/** Builds the section. */
export const startExporting = () => {
  const model = createModelPart(() => load());
  const downloads = DOWNLOADS.map((download) => createDownload(...download));
  const empty = h("p", {
    class: "note",
    hidden: true,
    "data-testid": "export-empty",
    text: "There is nothing to export yet. Add a photo first.",
  });
  const all = h(
    "div",
    {},
    model.element,
    h("ul", { class: "downloads" }, ...downloads.map(({ element }) => element)),
  );
  const python = createLines("python-lines", "the Python lines");
  const compiler = createLines("edge-tpu-command", "the compiler's command");
  const join = createLines("edge-tpu-join", "the command that joins the model");
  byId("export-body").append(
    empty,
    all,
    h("h3", { text: "Use it in Python" }),
    python.element,
    h(
      "details",
      { "data-testid": "edge-tpu" },
      h("summary", { text: "Use it on an Edge TPU" }),
      h("p", { class: "hint", text: "Compile the extractor of the zip:" }),
      compiler.element,
      h("p", { class: "hint", text: "Then join it with the head again:" }),
      join.element,
    ),
    createOpenPart(),
  );
  const load = debounce(async () => {
    await loadLines(python.lines, () => api.example(model.name()));
    try {
      const commands = await api.edgeTpu();
      setText(compiler.lines, commands.command);
      setText(join.lines, commands.join);
    } catch (error) {
      setText(compiler.lines, error.message);
      setText(join.lines, "");
    }
  }, LOAD_AFTER);
  model.update();
  onProject(({ keepClasses, numPhotos }) => {
    const nothing = !keepClasses && numPhotos === 0;
    empty.hidden = !nothing;
    all.hidden = nothing;
    for (const { element, needsPhotos } of downloads)
      element.hidden = needsPhotos && numPhotos === 0;
    load();
  });
};
