/** React hooks and components over one shared connection a tab. */
import { useCallback, useEffect, useMemo, useState, useSyncExternalStore, type ReactNode } from "react";
import type { Emissions, ListingView, SaleTold, StreamView } from "./catalogue.js";
import type { Realtime, Status } from "./connection.js";
import { useConnection, useShared } from "./context.js";
import {
  EMPTY_MARKET,
  EMPTY_TREASURY,
  foldMarket,
  foldTreasury,
  foldUserEvents,
  keptEvent,
  type KeptEvent,
  type KnownProposal,
} from "./folds.js";
import { Folded, Snapshot, type Live, type Source } from "./live.js";
import { marketplaceSource, streamSource, treasurySource, type LiveMarketplace, type LiveStream, type LiveTreasury } from "./sources.js";
import { formatSbtc, streamAt, whole, type Stream } from "./vesting.js";

export { configureRealtime, RealtimeProvider } from "./context.js";
export { NotificationCentre, Toasts, useNotifications, type UseNotifications } from "./notices.js";

export interface UseRealtime {
  isConnected: boolean;
  status: Status;
  subscribe: Realtime["subscribe"];
  joinStream: (id: string | number) => void;
  leaveStream: (id: string | number) => void;
  joinMarketplace: () => void;
  leaveMarketplace: () => void;
  joinTreasury: () => void;
  leaveTreasury: () => void;
  joinAccessControl: () => void;
  leaveAccessControl: () => void;
  cursor: string | null;
  socket: Realtime["socket"];
}

/** The connection itself. */
export function useRealtime(): UseRealtime {
  const realtime = useConnection();
  const status = useStatus(realtime);
  return useMemo(() => {
    const join = (room: string) => () => void realtime.join(room);
    const leave = (room: string) => () => realtime.leave(room);
    return {
      isConnected: realtime.isConnected,
      status,
      subscribe: realtime.subscribe.bind(realtime) as Realtime["subscribe"],
      joinStream: (id) => void realtime.join(`stream:${id}`),
      leaveStream: (id) => realtime.leave(`stream:${id}`),
      joinMarketplace: join("marketplace"),
      leaveMarketplace: leave("marketplace"),
      joinTreasury: join("treasury"),
      leaveTreasury: leave("treasury"),
      joinAccessControl: join("access-control"),
      leaveAccessControl: leave("access-control"),
      get cursor() {
        return realtime.cursor;
      },
      get socket() {
        return realtime.socket;
      },
    };
  }, [realtime, status]);
}

function useStatus(realtime: Realtime): Status {
  useEffect(() => realtime.retain(), [realtime]);
  return useSyncExternalStore(realtime.status.watch, realtime.status.get, () => "connecting" as const);
}

function useIsConnected(): boolean {
  const realtime = useConnection();
  useStatus(realtime);
  return realtime.isConnected;
}

export interface StreamEvents {
  streamData: StreamView | null;
  lastEvent: (KeptEvent & { replayed: boolean }) | null;
}

const NO_STREAM: StreamEvents = { streamData: null, lastEvent: null };

/** A stream as its events tell it, while mounted; null waits. For its state from the start: `useStream`. */
export function useStreamEvents(streamId: string | number | null): StreamEvents & { isConnected: boolean } {
  const id = streamId === null ? null : String(streamId);
  const isConnected = useIsConnected();
  const events = useShared<StreamEvents>(`stream-events:${id}`, (realtime) =>
    id === null
      ? new Folded(realtime, () => false, NO_STREAM, (it) => it)
      : new Folded(realtime, `stream:${id}`, NO_STREAM, (known, emission, { name, replayed }) =>
          name === "stream:updated"
            ? {
                streamData: emission.data as StreamView,
                lastEvent: { ...keptEvent(name, emission), replayed },
              }
            : known,
        ),
  );
  return { ...events, isConnected };
}

/** What concerns the signed-in wallet, newest first, at most 50; what the chain took back is marked `reverted`. */
export function useUserEvents(): { events: KeptEvent[]; isConnected: boolean } {
  const isConnected = useIsConnected();
  const { address } = useConnection();
  const mine = useSyncExternalStore(address.watch, address.get, () => null);
  const events = useShared<KeptEvent[]>("user-events", (realtime) =>
    // the first of them may be what names the wallet: with a cookie nothing else does
    new Folded<KeptEvent[]>(realtime, (room) => room.startsWith("user:"), NONE, (known, emission, { name }) =>
      name.startsWith("notification:") ? known : foldUserEvents(known, name, emission),
    ),
  );
  return { events: events[0]?.meta.room === `user:${mine}` ? events : NONE, isConnected };
}

const NONE: KeptEvent[] = [];

/** Listings and sales as they come. For all that are open: `useMarketplace`. */
export function useMarketplaceEvents(): { listings: ListingView[]; sales: SaleTold[]; isConnected: boolean } {
  const isConnected = useIsConnected();
  const { listings, sales } = useShared("marketplace-events", (realtime) =>
    new Folded(realtime, "marketplace", EMPTY_MARKET, (known, emission, { name }) => foldMarket(known, name, emission)),
  );
  return { listings, sales, isConnected };
}

export interface TreasuryEvents {
  proposals: KnownProposal[];
  admins: { address: string; isActive: boolean }[];
  feeCollections: Emissions["treasury:fee-collected"]["data"][];
  balanceUpdate: Emissions["treasury:balance-updated"]["data"] | null;
  isConnected: boolean;
}

