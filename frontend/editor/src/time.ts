/** Times in words. */

const relative = new Intl.RelativeTimeFormat("en", { numeric: "auto" });

const UNITS: readonly [Intl.RelativeTimeFormatUnit, number][] = [
  ["day", 86_400],
  ["hour", 3_600],
  ["minute", 60],
];

/** Write how long ago `at` was, in Unix seconds. */
export function ago(at: number, now = Date.now() / 1000): string {
  const seconds = Math.max(0, now - at);
  for (const [unit, length] of UNITS) {
    if (seconds >= length) {
      return relative.format(-Math.floor(seconds / length), unit);
    }
  }
  return "just now";
}

/** Write in how long `at` will be, in Unix seconds. */
export function until(at: number, now = Date.now() / 1000): string {
  const seconds = at - now;
  for (const [unit, length] of UNITS) {
    if (seconds >= length) {
      return relative.format(Math.round(seconds / length), unit);
    }
  }
  return "in less than a minute";
}
