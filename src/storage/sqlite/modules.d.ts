/** The part of better-sqlite3 that driver.ts uses. The package has no types. */
declare module "better-sqlite3" {
  // biome-ignore lint/style/noDefaultExport: the package's own shape
  export default class Database {
    constructor(path: string, options: { timeout: number; nativeBinding: string });
    prepare(sql: string): import("./driver.ts").Statement;
    exec(sql: string): void;
    close(): void;
  }
}

declare module "*.sql" {
  const text: string;
  // biome-ignore lint/style/noDefaultExport: this is how a bundler hands over a text file
  export default text;
}
