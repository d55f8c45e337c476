/** Photos in dropped folders and chosen files. */

const PHOTO = /\.(bmp|gif|jfif|jpe|jpeg|jpg|png|webp|avif|heic|heif|tif|tiff)$/i;
const ZIP = /\.zip$/i;

const isHidden = (part) => part.startsWith(".") || part === "__MACOSX";

/** Whether a file name has the ending of a photo. */
const isPhoto = (name) => PHOTO.test(name) && !isHidden(name);

const emptyCollection = () => ({ photos: [], zips: [], others: 0, unread: [] });

const addFile = (collection, file, folder) => {
  if (isHidden(file.name)) return;
  if (isPhoto(file.name)) collection.photos.push({ file, folder });
  else if (ZIP.test(file.name)) collection.zips.push(file);
  else collection.others += 1;
};

const readAll = async (directory) => {
  const reader = directory.createReader();
  const entries = [];
  for (;;) {
    // A reader gives a limited number at once, so it is asked until it has no more.
    const some = await new Promise((resolve, reject) => {
      reader.readEntries(resolve, reject);
    });
    if (some.length === 0) return entries;
    entries.push(...some);
  }
};

const walk = async (entry, folder, collection) => {
  if (isHidden(entry.name)) return;
  try {
    if (entry.isDirectory) {
      for (const child of await readAll(entry)) await walk(child, entry.name, collection);
      return;
    }
    const file = await new Promise((resolve, reject) => {
      entry.file(resolve, reject);
    });
    addFile(collection, file, folder);
  } catch {
    collection.unread.push(entry.name);
  }
};

/**
 * The photos and zips of a drop. folder is the deepest folder with the photo, null for loose files.
 * To be called during the drop event: the entries are gone afterwards.
 */
export const collectDropped = async (transfer) => {
  const collection = emptyCollection();
  const entries = [...transfer.items]
    .filter((item) => item.kind === "file")
    .map((item) => item.webkitGetAsEntry());
  const files = [...transfer.files];
  if (entries.some((entry) => entry === null)) {
    // Files that are not on a disk, as from another page, have no entry.
    for (const file of files) addFile(collection, file, null);
    return collection;
  }
  for (const entry of entries) await walk(entry, null, collection);
  return collection;
};

/** The photos and zips of a file input; with webkitdirectory they have folders. */
export const collectChosen = (files) => {
  const collection = emptyCollection();
  for (const file of files) {
    const parts = file.webkitRelativePath.split("/");
    if (!parts.some((part) => part !== "" && isHidden(part))) {
      addFile(collection, file, parts.at(-2) ?? null);
    }
  }
  return collection;
};

/** The images of the clipboard, with names. */
export const collectPasted = (transfer) =>
  [...(transfer?.files ?? [])].filter((file) => file.type.startsWith("image/"));
