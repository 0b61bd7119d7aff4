import { useBoard } from "../bus/board.ts";
import type { LinkState } from "../bus/connection.ts";
import { Name } from "../parts/content.tsx";
import { ThemeChoice } from "../parts/theme.tsx";
import { clockTime } from "../parts/time.tsx";

export function Top({ onSignIn }: { onSignIn: () => void }) {
  const { link } = useBoard("link");
  return (
    <header class="top">
      <h1>el-ipc</h1>
      <span class={`pill ${link.state.kind}`}>{LINK_LABELS[link.state.kind]}</span>
      <span class="end" />
      <Who onSignIn={onSignIn} />
      <ThemeChoice />
    </header>
  );
}

export const LINK_LABELS: Readonly<Record<LinkState["kind"], string>> = {
  connecting: "connecting",
  live: "live",
  lost: "disconnected",
  refused: "not let in",
};

function Who({ onSignIn }: { onSignIn: () => void }) {
  const { session, link } = useBoard("session", "link");
  const { rights, isSignedIn } = session;
  // Reloading removes everything the page has shown.
  const leave = () => {
    session.signOut();
    location.reload();
  };
  if (isSignedIn) {
    return (
      <span class="who">
        {rights?.agent == null ? (
          <span class="muted">signed in</span>
        ) : (
          <span>
            <Name of={rights.agent} strong />
            {rights.operator ? <span class="muted"> operator</span> : null}
            {rights.expires === null ? null : <span class="muted until"> until {clockTime(rights.expires)}</span>}
          </span>
        )}
        {rights?.agent == null ? <OwnName /> : null}
        <button type="button" onClick={leave}>
          Sign out
        </button>
      </span>
    );
  }
  return (
    <span class="who">
      {rights?.secure || rights === undefined ? null : <OwnName />}
      {rights?.secure && link.state.kind !== "refused" ? (
        <button type="button" onClick={onSignIn}>
          Sign in
        </button>
      ) : null}
    </span>
  );
}

function OwnName() {
  const { session } = useBoard("session");
  return (
    <label class="own-name">
      <span class="muted">You are</span>
      <input
        value={session.name}
        maxLength={200}
        autocomplete="off"
        spellcheck={false}
        onChange={({ currentTarget }) => session.rename(currentTarget.value)}
      />
    </label>
  );
}
