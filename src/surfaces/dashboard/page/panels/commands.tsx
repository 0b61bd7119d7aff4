import { useState } from "preact/hooks";
import { sentenceOf } from "../bus/ask.ts";
import { useBoard } from "../bus/board.ts";
import { preview } from "../bus/said.ts";
import type { Command, CommandStatus } from "../bus/things.ts";
import { Content } from "../parts/content.tsx";
import { Segments } from "../parts/fields.tsx";
import { Name, shown } from "../parts/name.tsx";
import { Nothing, Panel } from "../parts/panel.tsx";
import { Ago, span } from "../parts/time.tsx";
import { Windowed } from "../parts/windowed.tsx";
import { type Draft, OrderForm } from "./order-form.tsx";

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
