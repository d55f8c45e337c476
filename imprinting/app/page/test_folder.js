/** Tests the classes with a folder of photos whose classes are known. */
import { api, ConnectionError } from "./api.js";
import { button, fileButton, h, setText } from "./dom.js";
import { addDropZone } from "./drop.js";
import { collectChosen } from "./files.js";
import { formatCount, formatPercent, formatProbability } from "./format.js";
import { icon } from "./icons.js";
import { getProject, onProject } from "./state.js";

const PARALLEL = 2;
const SHOWN = 200;

const sameName = (one, other) => {
  const plain = (name) => name.normalize("NFC").trim().toLowerCase();
  return plain(one) === plain(other);
};

const createResult = ({ file, folder }, text, number) => {
  const image = h("img", { alt: "", loading: "lazy", decoding: "async", width: 48, height: 48 });
  image.src = URL.createObjectURL(file);
  const lines = h(
    "div",
    { class: "result-text" },
    h("span", { class: "ellipsis", text, title: text }),
    h("span", { class: "hint ellipsis", text: `${folder} / ${file.name}`, title: file.name }),
  );
  return h("li", {}, image, lines, h("span", { class: "number", text: number }));
};

const describeAnswer = ({ known, answers }) => (known ? answers[0].label : "unknown");

const createView = () => {
  const progress = h("progress", { "aria-label": "Photos tested", hidden: true });
  const score = h("p", { class: "score", "data-testid": "test-accuracy", role: "status" });
  const note = h("p", { class: "hint", "data-testid": "test-note" });
  const wrong = h("ul", { class: "results", tabindex: "0", "data-testid": "test-wrong" });
  const right = h("ul", { class: "results", tabindex: "0", "data-testid": "test-right" });
  const wrongTitle = h("h3", { hidden: true });
  const rightTitle = h("summary");
  const rightPart = h("details", { hidden: true }, rightTitle, right);
  return { progress, score, note, wrong, right, wrongTitle, rightTitle, rightPart };
};

const clear = (view) => {
  for (const list of [view.wrong, view.right]) {
    for (const image of list.querySelectorAll("img")) URL.revokeObjectURL(image.src);
    list.replaceChildren();
  }
};

const showScore = (view, run, finished) => {
  const { done, right, photos } = run;
  view.progress.hidden = finished;
  view.progress.max = photos.length;
  view.progress.value = done;
  // A live text that changes with each photo would flood a screen reader.
  view.score.setAttribute("aria-live", finished ? "polite" : "off");
  if (done > 0) {
    const share = formatPercent(right / done, done >= 200 ? 1 : 0);
    setText(view.score, `${share} right (${formatCount(right)} of ${formatCount(done)})`);
  } else setText(view.score, "");
  view.wrongTitle.hidden = done === right;
  setText(view.wrongTitle, `Wrong: ${formatCount(done - right)}`);
  view.rightPart.hidden = right === 0;
  setText(view.rightTitle, `Right: ${formatCount(right)}`);
};

const addResult = (view, run, photo, text, number, isRight) => {
  run.done += 1;
  if (isRight) run.right += 1;
  const list = isRight ? view.right : view.wrong;
  if (list.children.length < SHOWN) list.append(createResult(photo, text, number));
};

const testOne = async (view, run, photo) => {
  try {
    const answer = await api.classify(photo.file, run.controller.signal);
    const text = describeAnswer(answer);
    const isRight = answer.known && sameName(text, photo.folder);
    addResult(view, run, photo, text, formatProbability(answer.answers[0].probability), isRight);
  } catch (error) {
    if (error.name === "AbortError") return;
    if (error instanceof ConnectionError || error.status === 409) throw error;
    addResult(view, run, photo, error.message, "", false);
  }
};

const describeStrangers = (photos) => {
  const names = getProject().classes.map((entry) => entry.name);
  const folders = [...new Set(photos.map(({ folder }) => folder))];
  const strangers = folders.filter((folder) => !names.some((name) => sameName(name, folder)));
  if (strangers.length === 0) return "";
  const shown = strangers.slice(0, 5).join(", ");
  return `No class of yours is called: ${shown}${strangers.length > 5 ? ", …" : ""}.`;
};

const testAll = async (view, run) => {
  clear(view);
  setText(view.note, describeStrangers(run.photos));
  showScore(view, run, false);
  const waiting = [...run.photos];
  const work = async () => {
    while (waiting.length > 0 && !run.controller.signal.aborted) {
      await testOne(view, run, waiting.shift());
      showScore(view, run, false);
    }
  };
  try {
    await Promise.all(Array.from({ length: PARALLEL }, work));
  } catch (error) {
    run.controller.abort();
    setText(view.note, error.message);
  }
  showScore(view, run, true);
};

/** Creates the part of the panel that tests a folder. */
export const createTestFolder = () => {
  const view = createView();
  let run = null;
  const choose = fileButton("Test a folder…", icon("test"), {
    webkitdirectory: true,
    multiple: true,
    "data-testid": "test-folder-input",
  });
  const again = button("Test again", null, { hidden: true, "data-testid": "test-again" });
  const stop = button("Stop", icon("stop"), { hidden: true, "data-testid": "test-stop" });

  const start = async (photos) => {
    run?.controller.abort();
    const mine = { photos, done: 0, right: 0, controller: new AbortController() };
    mine.version = getProject()?.version;
    run = mine;
    again.hidden = true;
    stop.hidden = false;
    await testAll(view, mine);
    if (run !== mine) return;
    stop.hidden = true;
    again.hidden = false;
  };
  const take = ({ photos }) => {
    const inFolders = photos.filter(({ folder }) => folder !== null);
    if (inFolders.length > 0) start(inFolders);
    else setText(view.note, "There are no class folders with photos in it.");
  };
  choose.input.addEventListener("change", () => {
    const files = [...choose.input.files];
    choose.input.value = "";
    if (files.length > 0) take(collectChosen(files));
  });
  again.addEventListener("click", () => start(run.photos));
  stop.addEventListener("click", () => run.controller.abort());
  onProject(({ version }) => {
    if (run === null || !stop.hidden || run.version === version) return;
    setText(view.note, "The project has changed since this test.");
  });

  const zone = h(
    "div",
    { class: "zone", "data-testid": "test-zone" },
    h("div", { class: "zone-buttons" }, choose.element, again, stop),
    h("p", {
      class: "hint",
      text: "Or drop it here: a folder with a folder for each class. Its photos are not added.",
    }),
    view.progress,
    view.score,
    view.note,
    view.wrongTitle,
    view.wrong,
    view.rightPart,
  );
  addDropZone(zone, take);
  return zone;
};
