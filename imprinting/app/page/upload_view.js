/** The progress of an upload and its summary, in the tray at the bottom. */
import { byId, h, setText } from "./dom.js";
import { formatCount, plural } from "./format.js";
import { onTask } from "./state.js";
import { cancelUpload, dismissUpload, onUpload, retryUpload } from "./upload.js";

const SUMMARY_SHOWN_FOR = 6000;
// So many photos that wait make an upload slow.
const SLOW = 16;
const TASKS = {
  fit: "Fitting",
  zip: "Adding the photos of the zip",
  open: "Opening",
};

const summarise = (status) => {
  const parts = [];
  if (status.cancelled) {
    parts.push(
      `Cancelled: ${formatCount(status.added)} of ${plural(status.total, "photo")} added.`,
    );
  } else {
    parts.push(`${plural(status.added, "photo")} added.`);
  }
  if (status.duplicates > 0) {
    parts.push(`${plural(status.duplicates, "photo was", "photos were")} there already.`);
  }
  if (status.failures.length > 0) {
    parts.push(`${plural(status.failures.length, "photo")} could not be added.`);
  }
  return parts.join(" ");
};

const stoppedText = ({ done, total, problem }) => {
  const rest = `${plural(total - done, "photo is", "photos are")} not added yet.`;
  return problem === "connection"
    ? `The connection to the server was lost. ${rest}`
    : `The upload has stopped: ${problem} ${rest}`;
};

const isUnseen = ({ quiet, state, total, done, failures }) =>
  quiet && state !== "stopped" && failures.length === 0 && total - done < SLOW;

const createView = () => {
  const text = h("p", { role: "status" });
  const bar = h("progress", { "data-testid": "upload-progress", "aria-label": "Photos uploaded" });
  const failures = h("ul", { class: "failures", "data-testid": "upload-failures" });
  const details = h(
    "details",
    { hidden: true },
    h("summary", { text: "Which, and why" }),
    failures,
  );
  const retry = h("button", {
    type: "button",
    class: "button primary",
    text: "Try the rest again",
    "data-testid": "upload-retry",
    onclick: retryUpload,
  });
  const cancel = h("button", {
    type: "button",
    class: "button",
    text: "Cancel",
    "data-testid": "upload-cancel",
    onclick: cancelUpload,
  });
  const close = h("button", {
    type: "button",
    class: "button",
    text: "Close",
    "data-testid": "upload-close",
    onclick: dismissUpload,
  });
  const actions = h("div", { class: "tray-actions" }, retry, cancel, close);
  byId("upload-tray").append(text, bar, details, actions);
  return { text, bar, failures, details, retry, cancel, close };
};

const showFailures = (view, failures) => {
  view.details.hidden = failures.length === 0;
  view.details.open = failures.length > 0 && failures.length <= 5;
  view.failures.replaceChildren(
    ...failures.map(({ name, reason }) => h("li", {}, h("b", { text: name }), `: ${reason}`)),
  );
};

const startUploads = () => {
  const view = createView();
  let timer;
  onUpload((status) => {
    clearTimeout(timer);
    byId("upload-tray").hidden = status === null || isUnseen(status);
    if (status === null) return;
    const { state, done, total } = status;
    view.bar.hidden = state === "finished";
    view.bar.max = total;
    view.bar.value = done;
    view.retry.hidden = state !== "stopped";
    view.cancel.hidden = state === "finished";
    view.close.hidden = state !== "finished";
    // A live text that changes with each photo would flood a screen reader.
    view.text.setAttribute("aria-live", state === "running" ? "off" : "polite");
    if (state === "running") {
      view.details.hidden = true;
      setText(view.text, `Adding photos: ${formatCount(done)} of ${formatCount(total)}`);
    } else if (state === "stopped") {
      setText(view.text, stoppedText(status));
    } else {
      setText(view.text, summarise(status));
      showFailures(view, status.failures);
      if (status.failures.length === 0) timer = setTimeout(dismissUpload, SUMMARY_SHOWN_FOR);
    }
  });
};

const startTasks = () => {
  const text = h("p");
  const bar = h("progress", { "aria-label": "Progress" });
  byId("task-tray").append(text, bar);
  onTask((task) => {
    // The fit has its own progress bar.
    byId("task-tray").hidden = task === null || task.kind === "fit";
    if (task === null) return;
    const numbers =
      task.total > 0 ? `: ${formatCount(task.done)} of ${formatCount(task.total)}` : "";
    setText(text, `${TASKS[task.kind] ?? "Working"}${numbers}`);
    if (task.total > 0) {
      bar.max = task.total;
      bar.value = task.done;
    } else bar.removeAttribute("value");
  });
};

/** Shows uploads and the server's tasks. */
export const startUploadView = () => {
  startUploads();
  startTasks();
};
