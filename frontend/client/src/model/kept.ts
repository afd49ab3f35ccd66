/** Reads what is stored, and checks it: storage may be damaged, or written by another program. */

import type { JsonObject, KeptDocument, KeptOperation } from "../types.js";
import { isDocument } from "./document.js";
import { isObject } from "./mergepatch.js";
import { copyPatch } from "./telling.js";

/** Read an operation; `null` if it isn't one. */
export function readOperation(given: unknown): KeptOperation | null {
  if (!isObject(given)) {
    return null;
  }
  const { clientId, opId, at, undoes, bases, tags, replaces, ...rest } = given;
  const marks = patchOf(tags);
  const patch = patchOf(given["patch"]);
  if (typeof clientId !== "string" || !isNumber(opId) || patch === null) {
    return null;
  }
  return {
    ...rest,
    clientId,
    opId,
    patch,
    ...(isNumber(at) ? { at } : {}),
    ...(Array.isArray(undoes) ? { undoes: undoes.filter(isNumber) } : {}),
    ...(areTexts(bases) ? { bases } : {}),
    ...(marks === null ? {} : { tags: marks }),
    ...(areValues(replaces) ? { replaces } : {}),
  };
}

/** Copy a stored object; `null` if no document could hold it: it would break what sends and shows it. */
function patchOf(given: unknown): JsonObject | null {
  try {
    return isObject(given) ? copyPatch(given) : null;
  } catch {
    return null;
  }
}

function areTexts(value: unknown): value is NonNullable<KeptOperation["bases"]> {
  return isObject(value) && Object.values(value).every((text) => typeof text === "string");
}

function areValues(value: unknown): value is NonNullable<KeptOperation["replaces"]> {
  return isObject(value) && isNumber(value["version"]) && patchOf(value["values"]) !== null;
}

/** Read a document; `null` if it isn't one. */
export function readDocument(given: unknown): KeptDocument | null {
  if (!isObject(given)) {
    return null;
  }
  const { epoch, version, chain, document, isDoubtful } = given as Partial<KeptDocument>;
  if (typeof epoch !== "string" || !isNumber(version) || !isObject(document)) {
    return null;
  }
  if (!isDocument(document)) {
    return null;
  }
  return {
    epoch,
    version,
    chain: typeof chain === "string" ? chain : null,
    document,
    ...(isDoubtful === true ? { isDoubtful } : {}),
  };
}

function isNumber(value: unknown): value is number {
  return Number.isFinite(value);
}
