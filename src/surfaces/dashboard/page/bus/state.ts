import type { Changes } from "./changes.ts";
import {
  type Channel,
  type Command,
  channelOf,
  commandOf,
  type Fields,
  fieldsOf,
  listOf,
  type Message,
  numberOf,
  type Peer,
  peerOf,
  type Reading,
  readingOf,
  type Signal,
  signalOf,
  textOf,
} from "./records.ts";

/** The state of the bus without message contents: the server's snapshot, updated by each event. */
export interface State {
  readonly peers: ReadonlyMap<string, Peer>;
  readonly commands: ReadonlyMap<string, Command>;
  readonly signals: ReadonlyMap<string, Signal>;
  readonly channels: ReadonlyMap<string, Channel>;
  /** By channel, then by agent. */
  readonly readings: ReadonlyMap<string, ReadonlyMap<string, Reading>>;
  /** Seconds by which the server's clock is ahead of this one. */
  readonly clockOffset: number;
  readonly isLoaded: boolean;
  begin(snapshot: Fields): void;
  addMessage(message: Message): void;
  setChannels(channels: readonly unknown[]): void;
  setPeers(peers: readonly unknown[]): void;
  removePeer(id: string): void;
  setCommand(command: Command): void;
  setSignal(signal: Signal): void;
  removeSignal(name: string): void;
  setReadings(readings: readonly unknown[]): void;
}

/** Beyond this, commands that have ended are dropped. */
const MAX_COMMANDS = 1_000;

export function createState(changes: Changes): State {
  const peers = new Map<string, Peer>();
  const commands = new Map<string, Command>();
  const signals = new Map<string, Signal>();
  const channels = new Map<string, Channel>();
  const readings = new Map<string, Map<string, Reading>>();

  const setPeers = (given: readonly unknown[]): void => {
    for (const peer of given.map(peerOf)) peers.set(peer.id, peer);
    changes.touch("peers");
  };

  const setReadings = (given: readonly unknown[]): void => {
    for (const reading of given.map(readingOf)) {
      const agents = readings.get(reading.channel) ?? new Map<string, Reading>();
      readings.set(reading.channel, agents.set(reading.agent, reading));
    }
    changes.touch("readings");
  };

  const trimCommands = (): void => {
    if (commands.size <= MAX_COMMANDS) return;
    const ended = [...commands.values()].filter(({ endedAt }) => endedAt !== null);
    for (const { id } of ended.slice(0, commands.size - MAX_COMMANDS + 100)) commands.delete(id);
  };

  const state: State & { clockOffset: number; isLoaded: boolean } = {
    peers,
    commands,
    signals,
    channels,
    readings,
    clockOffset: 0,
    isLoaded: false,
    begin(snapshot) {
      for (const map of [peers, commands, signals, channels, readings]) map.clear();
      state.clockOffset = numberOf(snapshot.now) - Date.now() / 1_000;
      state.isLoaded = true;
      setPeers(listOf(snapshot.peers));
      setReadings(listOf(snapshot.readings));
      for (const command of listOf(snapshot.commands).map(commandOf)) commands.set(command.id, command);
      for (const signal of listOf(snapshot.signals).map(signalOf)) signals.set(signal.name, signal);
      for (const channel of listOf(snapshot.channels).map(channelOf)) channels.set(channel.name, channel);
      changes.touch("commands", "signals", "channels");
    },
    addMessage({ channel: name, id, ts }) {
      const count = channels.get(name)?.count ?? 0;
      channels.set(name, { name, count: count + 1, lastAt: ts });
      const agents = readings.get(name);
      for (const reading of agents?.values() ?? []) {
        if (reading.lastId < id) agents?.set(reading.agent, { ...reading, unread: reading.unread + 1 });
      }
      changes.touch("channels", "readings");
    },
    setChannels(given) {
      for (const channel of given.map(channelOf)) {
        if (channel.count > 0) channels.set(channel.name, channel);
        else channels.delete(channel.name);
      }
      changes.touch("channels");
    },
    setPeers,
    removePeer(id) {
      peers.delete(id);
      changes.touch("peers");
    },
    setCommand(command) {
      commands.set(command.id, command);
      trimCommands();
      changes.touch("commands");
    },
    setSignal(signal) {
      signals.delete(signal.name);
      signals.set(signal.name, signal);
      changes.touch("signals");
    },
    removeSignal(name) {
      signals.delete(name);
      changes.touch("signals");
    },
    setReadings,
  };
  return state;
}

export interface BusEvent {
  readonly id: string;
  readonly ts: number;
  readonly type: string;
  readonly data: unknown;
}

export function eventOf(value: unknown): BusEvent {
  const { id, ts, type, data } = fieldsOf(value);
  return { id: textOf(id), ts: numberOf(ts), type: textOf(type), data };
}