/** What happens in the treasury as it comes. For its whole state: `useTreasury`. */
export function useTreasuryEvents(): TreasuryEvents {
  const isConnected = useIsConnected();
  const { feeIds, ...known } = useShared("treasury-events", (realtime) =>
    new Folded(realtime, "treasury", EMPTY_TREASURY, (it, emission, { name }) => foldTreasury(it, name, emission)),
  );
  return { ...known, isConnected };
}

const TICK_MS = 100;

/** The chain's tip. While hundreds of blocks are told at once, whoever shows a stream ticks ten times a second. */
function useTip(): number {
  const realtime = useConnection();
  const { tip } = realtime;
  useEffect(() => realtime.watchTip(), [realtime]);
  const watch = useCallback(
    (tick: () => void) => {
      let timer: ReturnType<typeof setTimeout> | undefined;
      return tip.watch(() => {
        if (timer) return;
        tick();
        timer = setTimeout(() => {
          timer = undefined;
          tick(); // to nobody, if it is unmounted by now
        }, TICK_MS);
      });
    },
    [tip],
  );
  return useSyncExternalStore(watch, tip.get, tip.get);
}

function useSnapshot<T>(key: string, source: (realtime: Realtime) => Source<T>): Live<T> {
  return useShared<Live<T>>(key, (realtime) => new Snapshot(realtime, source(realtime)));
}

/** A stream: snapshot and everything since, with vested amounts at the chain's tip. `data` null: there is none. */
export function useStream(
  streamId: string | number,
): Live<Omit<LiveStream, "stream"> & { stream: Stream }> & { tip: number } {
  const id = String(streamId);
  const tip = useTip();
  const live = useSnapshot(`stream:${id}`, (realtime) => streamSource(realtime, id));
  return useMemo(() => {
    const { data } = live;
    return { ...live, tip, data: data && { ...data, stream: streamAt(data.stream, tip) } };
  }, [live, tip]);
}

/** The marketplace: every open listing, the newest sales, the totals; prices in sats as `bigint`. */
export function useMarketplace(): Live<
  Omit<LiveMarketplace, "listings"> & { listings: (Omit<LiveMarketplace["listings"][number], "price"> & { price: bigint | null })[] }
> {
  const live = useSnapshot("marketplace", marketplaceSource);
  return useMemo(() => {
    const { data } = live;
    return { ...live, data: data && { ...data, listings: data.listings.map((it) => ({ ...it, price: whole(it.price) })) } };
  }, [live]);
}

/** The treasury: balance in sats as `bigint`, admins, proposals, the newest fees. */
export function useTreasury(): Live<LiveTreasury & { balance: bigint }> {
  const live = useSnapshot("treasury", treasurySource);
  return useMemo(() => {
    const { data } = live;
    return { ...live, data: data && { ...data, balance: BigInt(data.treasury.balance) } };
  }, [live]);
}

const WORDS: Record<Status, string> = {
  live: "Live",
  connecting: "Connecting",
  reconnecting: "Reconnecting",
  offline: "Offline",
  "auth-expired": "Live, signed out",
};

/** Whether what is shown is current, in words; the sign beside them differs in shape, not in colour alone. */
export function RealtimeIndicator({ className }: { className?: string }): ReactNode {
  const status = useStatus(useConnection());
  const sign = status === "live" || status === "auth-expired" ? "●" : status === "offline" ? "✕" : "◌";
  return (
    <span className={className ?? "bitpay-indicator"} data-status={status} role="status" aria-live="polite">
      <span aria-hidden="true">{sign}</span> {WORDS[status]}
    </span>
  );
}

const BANNER_MS = 5_000;

/** Says for 5 s what just happened to a stream; silent about what was missed and told afterwards. */
export function LiveStreamUpdates({ streamId }: { streamId: string | number }): ReactNode {
  const { lastEvent, isConnected } = useStreamEvents(streamId);
  const [closed, setClosed] = useState<KeptEvent | null>(null);
  const shown = lastEvent && !lastEvent.replayed && lastEvent !== closed ? lastEvent : null;
  useEffect(() => {
    if (!shown) return;
    const timer = setTimeout(() => setClosed(shown), BANNER_MS);
    return () => clearTimeout(timer);
  }, [shown]);
  const text = shown && isConnected ? words(shown) : null;
  return (
    <div role="status" aria-live="polite">
      {text && (
        <p className="bitpay-banner" data-type={shown?.type}>
          {text}{" "}
          <button type="button" onClick={() => setClosed(shown)} aria-label="Close">
            ×
          </button>
        </p>
      )}
    </div>
  );
}

function words({ type, data }: KeptEvent): string | null {
  const { withdrawalAmount } = data as { withdrawalAmount?: string };
  switch (type) {
    case "created":
      return "The stream was created.";
    case "withdrawal":
      return `${withdrawalAmount ? `${formatSbtc(BigInt(withdrawalAmount))} sBTC` : "An amount"} was withdrawn.`;
    case "cancelled":
      return "The stream was cancelled.";
    case "sender-updated":
      return "The stream has another payer.";
    case "reverted":
      return "The chain was reorganised; this is what holds.";
    default:
      return null;
  }
}

