/** `1 message`, `2 messages`: how many there are of what is named in the plural. */
export function counted(count: number, plural: string): string {
  return `${count} ${count === 1 ? plural.slice(0, -1) : plural}`;
}
