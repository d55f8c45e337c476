/** What happens with photos from any source: sort them into classes, ask if need be, upload. */
import { api, ConnectionError } from "./api.js";
import { askClass } from "./dialogs.js";
import { formatBytes, plural } from "./format.js";
import { say, sayError } from "./messages.js";
import { findClass, getProject, refresh } from "./state.js";
import { reportUnread, uploadPhotos } from "./upload.js";

const describeAnswer = (name, { photos, classes, skipped }) => {
  const place = plural(classes, "class", "classes");
  const added = `${name}: ${plural(photos, "photo")} in ${place} added.`;
  if (skipped.length === 0) return added;
  const shown = skipped.slice(0, 5).join("; ");
  const more = skipped.length > 5 ? "; …" : "";
  return `${added} ${plural(skipped.length, "file was", "files were")} left out: ${shown}${more}`;
};

/** Adds the class folders of zip files. */
export const addZips = async (zips) => {
  for (const file of zips) {
    const limit = getProject()?.limits.zipBytes;
    if (limit && file.size > limit) {
      sayError(`${file.name}: expected at most ${formatBytes(limit)}; make two smaller zips`);
      continue;
    }
    try {
      const operation = crypto.randomUUID();
      const answer = await api.addZip({ name: file.name, operation, body: file });
      const text = describeAnswer(file.name, answer);
      if (answer.skipped.length > 0) sayError(text);
      else say(text);
    } catch (error) {
      sayError(error instanceof ConnectionError ? error : `${file.name}: ${error.message}`);
    }
    refresh();
  }
};

const toUpload = (file, target) => ({ file, name: file.name, target });

/** Adds photo files to one class. */
export const addToClass = (files, target) =>
  uploadPhotos(files.map((file) => toUpload(file, target)));

const describePhotos = (files) =>
  files.length === 1 ? files[0].name : plural(files.length, "photo");

/** Adds photos that have no class yet: asks for it. classify, if given, is offered, too. */
export const addLoose = async (files, classify) => {
  const result = await askClass({
    title: "Which class?",
    text: `Add ${describePhotos(files)} to:`,
    classes: getProject()?.classes ?? [],
    label: "Add",
    actions: classify ? [{ label: "Only classify it", value: "classify" }] : [],
  });
  if (result === "classify") classify(files[0]);
  else if (result !== null) addToClass(files, result);
};

const tellLeftOut = ({ photos, zips, others, unread }) => {
  if (photos.length + zips.length + unread.length === 0) {
    sayError(
      others === 0
        ? "There are no photos in it."
        : `There are no photos in it, only ${plural(others, "other file")}.`,
    );
  } else if (others > 0) {
    say(`${plural(others, "other file was", "other files were")} left out.`);
  }
};

/** Adds a collection of dropped or chosen files; folders become classes. */
export const addCollection = async (collection) => {
  tellLeftOut(collection);
  reportUnread(collection.unread);
  const inFolders = collection.photos.filter(({ folder }) => folder !== null);
  uploadPhotos(inFolders.map(({ file, folder }) => toUpload(file, { className: folder })));
  const loose = collection.photos.filter(({ folder }) => folder === null);
  if (loose.length > 0) await addLoose(loose.map(({ file }) => file));
  await addZips(collection.zips);
};

/** Adds a collection to one class, whatever its folders are called. */
export const addCollectionToClass = async (collection, classId) => {
  if (!findClass(classId)) return;
  tellLeftOut(collection);
  reportUnread(collection.unread);
  addToClass(
    collection.photos.map(({ file }) => file),
    { classId },
  );
  await addZips(collection.zips);
};
