import { useState } from "react";

/** Characters that are shown at most. */
const MOST = 100_000;

function written(value: unknown): string {
  try {
    const text = JSON.stringify(value, null, 2);
    return text.length > MOST ? `${text.slice(0, MOST)}…` : text;
  } catch (error) {
    return `This can't be written as JSON: ${String(error)}`;
  }
}

/** Lets one look at something as it is stored, where it can't be shown otherwise. */
export function AsJson({ value }: { value: unknown }) {
  const [isOpen, setOpen] = useState(false);
  return (
    <details className="as-json" onToggle={({ currentTarget }) => { setOpen(currentTarget.open); }}>
      <summary>Show as JSON</summary>
      {isOpen && <pre tabIndex={0}>{written(value)}</pre>}
    </details>
  );
}
