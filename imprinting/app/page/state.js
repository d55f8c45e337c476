/** The project as the server has it, and the stream of events that tells of changes. */
import { api, ServerError } from "./api.js";
import { say, sayError } from "./messages.js";

const REFRESH_INTERVAL = 350;
const RECONNECT_AFTER = 1500;

const projectListeners = new Set();
const taskListeners = new Set();
const connectionListeners = new Set();
let project = null;
let task = null;
let stream = null;
let timer = null;
let wanted = false;
let lastLoad = Number.NEGATIVE_INFINITY;

/** The project as last loaded; null before the first answer. */
export const getProject = () => project;

/** The class with this id, or undefined. */
export const findClass = (id) => project?.classes.find((entry) => entry.id === id);

/** Calls a function with the project after every change of it. */
export const onProject = (listener) => projectListeners.add(listener);

/** Calls a function with the server's running task, or null. */
export const onTask = (listener) => taskListeners.add(listener);

/** Calls a function with "connected", "lost" or "refused" when that changes. */
export const onConnection = (listener) => connectionListeners.add(listener);

const tellConnection = (status) => {
  for (const listener of connectionListeners) listener(status);
};

const setTask = (next) => {
  if (next === null && task === null) return;
  task = next;
  for (const listener of taskListeners) listener(task);
};

const load = async () => {
  wanted = false;
  lastLoad = performance.now();
  try {
    const next = await api.project();
    const changed = !project || next.version !== project.version;
    project = next;
    setTask(next.task);
    if (changed) for (const listener of projectListeners) listener(project);
  } catch (error) {
    if (!(error instanceof ServerError)) tellConnection("lost");
    else if (error.status === 401 || error.status === 403) tellConnection("refused");
    else sayError(error);
  } finally {
    timer = null;
    if (wanted) refresh();
  }
};

/** Loads the project soon; many calls make few requests, at most three a second. */
export const refresh = () => {
  wanted = true;
  if (timer !== null) return;
  timer = setTimeout(load, Math.max(0, lastLoad + REFRESH_INTERVAL - performance.now()));
};

/** Does a change, tells its result or what failed, and loads the project; undefined if failed. */
export const act = async (change, message) => {
  try {
    const answer = await change();
    if (message) say(message);
    return answer ?? {};
  } catch (error) {
    sayError(error);
    return undefined;
  } finally {
    refresh();
  }
};

const connect = () => {
  stream?.close();
  stream = new EventSource("/api/events");
  stream.addEventListener("open", () => {
    tellConnection("connected");
    refresh();
  });
  stream.addEventListener("message", (event) => {
    const news = JSON.parse(event.data);
    setTask(news.task);
    if (news.version !== project?.version) refresh();
  });
  stream.addEventListener("error", () => {
    // The browser connects again by itself after a lost connection, but not after an HTTP error,
    // of which the project's own request knows more.
    if (stream.readyState !== EventSource.CLOSED) {
      tellConnection("lost");
      return;
    }
    refresh();
    setTimeout(connectIfVisible, RECONNECT_AFTER);
  });
};

const connectIfVisible = () => {
  if (document.visibilityState === "visible") connect();
};

/** Starts to follow the server. A hidden tab lets go of its stream: browsers allow only six. */
export const startEvents = () => {
  document.addEventListener("visibilitychange", () => {
    if (document.visibilityState === "visible") connect();
    else stream?.close();
  });
  connect();
};
