import { useEffect, useState } from "preact/hooks";
import { useBoard } from "./bus/board.ts";
import { addressOf, VIEWS, type View } from "./bus/place.ts";
import { LiveActivity } from "./panels/activity.tsx";
import { Channels } from "./panels/channels.tsx";
import { Pictures } from "./panels/charts.tsx";
import { Commands, type Draft } from "./panels/commands.tsx";
import { Peers } from "./panels/peers.tsx";
import { Banner, SignIn, SignInPrompt } from "./panels/session.tsx";
import { Signals } from "./panels/signals.tsx";
import { LINK_LABELS, Top } from "./panels/top.tsx";

const LABELS: Readonly<Record<View, string>> = {
  channels: "Channels",
  peers: "Peers",
  commands: "Commands",
  signals: "Signals",
  activity: "Activity",
  pictures: "Pictures",
};

export function App() {
  const { place, link, state } = useBoard("place", "link");
  const [signingIn, setSigningIn] = useState(false);
  const [draft, setDraft] = useState<Draft>({ target: "", action: "", params: "", version: 0 });

  useEffect(() => {
    document.title = link.state.kind === "live" ? "el-ipc" : `(${LINK_LABELS[link.state.kind]}) el-ipc`;
  }, [link.state.kind]);

  const isRefused = link.state.kind === "refused" && !state.isLoaded;

  const openDraft = (given: Omit<Draft, "version">): void => {
    setDraft(({ version }) => ({ ...given, version: version + 1 }));
    place.go("commands");
  };

  return (
    <div class="app" data-view={place.view}>
      {isRefused ? null : (
        <nav class="skips" aria-label="Skip">
          {VIEWS.map((view) => (
            <a key={view} href={addressOf(view)} onClick={() => document.getElementById(view)?.focus()}>
              To {LABELS[view].toLowerCase()}
            </a>
          ))}
        </nav>
      )}
      <Top onSignIn={() => setSigningIn(true)} />
      <Banner onSignIn={() => setSigningIn(true)} />
      {isRefused ? (
        <SignInPrompt onSignIn={() => setSigningIn(true)} />
      ) : (
        <>
          <nav class="views" aria-label="Panels">
            {VIEWS.map((view) => (
              <a key={view} href={addressOf(view)} aria-current={view === place.view ? "page" : undefined}>
                {LABELS[view]}
              </a>
            ))}
          </nav>
          <main>
            <Peers onCommand={(target) => openDraft({ target, action: "", params: "" })} />
            <Signals />
            <Channels />
            <Pictures />
            <Commands draft={draft} onDraft={openDraft} />
            <LiveActivity />
          </main>
        </>
      )}
      <SignIn open={signingIn} onClose={() => setSigningIn(false)} />
    </div>
  );
}
