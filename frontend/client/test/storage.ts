/** What browsers keep texts in. */

/** As browsers have it; `Object.keys` lists what is in it. */
export class FakeStorage {
  [name: string]: unknown;
}
Object.defineProperties(FakeStorage.prototype, {
  getItem: {
    value(this: FakeStorage, name: string) {
      return Object.hasOwn(this, name) ? this[name] : null;
    },
  },
  setItem: {
    value(this: FakeStorage, name: string, text: string) {
      if (Object.values(this).join("").length + text.length > 100_000) {
        throw new DOMException("full", "QuotaExceededError");
      }
      this[name] = text;
    },
  },
  removeItem: {
    value(this: FakeStorage, name: string) {
      // eslint-disable-next-line @typescript-eslint/no-dynamic-delete -- as in browsers
      delete this[name];
    },
  },
});
