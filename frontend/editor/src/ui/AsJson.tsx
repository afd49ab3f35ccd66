import { useState } from "react";

/** The most characters that are shown. */
const MOST = 100_000;

function written(value: unknown): string {
  try {
    const text = JSON.stringify(value);
    // With line breaks and indentation, a long text would be many times as long.
    return text.length > MOST ? `${text.slice(0, MOST)}…` : JSON.stringify(value, null, 2);
  } catch (error) {
    return `This can't be written as JSON: ${String(error)}`;
  }
}

/** Shows something as JSON if it can't be shown otherwise. */
export function AsJson({ value }: { value: unknown }) {
  const [isOpen, setOpen] = useState(false);
  return (
    <details className="as-json" onToggle={({ currentTarget }) => { setOpen(currentTarget.open); }}>
      <summary>Show as JSON</summary>
      {isOpen && <pre tabIndex={0}>{written(value)}</pre>}
    </details>
  );
}
