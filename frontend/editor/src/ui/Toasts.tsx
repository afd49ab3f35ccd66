import { useSyncExternalStore } from "react";

interface Toast {
  id: number;
  text: string;
  action?: { label: string; run: () => void };
}

const DURATION = 8_000;

let toasts: readonly Toast[] = [];
let last = 0;
const listeners = new Set<() => void>();

function set(next: readonly Toast[]): void {
  toasts = next;
  for (const listener of listeners) {
    listener();
  }
}

function close(id: number): void {
  set(toasts.filter((toast) => toast.id !== id));
}

/** Tell something for a few seconds; with `action`, a button to do something about it. */
export function tell(text: string, action?: Toast["action"]): void {
  last += 1;
  const id = last;
  set([...toasts.slice(-2), { id, text, ...(action === undefined ? {} : { action }) }]);
  setTimeout(() => {
    close(id);
  }, DURATION);
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** Where it is told. */
export function Toasts() {
  const shown = useSyncExternalStore(subscribe, () => toasts);
  return (
    <div className="toasts" role="status">
      {shown.map(({ id, text, action }) => (
        <div className="toast" key={id}>
          <span>{text}</span>
          {action !== undefined && (
            <button
              onClick={() => {
                close(id);
                action.run();
              }}
            >
              {action.label}
            </button>
          )}
        </div>
      ))}
    </div>
  );
}
