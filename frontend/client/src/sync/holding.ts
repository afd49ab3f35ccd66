/** Locks on names, held as long as a page lives, so that no two pages use one client id. */

/** Milliseconds until a lease that isn't renewed ends; hidden pages run once a minute. */
export const LEASE = 180_000;

const RENEWAL = 15_000;

/** Milliseconds in which another page that takes the same lease at the same moment has written it. */
const SETTLING = 50;

type Release = () => void;

/**
 * Hold a name by the Web Locks API.
 *
 * @param wait milliseconds to wait until it is free.
 * @returns `null` if another page holds it.
 */
export function holdByLock(name: string, wait = 0): Promise<Release | null> {
  const options: LockOptions =
    wait === 0 ? { ifAvailable: true } : { signal: AbortSignal.timeout(wait) };
  return new Promise((resolve) => {
    navigator.locks
      .request(name, options, (lock) => {
        if (lock === null) {
          resolve(null);
          return undefined;
        }
        return new Promise<void>((release) => {
          resolve(release);
        });
      })
      .catch(() => {
        resolve(null);
      });
  });
}

interface Lease {
  page: string;
  until: number;
}

/**
 * Hold a name by a lease in localStorage that is renewed; the same otherwise.
 *
 * If a living page loses its name, its operations may be sent twice under the same ids; the server
 * recognises these.
 */
export async function holdByLease(name: string, wait = 0): Promise<Release | null> {
  const page = String(Math.random());
  for (let waited = 0; !write(name, page); waited += SETTLING) {
    if (waited >= wait) {
      return null;
    }
    await pass(SETTLING);
  }
  await pass(SETTLING);
  if (read(name)?.page !== page) {
    return null;
  }
  const renewal = setInterval(() => write(name, page), RENEWAL);
  const release = (): void => {
    clearInterval(renewal);
    globalThis.removeEventListener("pagehide", release);
    if (read(name)?.page === page) {
      localStorage.removeItem(name);
    }
  };
  globalThis.addEventListener("pagehide", release);
  return release;
}

function pass(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function write(name: string, page: string): boolean {
  const held = read(name);
  const left = held === null ? 0 : held.until - Date.now();
  // A lease that ends impossibly late was written before the computer's clock was set back.
  if (held !== null && held.page !== page && left > 0 && left <= LEASE) {
    return false;
  }
  try {
    localStorage.setItem(name, JSON.stringify({ page, until: Date.now() + LEASE } satisfies Lease));
    return true;
  } catch {
    return false;
  }
}

function read(name: string): Lease | null {
  try {
    const text = localStorage.getItem(name);
    return text === null ? null : (JSON.parse(text) as Lease);
  } catch {
    return null;
  }
}
