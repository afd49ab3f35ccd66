// The node graph that every peer holds, and that every client edits alike.

/** Makes the nth node; each peer stores it in its own form. */
export const makeNode = (n) => ({
  id: `n${n}`,
  type: "agent",
  position: { x: (n % 40) * 280, y: Math.floor(n / 40) * 160 },
  data: { label: `Step ${n}`, description: "Reads an order and decides" },
});

/** Makes the first nodes, by their ids. */
export const makeNodes = (count) =>
  Object.fromEntries(Array.from({ length: count }, (_, n) => [`n${n}`, makeNode(n)]));
