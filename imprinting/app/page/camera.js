/** The camera: one stream, shared by the live results and the cards. */

const WIDTH = 1280;

const users = new Set();
let opening = null;

const release = async () => {
  const stream = await opening?.catch(() => null);
  if (users.size > 0) return;
  opening = null;
  for (const track of stream?.getTracks() ?? []) track.stop();
};

/** Shows the camera in a video element. */
export const openCamera = async (video) => {
  if (!navigator.mediaDevices) throw new DOMException("", "SecurityError");
  users.add(video);
  opening ??= navigator.mediaDevices.getUserMedia({
    video: { width: { ideal: WIDTH }, facingMode: "environment" },
    audio: false,
  });
  try {
    const stream = await opening;
    if (!users.has(video)) return;
    video.srcObject = stream;
    await video.play();
  } catch (error) {
    users.delete(video);
    if (users.size === 0) await release();
    throw error;
  }
};

/** Takes the camera from a video element; the last one turns it off. */
export const closeCamera = (video) => {
  video.srcObject = null;
  if (users.delete(video) && users.size === 0 && opening) release();
};

/** The present picture of a video as a JPEG of at most so many pixels on each side. */
export const grabFrame = (video, limit, quality) => {
  const scale = Math.min(1, limit / Math.max(video.videoWidth, video.videoHeight));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(video.videoWidth * scale));
  canvas.height = Math.max(1, Math.round(video.videoHeight * scale));
  canvas.getContext("2d").drawImage(video, 0, 0, canvas.width, canvas.height);
  return new Promise((resolve) => {
    canvas.toBlob(resolve, "image/jpeg", quality);
  });
};

/** Whether a video has a picture already. */
export const hasPicture = (video) => video.readyState >= 2 && video.videoWidth > 0;

/** Why the camera cannot be used, as a sentence. */
export const cameraProblem = (error) =>
  ({
    NotAllowedError:
      "The browser does not allow the camera. Allow it in the address bar, then try again.",
    NotFoundError: "No camera was found. Connect one, or use photos.",
    SecurityError:
      "Browsers allow the camera only to pages of this machine. Open the page at 127.0.0.1, or " +
      "connect to the other machine by “ssh -L 8890:127.0.0.1:8890 MACHINE”.",
    NotReadableError: "The camera is used by another program. Close it there, then try again.",
  })[error.name] ?? `The camera cannot be used: ${error.message}`;
