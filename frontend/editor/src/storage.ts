/** What this browser keeps for its person. */

/** Read what is kept; `null` where there is nothing, or nothing can be kept. */
export function stored(key: string): string | null {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
}

/** List the names of what is kept. */
export function storedKeys(): string[] {
  try {
    return Object.keys(localStorage);
  } catch {
    return [];
  }
}

/** Keep something, where that can be; tell whether it could. */
export function store(key: string, value: string): boolean {
  try {
    localStorage.setItem(key, value);
    return true;
  } catch {
    // Without storage it lasts as long as the page.
    return false;
  }
}

/** Keep something no more. */
export function unstore(key: string): void {
  try {
    localStorage.removeItem(key);
  } catch {
    // There is none, so nothing is in it.
  }
}
