// As much of it as these tests use. It is no dependency: browser.ts says where it comes from.
declare module "playwright-core" {
  export interface Waiting {
    readonly timeout?: number;
    readonly state?: "attached" | "detached" | "visible" | "hidden";
  }

  export interface Named {
    readonly name?: string | RegExp;
    readonly exact?: boolean;
  }

  export interface Finder {
    locator(selector: string, options?: { hasText?: string | RegExp }): Locator;
    getByRole(role: string, options?: Named): Locator;
    getByText(text: string | RegExp, options?: { exact?: boolean }): Locator;
    getByLabel(text: string | RegExp, options?: { exact?: boolean }): Locator;
  }

  export interface Locator extends Finder {
    first(): Locator;
    last(): Locator;
    filter(options: { hasText?: string | RegExp }): Locator;
    waitFor(waiting?: Waiting): Promise<void>;
    click(): Promise<void>;
    fill(text: string): Promise<void>;
    check(): Promise<void>;
    uncheck(): Promise<void>;
    focus(): Promise<void>;
    press(key: string): Promise<void>;
    selectOption(value: string): Promise<unknown>;
    count(): Promise<number>;
    innerText(): Promise<string>;
    inputValue(): Promise<string>;
    isVisible(): Promise<boolean>;
    allInnerTexts(): Promise<string[]>;
    getAttribute(name: string): Promise<string | null>;
  }

  export interface Page extends Finder {
    readonly keyboard: { press(key: string): Promise<void>; type(text: string): Promise<void> };
    goto(url: string): Promise<unknown>;
    evaluate(expression: string): Promise<unknown>;
    on(event: "console", heard: (message: { type(): string; text(): string }) => void): void;
    on(event: "pageerror", heard: (error: Error) => void): void;
    on(event: "request", heard: (request: { url(): string; method(): string }) => void): void;
    on(event: "dialog", heard: (dialog: { message(): string; dismiss(): Promise<void> }) => void): void;
    screenshot(options: { path: string }): Promise<unknown>;
    close(): Promise<void>;
  }

  export interface Context {
    newPage(): Promise<Page>;
    close(): Promise<void>;
    setDefaultTimeout(milliseconds: number): void;
  }

  export interface Browser {
    newContext(options?: {
      viewport?: { width: number; height: number };
      colorScheme?: "light" | "dark";
      hasTouch?: boolean;
      reducedMotion?: "reduce";
    }): Promise<Context>;
    close(): Promise<void>;
  }

  export const chromium: {
    launch(options: { executablePath: string; headless: boolean; args: readonly string[] }): Promise<Browser>;
  };
}
