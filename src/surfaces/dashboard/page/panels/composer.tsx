import { useId, useState } from "preact/hooks";
import { sentenceOf } from "../bus/ask.ts";
import { useBoard } from "../bus/board.ts";
import { Toggle } from "../parts/fields.tsx";
import { jsonFault } from "../parts/json.ts";
import { shown } from "../parts/name.tsx";

/** Only the bus itself writes there. */
export const ALARMS = "security";

/** A message written by a human. */
export function Composer({ channel }: { channel: string }) {
  const { asker, session } = useBoard("session");
  const [text, setText] = useState("");
  const [asJson, setAsJson] = useState(false);
  const [sending, setSending] = useState(false);
  const [error, setError] = useState<string | undefined>(undefined);
  const errorId = useId();

  if (channel === ALARMS) return <p class="muted note">Only the bus itself writes here.</p>;
  if (!session.may("channel send")) {
    return session.rights === undefined ? null : <p class="muted note">Sign in with a token to write here.</p>;
  }

  const send = async (): Promise<void> => {
    if (text.trim() === "" || sending) return;
    const fault = asJson ? jsonFault(text) : undefined;
    setError(fault);
    if (fault !== undefined) return;
    setSending(true);
    try {
      const data: unknown = asJson ? JSON.parse(text) : text;
      await asker.ask("channel send", { channel, data, from: session.name });
      setText("");
    } catch (reason) {
      setError(sentenceOf(reason));
    }
    setSending(false);
  };

  return (
    <form
      class="composer"
      onSubmit={(event) => {
        event.preventDefault();
        void send();
      }}
    >
      <textarea
        rows={Math.min(6, text.split("\n").length)}
        value={text}
        aria-label={`Message to ${shown(channel)}`}
        placeholder={`Message as ${shown(session.name)}`}
        aria-invalid={error !== undefined}
        aria-describedby={error === undefined ? undefined : errorId}
        dir="auto"
        onInput={({ currentTarget }) => {
          setText(currentTarget.value);
          setError(undefined);
        }}
        onKeyDown={(event) => {
          if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
          event.preventDefault();
          void send();
        }}
      />
      <Toggle label="JSON" checked={asJson} onChange={setAsJson} />
      <button type="submit" class="primary" disabled={sending}>
        Send
      </button>
      {error === undefined ? null : (
        <p class="error" role="alert" id={errorId}>
          {error}
        </p>
      )}
    </form>
  );
}
