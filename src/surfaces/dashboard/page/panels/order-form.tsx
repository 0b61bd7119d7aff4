import { useEffect, useId, useRef, useState } from "preact/hooks";
import { sentenceOf } from "../bus/ask.ts";
import { useBoard } from "../bus/board.ts";
import type { State } from "../bus/state.ts";
import { fieldsOf, listOf } from "../bus/values.ts";
import { Toggle } from "../parts/fields.tsx";
import { jsonFault } from "../parts/json.ts";
import { shown } from "../parts/name.tsx";

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
