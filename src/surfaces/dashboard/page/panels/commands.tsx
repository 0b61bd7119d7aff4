import { useEffect, useId, useRef, useState } from "preact/hooks";
import { useBoard } from "../bus/board.ts";
import { sentenceOf } from "../bus/connection.ts";
import { type Command, type CommandStatus, fieldsOf, listOf, preview } from "../bus/records.ts";
import type { State } from "../bus/state.ts";
import { Content, makeVisible, Name } from "../parts/content.tsx";
import { ErrorNote, jsonFault, Segments, Toggle } from "../parts/fields.tsx";
import { EmptyNote, Panel } from "../parts/panel.tsx";
import { Ago, formatDuration } from "../parts/time.tsx";
import { VirtualList } from "../parts/virtual-list.tsx";

/** A command to put into the form. The form takes it over when `version` changes. */
export interface Draft {
  readonly target: string;
  readonly action: string;
  readonly params: string;
  readonly version: number;
}

function CommandForm({ draft }: { draft: Draft }) {
  const { client, session, state } = useBoard("peers", "commands", "session");
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
      setError(missing === undefined ? fault : `Say ${missing === "target" ? "who it is for" : "what to do"}`);
      if (first instanceof HTMLElement) first.focus();
      return;
    }
    setSending(true);
    setError(undefined);
    try {
      const given = params.trim() === "" ? undefined : JSON.parse(params);
      const command = { target: target.trim(), action: action.trim(), params: given, from: session.name, any };
      const { commands } = fieldsOf(await client.ask("command send", command));
      const count = listOf(commands).length;
      setSent(
        `Sent ${makeVisible(command.action)} to ${makeVisible(command.target)}${count > 1 ? `, ${count} peers` : ""}`,
      );
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
      class="command-form"
      onSubmit={(event) => {
        event.preventDefault();
        void send();
      }}
    >
      <label class="field">
        <span class="muted small">Target</span>
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
        <span class="muted small">Action</span>
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
        <span class="muted small">Params, as JSON</span>
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
        <Toggle label="First available peer only" checked={any} onChange={setAny} />
        <button type="submit" class="primary end" disabled={sending}>
          Send command
        </button>
      </div>
      <ErrorNote error={error === fault ? undefined : error} />
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
        <CommandForm draft={draft} />
      ) : session.rights === undefined ? null : (
        <p class="muted note">Sign in with a token to send commands.</p>
      )}
      <div class="tools">
        <Segments legend="Which commands" options={FILTERS} value={filter} onChange={setFilter} />
      </div>
      {listed.length === 0 ? (
        <EmptyNote>{commands.length === 0 ? "No commands yet." : "No command is in that state."}</EmptyNote>
      ) : (
        <VirtualList
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

interface CommandRowProps extends Pick<CommandsProps, "onDraft"> {
  readonly command: Command;
}

function CommandRow({ command, onDraft }: CommandRowProps) {
  const { id, from, target, role, action, params, result, status, attempts, holder, ts, endedAt } = command;
  return (
    <div class="command">
      <div class="line">
        <span class={`badge ${status}`}>{status === "acked" ? "acknowledged" : status}</span>
        <Name of={action} strong />
        <span class="muted end">
          {endedAt === null || attempts === 0 ? "" : `took ${formatDuration(Math.max(0, endedAt - ts))} · `}
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
            {params.text === "{}" ? "no params" : makeVisible(preview(params, 70))}
            {result === undefined ? "" : ` ⇒ ${makeVisible(preview(result, 90))}`}
          </span>
          <span class="id">{id}</span>
        </summary>
        <p class="muted small">params</p>
        <Content payload={params} />
        {result === undefined ? null : (
          <>
            <p class="muted small">result</p>
            <Content payload={result} />
          </>
        )}
      </details>
    </div>
  );
}

/** Retries a failed command, or puts a done one back into the form. */
function SendAgain({ command, onDraft }: CommandRowProps) {
  const { client, session } = useBoard("session");
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
    const retry = () => client.ask("command retry", { id }).catch((reason) => setError(sentenceOf(reason)));
    return (
      <button type="button" class="link" onClick={() => void retry()} aria-label={`Send again: ${makeVisible(action)}`}>
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
        aria-label={`Use again: ${makeVisible(action)}`}
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
