import { createContext, useContext } from "react";

import type { Me } from "../api";
import { type Person, thePerson } from "../person";
import type { Guest } from "./guest";

/** Who uses the page, where the server knows them. */
export interface Identity {
  /** `null` where the server asks nobody, or isn't known to. */
  me: Me | null;
  guest: Guest | null;
}

export const NOBODY: Identity = { me: null, guest: null };

const IdentityContext = createContext(NOBODY);

export const IdentityProvider = IdentityContext.Provider;

/** Who uses this part of the page. */
export const useIdentity = (): Identity => useContext(IdentityContext);

/** Tell whether the server knows who it is, if only as a guest. */
export const isKnown = ({ me, guest }: Identity): boolean => me !== null || guest !== null;

/** Tell whether somebody is called as they say themselves. */
export const isSelfNamed = ({ me, guest }: Identity): boolean => guest !== null || (me?.name ?? "") === "";

/** Give what others see of somebody. */
export function personOf({ me, guest }: Identity): Person {
  const person = thePerson();
  return guest !== null || me === null ? person : { ...person, name: me.name || person.name, color: me.color || person.color };
}
