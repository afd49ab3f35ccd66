/** A flow as a picture: where things are, and an SVG of all of it. */

import type { FlowDocument, FlowNode } from "helix-flows";

import { kindOf, labelOf, textOf } from "./kinds";

export interface Box {
  x: number;
  y: number;
  width: number;
  height: number;
}

/** What a node takes that nobody has measured. */
export const NODE_SIZE = { width: 216, height: 62 };

function sizeOf(node: FlowNode): { width: number; height: number } {
  const { width, height } = node as { width?: unknown; height?: unknown };
  return {
    width: typeof width === "number" ? width : NODE_SIZE.width,
    height: typeof height === "number" ? height : NODE_SIZE.height,
  };
}

/** Tell where the nodes of a flow are, by id. */
export function boxesOf(document: FlowDocument | undefined): Map<string, Box> {
  const boxes = new Map<string, Box>();
  const place = (node: FlowNode, depth: number): Box => {
    const parent = document?.nodes[textOf(node["parentId"])];
    const origin = parent !== undefined && depth < 32 ? place(parent, depth + 1) : { x: 0, y: 0 };
    return { x: origin.x + node.position.x, y: origin.y + node.position.y, ...sizeOf(node) };
  };
  for (const node of Object.values(document?.nodes ?? {})) {
    boxes.set(node.id, place(node, 0));
  }
  return boxes;
}

/** Give the box around boxes, with a margin. */
export function frameOf(boxes: ReadonlyMap<string, Box>, margin: number): Box {
  if (boxes.size === 0) {
    return { x: 0, y: 0, width: 400, height: 200 };
  }
  const all = [...boxes.values()];
  const left = Math.min(...all.map((box) => box.x)) - margin;
  const top = Math.min(...all.map((box) => box.y)) - margin;
  const right = Math.max(...all.map((box) => box.x + box.width)) + margin;
  const bottom = Math.max(...all.map((box) => box.y + box.height)) + margin;
  return { x: left, y: top, width: right - left, height: bottom - top };
}

/** Give the curve from a box's right side to another's left. */
export function curveOf(from: Box | undefined, to: Box | undefined): string {
  if (from === undefined || to === undefined) {
    return "";
  }
  const [x, y] = [from.x + from.width, from.y + from.height / 2];
  const [toX, toY] = [to.x, to.y + to.height / 2];
  const bend = Math.max(40, Math.abs(toX - x) / 2);
  return `M${x} ${y}C${x + bend} ${y} ${toX - bend} ${toY} ${toX} ${toY}`;
}

function escaped(text: string): string {
  return text.replaceAll(/[&<>"]/g, (character) => `&#${character.codePointAt(0) ?? 0};`);
}

/** Cut a text to what a node has room for. */
function cut(text: string, width: number, perCharacter: number): string {
  const room = Math.floor((width - 64) / perCharacter);
  return text.length > room ? `${text.slice(0, Math.max(1, room - 1))}…` : text;
}

/** A picture, and its size. */
export interface Drawing {
  svg: string;
  width: number;
  height: number;
}

/**
 * Draw a flow.
 *
 * @param color gives a colour of the theme by its token's name, such as `--panel`.
 * @param icon gives what is inside a kind's icon, of 24 by 24.
 */
export function draw(
  document: FlowDocument,
  color: (token: string) => string,
  icon: (type: string) => string,
): Drawing {
  const boxes = boxesOf(document);
  const frame = frameOf(boxes, 48);
  const edges = Object.values(document.edges).map((edge) => {
    const [from, to] = [boxes.get(edge.source), boxes.get(edge.target)];
    const line = `<path d="${curveOf(from, to)}" fill="none" stroke="${color("--edge")}" stroke-width="1.5" marker-end="url(#arrow)"/>`;
    const label = escaped(textOf(edge["label"]));
    if (label === "" || from === undefined || to === undefined) {
      return line;
    }
    const [x, y] = [(from.x + from.width + to.x) / 2, (from.y + from.height / 2 + to.y + to.height / 2) / 2];
    const width = label.length * 7 + 16;
    return (
      line +
      `<rect x="${x - width / 2}" y="${y - 11}" width="${width}" height="22" rx="11" fill="${color("--panel")}" stroke="${color("--line")}"/>` +
      `<text x="${x}" y="${y + 4}" text-anchor="middle" font-size="12" fill="${color("--text")}">${label}</text>`
    );
  });
  const nodes = [...boxes].map(([id, box]) => drawNode(document.nodes[id] as FlowNode, box, color, icon));
  const { x, y, width, height } = frame;
  const svg =
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="${x} ${y} ${width} ${height}" width="${width}" height="${height}" font-family="Inter, Open Sans, system-ui, sans-serif">` +
    `<title>${escaped(document.title)}</title>` +
    `<defs><marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto"><path d="M0 0L8 4L0 8z" fill="${color("--edge")}"/></marker></defs>` +
    `<rect x="${x}" y="${y}" width="${width}" height="${height}" fill="${color("--bg")}"/>${edges.join("")}${nodes.join("")}</svg>`;
  return { svg, width, height };
}

function drawNode(
  node: FlowNode,
  box: Box,
  color: (token: string) => string,
  icon: (type: string) => string,
): string {
  const kind = kindOf(node.type);
  const tint = color(`--${kind.type}`);
  const { x, y, width, height } = box;
  const second = [kind.name, textOf(node.data[kind.telling])].filter(Boolean).join(" · ");
  return (
    `<g><rect x="${x}" y="${y}" width="${width}" height="${height}" rx="14" fill="${color("--panel")}" stroke="${color("--line-strong")}"/>` +
    `<rect x="${x + 14}" y="${y + 12}" width="24" height="24" rx="6" fill="${tint}" opacity="0.14"/>` +
    `<g transform="translate(${x + 19} ${y + 17}) scale(0.583)" fill="none" stroke="${tint}" stroke-width="2.4" stroke-linecap="round" stroke-linejoin="round">${icon(kind.type)}</g>` +
    `<text x="${x + 50}" y="${y + 27}" font-size="13" font-weight="600" fill="${color("--text")}">${escaped(cut(labelOf(node), width, 7.2))}</text>` +
    `<text x="${x + 50}" y="${y + 45}" font-size="12" fill="${color("--muted")}">${escaped(cut(second, width, 6.6))}</text></g>`
  );
}
