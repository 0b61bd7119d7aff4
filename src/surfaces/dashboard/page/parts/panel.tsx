import type { ComponentChildren } from "preact";
import type { View } from "../bus/place.ts";

interface PanelProps {
  readonly view: View;
  readonly title: string;
  /** The number of items, shown beside the title. */
  readonly count?: string | undefined;
  readonly actions?: ComponentChildren;
  readonly children: ComponentChildren;
}

/** A section of the page with a heading. */
export function Panel({ view, title, count, actions, children }: PanelProps) {
  return (
    <section class={`panel ${view}`} id={view} aria-labelledby={`${view}-title`} tabIndex={-1}>
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
