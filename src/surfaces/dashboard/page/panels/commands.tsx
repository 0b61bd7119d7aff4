import { useEffect, useId, useRef, useState } from "preact/hooks";
import { useBoard } from "../bus/board.ts";
import { sentenceOf } from "../bus/connection.ts";
import { type Command, type CommandStatus, fieldsOf, listOf, preview } from "../bus/records.ts";
import type { State } from "../bus/state.ts";
import { Content, Name, shown } from "../parts/content.tsx";
import { jsonFault, Segments, Toggle } from "../parts/fields.tsx";
import { Nothing, Panel } from "../parts/panel.tsx";
import { Ago, span } from "../parts/time.tsx";
import { Windowed } from "../parts/windowed.tsx";

/** What a command is to be, before it is sent. `version` is another whenever somebody chose it elsewhere on the page. */
export interface Draft {
  readonly target: string;
  readonly action: string;
  readonly params: string;
  readonly version: number;
}

/** Sends a command to a peer, to a role, or to everybody. */
export function OrderForm({ draft }: { draft: Draft }) {
  const { asker, session, state } = useBoard("peers", "commands", "session");
  const [target, setTarget] = useState("");
  const [action, setAction] = useState("");
  const [params, setParams] = useState("");
  const [any, setAny] = useState(false);
  const [error, setError] = useState<string | undefined>(undefined);
  const [sent, setSent] = useState("");
  const [sending, setSending] = useState(false);
  const form = useRef<HTMLFormElement>(null);
  const id = useId();
  const fault = params.trim() === "" ? undefined : jsonFault(params);

  useEffect(() => {
    if (draft.version === 0) return;
    setTarget(draft.target);
    setAction(draft.action);
    setParams(draft.params);
    const first = form.current?.elements.namedItem(draft.action === "" ? "action" : "target");
    if (first instanceof HTMLElement) first.focus();
  }, [draft.version]);

  const send = async (): Promise<void> => {
    setSent("");
    const missing = target.trim() === "" ? "target" : action.trim() === "" ? "action" : undefined;
    const first = form.current?.elements.namedItem(missing ?? "params");
    if (missing !== undefined || fault !== undefined) {
      setError(missing === undefined ? fault : `Say ${missing === "target" ? "for whom it is" : "what is to be done"}`);
      if (first instanceof HTMLElement) first.focus();
      return;
    }
    setSending(true);
    setError(undefined);
    try {
      const given = params.trim() === "" ? undefined : JSON.parse(params);
      const order = { target: target.trim(), action: action.trim(), params: given, from: session.name, any };
      const { commands } = fieldsOf(await asker.ask("command send", order));
      const count = listOf(commands).length;
      setSent(`Sent ${shown(order.action)} to ${shown(order.target)}${count > 1 ? `, ${count} peers` : ""}`);
      setAction("");
      setParams("");
    } catch (reason) {
      setError(sentenceOf(reason));
    }
    setSending(false);
  };

  return (
    <form
      ref={form}
      class="order-form"
      onSubmit={(event) => {
        event.preventDefault();
        void send();
      }}
    >
      <label class="field">
        <span>Target</span>
        <input
          name="target"
          list={`${id}-targets`}
          value={target}
          autocomplete="off"
          spellcheck={false}
          placeholder="peer, role or *"
          onInput={({ currentTarget }) => setTarget(currentTarget.value)}
        />
        <datalist id={`${id}-targets`}>
          {targetsOf(state).map(({ value, label }) => (
            <option key={value} value={value} label={label} />
          ))}
        </datalist>
      </label>
      <label class="field">
        <span>Action</span>
        <input
          name="action"
          list={`${id}-actions`}
          value={action}
          autocomplete="off"
          spellcheck={false}
          placeholder="start_server"
          onInput={({ currentTarget }) => setAction(currentTarget.value)}
        />
        <datalist id={`${id}-actions`}>
          {[
            ...new Set([...state.commands.values()].filter((known) => !known.response).map((known) => known.action)),
          ].map((known) => (
            <option key={known} value={known} />
          ))}
        </datalist>
      </label>
      <label class="field wide">
        <span>Params, as JSON</span>
        <textarea
          name="params"
          class="mono"
          rows={Math.min(8, Math.max(1, params.split("\n").length))}
          value={params}
          spellcheck={false}
          placeholder={'{"port": 7400}'}
          aria-invalid={fault !== undefined}
          aria-describedby={fault === undefined ? undefined : `${id}-fault`}
          onInput={({ currentTarget }) => setParams(currentTarget.value)}
        />
      </label>
      {fault === undefined ? null : (
        <p class="error wide" id={`${id}-fault`}>
          {fault}
        </p>
      )}
      <div class="wide line">
        <Toggle label="Only whoever of the role is first" checked={any} onChange={setAny} />
        <button type="submit" class="primary end" disabled={sending}>
          Send command
        </button>
      </div>
      {error === undefined || error === fault ? null : (
        <p class="error wide" role="alert">
          {error}
        </p>
      )}
      <p class="muted wide sent" role="status">
        {sent}
      </p>
    </form>
  );
}

