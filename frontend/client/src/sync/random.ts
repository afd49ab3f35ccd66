/** Draw a number from 0 up to, not including, 1, from the platform's secure source. */
export function secureRandom(): number {
  const [drawn = 0] = crypto.getRandomValues(new Uint32Array(1));
  return drawn / 2 ** 32;
}
