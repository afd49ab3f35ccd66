/** Unsent changes of flows that no page of this browser has open. */

import { Unsent, type UnsentEvent } from "helix-flows";

import { tokens } from "./credentials";
import { thePerson } from "./person";
import { server } from "./server";
import { tell } from "./ui/Toasts";
import { numbered } from "./words";

/** Send them, and report what is refused or dropped; `except` is the flow that is open here. */
export function sendUnsent(except?: string): Unsent {
  const unsent = new Unsent({ user: thePerson(), ...server(), token: tokens(), ...(except === undefined ? {} : { except }) });
  unsent.listen((event) => { tell(textOf(event)); });
  unsent.start();
  return unsent;
}

function textOf(event: UnsentEvent): string {
  const title = event.title || "Untitled flow";
  if (event.type === "refused") {
    return `An offline change to “${title}” was refused: ${event.refusal.reason}`;
  }
  const { paths } = event.dropped;
  return `Somebody deleted what you changed offline in “${title}”: ${numbered(paths.length, "change")} couldn't be applied.`;
}
