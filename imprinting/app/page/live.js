/** Live results: what the camera sees, or one photo. */
import { createAnswers } from "./answers.js";
import { api } from "./api.js";
import { cameraProblem, closeCamera, grabFrame, hasPicture, openCamera } from "./camera.js";
import { button, byId, fileButton, h, pause, setText } from "./dom.js";
import { addDropZone } from "./drop.js";
import { icon } from "./icons.js";
import { say } from "./messages.js";
import { onProject } from "./state.js";
import { createTestFolder } from "./test_folder.js";
import { createThreshold } from "./threshold.js";

const FRAME_INTERVAL = 120;
const RETRY_AFTER = 1000;
const LARGEST_SIDE = 320;
const QUALITY = 0.85;

const answers = createAnswers();
const video = h("video", { class: "camera", muted: true, playsinline: true, hidden: true });
const picture = h("img", { class: "tried-photo", alt: "The photo that is tried", hidden: true });
const status = h("p", { class: "hint", role: "status", "data-testid": "live-status" });
let run = null;
let last = null;
let answeredVersion = null;

const showAnswer = (answer) => {
  answeredVersion = answer.version;
  setText(status, "");
  answers.show(answer);
};

const showProblem = (error) => {
  answers.hide();
  setText(status, error.message);
};

const classifyFrames = async (mine) => {
  while (run === mine) {
    const next = performance.now() + FRAME_INTERVAL;
    let wait = 0;
    if (hasPicture(video) && document.visibilityState === "visible") {
      try {
        last = await grabFrame(video, LARGEST_SIDE, QUALITY);
        const answer = await api.classify(last);
        if (run === mine) showAnswer(answer);
      } catch (error) {
        if (run === mine) showProblem(error);
        wait = RETRY_AFTER;
      }
    }
    await pause(Math.max(wait, next - performance.now()));
  }
};

const toggle = button("Start the camera", icon("camera"), {
  class: "button primary",
  "data-testid": "camera-start",
});

const showRunning = () => {
  toggle.replaceChildren(
    icon(run ? "stop" : "camera"),
    run ? "Stop the camera" : "Start the camera",
  );
  video.hidden = !run;
};

const stopCamera = () => {
  if (!run) return;
  run = null;
  last = null;
  closeCamera(video);
  answers.hide();
  showRunning();
};

const startCamera = async () => {
  const mine = {};
  run = mine;
  last = null;
  picture.hidden = true;
  answers.hide();
  showRunning();
  setText(status, "Starting the camera…");
  try {
    await openCamera(video);
    if (run !== mine) return;
    setText(status, "");
    await classifyFrames(mine);
  } catch (error) {
    if (run !== mine) return;
    stopCamera();
    setText(status, cameraProblem(error));
  }
};

const classifyLast = async () => {
  const photo = last;
  if (photo === null || run) return;
  try {
    const answer = await api.classify(photo);
    if (photo === last) showAnswer(answer);
  } catch (error) {
    if (photo === last) showProblem(error);
  }
};

/** Shows the answers for one photo. */
export const tryPhoto = async (file) => {
  stopCamera();
  last = file;
  URL.revokeObjectURL(picture.src);
  picture.src = URL.createObjectURL(file);
  picture.hidden = false;
  await classifyLast();
  if (last === file && !answers.element.hidden) {
    say(`The answer: ${answers.element.querySelector(".best").textContent}`);
  }
};

const createTryZone = () => {
  const choose = fileButton("Try a photo", icon("photos"), {
    accept: "image/*",
    "data-testid": "try-photo-input",
  });
  choose.input.addEventListener("change", () => {
    const [file] = choose.input.files;
    choose.input.value = "";
    if (file) tryPhoto(file);
  });
  const zone = h("div", { class: "zone", "data-testid": "try-zone" });
  zone.append(
    h("div", { class: "zone-buttons" }, toggle, choose.element),
    video,
    picture,
    h("p", { class: "hint zone-hint", text: "Or drop a photo here." }),
    status,
    answers.element,
  );
  addDropZone(zone, ({ photos }) => {
    if (photos.length === 0) setText(status, "That is not a photo.");
    else tryPhoto(photos[0].file);
    if (photos.length > 1) say("Only the first photo is shown. Use “Test a folder” for several.");
  });
  return zone;
};

/** Builds the panel of live results. */
export const startLive = () => {
  toggle.addEventListener("click", () => (run ? stopCamera() : startCamera()));
  // Browsers cannot show every kind of photo that the server reads.
  picture.addEventListener("error", () => {
    picture.hidden = true;
  });
  byId("live-body").append(createTryZone(), createThreshold(), createTestFolder());
  onProject(({ version }) => {
    if (version !== answeredVersion) classifyLast();
  });
};
