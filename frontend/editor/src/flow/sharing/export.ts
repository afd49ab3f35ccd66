/** The whole flow as a picture, in the current theme. Loaded at first use. */

import type { FlowDocument } from "helix-flows";
import { createElement } from "react";
import { flushSync } from "react-dom";
import { createRoot } from "react-dom/client";

import { draw, type Drawing } from "../../drawing";
import { download } from "../../files";
import { kindOf } from "../../kinds";
import { safeName } from "../../opened";
import { tell } from "../../ui/Toasts";
import { lineOf } from "../canvas/lines";

/** The longest side and the most pixels of a bitmap that every browser supports. */
const MAX_SIDE = 8_192;
const MAX_PIXELS = 4_096 * 4_096;

/** Give the content of a kind's icon. */
function iconOf(type: string): string {
  const place = document.createElement("div");
  const root = createRoot(place);
  flushSync(() => { root.render(createElement(kindOf(type).icon)); });
  const { innerHTML = "" } = place.firstElementChild ?? {};
  root.unmount();
  return innerHTML;
}

function remembering<T>(give: (name: string) => T): (name: string) => T {
  const known = new Map<string, T>();
  return (name) => {
    const found = known.get(name) ?? give(name);
    known.set(name, found);
    return found;
  };
}

/** Draw it as it looks here. */
export function drawingOf(flow: FlowDocument): Drawing {
  const style = getComputedStyle(document.documentElement);
  return draw(flow, {
    color: remembering((token) => style.getPropertyValue(token).trim()),
    icon: remembering(iconOf),
    line: lineOf,
  });
}

/** Give it as SVG. */
export function svgOf(flow: FlowDocument): Blob {
  return new Blob([drawingOf(flow).svg], { type: "image/svg+xml" });
}

/** Give it as PNG, at twice its size if possible. */
export async function pngOf(flow: FlowDocument): Promise<Blob> {
  const { svg, width, height } = drawingOf(flow);
  const scale = Math.min(2, MAX_SIDE / Math.max(width, height), Math.sqrt(MAX_PIXELS / (width * height)));
  const image = new Image();
  image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(svg)}`;
  await image.decode();
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.floor(width * scale));
  canvas.height = Math.max(1, Math.floor(height * scale));
  canvas.getContext("2d")?.drawImage(image, 0, 0, canvas.width, canvas.height);
  return new Promise((resolve, reject) => {
    canvas.toBlob((blob) => {
      if (blob === null) {
        reject(new Error("this browser can't make a picture this large"));
      } else {
        resolve(blob);
      }
    }, "image/png");
  });
}

/** Save it as a picture. */
export async function savePicture(flow: FlowDocument, kind: "png" | "svg"): Promise<void> {
  download(`${safeName(flow.title)}.${kind}`, kind === "svg" ? svgOf(flow) : await pngOf(flow));
}

/** Copy it as a picture; save it if the page may not copy. */
export async function copyPicture(flow: FlowDocument): Promise<void> {
  const clipboard = navigator.clipboard as Partial<Clipboard> | undefined;
  if (clipboard?.write === undefined || !("ClipboardItem" in window)) {
    await savePicture(flow, "png");
    tell("This browser can't copy pictures here, so the picture was saved as a file.");
    return;
  }
  await clipboard.write([new ClipboardItem({ "image/png": pngOf(flow) })]);
  tell("Copied the flow as a picture.");
}
