// An MCP client as a process of its own, to be killed: it connects one of the ways, joins, says who it is, and waits for
// a command.
import { everyWay, type Place } from "../support/mcp.ts";

const [name = "", place = ""] = process.argv.slice(2);
const way = everyWay.find((one) => one.name === name);
if (way === undefined) throw new Error(`there is no way ${name}`);

const on: Place = JSON.parse(place);
const model = await way.connect(on);
const { transport } = model.client;
const peer = await model.join("doomed");
console.log(JSON.stringify({ peer, server: transport !== undefined && "pid" in transport ? transport.pid : null }));
console.log(await model.call("wait_for_command", { timeout: 300 }));
