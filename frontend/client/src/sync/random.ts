/** Draw a number from 0 up to, not including, 1, as the platform's best source has it. */
export function secureRandom(): number {
  const [drawn = 0] = crypto.getRandomValues(new Uint32Array(1));
  return drawn / 2 ** 32;
}
