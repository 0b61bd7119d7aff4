declare module "*.sql" {
  const text: string;
  // biome-ignore lint/style/noDefaultExport: this is how a bundler hands over a text file
  export default text;
}
