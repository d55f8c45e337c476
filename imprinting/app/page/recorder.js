/** The camera on a card: takes photos of a class while a button is held. */
import { cameraProblem, closeCamera, grabFrame, hasPicture, openCamera } from "./camera.js";
import { button, h, pause, setText } from "./dom.js";
import { plural } from "./format.js";
import { uploadPhotos } from "./upload.js";

const FRAME_INTERVAL = 125;
const LARGEST_SIDE = 640;
const QUALITY = 0.92;

let closeOther = null;

const timeStamp = () => new Date().toISOString().slice(0, 19).replaceAll(/[-:]/g, "");

/** Wires a button that acts while it is held by pointer, Space or Enter. */
const whileHeld = (element, start, stop) => {
  element.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    element.setPointerCapture(event.pointerId);
    start();
  });
  for (const type of ["pointerup", "pointercancel", "lostpointercapture", "blur"]) {
    element.addEventListener(type, stop);
  }
  const isHoldKey = (event) => event.key === " " || event.key === "Enter";
  element.addEventListener("keydown", (event) => {
    if (!isHoldKey(event)) return;
    event.preventDefault();
    if (!event.repeat) start();
  });
  element.addEventListener("keyup", (event) => {
    if (!isHoldKey(event)) return;
    event.preventDefault();
    stop();
  });
  element.addEventListener("click", (event) => {
    // Screen readers send a click without pointer and keys.
    if (event.detail !== 0) return;
    start();
    stop();
  });
  element.addEventListener("contextmenu", (event) => event.preventDefault());
};

/** Creates the recorder of a class. onClose is called when the camera was closed. */
export const createRecorder = (classId, onClose) => {
  const video = h("video", { class: "camera", muted: true, playsinline: true });
  video.muted = true;
  const status = h("p", { class: "hint", role: "status", text: "Starting the camera…" });
  const record = button("Hold to record", null, {
    class: "button primary record",
    "data-testid": "record",
    disabled: true,
  });
  let held = false;
  let taken = 0;
  let closed = false;

  const recordWhileHeld = async () => {
    const operation = crypto.randomUUID();
    const stamp = timeStamp();
    let count = 0;
    while (!closed && (held || count === 0)) {
      const next = performance.now() + FRAME_INTERVAL;
      count += 1;
      taken += 1;
      const name = `camera-${stamp}-${String(count).padStart(3, "0")}.jpg`;
      // Not awaited: browsers may take their time to encode, and the next frame must not be late.
      grabFrame(video, LARGEST_SIDE, QUALITY).then((file) => {
        uploadPhotos([{ file, name, target: { classId } }], { operation, quiet: true });
      });
      setText(status, `${plural(taken, "photo")} taken`);
      await pause(Math.max(0, next - performance.now()));
    }
  };
  let running = Promise.resolve();
  const start = () => {
    if (held || closed || !hasPicture(video)) return;
    held = true;
    record.classList.add("recording");
    running = running.then(recordWhileHeld);
  };
  const stop = () => {
    held = false;
    record.classList.remove("recording");
  };
  whileHeld(record, start, stop);

  const element = h("div", { class: "recorder" });
  const close = () => {
    if (closed) return;
    closed = true;
    stop();
    closeCamera(video);
    element.remove();
    if (closeOther === close) closeOther = null;
    onClose();
  };
  element.append(
    video,
    h(
      "div",
      { class: "recorder-actions" },
      record,
      button("Close camera", null, { "data-testid": "record-close", onclick: close }),
    ),
    status,
  );

  const open = async () => {
    closeOther?.();
    closeOther = close;
    try {
      await openCamera(video);
      record.disabled = false;
      if (!closed) setText(status, "About 8 photos a second are taken while you hold the button.");
      record.focus();
      element.scrollIntoView({ block: "nearest" });
    } catch (error) {
      setText(status, cameraProblem(error));
    }
  };
  return { element, open, close };
};
