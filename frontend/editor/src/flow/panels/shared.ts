/** Give the value that all share; `undefined` if they differ or have none. */
export function shared(values: readonly unknown[]): { value: unknown; isMixed: boolean } {
  const [first] = values;
  const isMixed = values.some((value) => JSON.stringify(value) !== JSON.stringify(first));
  return { value: isMixed ? undefined : first, isMixed };
}
