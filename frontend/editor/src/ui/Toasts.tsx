import { X } from "lucide-react";
import { useEffect, useSyncExternalStore } from "react";

interface Toast {
  id: number;
  text: string;
  action?: { label: string; run: () => void };
}

/** Milliseconds for which something is told; what can be undone, or asks to be read, stays longer. */
const DURATION = 8_000;
const LONG_DURATION = 20_000;

const LONG_TEXT = 80;

/** What is told at once, at most. */
const MOST = 4;

let toasts: readonly Toast[] = [];
let last = 0;
const listeners = new Set<() => void>();
const ends = new Map<number, ReturnType<typeof setTimeout>>();

function set(next: readonly Toast[]): void {
  toasts = next;
  for (const listener of listeners) {
    listener();
  }
}

function close(id: number): void {
  clearTimeout(ends.get(id));
  ends.delete(id);
  set(toasts.filter((toast) => toast.id !== id));
}

function endLater({ id, text, action }: Toast): void {
  const duration = action !== undefined || text.length > LONG_TEXT ? LONG_DURATION : DURATION;
  clearTimeout(ends.get(id));
  ends.set(id, setTimeout(() => { close(id); }, duration));
}

/** Nobody is hurried while they read, or reach for a button. */
function stay(): void {
  for (const end of ends.values()) {
    clearTimeout(end);
  }
}

function go(): void {
  toasts.forEach(endLater);
}

function carryOut({ id, action }: Toast): void {
  close(id);
  action?.run();
}

/** Tell something for some seconds; with `action`, a button to do something about it. */
export function tell(text: string, action?: Toast["action"]): void {
  last += 1;
  const toast = { id: last, text, ...(action === undefined ? {} : { action }) };
  set([...toasts.slice(1 - MOST), toast]);
  endLater(toast);
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** Where it is told. */
export function Toasts() {
  const shown = useSyncExternalStore(subscribe, () => toasts);
  return (
    <div className="toasts" role="status" onPointerEnter={stay} onPointerLeave={go} onFocus={stay} onBlur={go}>
      {shown.map((toast) => (
        <div className="toast" key={toast.id}>
          <span>{toast.text}</span>
          {toast.action !== undefined && <button onClick={() => { carryOut(toast); }}>{toast.action.label}</button>}
          <button className="close" aria-label="Dismiss" onClick={() => { close(toast.id); }}>
            <X size={14} aria-hidden />
          </button>
        </div>
      ))}
    </div>
  );
}

/** Have Ctrl+Z do what the newest of them offers: to undo. */
export function useToastKeys(): void {
  useEffect(() => {
    const press = (event: KeyboardEvent): void => {
      const newest = toasts.findLast(({ action }) => action !== undefined);
      const isText = event.target instanceof HTMLInputElement;
      if ((event.ctrlKey || event.metaKey) && event.key === "z" && newest !== undefined && !isText) {
        event.preventDefault();
        carryOut(newest);
      }
    };
    addEventListener("keydown", press);
    return () => {
      removeEventListener("keydown", press);
    };
  }, []);
}
