/** The server's HTTP interface: one function for each request. */

/** The server has answered with an error; the message is a sentence for the user. */
export class ServerError extends Error {
  constructor(status, detail) {
    super(detail.error ?? `The server answered with status ${status}.`);
    this.name = "ServerError";
    this.status = status;
    this.conflict = detail.conflict;
  }
}

/** The server has not answered. */
export class ConnectionError extends Error {
  constructor() {
    super("The program does not answer. Start it again; all that was added is saved.");
    this.name = "ConnectionError";
  }
}

const request = async (method, url, { json, body, signal, read = "json" } = {}) => {
  const headers = json === undefined ? {} : { "Content-Type": "application/json" };
  const content = json === undefined ? body : JSON.stringify(json);
  try {
    const response = await fetch(url, { method, headers, body: content, signal });
    if (response.ok) return await response[read]();
    throw new ServerError(response.status, await response.json().catch(() => ({})));
  } catch (error) {
    if (error instanceof ServerError || error.name === "AbortError") throw error;
    throw new ConnectionError();
  }
};

const get = (url, options) => request("GET", url, options);
const post = (url, options) => request("POST", url, options);
const remove = (url) => request("DELETE", url);
// The browser keeps pictures by their address, and another project has other ones.
let key = "";

const query = (values) => new URLSearchParams(values).toString();

export const api = {
  project: async () => {
    const project = await get("/api/project");
    key = project.key;
    return project;
  },
  createClass: (name) => post("/api/classes", { json: { name } }),
  renameClass: (id, name) => request("PATCH", `/api/classes/${id}`, { json: { name } }),
  deleteClass: (id) => remove(`/api/classes/${id}`),
  mergeClass: (id, into) => post(`/api/classes/${id}/merge`, { json: { into } }),
  /** target: {classId} or {className}. */
  addPhoto: ({ name, target, operation, body, signal }) => {
    const place =
      target.classId === undefined ? { class_name: target.className } : { class: target.classId };
    return post(`/api/photos?${query({ name, ...place, operation })}`, { body, signal });
  },
  removePhoto: (id, classId) => remove(`/api/photos/${id}?${query({ class: classId })}`),
  movePhoto: (id, from, to) => post(`/api/photos/${id}/move`, { json: { from, to } }),
  addZip: ({ name, operation, body }) => post(`/api/zip?${query({ name, operation })}`, { body }),
  undo: () => post("/api/undo"),
  redo: () => post("/api/redo"),
  saveSettings: (settings) => post("/api/settings", { json: settings }),
  newProject: () => post("/api/new"),
  kept: (text, limit) => get(`/api/kept?${query({ query: text, limit })}`),
  classify: (body, signal) => post("/api/classify", { body, signal }),
  fit: () => post("/api/fit"),
  undoFit: () => remove("/api/fit"),
  quality: () => get("/api/quality"),
  confusionPicture: () => get("/api/confusion.svg", { read: "blob" }),
  confusion: () => get("/api/confusion"),
  map: (method) => get(`/api/map?${query({ method })}`),
  example: (model) => get(`/api/export/example.py?${query({ model })}`, { read: "text" }),
  edgeTpu: () => get("/api/export/edge_tpu.json"),
  open: (file) => post(`/api/open?${query({ name: file.name })}`, { body: file }),
};

/** The address of a photo's thumbnail. */
export const thumbnailUrl = (photo) => `/api/photos/${photo}/thumbnail?${query({ project: key })}`;

/** The address of a photo's original file. */
export const photoUrl = (photo) => `/api/photos/${photo}/file?${query({ project: key })}`;

/** The address of an export. */
export const exportUrl = (file) => `/api/export/${encodeURIComponent(file)}`;
