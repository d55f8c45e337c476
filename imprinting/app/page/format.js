/** Numbers and names as text for users. */

const numbers = new Intl.NumberFormat("en-GB");

/** A number with separators: 2,400. */
export const formatCount = (value) => numbers.format(value);

/** A count and its noun: "1 photo", "2,400 photos". */
export const plural = (count, one, many = `${one}s`) =>
  `${formatCount(count)} ${count === 1 ? one : many}`;

/** A share as percent; a no-break space keeps number and sign on one line. */
export const formatPercent = (share, digits = 0) => `${(share * 100).toFixed(digits)}\u00a0%`;

/** A probability: with one decimal only near 0 and 1, where it tells something. */
export const formatProbability = (share) => {
  const extreme = (share > 0.99 && share < 1) || (share < 0.1 && share > 0);
  return formatPercent(share, extreme ? 1 : 0);
};

/** A name in quotation marks. */
export const quote = (name) => `“${name}”`;

/** A name that fits into one line of a list or button. */
export const shorten = (name, limit = 40) => {
  const characters = [...name];
  return characters.length > limit ? `${characters.slice(0, limit - 1).join("")}…` : name;
};

/** A size in bytes for users. */
export const formatBytes = (bytes) =>
  bytes < 1024 ** 3
    ? `${Math.round(bytes / 1024 ** 2)}\u00a0MB`
    : `${(bytes / 1024 ** 3).toFixed(1)}\u00a0GB`;
