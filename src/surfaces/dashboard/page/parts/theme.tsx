import { useState } from "preact/hooks";

const THEMES = ["system", "light", "dark"] as const;

type Theme = (typeof THEMES)[number];

const THEME_KEY = "el-ipc.theme";

const chosen = new EventTarget();

/** Calls back when the colours change, on the page or in the system. Returns a function that unsubscribes. */
export function onThemeChange(changed: () => void): () => void {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  dark.addEventListener("change", changed);
  chosen.addEventListener("change", changed);
  return () => {
    dark.removeEventListener("change", changed);
    chosen.removeEventListener("change", changed);
  };
}

export function applyTheme(theme: Theme = storedTheme()): void {
  if (theme === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  chosen.dispatchEvent(new Event("change"));
}

export function ThemeChoice() {
  const [theme, setTheme] = useState(storedTheme);
  return (
    <select
      aria-label="Colours"
      value={theme}
      onChange={({ currentTarget }) => {
        const next = THEMES.find((known) => known === currentTarget.value) ?? "system";
        localStorage.setItem(THEME_KEY, next);
        setTheme(next);
        applyTheme(next);
      }}
    >
      <option value="system">Auto</option>
      <option value="light">Light</option>
      <option value="dark">Dark</option>
    </select>
  );
}

function storedTheme(): Theme {
  return THEMES.find((known) => known === localStorage.getItem(THEME_KEY)) ?? "system";
}
