import { useEffect, useRef, useState } from "react";

const areFiles = (event: DragEvent): boolean => event.dataTransfer?.types.includes("Files") === true;

/** Take files that are dropped anywhere; tells whether files are being dragged over the page. */
export function useDrop(onDrop: (files: readonly File[]) => void): boolean {
  const [isDropping, setDropping] = useState(false);
  const call = useRef(onDrop);
  useEffect(() => {
    call.current = onDrop;
  }, [onDrop]);
  useEffect(() => {
    const over = (event: DragEvent): void => {
      if (areFiles(event)) {
        event.preventDefault();
        setDropping(true);
      }
    };
    const leave = (event: DragEvent): void => {
      if (event.relatedTarget === null) {
        setDropping(false);
      }
    };
    const drop = (event: DragEvent): void => {
      if (areFiles(event)) {
        event.preventDefault();
        setDropping(false);
        call.current([...(event.dataTransfer?.files ?? [])]);
      }
    };
    addEventListener("dragover", over);
    addEventListener("dragleave", leave);
    addEventListener("drop", drop);
    return () => {
      removeEventListener("dragover", over);
      removeEventListener("dragleave", leave);
      removeEventListener("drop", drop);
    };
  }, []);
  return isDropping;
}
