import { type RefObject, useEffect, useRef, useState } from "react";

/** Tell whether an element has been in sight. */
export function useSeen<E extends Element>(): [RefObject<E | null>, boolean] {
  const element = useRef<E>(null);
  const [isSeen, setSeen] = useState(false);
  useEffect(() => {
    if (element.current === null || isSeen) {
      return;
    }
    const observer = new IntersectionObserver((entries) => {
      if (entries.some(({ isIntersecting }) => isIntersecting)) {
        setSeen(true);
      }
    }, { rootMargin: "200px" });
    observer.observe(element.current);
    return () => {
      observer.disconnect();
    };
  }, [isSeen]);
  return [element, isSeen];
}
