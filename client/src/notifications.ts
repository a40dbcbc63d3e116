/** The notifications of the signed-in wallet: its list, how many are unread, and where it wants to be told. */
import type {
  EmissionName,
  Emissions,
  Marked,
  NotificationsAnswer,
  NotificationView,
  Preferences,
} from "./catalogue.js";
import type { Realtime } from "./connection.js";
import { Snapshot, type Live, type Source } from "./live.js";
import { Store, type Stop } from "./store.js";

export interface Inbox {
  /** The newest first; what the chain took back stays, as `retracted`. */
  items: NotificationView[];
  unread: number;
}

export interface NotificationsState extends Live<Inbox> {
  /** Null until they are read, and for nobody. */
  preferences: Preferences | null;
}

export type Category = keyof Preferences;
export type Channel = keyof Preferences[Category];

const PAGE = 50;
const KEPT = 200;
const PATH = "/api/notifications";
const NOBODY: NotificationsState = { data: null, isLoading: false, isStale: false, error: null, preferences: null };

/** The list after an emission of the user room. The count is the server's: it knows of other devices. */
export function foldInbox(inbox: Inbox, name: EmissionName, emission: Emissions[EmissionName]): Inbox {
  if (name === "notification:new") {
    const { unread, txHash, blockHeight, blockHash, timestamp, ...item } = (emission as Emissions["notification:new"])
      .data;
    const known = inbox.items.some((it) => it.id === item.id);
    const items = known ? inbox.items.map((it) => (it.id === item.id ? item : it)) : [item, ...inbox.items];
    return { items: items.slice(0, KEPT), unread: Number(unread) };
  }
  if (name === "notification:retracted") {
    const { id, unread } = (emission as Emissions["notification:retracted"]).data;
    const items = inbox.items.map((it) => (it.id === id ? { ...it, status: "retracted" as const } : it));
    return { items, unread: Number(unread) };
  }
  return inbox;
}

function inboxSource(realtime: Realtime, address: string): Source<Inbox> {
  return {
    rooms: [`user:${address}`],
    read: async () => {
      const found = await realtime.asUser<NotificationsAnswer>(`${PATH}?limit=${PAGE}`);
      return found && { asOf: found.asOf, tip: found.tip, data: { items: found.data, unread: found.unread } };
    },
    fold: (known, emission, { name }) => foldInbox(known, name, emission),
  };
}

/** One wallet's notifications while it is signed in; another wallet begins anew, nobody has none. */
export class Notifications extends Store<NotificationsState> {
  #inbox: Snapshot<Inbox> | null = null;
  #end: Stop = () => {};

  constructor(readonly realtime: Realtime) {
    super(NOBODY);
  }

  start(): Stop {
    const ends = [this.realtime.retain(), this.realtime.address.watch(() => this.#begin())];
    this.#begin();
    return () => {
      ends.forEach((end) => end());
      this.#end();
      this.#inbox = null;
    };
  }

  markRead(id: string): Promise<void> {
    return this.#mark(`/${id}/mark-read`, (it) => it.id === id && it.status === "unread", "read");
  }

  markAllRead(): Promise<void> {
    return this.#mark("/mark-all-read", (it) => it.status === "unread", "read");
  }

  archive(id: string): Promise<void> {
    return this.#mark(`/${id}/archive`, (it) => it.id === id && it.status !== "retracted", "archived");
  }

  /** Wants a category on a channel, or not. Toasts of `security` cannot be switched off: an Error says so. */
  async prefer(category: Category, channel: Channel, wanted: boolean): Promise<void> {
    const body = JSON.stringify({ [category]: { [channel]: wanted } });
    const preferences = await this.realtime.asUser<Preferences>(`${PATH}/preferences`, post(body));
    this.set({ ...this.get(), preferences });
  }

  /** Whether a category is wanted on a channel: until the preferences are read, toasts alone. */
  wants(category: Category, channel: Channel): boolean {
    if (category === "security" && channel === "toast") return true;
    return this.get().preferences?.[category][channel] ?? channel === "toast";
  }

  #begin(): void {
    this.#end();
    this.set(NOBODY);
    const address = this.realtime.address.get();
    if (address === null) {
      this.#inbox = null;
      this.#end = () => {};
      return;
    }
    const inbox = new Snapshot(this.realtime, inboxSource(this.realtime, address));
    this.#inbox = inbox;
    const show = (): void => this.set({ ...this.get(), ...inbox.get() });
    const ends = [inbox.watch(show), inbox.start()];
    this.#end = () => ends.forEach((end) => end());
    show();
    void this.realtime.asUser<Preferences>(`${PATH}/preferences`).then(
      (preferences) => this.#inbox === inbox && this.set({ ...this.get(), preferences }),
      () => {}, // the defaults stand; the list says what is wrong
    );
  }

  async #mark(path: string, which: (it: NotificationView) => boolean, status: "read" | "archived"): Promise<void> {
    const inbox = this.#inbox;
    const marked = await this.realtime.asUser<Marked>(PATH + path, post());
    inbox?.change(({ items }) => ({
      items: items.map((it) => (which(it) ? { ...it, status } : it)),
      unread: marked?.unread ?? 0,
    }));
  }
}

function post(body?: string): RequestInit {
  return { method: "POST", ...(body ? { body, headers: { "content-type": "application/json" } } : {}) };
}
