/** A flow as a picture: the boxes of its nodes, and an SVG of everything. */

import { type FlowDocument, type FlowEdge, type FlowNode, own } from "helix-flows";

import { kindName, kindOfNode, labelOf, shortOf, tintOf } from "./kinds";
import { dashesOf, inkOn, lookOf } from "./look";
import { groupsIn, inOrder, levelOf, liftOf, type Place, placesIn } from "./nesting";
import { lanesIn, stackedAt } from "./stacking";

export interface Box {
  x: number;
  y: number;
  width: number;
  height: number;
}

/** The part of a flow that is drawn. */
type Drawable = Pick<FlowDocument, "nodes" | "edges">;

/** The size of a node that nobody has measured. */
export const NODE_SIZE = { width: 216, height: 62 };

/** Read a length: a number, or a style's `"200px"`. */
function lengthOf(value: unknown): number | undefined {
  const number = typeof value === "string" ? Number(/^([\d.]+)(?:px)?$/.exec(value)?.[1]) : value;
  return typeof number === "number" && Number.isFinite(number) && number > 0 ? number : undefined;
}

/** Give a node's size: its own, or its style's, where the first generation of clients stores it. */
export function sizeOf(node: object): { width: number; height: number } {
  const { width, height, style } = node as { width?: unknown; height?: unknown; style?: { width?: unknown; height?: unknown } | null };
  return {
    width: lengthOf(width) ?? lengthOf(style?.width) ?? NODE_SIZE.width,
    height: lengthOf(height) ?? lengthOf(style?.height) ?? NODE_SIZE.height,
  };
}

/** Give the boxes of a flow's nodes, by id, from bottom to top. */
export function boxesOf(document: Drawable | undefined, places = document && placesIn(document)): Map<string, Box> {
  const groups = document === undefined ? new Set() : groupsIn(document);
  const stacked = (id: string, { level }: Place): number => stackedAt(level, groups.has(id) ? "group" : "node");
  const fromBelow = [...(places ?? [])].toSorted(([a, one], [b, other]) => stacked(a, one) - stacked(b, other));
  return new Map(fromBelow.map(([id, { x, y }]) => [id, { x, y, ...sizeOf(own(document?.nodes, id) as FlowNode) }]));
}

/** A node or an edge to draw. */
type Piece = { node: FlowNode; box: Box; isGroup: boolean } | { edge: FlowEdge; lane: number };

/** List the pieces of a flow to draw, from bottom to top. */
export function piecesOf(document: Drawable, boxes: ReadonlyMap<string, Box>, places: ReadonlyMap<string, Place>): Piece[] {
  const lanes = lanesIn(document.edges);
  const groups = groupsIn(document);
  const edges = inOrder(document.edges).map((edge) => {
    const level = levelOf(edge["zIndex"]) + liftOf(edge, places);
    return { at: stackedAt(level, "edge"), piece: { edge, lane: lanes.get(edge.id) ?? 0 } };
  });
  const nodes = [...boxes].map(([id, box]) => {
    const isGroup = groups.has(id);
    const at = stackedAt(places.get(id)?.level ?? 0, isGroup ? "group" : "node");
    return { at, piece: { node: own(document.nodes, id) as FlowNode, box, isGroup } };
  });
  return [...edges, ...nodes].toSorted((a, b) => a.at - b.at).map(({ piece }) => piece);
}

/** Tell whether a box has finite numbers: other editors may write any. */
export function isFinite({ x, y, width, height }: Box): boolean {
  return Number.isFinite(x) && Number.isFinite(y) && Number.isFinite(width) && Number.isFinite(height);
}

/** Give the box around two. */
export function around(a: Box, b: Box): Box {
  const [x, y] = [Math.min(a.x, b.x), Math.min(a.y, b.y)];
  return { x, y, width: Math.max(a.x + a.width, b.x + b.width) - x, height: Math.max(a.y + a.height, b.y + b.height) - y };
}

