/**
 * The page checks its own hearing: a second connection asks the server for everything that was said in the page's rooms
 * since the last check, and every emission of that which the page never heard is counted as lost.
 */
import { Store, type JoinAnswer, type Stop } from "@bitpay/realtime";
import { io } from "socket.io-client";
import type { Watch } from "./watch.js";

export interface Audit {
  checked: number;
  lost: number;
  at: number | null;
}

const EVERY_MS = 15_000;
const ANSWER_MS = 10_000;
const SETTLE_MS = 1_500;

export class Auditor extends Store<Audit> {
  readonly #since = new Map<string, string>();

  constructor(readonly watched: Watch) {
    super({ checked: 0, lost: 0, at: null });
  }

  start(): Stop {
    let timer = setTimeout(() => void again(), EVERY_MS);
    const again = async (): Promise<void> => {
      if (!document.hidden && this.watched.realtime.isConnected) await this.check().catch(() => {});
      timer = setTimeout(() => void again(), EVERY_MS);
    };
    return () => clearTimeout(timer);
  }

  async check(): Promise<void> {
    const { realtime, rooms, keys } = this.watched;
    const socket = io(realtime.url || undefined!, { transports: ["websocket"], forceNew: true, reconnection: false });
    const told: string[] = [];
    socket.onAny((_: string, said: { meta?: { room: string; offset: string } }) => {
      if (said?.meta && rooms.has(said.meta.room)) told.push(`${said.meta.room} ${said.meta.offset}`);
    });
    try {
      await new Promise<void>((resolve, reject) => {
        socket.once("connect", () => resolve());
        socket.once("connect_error", reject);
      });
      const next = new Map<string, string>();
      for (const [room, joined] of rooms) {
        const since = this.#since.get(room) ?? joined;
        if (!since) continue;
        const [kind, id] = room.split(":");
        const message = id === undefined ? [`join-${kind}`] : ["join-stream-room", id];
        const answer = (await socket.timeout(ANSWER_MS).emitWithAck(message[0]!, ...message.slice(1), { since })) as JoinAnswer;
        if (answer.ok) next.set(room, answer.cursor);
      }
      socket.disconnect(); // what came meanwhile came live to both
      await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
      const { checked, lost } = this.get();
      const missing = told.filter((key) => !keys.has(key));
      for (const [room, cursor] of next) this.#since.set(room, cursor);
      this.set({ checked: checked + told.length, lost: lost + missing.length, at: Date.now() });
    } finally {
      socket.disconnect();
    }
  }
}
