import type { ComponentChildren } from "preact";
import type { View } from "../bus/place.ts";

interface PanelProps {
  readonly view: View;
  readonly title: string;
  readonly count?: string | undefined;
  readonly actions?: ComponentChildren;
  readonly children: ComponentChildren;
}

export function Panel({ view, title, count, actions, children }: PanelProps) {
  return (
    <section
      class={`panel ${view}`}
      id={view}
      style={{ "--area": view }}
      aria-labelledby={`${view}-title`}
      tabIndex={-1}
    >
      <header class="panel-head">
        <h2 id={`${view}-title`}>
          {title}
          {count === undefined ? null : <span class="count"> {count}</span>}
        </h2>
        <div class="actions">{actions}</div>
      </header>
      {children}
    </section>
  );
}

export function EmptyNote({ children }: { children: ComponentChildren }) {
  return <p class="nothing">{children}</p>;
}
