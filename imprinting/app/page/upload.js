/** The queue of photos on their way to the server: at most four at a time. */
import { api, ConnectionError, ServerError } from "./api.js";
import { formatBytes } from "./format.js";
import { getProject, refresh } from "./state.js";

const PARALLEL = 4;
const DISK_FULL = 507;
const TELL_INTERVAL = 200;

const listeners = new Set();
let queue = [];
let active = 0;
let controller = new AbortController();
let status = null;
let told = 0;

const freshStatus = () => ({
  total: 0,
  done: 0,
  added: 0,
  duplicates: 0,
  failures: [],
  state: "running",
  problem: "",
  cancelled: false,
  quiet: false,
});

const tell = () => {
  told = performance.now();
  for (const listener of listeners) listener(status);
};

// With fast networks, a photo takes milliseconds, and to show each costs more than to send it.
const tellSometimes = () => {
  if (performance.now() - told > TELL_INTERVAL) tell();
};

/** Calls a function with the upload's status after each step of it; null: nothing to show. */
export const onUpload = (listener) => listeners.add(listener);

/** Whether photos are on their way. */
export const isUploading = () => status?.state === "running";

const stop = (problem, job) => {
  queue.unshift(job);
  status.state = "stopped";
  status.problem = problem;
};

const fail = (name, reason) => {
  status.done += 1;
  status.failures.push({ name, reason });
};

const checkSize = (job) => {
  const limit = getProject()?.limits.photoBytes ?? Number.POSITIVE_INFINITY;
  if (job.file.size > limit) {
    const size = formatBytes(job.file.size);
    throw new ServerError(413, {
      error: `expected at most ${formatBytes(limit)}, got ${size}; use a smaller photo`,
    });
  }
};

/** Whether a file can be read: fetch() cannot tell a file that is gone from a server that is gone. */
const isReadable = (file) =>
  file
    .slice(0, 1)
    .arrayBuffer()
    .then(() => true)
    .catch(() => false);

const send = async (job) => {
  const mine = status;
  const { signal } = controller;
  try {
    checkSize(job);
    const answer = await api.addPhoto({ ...job, body: job.file, signal });
    if (mine !== status) return;
    status.done += 1;
    if (answer.duplicate) status.duplicates += 1;
    else status.added += 1;
  } catch (error) {
    if (mine !== status || error.name === "AbortError") return;
    if (error instanceof ConnectionError) {
      if (await isReadable(job.file)) stop("connection", job);
      else fail(job.name, "the file cannot be read any more; choose it again");
    } else if (error.status === DISK_FULL) stop(error.message, job);
    else fail(job.name, error.message);
  }
};

const work = async () => {
  active += 1;
  while (status?.state === "running" && queue.length > 0) {
    await send(queue.shift());
    refresh();
    if (status?.state === "running") tellSometimes();
    else if (status) tell();
  }
  active -= 1;
  if (active > 0 || status?.state !== "running" || queue.length > 0) return;
  status.state = "finished";
  tell();
};

const startWork = () => {
  tell();
  while (active < PARALLEL && queue.length > 0) work();
};

const ensureStatus = (quiet) => {
  if (quiet && status?.failures.length > 0) {
    // A recording uploads many times; the failures of its first frames must not go away.
    if (status.state === "finished") status.state = "running";
  } else if (status === null || status.state === "finished") {
    status = freshStatus();
    status.quiet = quiet;
  }
  status.quiet &&= quiet;
};

/**
 * Adds photos: [{file, name, target: {classId} or {className}}]. Those with the same operation are
 * one step for Undo. A quiet upload is only seen if it is slow or fails.
 */
export const uploadPhotos = (photos, options = {}) => {
  const { operation = crypto.randomUUID(), quiet = false } = options;
  if (photos.length === 0) return;
  ensureStatus(quiet);
  status.total += photos.length;
  for (const photo of photos) queue.push({ ...photo, operation });
  if (status.state === "running") startWork();
  else tell();
};

/** Puts failures of reading, which happened before the upload, into its summary. */
export const reportUnread = (names) => {
  if (names.length === 0) return;
  ensureStatus(false);
  status.total += names.length;
  for (const name of names) fail(name, "the file or folder cannot be read");
  if (queue.length === 0 && active === 0) status.state = "finished";
  tell();
};

/** Sends the rest after the upload had to stop. */
export const retryUpload = () => {
  status.state = "running";
  status.problem = "";
  startWork();
};

/** Forgets the photos that are not sent yet; those that are sent stay. */
export const cancelUpload = () => {
  queue = [];
  controller.abort();
  controller = new AbortController();
  status.state = "finished";
  status.cancelled = true;
  tell();
  refresh();
};

/** Removes the summary. */
export const dismissUpload = () => {
  if (status?.state !== "finished") return;
  status = null;
  tell();
};
