#!/usr/bin/env node
// The program agent-msg: ipc-server.js under another name.
process.argv.splice(2, 0, "agent-msg");
require("./ipc-server.js");
