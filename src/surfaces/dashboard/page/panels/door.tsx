import { useBoard } from "../bus/board.ts";

/** What stands where the panels would, for who isn't let in. */
export function Door({ onSignIn }: { onSignIn: () => void }) {
  const { link } = useBoard("link");
  if (link.state.kind !== "refused") return null;
  const { status, why } = link.state;
  return (
    <main class="door">
      <p>{status === 401 ? "This bus is shown to those who sign in." : `The server doesn't let you in: ${why}.`}</p>
      <button type="button" class="primary" onClick={onSignIn}>
        Sign in
      </button>
    </main>
  );
}
