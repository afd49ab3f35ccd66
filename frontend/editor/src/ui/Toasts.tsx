import { X } from "lucide-react";
import { useEffect, useSyncExternalStore } from "react";

interface Action {
  label: string;
  run: () => void;
}

interface Toast {
  id: number;
  text: string;
  /** The user's options. */
  actions: readonly Action[];
  /** It stays until the user chooses one. */
  isAsked: boolean;
}

/** Milliseconds for which a toast stays; one with an action or a long text stays longer. */
const DURATION = 8_000;
const LONG_DURATION = 20_000;

const LONG_TEXT = 80;

/** The most toasts at once. */
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

function endLater({ id, text, actions, isAsked }: Toast): void {
  if (isAsked) {
    return;
  }
  const duration = actions.length > 0 || text.length > LONG_TEXT ? LONG_DURATION : DURATION;
  clearTimeout(ends.get(id));
  ends.set(id, setTimeout(() => { close(id); }, duration));
}

/** Keep toasts while the user points at them or focuses them. */
function stay(): void {
  for (const end of ends.values()) {
    clearTimeout(end);
  }
}

function go(): void {
  toasts.forEach(endLater);
}

function carryOut({ id }: Toast, { run }: Action): void {
  close(id);
  run();
}

function show(text: string, actions: readonly Action[], isAsked: boolean): Toast {
  last += 1;
  const toast = { id: last, text, actions, isAsked };
  const told = toasts.filter((one) => !one.isAsked).slice(1 - MOST);
  set([...toasts.filter((one) => one.isAsked || told.includes(one)), toast]);
  endLater(toast);
  return toast;
}

/** Show a message for some seconds; with `action`, a button that does something about it. */
export function tell(text: string, action?: Action): void {
  show(text, action === undefined ? [] : [action], false);
}

/** Show a question until it is answered. Returns a function that ends this. */
export function ask(text: string, actions: readonly Action[]): () => void {
  const { id } = show(text, actions, true);
  return () => { close(id); };
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** The place where toasts appear. */
export function Toasts() {
  const shown = useSyncExternalStore(subscribe, () => toasts);
  return (
    <div className="toasts" role="status" onPointerEnter={stay} onPointerLeave={go} onFocus={stay} onBlur={go}>
      {shown.map((toast) => (
        <div className={toast.isAsked ? "toast asked" : "toast"} key={toast.id}>
          <span>{toast.text}</span>
          {toast.actions.map((action) => (
            <button key={action.label} onClick={() => { carryOut(toast, action); }}>{action.label}</button>
          ))}
          {!toast.isAsked && (
            <button className="close" aria-label="Dismiss" onClick={() => { close(toast.id); }}>
              <X size={14} aria-hidden />
            </button>
          )}
        </div>
      ))}
    </div>
  );
}

/** Let Ctrl+Z run the newest toast's action, which is to undo. */
export function useToastKeys(): void {
  useEffect(() => {
    const press = (event: KeyboardEvent): void => {
      const newest = toasts.findLast(({ actions, isAsked }) => actions.length > 0 && !isAsked);
      const action = newest?.actions[0];
      const isText = event.target instanceof HTMLInputElement;
      if ((event.ctrlKey || event.metaKey) && event.key === "z" && newest !== undefined && action !== undefined && !isText) {
        event.preventDefault();
        carryOut(newest, action);
      }
    };
    addEventListener("keydown", press);
    return () => {
      removeEventListener("keydown", press);
    };
  }, []);
}
