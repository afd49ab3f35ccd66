/** `useText`: a field for a text that others may edit at the same time. */

import { type ChangeEvent, type RefObject, useLayoutEffect, useRef, useState } from "react";

import { TextDraft } from "../model/drafts.js";
import { placeAfter } from "../model/texts.js";

/** What `useText` gives. */
export interface UseTextResult<T extends HTMLInputElement | HTMLTextAreaElement> {
  /** Props of the `<input>` or `<textarea>`. Handlers of your own for focus and blur must call these. */
  field: {
    ref: RefObject<T | null>;
    defaultValue: string;
    onChange: (event: ChangeEvent<T>) => void;
    onCompositionStart: () => void;
    onCompositionEnd: () => void;
    onFocus: () => void;
    onBlur: () => void;
  };
  /** Undo what one has typed since the field got the focus, and nothing that others have written. */
  takeBack: () => void;
}

/**
 * Show a text in a field while its user and others edit it. The caret keeps its place in the text, and
 * input methods aren't disturbed.
 *
 * @param shown the current text.
 * @param write is called with the new text, which must be shown at once: use `gather` with `isText`.
 */
export function useText<T extends HTMLInputElement | HTMLTextAreaElement>(
  shown: string,
  write: (text: string) => void,
): UseTextResult<T> {
  const ref = useRef<T>(null);
  const [first] = useState(shown);
  const draft = useRef(new TextDraft(shown));
  const isComposing = useRef(false);
  /** The text that was shown last, and the one to show next. */
  const latest = useRef({ shown, next: shown });

  const show = (): void => {
    const element = ref.current;
    const { next } = latest.current;
    if (element === null || isComposing.current) {
      return;
    }
    draft.current.follow(next);
    const { value, selectionStart, selectionEnd, selectionDirection } = element;
    if (value === next) {
      return;
    }
    element.value = next;
    if (element === element.ownerDocument.activeElement && selectionStart !== null && selectionEnd !== null) {
      const [start, end] = [selectionStart, selectionEnd].map((place) => placeAfter(place, value, next));
      element.setSelectionRange(start ?? 0, end ?? 0, selectionDirection ?? "none");
    }
  };

  const take = (text: string): void => {
    if (text !== draft.current.seen) {
      const next = draft.current.write(text, latest.current.next);
      latest.current.next = next;
      write(next);
    }
    show();
  };

  useLayoutEffect(() => {
    latest.current = { shown, next: shown };
    show();
  }, [shown]);

  return {
    field: {
      ref,
      defaultValue: first,
      onChange: ({ target }) => {
        take(target.value);
      },
      onCompositionStart: () => {
        isComposing.current = true;
      },
      onCompositionEnd: () => {
        isComposing.current = false;
        take(ref.current?.value ?? draft.current.seen);
      },
      onFocus: () => {
        draft.current = new TextDraft(draft.current.seen);
      },
      onBlur: () => {
        isComposing.current = false;
        latest.current.next = latest.current.shown;
        show();
      },
    },
    takeBack: () => {
      take(draft.current.without);
    },
  };
}
