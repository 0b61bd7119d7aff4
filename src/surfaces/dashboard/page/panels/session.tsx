import { useEffect, useId, useRef, useState } from "preact/hooks";
import { useBoard } from "../bus/board.ts";
import { sentenceOf } from "../bus/connection.ts";
import { ErrorNote } from "../parts/fields.tsx";
import { At } from "../parts/time.tsx";

/** A dialog for a token or an API key, which is kept in this tab only. */
export function SignIn({ open, onClose }: { open: boolean; onClose: () => void }) {
  const { session, link, state } = useBoard("link");
  const [credential, setCredential] = useState("");
  const [error, setError] = useState<string | undefined>(undefined);
  const dialog = useRef<HTMLDialogElement>(null);
  const id = useId();
  const server = new URL(".", document.baseURI).href.replace(/\/$/, "");

  useEffect(() => {
    if (open && dialog.current?.open === false) dialog.current.showModal();
    if (!open) dialog.current?.close();
  }, [open]);

  const signIn = async (): Promise<void> => {
    const given = credential.trim();
    if (given === "" || /\s/.test(given)) return setError("Paste the token, or the key, as it is: it has no spaces");
    if (isToken(given) && !isSecureContext) {
      return setError(`A token is sent over https, or to this machine, and not to ${server}: use https, or ssh -L`);
    }
    const before = session.rights?.agent;
    try {
      await session.signIn(given);
    } catch (reason) {
      return setError(sentenceOf(reason));
    }
    setCredential("");
    setError(undefined);
    onClose();
    // Another agent starts with an empty page; the same agent with a new token keeps everything.
    if (state.isLoaded && session.rights?.agent !== before) location.reload();
    else link.restart();
  };

  return (
    <dialog ref={dialog} class="sign-in" aria-labelledby={`${id}-title`} onClose={onClose}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          void signIn();
        }}
      >
        <h2 id={`${id}-title`}>Sign in</h2>
        <p class="muted">
          Paste a token of yours, good for an hour at most, or the server's API key. It is kept in this tab alone.
        </p>
        <p class="muted">
          A token is made where your key is: <code>el-ipc token NAME --key NAME.key --url {server}</code>
        </p>
        <label class="field">
          <span class="muted small">Token or API key</span>
          <input
            type="password"
            name="credential"
            autocomplete="off"
            spellcheck={false}
            value={credential}
            aria-invalid={error !== undefined}
            aria-describedby={error === undefined ? undefined : `${id}-error`}
            onInput={({ currentTarget }) => {
              setCredential(currentTarget.value);
              setError(undefined);
            }}
          />
        </label>
        <ErrorNote id={`${id}-error`} error={error} />
        <div class="line">
          <button type="button" onClick={onClose}>
            Cancel
          </button>
          <button type="submit" class="primary end">
            Sign in
          </button>
        </div>
      </form>
    </dialog>
  );
}

function isToken(credential: string): boolean {
  return /^[\w-]+\.[\w-]+\.[\w-]*$/.test(credential);
}

/** Shown instead of the panels when the server refuses the user. */
export function SignInPrompt({ onSignIn }: { onSignIn: () => void }) {
  const { link } = useBoard("link");
  if (link.state.kind !== "refused") return null;
  const { status, why } = link.state;
  return (
    <main class="sign-in-prompt">
      <p>{status === 401 ? "This bus is shown to those who sign in." : `The server doesn't let you in: ${why}.`}</p>
      <button type="button" class="primary" onClick={onSignIn}>
        Sign in
      </button>
    </main>
  );
}

export function Banner({ onSignIn }: { onSignIn: () => void }) {
  const { link, state, session } = useBoard("link", "session");
  const { state: at, outdated } = link;
  return (
    <div role="status">
      {at.kind === "lost" ? (
        <p class="banner bad">
          <span>
            Disconnected since <At ts={at.since / 1_000} />.{state.isLoaded ? " What you see is from then." : ""}{" "}
            <Countdown until={at.until} />
          </span>
          <button type="button" onClick={link.retry}>
            Try now
          </button>
        </p>
      ) : null}
      {at.kind === "refused" && state.isLoaded ? (
        <p class="banner warm">
          <span>
            {session.isSignedIn ? `You are signed out: ${at.why}.` : `You aren't let in any more: ${at.why}.`}
          </span>
          <button type="button" onClick={onSignIn}>
            Sign in
          </button>
        </p>
      ) : null}
      {outdated ? (
        <p class="banner warm">
          <span>The server was updated. This page is from before.</span>
          <button type="button" onClick={() => location.reload()}>
            Reload
          </button>
        </p>
      ) : null}
    </div>
  );
}

function Countdown({ until }: { until: number }) {
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 500);
    return () => clearInterval(timer);
  }, []);
  const seconds = Math.ceil((until - now) / 1_000);
  return <span aria-hidden="true">{seconds > 0 ? `Trying again in ${seconds} s.` : "Trying again…"}</span>;
}
