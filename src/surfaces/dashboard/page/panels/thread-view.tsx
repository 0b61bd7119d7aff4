import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { useBoard } from "../bus/board.ts";
import { said } from "../bus/said.ts";
import type { Message } from "../bus/things.ts";
import { fieldsOf, listOf } from "../bus/values.ts";
import { Content, Marked } from "../parts/content.tsx";
import { Search } from "../parts/fields.tsx";
import { shown } from "../parts/name.tsx";
import { Nothing } from "../parts/panel.tsx";
import { At } from "../parts/time.tsx";
import { Windowed } from "../parts/windowed.tsx";
import { Composer } from "./composer.tsx";
import { marksOf, Readers, ReadMark } from "./readers.tsx";

interface ThreadViewProps {
  readonly channel: string;
  readonly onBack: () => void;
}

/** The messages of one channel. It follows what comes, unless somebody reads further back. */
export function ThreadView({ channel, onBack }: ThreadViewProps) {
  const { state, thread } = useBoard("thread", "readings");
  const [search, setSearch] = useState("");
  const [follows, setFollows] = useState(true);
  const [left, setLeft] = useState(0);
  const [toEnd, setToEnd] = useState(0);
  const wanted = search.trim().toLowerCase();
  const { messages, version, whole, full, loading } = thread;
  const found = useMemo(
    () => (wanted === "" ? messages : messages.filter((message) => isAbout(message, wanted))),
    [version, wanted],
  );
  const readings = [...(state.readings.get(channel)?.values() ?? [])];
  const marks = marksOf(found, readings);

  /** Who has found it goes on with the newest. */
  const find = (value: string): void => {
    setSearch(value);
    if (value === "") setToEnd((times) => times + 1);
  };

  // A narrow window has just hidden what had the focus.
  const back = useRef<HTMLButtonElement>(null);
  useEffect(() => {
    if (back.current?.offsetParent != null) back.current.focus();
  }, []);

  // Who searches, searches everything that the page can hold.
  useEffect(() => {
    if (wanted !== "") void thread.older();
  }, [wanted, version]);

  return (
    <section class="thread" aria-labelledby="thread-title">
      <header class="thread-head">
        <button ref={back} type="button" class="back" onClick={onBack} aria-label="Back to the channels">
          ←
        </button>
        <h3 id="thread-title">
          <bdi>{shown(channel)}</bdi>
        </h3>
        <Readers readings={readings} />
        <Search label="Search messages" value={search} onInput={find} />
      </header>
      {wanted === "" ? null : (
        <p class="muted note" role="status">
          {found.length.toLocaleString()} of {messages.length.toLocaleString()} messages
          {whole ? "" : full ? ", the newest ones" : loading ? ", searching on…" : ""}
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
        <Nothing>
          {loading ? "Loading…" : wanted === "" ? "Nothing was sent here yet." : "No message says that."}
        </Nothing>
      ) : (
        <Windowed
          class="messages"
          items={found}
          keyOf={({ id }) => id}
          estimate={30}
          label={`Messages in ${shown(channel)}`}
          follows
          toEnd={toEnd}
          onStart={() => void thread.older()}
          onFollow={(now) => {
            setFollows(now);
            setLeft(thread.arrived);
          }}
          row={(message) => (
            <MessageRow message={message} search={search.trim()} readBy={marks.get(message.id) ?? []} />
          )}
        />
      )}
      {follows ? null : (
        <button type="button" class="to-end" onClick={() => setToEnd((times) => times + 1)}>
          {thread.arrived > left ? `${thread.arrived - left} new ↓` : "To the newest ↓"}
        </button>
      )}
      <Composer channel={channel} />
      <Arrivals />
    </section>
  );
}

const QUIET_MS = 5_000;

/** Tells who reads here by ear that something has come; not more often than they could listen. */
function Arrivals() {
  const { thread } = useBoard("thread");
  const [words, setWords] = useState("");
  const told = useRef(0);
  const box = useRef<HTMLParagraphElement>(null);
  const fresh = thread.arrived > told.current;
  useEffect(() => {
    if (!fresh) return;
    const timer = setTimeout(() => {
      const here = box.current?.parentElement?.contains(document.activeElement) === true;
      const count = thread.arrived - told.current;
      if (here) setWords(count === 1 ? "1 new message" : `${count} new messages`);
      told.current = thread.arrived;
    }, QUIET_MS);
    return () => clearTimeout(timer);
  }, [fresh, told.current]);
  return (
    <p ref={box} class="hidden" role="status">
      {words}
    </p>
  );
}

interface MessageRowProps {
  readonly message: Message;
  readonly search: string;
  /** Who has read so far and no further. */
  readonly readBy: readonly string[];
}

function MessageRow({ message: { id, channel, from, ts, data, proof }, search, readBy }: MessageRowProps) {
  const { asker } = useBoard();
  const whole = async () => {
    const answer = fieldsOf(await asker.ask("channel messages", { channel, since: id - 1, limit: 1 }));
    return said(fieldsOf(listOf(answer.messages)[0]).data, Number.POSITIVE_INFINITY);
  };
  return (
    <article class="message" aria-label={`Message ${id} from ${shown(from)}`}>
      <span class="muted time" title={`message ${id}`}>
        <At ts={ts} />
      </span>
      <span class="sender">
        <bdi title={shown(from)}>
          <Marked text={shown(from)} search={search} />
        </bdi>
        {proof === undefined ? null : (
          <span class="proof" title={PROOFS[proof]}>
            {proof}
          </span>
        )}
      </span>
      <Content said={data} search={search} whole={data.text.length < data.length ? whole : undefined} />
      <ReadMark agents={readBy} />
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
