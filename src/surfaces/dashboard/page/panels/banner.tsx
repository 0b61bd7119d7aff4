import { useEffect, useState } from "preact/hooks";
import { useBoard } from "../bus/board.ts";
import { At } from "../parts/time.tsx";

/** Says what stands between this page and the bus, if anything does. */
export function Banner({ onSignIn }: { onSignIn: () => void }) {
  const { link, state, session } = useBoard("link", "session");
  const { state: at, outdated } = link;
  return (
    <div class="banners" role="status">
      {at.kind === "lost" ? (
        <p class="banner bad">
          <span>
            Disconnected since <At ts={at.since / 1_000} />.{state.known ? " What you see is from then." : ""}{" "}
            <Countdown until={at.until} />
          </span>
          <button type="button" onClick={link.retry}>
            Try now
          </button>
        </p>
      ) : null}
      {at.kind === "refused" && state.known ? (
        <p class="banner warm">
          <span>{session.signedIn ? `You are signed out: ${at.why}.` : `You aren't let in any more: ${at.why}.`}</span>
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
