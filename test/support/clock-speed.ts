/** How much faster a quick clock runs. What the program asks of a NATS server is bounded by that clock too, and takes its time. */
export const clockSpeed = (process.env.IPC_STORE ?? process.env.TEST_STORE) === undefined ? 100 : 10;
