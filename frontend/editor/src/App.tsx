/** The editor. */
export function App() {
  return <main>Helix</main>;
}
