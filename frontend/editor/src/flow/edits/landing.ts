/** Into which group a dragged or dropped node goes. Pure functions. */

import { type FlowDocument, type FlowNode, own } from "helix-flows";

import { type Box, boxesOf, sizeOf } from "../../drawing";
import { groupsIn, type Place, placesIn, withInside } from "../../nesting";
import { isIn, middleOf, Middles } from "./middles";

function nodeOf(document: FlowDocument, id: string): FlowNode {
  return own(document.nodes, id) as FlowNode;
}

/** Tell whether a drag can't move a node out of its group. */
function isHeld(node: FlowNode): boolean {
  return node["extent"] === "parent" || node["expandParent"] === true;
}

const known = new WeakMap<FlowDocument["nodes"], readonly (readonly [string, Box])[]>();

/** List the boxes of a document's groups, from top to bottom. */
function groupBoxesIn(document: FlowDocument): readonly (readonly [string, Box])[] {
  const groups = groupsIn(document);
  const boxes = known.get(document.nodes) ?? (groups.size === 0 ? [] : [...boxesOf(document)].filter(([id]) => groups.has(id)).reverse());
  known.set(document.nodes, boxes);
  return boxes;
}

/**
 * Find the groups that contain the middles of boxes: of several, the topmost. A box in no group is left out.
 *
 * @param moved nodes that are being moved, which can't contain each other.
 */
function groupsAt(document: FlowDocument, boxes: ReadonlyMap<string, Box>, moved: ReadonlySet<string>): Map<string, string> {
  const found = new Map<string, string>();
  const left = new Middles(boxes);
  // From the top, each group takes the middles that are left. So not every box is compared with every group.
  for (const [group, box] of groupBoxesIn(document)) {
    if (left.isEmpty) {
      break;
    }
    if (!moved.has(group)) {
      left.takeIn(box).forEach((id) => found.set(id, group));
    }
  }
  return found;
}

/** Find the topmost group that contains the middle of a box; `undefined` if there is none. */
export function groupAt(document: FlowDocument, box: Box): string | undefined {
  return groupsAt(document, new Map([["", box]]), new Set()).get("");
}

/**
 * Give the dragged nodes that will change their group, and the new group; `undefined` for none.
 *
 * @param dragged their boxes on the canvas.
 * @param moved the dragged nodes, and everything inside them.
 */
export function goingInto(
  document: FlowDocument,
  dragged: ReadonlyMap<string, Box>,
  moved: ReadonlySet<string> = withInside(dragged.keys(), placesIn(document)),
): Map<string, string | undefined> {
  const going = new Map<string, string | undefined>();
  if (groupsIn(document).size === 0) {
    return going;
  }
  const places = placesIn(document);
  const boxOf = (id: string): Box => ({ ...(places.get(id) as Place), ...sizeOf(nodeOf(document, id)) });
  const wasBeside = (id: string, group: string): boolean => !isIn(boxOf(group), middleOf(boxOf(id)));
  const free = new Map([...dragged].filter(([id]) => places.has(id) && !isHeld(nodeOf(document, id))));
  const groups = groupsAt(document, free, moved);
  for (const id of free.keys()) {
    const { parent } = places.get(id) as Place;
    const group = groups.get(id);
    // A node that was outside its group from the start doesn't leave it that way.
    if (group !== parent && (group !== undefined || parent === undefined || !wasBeside(id, parent))) {
      going.set(id, group);
    }
  }
  return going;
}