/** Give the box around boxes and the edges between them, with a margin. */
export function frameOf(boxes: ReadonlyMap<string, Box>, margin: number, edges: readonly FlowEdge[] = []): Box {
  let [left, top, right, bottom] = [Infinity, Infinity, -Infinity, -Infinity];
  const reach = (fromX: number, toX: number): void => {
    left = Math.min(left, fromX);
    right = Math.max(right, toX);
  };
  for (const box of boxes.values()) {
    const { x, y, width, height } = box;
    if (!isFinite(box)) {
      continue;
    }
    reach(x, x + width);
    top = Math.min(top, y);
    bottom = Math.max(bottom, y + height);
  }
  for (const { source, target } of edges) {
    const [from, to] = [boxes.get(source), boxes.get(target)];
    if (from !== undefined && to !== undefined && to.x < from.x + from.width) {
      // An edge that goes back swings out by less than half of its bend.
      const swing = bendOf(to.x - from.x - from.width) / 2;
      reach(to.x - swing, from.x + from.width + swing);
    }
  }
  if (left > right) {
    return { x: 0, y: 0, width: 400, height: 200 };
  }
  return { x: left - margin, y: top - margin, width: right - left + 2 * margin, height: bottom - top + 2 * margin };
}

/** Give how far an edge's curve bends, as on the canvas. */
function bendOf(distance: number): number {
  return distance >= 0 ? distance / 2 : 6.25 * Math.sqrt(-distance);
}

/** The distance between the middles of curves with the same ends. */
const LANE = 32;

/** Give the curve between two points, in a lane (`lanesIn`), and its middle. */
export function curveBetween([x, y]: [number, number], [toX, toY]: [number, number], lane = 0): EdgeLine {
  const bend = bendOf(toX - x);
  // A curve goes three quarters of the way to its handles.
  const aside = (lane * LANE * 4) / 3;
  return {
    path: `M${x} ${y}C${x + bend} ${y + aside} ${toX - bend} ${toY + aside} ${toX} ${toY}`,
    x: (x + toX) / 2,
    y: (y + toY) / 2 + lane * LANE,
  };
}

/** Give the curve from a box's right side to another's left. */
export function curveOf(from: Box | undefined, to: Box | undefined, lane = 0): string {
  if (from === undefined || to === undefined) {
    return "";
  }
  return curveBetween([from.x + from.width, from.y + from.height / 2], [to.x, to.y + to.height / 2], lane).path;
}

