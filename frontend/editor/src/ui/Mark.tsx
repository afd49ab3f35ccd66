/** Helix's mark: two strands. */
export function Mark() {
  return (
    <svg viewBox="0 0 24 24" width="22" height="22" fill="none" strokeWidth="2.6" strokeLinecap="round" aria-hidden>
      <path d="M6 2c0 10 12 10 12 20" stroke="var(--accent)" />
      <path d="M8 5.5h8M8 18.5h8" stroke="var(--accent)" strokeWidth="2" />
      <path d="M18 2c0 10-12 10-12 20" stroke="var(--strand)" />
    </svg>
  );
}
