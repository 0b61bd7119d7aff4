/**
 * Milliseconds that only ever go forward, for measuring a wait. Not `elapsed()`: that makes Node load a module
 * which costs a fresh process more than all the rest of a send.
 */
export function elapsed(): number {
  return process.uptime() * 1_000;
}
