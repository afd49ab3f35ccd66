/** What of a flow one may change, where that isn't all of it. */

import { diff, firstOutside, type FlowDocument, mayChange, own, readPaths } from "helix-flows";
import { createContext, type ReactNode, useContext } from "react";

import { KINDS } from "../kinds";
import type { Command } from "./commands/command";

/** Tells whether a place of the document may be changed, such as `["nodes", "n1", "data"]`. */
export type Reach = (place: readonly string[]) => boolean;

const EVERYWHERE: Reach = () => true;

/** An id that no node and no edge has. */
const NEW = "\u0000new";

/** Give what the paths of a role let one change; `null` for all. */
export function reachOf(paths: readonly string[] | null, document: FlowDocument | null): Reach {
  if (paths === null || document === null) {
    return EVERYWHERE;
  }
  const read = readPaths(paths);
  return (place) => mayChange(read, place, document);
}

/** Give the kinds of nodes that may be added. */
export function addable(paths: readonly string[] | null): ReadonlySet<string> {
  const read = readPaths(paths ?? ["/nodes/*"]);
  const kinds = KINDS.filter(({ type }) => mayChange(read, ["nodes", NEW], { nodes: { [NEW]: { type } } }));
  return new Set(kinds.map(({ type }) => type));
}

const ReachContext = createContext(EVERYWHERE);

export const ReachProvider = ReachContext.Provider;

/** Fields that can be written in only if all these places may be changed. */
export function Within({ places, children }: { places: readonly (readonly string[])[]; children: ReactNode }) {
  const reach = useContext(ReachContext);
  return <fieldset className="within" disabled={!places.every(reach)}>{children}</fieldset>;
}

const POSITION: readonly (readonly string[])[] = [["position", "x"], ["position", "y"]];

/** Tell whether a node may be moved. */
export function mayMove(reach: Reach, id: string): boolean {
  return POSITION.every((place) => reach(["nodes", id, ...place]));
}

/** Tell whether edges may be drawn. */
export const mayConnect = (reach: Reach): boolean => reach(["edges", NEW]);

/** Tell whether an edge may be led to other nodes. */
export const mayReconnect = (reach: Reach, id: string): boolean => ["source", "target"].every((end) => reach(["edges", id, end]));

/** Tell whether a flow may be brought back to how it was. */
export function mayRestore(paths: readonly string[] | null, document: FlowDocument | null, past: FlowDocument | null): boolean {
  return paths === null || document === null || past === null || firstOutside(readPaths(paths), diff(document, past), document) === null;
}

/** What of each selected element the commands change, besides nodes and edges as such. */
const CHANGED: Readonly<Record<string, readonly (readonly string[])[]>> = {
  "lock-nodes": [["draggable"]],
  front: [["zIndex"]],
  back: [["zIndex"]],
  ...Object.fromEntries(
    ["left", "center", "right", "top", "middle", "bottom"].map((side) => [`align-${side}`, POSITION]),
  ),
  "spread-x": POSITION,
  "spread-y": POSITION,
  "into-group": [...POSITION, ["parentId"]],
  "out-of-group": [...POSITION, ["parentId"]],
};

/** Switch off the commands that would change something else. */
export function within(
  commands: readonly Command[],
  paths: readonly string[] | null,
  document: FlowDocument | null,
  selected: readonly string[],
): Command[] {
  if (paths === null || document === null) {
    return [...commands];
  }
  const reach = reachOf(paths, document);
  const added = addable(paths);
  const placeOf = (id: string): string[] => [own(document.nodes, id) === undefined ? "edges" : "nodes", id];
  const isOwned = selected.every((id) => reach(placeOf(id)));
  const isWhole = isOwned && Object.values(document.edges).every(
    ({ id, source, target }) => !(selected.includes(source) || selected.includes(target)) || reach(["edges", id]),
  );
  const areMoved = Object.keys(document.nodes).every((id) => mayMove(reach, id));
  const isAllowed = ({ id }: Command): boolean => {
    const changed = own(CHANGED, id);
    switch (id) {
      case "delete": case "cut": case "delete-whole":
        return isWhole;
      case "template": case "paste": case "duplicate":
        return added.size > 0;
      case "group": case "ungroup":
        return isWhole && added.size > 0;
      case "connect":
        return mayConnect(reach);
      case "rename":
        return selected.every((one) => reach(labelOf(placeOf(one))));
      case "layout":
        return areMoved;
      default:
        return id.startsWith("add-")
          ? added.has(id.slice("add-".length))
          : changed === undefined || selected.every((one) => changed.every((place) => reach([...placeOf(one), ...place])));
    }
  };
  return commands.map((one) => (isAllowed(one) ? one : { ...one, isEnabled: false }));
}

/** Give the place of an element's label. */
function labelOf([kind = "", id = ""]: readonly string[]): string[] {
  return kind === "nodes" ? [kind, id, "data", "label"] : [kind, id, "label"];
}
