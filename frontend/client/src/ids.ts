const DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz";

/** Make an id that nobody else has: 120 bits, as 24 letters and digits. */
export function newId(random: () => number): string {
  let id = "";
  for (let n = 0; n < 24; n += 1) {
    id += DIGITS.charAt(Math.floor(random() * DIGITS.length));
  }
  return id;
}

/** Draw a number from 0 up to, not including, 1, as the platform's best source has it. */
export function secureRandom(): number {
  const [drawn = 0] = crypto.getRandomValues(new Uint32Array(1));
  return drawn / 2 ** 32;
}
