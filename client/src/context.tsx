/** What all hooks stand on: the connection of the tab, and stores that live as long as anyone uses them. */
import { createContext, useContext, useEffect, useState, useSyncExternalStore, type ReactNode } from "react";
import { Realtime, type RealtimeOptions } from "./connection.js";

const Context = createContext<Realtime | null>(null);
let ofThisTab: Realtime | null = null;
let configured: RealtimeOptions = {};

/** Says once, before the first hook mounts, where the server is and where tokens come from. */
export function configureRealtime(options: RealtimeOptions): void {
  configured = options;
}

/** Gives the hooks below it a connection of its own; without one they share the connection of the tab. */
export function RealtimeProvider({ realtime, children }: { realtime: Realtime; children: ReactNode }): ReactNode {
  return <Context.Provider value={realtime}>{children}</Context.Provider>;
}

export function useConnection(): Realtime {
  const given = useContext(Context);
  return given ?? (ofThisTab ??= new Realtime(configured));
}

export interface Shared<T> {
  get: () => T;
  watch: (watcher: () => void) => () => void;
  start: () => () => void;
}

/** The value of a store and the store itself; all who ask for the same key have the same one. */
export function useStore<T, S extends Shared<T>>(key: string, make: (realtime: Realtime) => S): [T, S] {
  const realtime = useConnection();
  const [, again] = useState(0);
  const { store, use } = realtime.share(key, () => make(realtime));
  useEffect(() => {
    const stop = use();
    again((it) => it + 1); // the store in use may be an older one than the one rendered
    return stop;
    // eslint-disable-next-line -- `use` is new at every render and means the same
  }, [realtime, key]);
  return [useSyncExternalStore(store.watch, store.get, store.get), store];
}

export function useShared<T>(key: string, make: (realtime: Realtime) => Shared<T>): T {
  return useStore<T, Shared<T>>(key, make)[0];
}
