"use strict";
require("./ipc-library.js").modules["src/messenger-worker.ts"]();
