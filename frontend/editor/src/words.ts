/** Wording that several places share. */

/** Write a count with its noun: `1 node`, `2 nodes`. */
export function numbered(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}
