/** Reads what is stored, and checks it: storage may be damaged, or written by another program. */

import type { KeptDocument, KeptOperation } from "../types.js";
import { isDocument } from "./document.js";
import { isObject } from "./mergepatch.js";

/** Read an operation; `null` if it isn't one. */
export function readOperation(given: unknown): KeptOperation | null {
  if (!isObject(given)) {
    return null;
  }
  const { clientId, opId, patch, at, undoes, bases, replaces, ...rest } = given;
  if (typeof clientId !== "string" || !isNumber(opId) || !isObject(patch)) {
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
    ...(areValues(replaces) ? { replaces } : {}),
  };
}

function areTexts(value: unknown): value is NonNullable<KeptOperation["bases"]> {
  return isObject(value) && Object.values(value).every((text) => typeof text === "string");
}

function areValues(value: unknown): value is NonNullable<KeptOperation["replaces"]> {
  return isObject(value) && isNumber(value["version"]) && isObject(value["values"]);
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
