/**
 * Layered layout of many nodes from left to right: layers by the longest path to each node, sorted by the neighbours'
 * places (Sugiyama and others, "Methods for visual understanding of hierarchical system structures", 1981). Its time
 * grows with the nodes and edges. It isn't recursive, so chains may be long; dagre's recursion is as deep as the chain.
 */

import type { Box } from "../../drawing";

type Size = Pick<Box, "width" | "height">;
type Neighbours = ReadonlyMap<string, readonly string[]>;

export interface Gaps {
  /** Between nodes of a layer. */
  nodesep: number;
  /** Between layers. */
  ranksep: number;
}

/** How often layers are sorted by their neighbours, from either side. */
const SWEEPS = 4;

/** Give the nodes' boxes in the layout, starting at 0, 0. */
export function inLayers(sizes: ReadonlyMap<string, Size>, edges: readonly (readonly [string, string])[], gaps: Gaps): Map<string, Box> {
  const forward = edges.filter(([source, target]) => source !== target && sizes.has(source) && sizes.has(target));
  const before = neighbours(forward.map(([source, target]) => [target, source]));
  const after = neighbours(forward);
  const layers = layersOf([...sizes.keys()], before, after);
  const places = new Map<string, number>();
  const note = (layer: readonly string[]): void => {
    layer.forEach((id, n) => places.set(id, n - layer.length / 2));
  };
  layers.forEach(note);
  for (let sweep = 0; sweep < SWEEPS; sweep += 1) {
    const [inTurn, beside] = sweep % 2 === 0 ? [layers, before] : [layers.toReversed(), after];
    for (const layer of inTurn) {
      sortBeside(layer, beside, places);
      note(layer);
    }
  }
  return stand(layers, sizes, gaps);
}

function neighbours(edges: readonly (readonly [string, string])[]): Neighbours {
  const found = new Map<string, string[]>();
  for (const [from, to] of edges) {
    const list = found.get(from) ?? [];
    list.push(to);
    found.set(from, list);
  }
  return found;
}

/** Divide nodes into layers: each after all that lead to it, except for edges that close a cycle. */
function layersOf(ids: readonly string[], before: Neighbours, after: Neighbours): string[][] {
  const waiting = new Map(ids.map((id) => [id, before.get(id)?.length ?? 0]));
  const rank = new Map<string, number>();
  const ready = ids.filter((id) => waiting.get(id) === 0);
  const layers: string[][] = [];
  let next = 0;
  for (let n = 0; n < ids.length; n += 1) {
    if (n === ready.length) {
      // All remaining nodes are in cycles or after one: this node begins its cycle.
      while (waiting.get(ids[next] as string) === -1) {
        next += 1;
      }
      ready.push(ids[next] as string);
    }
    const id = ready[n] as string;
    waiting.set(id, -1);
    const own = rank.get(id) ?? 0;
    (layers[own] ??= []).push(id);
    for (const to of after.get(id) ?? []) {
      const left = waiting.get(to) ?? -1;
      if (left > 0) {
        rank.set(to, Math.max(rank.get(to) ?? 0, own + 1));
        waiting.set(to, left - 1);
        if (left === 1) {
          ready.push(to);
        }
      }
    }
  }
  return layers;
}

/** Sort a layer by the average place of each node's neighbours; a node without any stays about where it is. */
function sortBeside(layer: string[], beside: Neighbours, places: ReadonlyMap<string, number>): void {
  const wanted = new Map(
    layer.map((id) => {
      const others = beside.get(id) ?? [];
      const sum = others.reduce((total, one) => total + (places.get(one) ?? 0), 0);
      return [id, others.length === 0 ? (places.get(id) ?? 0) : sum / others.length];
    }),
  );
  layer.sort((a, b) => (wanted.get(a) ?? 0) - (wanted.get(b) ?? 0));
}

function stand(layers: readonly (readonly string[])[], sizes: ReadonlyMap<string, Size>, { nodesep, ranksep }: Gaps): Map<string, Box> {
  const boxes = new Map<string, Box>();
  const heights = layers.map((layer) => layer.reduce((sum, id) => sum + (sizes.get(id)?.height ?? 0) + nodesep, -nodesep));
  const tallest = heights.reduce((most, height) => Math.max(most, height), 0);
  let x = 0;
  layers.forEach((layer, n) => {
    let y = (tallest - (heights[n] ?? 0)) / 2;
    let widest = 0;
    for (const id of layer) {
      const { width, height } = sizes.get(id) ?? { width: 0, height: 0 };
      boxes.set(id, { x: Math.round(x), y: Math.round(y), width, height });
      y += height + nodesep;
      widest = Math.max(widest, width);
    }
    x += widest + ranksep;
  });
  return boxes;
}
