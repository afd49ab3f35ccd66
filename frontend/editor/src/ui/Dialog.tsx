import { X } from "lucide-react";
import { type ReactNode, useEffect, useRef } from "react";

import { useFocusBack } from "./menus";

interface Props {
  title: string;
  isWide?: boolean;
  /** The title is only for screen readers. */
  isBare?: boolean;
  onClose: () => void;
  children: ReactNode;
}

/** A dialog that is open while it is rendered. Escape, or a click beside it, closes it. */
export function Dialog({ title, isWide = false, isBare = false, onClose, children }: Props) {
  const element = useRef<HTMLDialogElement>(null);
  useFocusBack();
  useEffect(() => {
    element.current?.showModal();
    // The focus starts at the dialog's main control.
    element.current?.querySelector<HTMLElement>("input, .primary")?.focus();
  }, []);
  return (
    <dialog
      ref={element}
      className={isWide ? "dialog wide" : "dialog"}
      aria-label={title}
      onClose={onClose}
      onClick={(event) => {
        if (event.target === element.current) {
          onClose();
        }
      }}
      onKeyDown={(event) => {
        event.stopPropagation();
        // Close at once: the browser's own event comes later, and keys in between would be lost.
        if (event.key === "Escape") {
          event.preventDefault();
          onClose();
        }
      }}
    >
      {!isBare && (
        <header>
          <h2>{title}</h2>
          <button className="icon-button" aria-label="Close" onClick={onClose}>
            <X size={16} />
          </button>
        </header>
      )}
      {children}
    </dialog>
  );
}
