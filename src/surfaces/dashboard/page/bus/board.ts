import { createContext } from "preact";
import { useContext, useLayoutEffect, useState } from "preact/hooks";
import { type Activity, createActivity } from "./activity.ts";
import { type Changes, createChanges, type Topic } from "./changes.ts";
import { type Client, createClient, createLink, type Link, loadHistory } from "./connection.ts";
import { createPlace, type Place } from "./place.ts";
import { commandOf, fieldsOf, listOf, messageOf, signalOf, textOf } from "./records.ts";
import { createSession, type Session, storedCredential } from "./session.ts";
import { type BusEvent, createState, eventOf, type State } from "./state.ts";
import { createThread, type Thread } from "./thread.ts";
import { createTraffic, type Traffic } from "./traffic.ts";

export interface Board {
  readonly client: Client;
  readonly changes: Changes;
  readonly session: Session;
  readonly link: Link;
  readonly place: Place;
  readonly state: State;
  readonly activity: Activity;
  readonly traffic: Traffic;
  readonly thread: Thread;
  start(): void;
}

const CLOCK_MS = 5_000;

export function createBoard(): Board {
  const changes = createChanges();
  const client = createClient(storedCredential);
  const session = createSession(client, changes);
  const place = createPlace(changes);
  const state = createState(changes);
  const activity = createActivity(changes);
  const traffic = createTraffic(client, changes);
  const thread = createThread(client, changes);

  const applySnapshot = ({ id, data }: BusEvent): void => {
    const snapshot = fieldsOf(data);
    state.begin(snapshot);
    traffic.clear();
    for (const command of state.commands.values()) traffic.addCommand(command, command.ts);
    thread.reload();
    void traffic.load();
    if (activity.total === 0) void loadHistory(client, id).then(activity.prepend);
  };

  const onEvent = (value: unknown): void => {
    const event = eventOf(value);
    const { type, data } = event;
    if (type !== "snapshot") activity.add(event);
    if (type === "snapshot") applySnapshot(event);
    else if (type === "message") addMessage(event);
    else if (type === "readings") state.setReadings(listOf(data));
    else if (type === "channels_pruned") state.setChannels(listOf(data));
    else if (type === "peers_seen") state.setPeers(listOf(data));
    else if (type === "peer_left") state.removePeer(textOf(fieldsOf(data).id));
    else if (type === "signal_cleared") state.removeSignal(textOf(fieldsOf(data).name));
    else if (type.startsWith("peer_")) setPeer(event);
    else if (type.startsWith("signal_")) setSignal(event);
    else if (type.startsWith("command_")) setCommand(event);
  };

  /** An event about a removed session, command or signal may lack its fields. */
  const setPeer = ({ data }: BusEvent): void => {
    if (textOf(fieldsOf(data).role) !== "") state.setPeers([data]);
  };

  const setSignal = ({ data }: BusEvent): void => {
    if (fieldsOf(data).ts !== undefined) state.setSignal(signalOf(data));
  };

  const setCommand = ({ data, ts }: BusEvent): void => {
    if (fieldsOf(data).action === undefined) return;
    const command = commandOf(data);
    state.setCommand(command);
    traffic.addCommand(command, ts);
  };

  const addMessage = ({ data }: BusEvent): void => {
    const message = messageOf(data);
    state.addMessage(message);
    traffic.addMessage(message);
    thread.receive(message);
  };

  // The link reports a refusal too.
  const refreshRights = () => void session.refresh().catch(() => {});
  const link = createLink(client, changes, { onConnect: refreshRights, onRefused: session.removeRights, onEvent });

  return {
    client,
    changes,
    session,
    link,
    place,
    state,
    activity,
    traffic,
    thread,
    start() {
      setInterval(() => changes.touch("clock"), CLOCK_MS);
      link.start();
    },
  };
}

export const BoardContext = createContext<Board | undefined>(undefined);

/** Returns the board, and draws the component again when one of these topics changes. */
export function useBoard(...topics: readonly Topic[]): Board {
  const board = useContext(BoardContext);
  if (board === undefined) throw new Error("there is no board around this");
  const [, draw] = useState(0);
  useLayoutEffect(() => board.changes.subscribe(topics, () => draw((times) => times + 1)), [board, topics.join()]);
  return board;
}