function targetsOf({ peers }: State): readonly { value: string; label: string }[] {
  const online = [...peers.values()].filter(({ gone }) => !gone);
  const roles = [...new Set(online.map(({ role }) => role))];
  return [
    ...roles.map((role) => ({ value: role, label: `everybody in the role ${role}` })),
    ...online.map(({ id, role }) => ({ value: id, label: role })),
    { value: "*", label: "everybody" },
  ];
}

const FILTERS = [
  { value: "all", label: "All" },
  { value: "pending", label: "Pending" },
  { value: "leased", label: "Leased" },
  { value: "acked", label: "Acked" },
  { value: "failed", label: "Failed" },
] as const;

type Filter = (typeof FILTERS)[number]["value"];

const FAILED: readonly CommandStatus[] = ["failed", "dead", "expired"];

const WORDS: Readonly<Record<CommandStatus, string>> = {
  pending: "pending",
  leased: "leased",
  acked: "acknowledged",
  failed: "failed",
  dead: "dead",
  expired: "expired",
};

interface CommandsProps {
  readonly draft: Draft;
  readonly onDraft: (draft: Omit<Draft, "version">) => void;
}

export function Commands({ draft, onDraft }: CommandsProps) {
  const { state, session } = useBoard("commands", "session");
  const [filter, setFilter] = useState<Filter>("all");
  const commands = [...state.commands.values()].filter(({ response }) => !response).reverse();
  const listed = commands.filter(({ status }) => isIn(status, filter));
  const waiting = commands.filter(({ status }) => status === "pending" || status === "leased").length;
  return (
    <Panel
      view="commands"
      title="Commands"
      count={waiting === 0 ? `${commands.length}` : `${commands.length}, ${waiting} under way`}
    >
      {session.may("command send") ? (
        <OrderForm draft={draft} />
      ) : session.rights === undefined ? null : (
        <p class="muted note">Sign in with a token to send commands.</p>
      )}
      <div class="tools">
        <Segments legend="Which commands" options={FILTERS} value={filter} onChange={setFilter} />
      </div>
      {listed.length === 0 ? (
        <Nothing>{commands.length === 0 ? "Nothing was ordered yet." : "No command is in that state."}</Nothing>
      ) : (
        <Windowed
          items={listed}
          keyOf={({ id }) => id}
          estimate={64}
          label="Commands, newest first"
          row={(command) => <CommandRow command={command} onDraft={onDraft} />}
        />
      )}
    </Panel>
  );
}

interface CommandRowProps {
  readonly command: Command;
  readonly onDraft: CommandsProps["onDraft"];
}

function CommandRow({ command, onDraft }: CommandRowProps) {
  const { id, from, target, role, action, params, result, status, attempts, holder, ts, endedAt } = command;
  return (
    <div class="command">
      <div class="line">
        <span class={`badge ${status}`}>{WORDS[status]}</span>
        <Name of={action} strong />
        <span class="muted end">
          {endedAt === null || attempts === 0 ? "" : `took ${span(Math.max(0, endedAt - ts))} · `}
          <Ago ts={ts} />
        </span>
      </div>
      <div class="line muted">
        <span class="grow">
          <Name of={from} /> → <Name of={target} />
          {role === target || role === "" ? null : (
            <>
              {" ("}
              <Name of={role} />)
            </>
          )}
          {holder === null || holder === target ? null : (
            <>
              {", taken by "}
              <Name of={holder} />
            </>
          )}
          {attempts > 1 ? `, ${attempts} attempts` : ""}
        </span>
        <SendAgain command={command} onDraft={onDraft} />
      </div>
      <details>
        <summary>
          <span class="preview mono">
            {params.text === "{}" ? "no params" : shown(preview(params, 70))}
            {result === undefined ? "" : ` ⇒ ${shown(preview(result, 90))}`}
          </span>
          <span class="id">{id}</span>
        </summary>
        <p class="muted small">params</p>
        <Content said={params} />
        {result === undefined ? null : (
          <>
            <p class="muted small">result</p>
            <Content said={result} />
          </>
        )}
      </details>
    </div>
  );
}

/** What came to nothing is offered once more; what was done can be ordered anew. */
function SendAgain({ command, onDraft }: CommandRowProps) {
  const { asker, session } = useBoard("session");
  const [error, setError] = useState<string | undefined>(undefined);
  const { id, target, action, params, status } = command;
  if (error !== undefined) {
    return (
      <span class="error" role="alert">
        {error}
      </span>
    );
  }
  if (isIn(status, "failed") && session.may("command retry")) {
    const retry = () => asker.ask("command retry", { id }).catch((reason) => setError(sentenceOf(reason)));
    return (
      <button type="button" class="link" onClick={() => void retry()} aria-label={`Send again: ${shown(action)}`}>
        Send again
      </button>
    );
  }
  if (status === "acked" && session.may("command send") && params.text.length === params.length) {
    const given = params.json ? params.text : JSON.stringify(params.text);
    return (
      <button
        type="button"
        class="link"
        onClick={() => onDraft({ target, action, params: given === "{}" ? "" : given })}
        aria-label={`Use again: ${shown(action)}`}
      >
        Use again
      </button>
    );
  }
  return null;
}

function isIn(status: CommandStatus, filter: Filter): boolean {
  if (filter === "all") return true;
  return filter === "failed" ? FAILED.includes(status) : status === filter;
}
