/** What is said in several places alike. */

/** Say how many there are of something: `1 node`, `2 nodes`. */
export function numbered(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}