/** Escape text for XML; characters that XML can't hold are left out. */
function escaped(text: string): string {
  return text
    // eslint-disable-next-line no-control-regex -- they are what is taken out
    .replaceAll(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]|\p{Cs}/gu, "")
    .replaceAll(/[&<>"]/g, (character) => `&#${character.codePointAt(0) ?? 0};`);
}

/** Cut a text to the width of a node. */
function cut(text: string, width: number, perCharacter: number): string {
  const room = Math.floor((width - 64) / perCharacter);
  const characters = Array.from(text.slice(0, 2 * room + 2));
  return characters.length > room ? `${characters.slice(0, Math.max(1, room - 1)).join("")}…` : text;
}

/** A picture, and its size. */
export interface Drawing {
  svg: string;
  width: number;
  height: number;
}

/** An edge's path, and the middle of its label. */
export interface EdgeLine {
  path: string;
  x: number;
  y: number;
}

/** How things look. */
export interface Look {
  /** Gives a colour of the theme by its token's name, such as `--panel`. */
  color: (token: string) => string;
  /** Gives the content of a kind's icon, of 24 by 24. */
  icon: (type: string) => string;
  /** Gives an edge's line, by the edge's type, in a lane (`lanesIn`). */
  line: (type: unknown, from: Box, to: Box, lane: number) => EdgeLine;
}

/** Draw a flow. */
export function draw(document: FlowDocument, look: Look): Drawing {
  const { color } = look;
  const places = placesIn(document);
  const boxes = boxesOf(document, places);
  const { x, y, width, height } = frameOf(boxes, 48, Object.values(document.edges));
  const drawn = piecesOf(document, boxes, places).map((piece) => ("edge" in piece ? drawEdge(piece.edge, piece.lane, boxes, look) : drawNode(piece, look)));
  const svg =
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="${x} ${y} ${width} ${height}" width="${width}" height="${height}" font-family="Inter, Open Sans, system-ui, sans-serif">` +
    `<title>${escaped(document.title)}</title>` +
    `<defs><marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto"><path d="M0 0L8 4L0 8z" fill="${color("--edge")}"/></marker></defs>` +
    `<rect x="${x}" y="${y}" width="${width}" height="${height}" fill="${color("--bg")}"/>${drawn.join("")}</svg>`;
  return { svg, width, height };
}

function drawEdge(edge: FlowEdge, lane: number, boxes: ReadonlyMap<string, Box>, { color, line }: Look): string {
  const [from, to] = [boxes.get(edge.source), boxes.get(edge.target)];
  if (from === undefined || to === undefined) {
    return "";
  }
  const { path, x, y } = line(edge["type"], from, to, lane);
  const drawn = `<path d="${path}" fill="none" stroke="${color("--edge")}" stroke-width="1.5" marker-end="url(#arrow)"/>`;
  const label = shortOf(edge["label"]);
  if (label === "") {
    return drawn;
  }
  const width = Array.from(label).length * 7 + 16;
  return (
    drawn +
    `<rect x="${x - width / 2}" y="${y - 11}" width="${width}" height="22" rx="11" fill="${color("--panel")}" stroke="${color("--line")}"/>` +
    `<text x="${x}" y="${y + 4}" text-anchor="middle" font-size="12" fill="${color("--text")}">${escaped(label)}</text>`
  );
}

/** The opacity of a group's inside, which lies behind its contents. */
const GROUP_TINT = 0.07;

/** Fill a node's shape in its colour on a small picture; a group is drawn as a frame. */
export function fillNode(context: CanvasRenderingContext2D, tint: string, isGroup: boolean, frameWidth: number): void {
  context.fillStyle = tint;
  if (!isGroup) {
    context.fill();
    return;
  }
  context.strokeStyle = tint;
  context.lineWidth = frameWidth;
  context.globalAlpha = 0.12;
  context.fill();
  context.globalAlpha = 0.45;
  context.stroke();
  context.globalAlpha = 1;
}

function drawNode({ node, box, isGroup }: { node: FlowNode; box: Box; isGroup: boolean }, { color, icon }: Look): string {
  const kind = kindOfNode(node);
  const { own: chosen, kind: tinting, isChosen } = tintOf(node);
  const tint = chosen ?? color(`--${tinting}`);
  const { x, y, width, height } = box;
  const dress = lookOf(node);
  const ink = dress.fill === null ? { strong: color("--text"), weak: color("--muted") } : { strong: inkOn(dress.fill), weak: inkOn(dress.fill) };
  const stroke = dress.border ?? (isChosen ? tint : color("--line-strong"));
  const line = dress.width ?? 1;
  const dashes = dashesOf(dress, line);
  const frame = `x="${x}" y="${y}" width="${width}" height="${height}" rx="14"`;
  const second = [kindName(node, isGroup), shortOf(own(node.data, kind.telling)) || shortOf(node.data["description"])].filter(Boolean).join(" · ");
  const filling = dress.fill === null ? `fill="${tint}" fill-opacity="${GROUP_TINT}"` : `fill="${dress.fill}"`;
  const body = isGroup
    ? `<rect ${frame} ${filling} stroke="${dress.border ?? tint}" stroke-opacity="${dress.border === null ? 0.55 : 1}" stroke-width="${dress.width ?? 1.5}" stroke-dasharray="${dashes ?? "6 4"}"/>`
    : `<rect ${frame} fill="${dress.fill ?? color("--panel")}" stroke="${stroke}"${line === 1 ? "" : ` stroke-width="${line}"`}${dashes === null ? "" : ` stroke-dasharray="${dashes}"`}/>` +
      (!isChosen || dress.fill !== null ? "" : `<rect ${frame} fill="${tint}" opacity="0.06"/>`);
  return (
    `<g>${body}` +
    `<rect x="${x + 14}" y="${y + 12}" width="24" height="24" rx="6" ${dress.fill === null ? `fill="${tint}" opacity="0.14"` : `fill="${color("--panel")}"`}/>` +
    `<g transform="translate(${x + 19} ${y + 17}) scale(0.583)" fill="none" stroke="${tint}" stroke-width="2.4" stroke-linecap="round" stroke-linejoin="round">${icon(kind.type)}</g>` +
    `<text x="${x + 50}" y="${y + 27}" font-size="13" font-weight="600" fill="${ink.strong}">${escaped(cut(labelOf(node), width, 7.2))}</text>` +
    `<text x="${x + 50}" y="${y + 45}" font-size="12" fill="${ink.weak}">${escaped(cut(second, width, 6.6))}</text></g>`
  );
}
