/** `useText`: a field in which one writes a text that others may write in at the same time. */

import { type ChangeEvent, type RefObject, useLayoutEffect, useRef, useState } from "react";

import { TextDraft } from "../model/drafts.js";
import { placeAfter } from "../model/texts.js";

/** What `useText` gives. */
export interface UseTextResult<T extends HTMLInputElement | HTMLTextAreaElement> {
  /** For the `<input>` or `<textarea>`; whatever else it does on focus and blur has to call these. */
  field: {
    ref: RefObject<T | null>;
    defaultValue: string;
    onChange: (event: ChangeEvent<T>) => void;
    onCompositionStart: () => void;
    onCompositionEnd: () => void;
    onFocus: () => void;
    onBlur: () => void;
  };
  /** Take back what one has typed since the field got the focus, and nothing that others have written. */
  takeBack: () => void;
}

/**
 * Let a field show a text as it is, while one writes in it as well: the caret stays where it is in the text, and
 * an input method isn't disturbed.
 *
 * @param shown what the text is.
 * @param write is called with what it is to be. It is to be shown at once: by `gather` with `isText`.
 */
export function useText<T extends HTMLInputElement | HTMLTextAreaElement>(
  shown: string,
  write: (text: string) => void,
): UseTextResult<T> {
  const ref = useRef<T>(null);
  const [first] = useState(shown);
  const draft = useRef(new TextDraft(shown));
  const isComposing = useRef(false);
  /** What was shown last, and what is to be shown next. */
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
