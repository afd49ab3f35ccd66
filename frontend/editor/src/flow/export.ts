/** The whole flow as a picture, from the theme that is shown. Loaded when it is first wanted. */

import type { FlowDocument } from "helix-flows";

import { draw, type Drawing } from "../drawing";

/** The longest side of a bitmap that browsers make. */
const MAX_SIDE = 8_192;

/** Draw it as it looks here. */
export function drawingOf(document: FlowDocument): Drawing {
  const style = getComputedStyle(window.document.documentElement);
  const icon = (type: string): string =>
    window.document.querySelector(`[data-kind="${type}"] svg`)?.innerHTML ?? "";
  return draw(document, (token) => style.getPropertyValue(token).trim(), icon);
}

/** Give it as SVG. */
export function svgOf(document: FlowDocument): Blob {
  return new Blob([drawingOf(document).svg], { type: "image/svg+xml" });
}

/** Give it as PNG, at twice its size where that can be. */
export async function pngOf(document: FlowDocument): Promise<Blob> {
  const { svg, width, height } = drawingOf(document);
  const scale = Math.min(2, MAX_SIDE / Math.max(width, height));
  const image = new Image();
  image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(svg)}`;
  await image.decode();
  const canvas = window.document.createElement("canvas");
  canvas.width = Math.ceil(width * scale);
  canvas.height = Math.ceil(height * scale);
  canvas.getContext("2d")?.drawImage(image, 0, 0, canvas.width, canvas.height);
  return new Promise((resolve, reject) => {
    canvas.toBlob((blob) => {
      if (blob === null) {
        reject(new Error("this browser can't make a picture of this size"));
      } else {
        resolve(blob);
      }
    }, "image/png");
  });
}
