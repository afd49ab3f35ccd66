/** The elements for React Flow: made of the document, of what belongs to this person, and of what others drag. */

import type { JsonObject, Moving } from "../types.js";

interface Made<M, T> {
  document: M;
  personal: object | undefined;
  moving: Moving | undefined;
  element: T;
}

type Personals = ReadonlyMap<string, object>;
type Movings = ReadonlyMap<string, Moving>;

const NOTHING: Movings = new Map();

/** What elements are made by. */
export interface Making<M extends JsonObject, T> {
  sanitize: (member: M) => JsonObject;
  /** Gives what changes in an element while somebody else drags it. */
  shownAs: (moving: Moving) => JsonObject;
  /** Orders the list. The order may depend on the document only. */
  ordered: (ids: string[], element: (id: string) => T | undefined) => string[];
}

/**
 * A list of elements of one kind.
 *
 * An element whose parts are the same is the same object as before, and so is the list. While the document's members
 * are the same, a change takes work in proportion to the elements that it concerns.
 */
export class Elements<M extends JsonObject, T> {
  list: T[] = [];
  #members: readonly [string, M][] = [];
  #made = new Map<string, Made<M, T>>();
  #places = new Map<string, number>();
  /** The elements that differ from the document. */
  #special = new Set<string>();
  readonly #making: Making<M, T>;

  constructor(making: Making<M, T>) {
    this.#making = making;
  }

  get(id: string): T | undefined {
    return this.#made.get(id)?.element;
  }

  /**
   * Make the list.
   *
   * @param members the same array as before if nothing in it has changed; it never changes in place.
   */
  take(members: readonly [string, M][], personals: Personals, movings: Movings = NOTHING): void {
    if (members !== this.#members) {
      this.#members = members;
      this.#begin(personals, movings);
      return;
    }
    let list: T[] | null = null;
    for (const id of new Set([...this.#special, ...personals.keys(), ...movings.keys()])) {
      const before = this.#made.get(id);
      const made = before === undefined ? undefined : this.#make(id, before.document, personals, movings);
      const place = this.#places.get(id);
      if (made !== undefined && made !== before && place !== undefined) {
        this.#made.set(id, made);
        list ??= [...this.list];
        list[place] = made.element;
      }
    }
    this.list = list ?? this.list;
  }

  #begin(personals: Personals, movings: Movings): void {
    this.#special.clear();
    this.#made = new Map(this.#members.map(([id, document]) => [id, this.#make(id, document, personals, movings)]));
    const ids = this.#making.ordered([...this.#made.keys()], (id) => this.get(id));
    this.#places = new Map(ids.map((id, place) => [id, place]));
    const list = ids.flatMap((id) => this.get(id) ?? []);
    const isSame = list.length === this.list.length && list.every((one, n) => one === this.list[n]);
    this.list = isSame ? this.list : list;
  }

  #make(id: string, document: M, personals: Personals, movings: Movings): Made<M, T> {
    const personal = personals.get(id);
    const moving = movings.get(id);
    if (personal !== undefined || moving !== undefined) {
      this.#special.add(id);
    } else {
      this.#special.delete(id);
    }
    const old = this.#made.get(id);
    if (old?.document === document && old.personal === personal && old.moving === moving) {
      return old;
    }
    const { sanitize, shownAs } = this.#making;
    const moved = moving === undefined ? {} : shownAs(moving);
    return { document, personal, moving, element: { ...sanitize(document), ...moved, ...personal } as T };
  }
}
