import { type RefObject, useEffect, useRef, useState } from "react";

/** Tell whether an element has been visible; `onSeen` is called at the first time. */
export function useSeen<E extends Element>(onSeen?: () => void): [RefObject<E | null>, boolean] {
  const element = useRef<E>(null);
  const call = useRef(onSeen);
  const [isSeen, setSeen] = useState(false);
  useEffect(() => {
    call.current = onSeen;
  }, [onSeen]);
  useEffect(() => {
    if (element.current === null || isSeen) {
      return;
    }
    const observer = new IntersectionObserver((entries) => {
      if (entries.some(({ isIntersecting }) => isIntersecting)) {
        setSeen(true);
        call.current?.();
      }
    }, { rootMargin: "200px" });
    observer.observe(element.current);
    return () => {
      observer.disconnect();
    };
  }, [isSeen]);
  return [element, isSeen];
}
