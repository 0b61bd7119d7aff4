import { useEffect, useId, useMemo, useRef, useState } from "preact/hooks";
import { useBoard } from "../bus/board.ts";
import { sentenceOf } from "../bus/connection.ts";
import { fieldsOf, listOf, type Message, payloadOf, type Reading } from "../bus/records.ts";
import { Content, Marked, makeVisible, Name } from "../parts/content.tsx";
import { ErrorNote, jsonFault, Search, Toggle } from "../parts/fields.tsx";
import { EmptyNote } from "../parts/panel.tsx";
import { At } from "../parts/time.tsx";
import { VirtualList } from "../parts/virtual-list.tsx";
import { unreadText } from "./channel-list.tsx";

/** The channel of security alarms, in which only the bus writes. */
export const ALARMS = "security";

function Composer({ channel }: { channel: string }) {
  const { client, session } = useBoard("session");
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
      await client.ask("channel send", { channel, data, from: session.name });
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
        aria-label={`Message to ${makeVisible(channel)}`}
        placeholder={`Message as ${makeVisible(session.name)}`}
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
      <ErrorNote id={errorId} error={error} />
    </form>
  );
}

function Readers({ readings }: { readings: readonly Reading[] }) {
  if (readings.length === 0) return <span class="muted">nobody reads it</span>;
  const behind = readings.filter(({ unread }) => unread > 0).length;
  const sorted = readings.toSorted(
    (a, b) => b.unread - a.unread || a.agent.localeCompare(b.agent, undefined, { numeric: true }),
  );
  return (
    <details
      class="readers"
      onKeyDown={({ key, currentTarget }) => {
        if (key === "Escape") currentTarget.open = false;
      }}
      onFocusOut={({ relatedTarget, currentTarget }) => {
        if (!(relatedTarget instanceof Node && currentTarget.contains(relatedTarget))) currentTarget.open = false;
      }}
    >
      <summary>
        {readings.length === 1 ? "1 reader" : `${readings.length} readers`}
        <span class="muted">{behind === 0 ? ", all up to date" : `, ${behind} behind`}</span>
      </summary>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be within a keyboard's reach */}
      <section class="popover" tabIndex={0} aria-label="Readers of this channel">
        <table>
          <thead>
            <tr class="muted small">
              <th scope="col">Agent</th>
              <th scope="col" class="number">
                Unread
              </th>
              <th scope="col" class="number">
                Read up to
              </th>
            </tr>
          </thead>
          <tbody>
            {sorted.map(({ agent, lastId, unread }) => (
              <tr key={agent}>
                <th scope="row">
                  <Name of={agent} />
                </th>
                <td class="number">{unread === 0 ? "–" : unreadText(unread)}</td>
                <td class="number">#{lastId}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </section>
    </details>
  );
}

const MAX_NAMED = 4;

function ReadMark({ readBy }: { readBy: readonly Reading[] }) {
  if (readBy.length === 0) return null;
  const agents = readBy.map(({ agent }) => makeVisible(agent));
  const others = agents.length - MAX_NAMED;
  return (
    <span class="read-mark" title={agents.join(", ")}>
      read by {agents.slice(0, MAX_NAMED).join(", ")}
      {others > 0 ? ` and ${others} more` : ""}
    </span>
  );
}

function lastUpTo(messages: readonly Message[], id: number): Message | undefined {
  let [low, high] = [0, messages.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((messages[middle]?.id ?? 0) <= id) low = middle + 1;
    else high = middle;
  }
  return messages[low - 1];
}

/** The messages of one channel. It follows new messages unless the user has scrolled back. */
export function ThreadView({ channel, onBack }: { channel: string; onBack: () => void }) {
  const { state, thread } = useBoard("thread", "readings");
  const [search, setSearch] = useState("");
  const [follows, setFollows] = useState(true);
  const [left, setLeft] = useState(0);
  const [toEnd, setToEnd] = useState(0);
  const wanted = search.trim().toLowerCase();
  const { messages, version, isComplete, isFull, loading } = thread;
  const found = useMemo(
    () => (wanted === "" ? messages : messages.filter((message) => isAbout(message, wanted))),
    [version, wanted],
  );
  const readings = [...(state.readings.get(channel)?.values() ?? [])];
  const lastRead = Map.groupBy(readings, ({ lastId }) => lastUpTo(found, lastId)?.id);

  /** Clearing the search leads back to the newest message. */
  const find = (value: string): void => {
    setSearch(value);
    if (value === "") setToEnd((times) => times + 1);
  };

  // In a narrow window the focused list has just been hidden.
  const back = useRef<HTMLButtonElement>(null);
  useEffect(() => {
    if (back.current?.offsetParent != null) back.current.focus();
  }, []);

  // A search loads as many messages as the page can hold.
  useEffect(() => {
    if (wanted !== "") void thread.loadOlder();
  }, [wanted, version]);

  return (
    <section class="thread" aria-labelledby="thread-title">
      <header class="thread-head">
        <button ref={back} type="button" class="back" onClick={onBack} aria-label="Back to the channels">
          ←
        </button>
        <h3 id="thread-title">
          <bdi>{makeVisible(channel)}</bdi>
        </h3>
        <Readers readings={readings} />
        <Search label="Search messages" value={search} onInput={find} />
      </header>
      {wanted === "" ? null : (
        <p class="muted note" role="status">
          {found.length.toLocaleString()} of {messages.length.toLocaleString()} messages
          {isComplete ? "" : isFull ? ", the newest ones" : loading ? ", searching on…" : ""}
        </p>
      )}
      {thread.error === undefined ? null : (
        <p class="error note" role="alert">
          {thread.error}
        </p>
      )}
      {found.length === 0 && thread.error !== undefined ? (
        <div class="grow" />
      ) : found.length === 0 ? (
        <EmptyNote>
          {loading ? "Loading…" : wanted === "" ? "Nothing was sent here yet." : "No message matches."}
        </EmptyNote>
      ) : (
        <VirtualList
          class="messages"
          items={found}
          keyOf={({ id }) => id}
          estimate={30}
          label={`Messages in ${makeVisible(channel)}`}
          follows
          toEnd={toEnd}
          onStart={() => void thread.loadOlder()}
          onFollow={(now) => {
            setFollows(now);
            setLeft(thread.arrived);
          }}
          row={(message) => (
            <MessageRow message={message} search={search.trim()} readBy={lastRead.get(message.id) ?? []} />
          )}
        />
      )}
      {follows ? null : (
        <button type="button" class="primary to-end" onClick={() => setToEnd((times) => times + 1)}>
          {thread.arrived > left ? `${thread.arrived - left} new ↓` : "To the newest ↓"}
        </button>
      )}
      <Composer channel={channel} />
      <Arrivals />
    </section>
  );
}

const QUIET_MS = 5_000;

/** Announces new messages to a screen reader, at most every QUIET_MS. */
function Arrivals() {
  const { thread } = useBoard("thread");
  const [words, setWords] = useState("");
  const announced = useRef(0);
  const box = useRef<HTMLParagraphElement>(null);
  const fresh = thread.arrived > announced.current;
  useEffect(() => {
    if (!fresh) return;
    const timer = setTimeout(() => {
      const here = box.current?.parentElement?.contains(document.activeElement) === true;
      const count = thread.arrived - announced.current;
      if (here) setWords(count === 1 ? "1 new message" : `${count} new messages`);
      announced.current = thread.arrived;
    }, QUIET_MS);
    return () => clearTimeout(timer);
  }, [fresh, announced.current]);
  return (
    <p ref={box} class="hidden" role="status">
      {words}
    </p>
  );
}

interface MessageRowProps {
  readonly message: Message;
  readonly search: string;
  /** The agents who have read up to this message. */
  readonly readBy: readonly Reading[];
}

function MessageRow({ message: { id, channel, from, ts, data, proof }, search, readBy }: MessageRowProps) {
  const { client } = useBoard();
  const whole = async () => {
    const answer = fieldsOf(await client.ask("channel messages", { channel, since: id - 1, limit: 1 }));
    return payloadOf(fieldsOf(listOf(answer.messages)[0]).data, Number.POSITIVE_INFINITY);
  };
  return (
    <article class="message" aria-label={`Message ${id} from ${makeVisible(from)}`}>
      <span class="muted time" title={`message ${id}`}>
        <At ts={ts} />
      </span>
      <span class="sender">
        <bdi title={makeVisible(from)}>
          <Marked text={makeVisible(from)} search={search} />
        </bdi>
        {proof === undefined ? null : (
          <span class="proof" title={PROOFS[proof]}>
            {proof}
          </span>
        )}
      </span>
      <Content payload={data} search={search} whole={data.text.length < data.length ? whole : undefined} />
      <ReadMark readBy={readBy} />
    </article>
  );
}

const PROOFS = {
  verified: "Its sender signed it, and the bus has checked that",
  attested: "Its sender showed the bus a token",
} as const;

function isAbout({ from, data }: Message, wanted: string): boolean {
  return from.toLowerCase().includes(wanted) || data.text.toLowerCase().includes(wanted);
}
