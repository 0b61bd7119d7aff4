import { createContext } from "preact";
import { useContext, useLayoutEffect, useState } from "preact/hooks";
import { type Activity, createActivity } from "./activity.ts";
import { type Changes, createChanges, type Topic } from "./changes.ts";
import { type Asker, createAsker, createLink, type Link, recall } from "./connection.ts";
import { createPlace, type Place } from "./place.ts";
import { commandOf, fieldsOf, listOf, messageOf, signalOf, textOf } from "./records.ts";
import { createSession, type Session, storedCredential } from "./session.ts";
import { createState, type State, type Told, toldOf } from "./state.ts";
import { createThread, type Thread } from "./thread.ts";
import { createTraffic, type Traffic } from "./traffic.ts";

/** Everything that the page shows, and whom it asks. */
export interface Board {
  readonly asker: Asker;
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
  const asker = createAsker(storedCredential);
  const session = createSession(asker, changes);
  const place = createPlace(changes);
  const state = createState(changes);
  const activity = createActivity(changes);
  const traffic = createTraffic(asker, changes);
  const thread = createThread(asker, changes);

  const begin = ({ id, data }: Told): void => {
    const snapshot = fieldsOf(data);
    state.begin(snapshot);
    traffic.clear();
    for (const command of state.commands.values()) traffic.addCommand(command, command.ts);
    thread.reload();
    void traffic.load();
    if (activity.total === 0) void recall(asker, id).then(activity.recall);
  };

  const apply = (value: unknown): void => {
    const told = toldOf(value);
    const { type, data } = told;
    if (type !== "snapshot") activity.add(told);
    if (type === "snapshot") begin(told);
    else if (type === "message") addMessage(told);
    else if (type === "readings") state.setReadings(listOf(data));
    else if (type === "channels_pruned") state.setChannels(listOf(data));
    else if (type === "peers_seen") state.setPeers(listOf(data));
    else if (type === "peer_left") state.removePeer(textOf(fieldsOf(data).id));
    else if (type === "signal_cleared") state.removeSignal(textOf(fieldsOf(data).name));
    else if (type.startsWith("peer_")) setPeer(told);
    else if (type.startsWith("signal_")) setSignal(told);
    else if (type.startsWith("command_")) setCommand(told);
  };

  /** A subject that is gone already comes without what it was. */
  const setPeer = ({ data }: Told): void => {
    if (textOf(fieldsOf(data).role) !== "") state.setPeers([data]);
  };

  const setSignal = ({ data }: Told): void => {
    if (fieldsOf(data).ts !== undefined) state.setSignal(signalOf(data));
  };

  const setCommand = ({ data, ts }: Told): void => {
    if (fieldsOf(data).action === undefined) return;
    const command = commandOf(data);
    state.setCommand(command);
    traffic.addCommand(command, ts);
  };

  const addMessage = ({ data }: Told): void => {
    const message = messageOf(data);
    state.addMessage(message);
    traffic.addMessage(message);
    thread.receive(message);
  };

  // A refusal is told by the link too.
  const arrive = () => void session.refresh().catch(() => {});
  const link = createLink(asker, changes, { arrive, refused: session.refused, apply });

  return {
    asker,
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

/** The board; and whoever asks is drawn anew when one of these changes. */
export function useBoard(...topics: readonly Topic[]): Board {
  const board = useContext(BoardContext);
  if (board === undefined) throw new Error("there is no board around this");
  const [, draw] = useState(0);
  useLayoutEffect(() => board.changes.on(topics, () => draw((times) => times + 1)), [board, topics.join()]);
  return board;
}
