/** Output of the editor: pictures, files, the link. */

import type { FlowDocument } from "helix-flows";

import { reasonOf } from "../../api";
import { open } from "../../opened";
import { tell } from "../../ui/Toasts";

/** Do something that may fail, and tell the user why it did. */
export async function carryOut(what: string, work: () => Promise<void> | void): Promise<void> {
  try {
    await work();
  } catch (error) {
    tell(`Couldn't ${what}: ${reasonOf(error)}`);
  }
}

/** Save the whole flow as a picture. */
export function savePicture(document: FlowDocument | null, kind: "png" | "svg"): void {
  void carryOut("make a picture", async () => {
    const pictures = await import("./export");
    if (document !== null) {
      await pictures.savePicture(document, kind);
    }
  });
}

/** Copy the whole flow as a picture. */
export function copyPicture(document: FlowDocument | null): void {
  void carryOut("copy a picture", async () => {
    const pictures = await import("./export");
    if (document !== null) {
      await pictures.copyPicture(document);
    }
  });
}

/** Save the flow as a file that can be imported. */
export function saveFile(): void {
  open.save();
}

/**
 * Copy the flow's address.
 *
 * @param isOpen whether everybody may do everything here.
 */
export function share(isOpen: boolean): void {
  void carryOut("copy the link", async () => {
    const clipboard = navigator.clipboard as Clipboard | undefined;
    if (clipboard === undefined) {
      tell(`Link: ${location.origin}${location.pathname}`);
      return;
    }
    await clipboard.writeText(location.origin + location.pathname);
    tell(isOpen ? "Copied the link. Anyone with the link can edit." : "Copied the link. It is for those who may see the flow.");
  });
}
