/** A photo in full size, with the ways to move and remove it. */
import { api, photoUrl, thumbnailUrl } from "./api.js";
import { classSelect, openDialog } from "./dialogs.js";
import { h } from "./dom.js";
import { quote, shorten } from "./format.js";
import { act, getProject } from "./state.js";

/** Shows a photo of a class. */
export const showPhoto = async (photo, classId) => {
  const others = getProject().classes.filter((entry) => entry.id !== classId);
  const image = h("img", { class: "large-photo", src: photoUrl(photo.id), alt: photo.name });
  // Browsers cannot show every kind of photo that the server reads; a thumbnail always works.
  image.addEventListener(
    "error",
    () => {
      image.src = thumbnailUrl(photo.id);
    },
    { once: true },
  );
  const select = classSelect(others, { id: "move-to", "data-testid": "move-to" });
  const field = h("p", { class: "field" }, h("label", { for: "move-to", text: "Move to" }), select);
  const actions = [{ label: "Remove", value: "remove", kind: "danger" }];
  if (others.length > 0) actions.push({ label: "Move", value: "submit", kind: "primary" });
  const result = await openDialog({
    title: photo.name,
    content: [image, others.length > 0 ? field : null],
    actions,
  });
  if (result === "remove") {
    act(() => api.removePhoto(photo.id, classId), `${photo.name} removed.`);
  } else if (result === "submit") {
    const to = others.find((entry) => entry.id === Number(select.value));
    act(
      () => api.movePhoto(photo.id, classId, to.id),
      `${photo.name} moved to ${quote(shorten(to.name))}.`,
    );
  }
};
