// @vitest-environment happy-dom
/** The hooks as an application mounts them: strictly, many at once, and on a server. */
import { act, cleanup, render, renderHook } from "@testing-library/react";
import { StrictMode, type ReactNode } from "react";
import { hydrateRoot } from "react-dom/client";
import { renderToString } from "react-dom/server";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import Dashboard from "../example/app/page.js";
import { Realtime, type RealtimeOptions } from "../src/connection.js";
import {
  LiveStreamUpdates,
  NotificationCentre,
  RealtimeIndicator,
  RealtimeProvider,
  Toasts,
  useMarketplace,
  useMarketplaceEvents,
  useRealtime,
  useStream,
  useStreamEvents,
  useTreasury,
  useTreasuryEvents,
  useUserEvents,
} from "../src/react.js";

type Handler = (...args: unknown[]) => void;

/** A socket that answers joins at once and notes what it was asked. */
class Socket {
  static made: Socket[] = [];
  connected = false;
  recovered = false;
  active = true;
  asked: string[] = [];
  handlers = new Map<string, Handler>();
  any: Handler = () => {};
  constructor() {
    Socket.made.push(this);
  }
  on(name: string, handler: Handler): void {
    this.handlers.set(name, handler);
  }
  onAny(handler: Handler): void {
    this.any = handler;
  }
  offAny(): void {}
  removeAllListeners(): void {}
  connect(): void {
    setTimeout(() => {
      this.connected = true;
      this.handlers.get("connect")?.();
    });
  }
  disconnect(): void {
    this.connected = false;
    this.handlers.get("disconnect")?.("io client disconnect");
  }
  timeout(): this {
    return this;
  }
  emit(name: string, ...args: unknown[]): void {
    const answer = args.pop() as Handler;
    const room = typeof args[0] === "string" ? `${name} ${args[0]}` : name;
    this.asked.push(room);
    setTimeout(() => answer(null, { ok: true, room, cursor: "5ef1db07.1-0", replayed: 0, complete: true }));
  }
  says(name: string, room: string, seq: number, data: object, more: object = {}): void {
    const { type = name, ...meta } = more as { type?: string };
    const facts = { txHash: "0x", blockHeight: seq, blockHash: "0x", timestamp: 0 };
    const said = { type, data: { ...facts, ...data }, meta: { offset: `${seq}-0`, id: `e${seq}`, room, op: "apply", ...meta } };
    act(() => this.any(name, said, `5ef1db07.${seq}-0`));
  }
}

let realtime: Realtime;
const wrapper = ({ children }: { children: ReactNode }): ReactNode => (
  <StrictMode>
    <RealtimeProvider realtime={realtime}>{children}</RealtimeProvider>
  </StrictMode>
);
const settle = (ms = 50): Promise<unknown> => act(() => vi.advanceTimersByTimeAsync(ms));

beforeEach(() => {
  vi.useFakeTimers();
  Socket.made = [];
  vi.stubGlobal("fetch", () => Promise.resolve(new Response("{}", { status: 404 })));
  const connect = (() => new Socket()) as unknown as NonNullable<RealtimeOptions["connect"]>;
  realtime = new Realtime({ connect, storage: null });
});

afterEach(() => {
  cleanup();
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

function Everything({ id }: { id: string }): ReactNode {
  useStreamEvents(id);
  useUserEvents();
  useMarketplaceEvents();
  useTreasuryEvents();
  useStream(id);
  useMarketplace();
  useTreasury();
  const { isConnected } = useRealtime();
  return <p>{isConnected ? "connected" : "not connected"}</p>;
}

test("fifty components with every hook share one connection, and all of them say that it is there", async () => {
  const view = render(
    <>
      {Array.from({ length: 50 }, (_, i) => (
        <Everything key={i} id={String(i % 5)} />
      ))}
    </>,
    { wrapper },
  );
  await settle();
  expect(Socket.made.length).toBe(1);
  expect(view.getAllByText("connected").length).toBe(50);
  const { asked } = Socket.made[0]!;
  expect(asked.filter((it) => it.startsWith("leave"))).toEqual([]);
  expect(new Set(asked).size).toBe(asked.length);
  expect(asked.sort()).toEqual([...[0, 1, 2, 3, 4].map((id) => `join-stream-room ${id}`), "join-marketplace", "join-treasury"].sort());
});

test("a room is left with its last user, and no sooner", async () => {
  const one = renderHook(() => useStreamEvents("7"), { wrapper });
  const two = renderHook(() => useStreamEvents("7"), { wrapper });
  const state = renderHook(() => useStream("7"), { wrapper });
  await settle();
  const { asked } = Socket.made[0]!;
  const joins = ["join-stream-room 7", "join-marketplace"];
  one.unmount();
  two.unmount();
  await settle();
  expect(asked).toEqual(joins);
  state.unmount();
  await settle();
  expect(asked).toEqual([...joins, "leave-stream-room 7", "leave-marketplace"]);
});

test("another stream id begins anew, null waits, and other streams are not heard", async () => {
  const { result, rerender } = renderHook(({ id }: { id: string | null }) => useStreamEvents(id), {
    wrapper,
    initialProps: { id: "1" } as { id: string | null },
  });
  await settle();
  const socket = Socket.made[0]!;
  socket.says("stream:updated", "stream:1", 1, { streamId: "1" }, { type: "created" });
  socket.says("stream:updated", "stream:2", 2, { streamId: "2" }, { type: "created" });
  expect(result.current.streamData).toMatchObject({ streamId: "1" });
  expect(result.current.lastEvent).toMatchObject({ name: "stream:updated", type: "created" });
  rerender({ id: null });
  await settle();
  expect(result.current).toMatchObject({ streamData: null, lastEvent: null });
  rerender({ id: "2" });
  await settle();
  expect(result.current.streamData).toBeNull();
  expect(socket.asked).toEqual(["join-stream-room 1", "leave-stream-room 1", "join-stream-room 2"]);
});

test("what a wallet heard is bounded, marked when reverted, and gone with the wallet", async () => {
  const { result } = renderHook(() => useUserEvents(), { wrapper });
  await settle();
  const socket = Socket.made[0]!;
  for (let seq = 1; seq <= 60; seq++) socket.says("stream:withdrawal", "user:A", seq, {});
  expect(result.current.events.length).toBe(50);
  expect(result.current.events[0]!.meta.id).toBe("e60");
  socket.says("chain:reverted", "user:A", 61, { names: [] }, { op: "rollback", id: "e59" });
  expect(result.current.events.filter((it) => it.reverted).map((it) => it.meta.id)).toEqual(["e59"]);
  act(() => realtime.address.set("B"));
  await settle();
  expect(result.current.events).toEqual([]);
});

test("the marketplace ignores what user rooms say of it", async () => {
  const { result } = renderHook(() => useMarketplaceEvents(), { wrapper });
  await settle();
  const socket = Socket.made[0]!;
  socket.says("marketplace:new-listing", "user:A", 1, { streamId: "1", status: "active", price: "5" });
  expect(result.current.listings).toEqual([]);
  socket.says("marketplace:new-listing", "marketplace", 2, { streamId: "1", status: "active", price: "5" });
  expect(result.current.listings).toMatchObject([{ streamId: "1", price: "5" }]);
  socket.says("marketplace:sale", "marketplace", 3, { streamId: "1", saleId: "1" });
  expect(result.current).toMatchObject({ listings: [], sales: [{ saleId: "1" }] });
  socket.says("chain:reverted", "marketplace", 4, { names: [] }, { op: "rollback", id: "e3" });
  expect(result.current.sales).toEqual([]);
});

test("a hundred blocks at once are a few ticks, and the last one counts", async () => {
  const view = { streamId: "1", amount: "1000", startBlock: "0", endBlock: "1000", withdrawn: "0", totalPaid: "0", status: "active" };
  const body = { asOf: "5ef1db07.1-0", tip: { blockHeight: 100 }, data: { stream: view, nfts: null, listing: null, purchase: null } };
  vi.stubGlobal("fetch", () => Promise.resolve(new Response(JSON.stringify(body))));
  let renders = 0;
  const { result } = renderHook(() => (renders++, useStream("1")), { wrapper });
  await vi.waitFor(() => expect(result.current.data?.stream.vested).toBe(100n));
  await settle(1_000);
  renders = 0;
  act(() => realtime.noteTip(101));
  expect(result.current.data?.stream.vested).toBe(101n);
  for (let height = 102; height <= 200; height++) act(() => realtime.noteTip(height));
  await settle(100);
  expect(result.current.data?.stream.vested).toBe(200n);
  expect(renders).toBeLessThanOrEqual(4); // two, and strict mode renders twice
});

test("a banner says for five seconds what happened, can be closed, and hides while nothing can be heard", async () => {
  const view = render(<LiveStreamUpdates streamId="1" />, { wrapper });
  await settle();
  const socket = Socket.made[0]!;
  socket.says("stream:updated", "stream:1", 1, { streamId: "1", withdrawalAmount: "150000000" }, { type: "withdrawal" });
  expect(view.getByText("1.50000000 sBTC was withdrawn.", { exact: false })).toBeTruthy();
  await settle(5_000);
  expect(view.queryByText("withdrawn", { exact: false })).toBeNull();
  socket.says("stream:updated", "stream:1", 2, { streamId: "1" }, { type: "cancelled" });
  act(() => view.getByLabelText("Close").click());
  expect(view.queryByText("cancelled", { exact: false })).toBeNull();
  socket.says("stream:updated", "stream:1", 3, { streamId: "1" }, { type: "cancelled" });
  act(() => {
    socket.connected = false;
    socket.handlers.get("disconnect")!("transport close");
  });
  expect(view.queryByText("cancelled", { exact: false })).toBeNull();
});

test("the indicator speaks in words and shapes", async () => {
  const view = render(<RealtimeIndicator />, { wrapper });
  expect(view.getByRole("status").textContent).toBe("◌ Connecting");
  await settle();
  expect(view.getByRole("status").textContent).toBe("● Live");
  expect(view.getByRole("status").getAttribute("aria-live")).toBe("polite");
  act(() => {
    Socket.made[0]!.connected = false;
    Socket.made[0]!.handlers.get("disconnect")!("transport close");
  });
  expect(view.getByRole("status").textContent).toBe("◌ Reconnecting");
});

test("on a server nothing is opened, and the browser takes the same markup over", async () => {
  const asked = vi.fn(() => Promise.reject(new Error("no network here")));
  vi.stubGlobal("fetch", asked);
  const page = wrapper({
    children: (
      <>
        <Everything id="1" />
        <RealtimeIndicator />
        <LiveStreamUpdates streamId="1" />
        <NotificationCentre />
        <Toasts />
      </>
    ),
  });
  const markup = renderToString(page);
  expect(markup).toContain("Connecting");
  expect([Socket.made.length, asked.mock.calls.length]).toEqual([0, 0]);
  const said = vi.spyOn(console, "error");
  const root = document.createElement("div");
  root.innerHTML = markup;
  const mounted = await act(async () => hydrateRoot(root, page, { onRecoverableError: (error) => said(error) }));
  expect(said.mock.calls).toEqual([]);
  expect(root.textContent).toContain("Connecting");
  act(() => mounted.unmount());
});

test("a page written for the earlier hooks runs as it is", async () => {
  const page = render(<Dashboard />, { wrapper });
  await settle();
  expect(page.container.textContent).toContain("Live");
  const listing = { streamId: "7", seller: "ST1", price: "900", listedAt: "5", status: "active", reason: null };
  Socket.made[0]!.says("marketplace:new-listing", "marketplace", 2, listing, { type: "nft-listed" });
  Socket.made[0]!.says("stream:created", "user:ST1", 3, { streamId: "8" }, { type: "stream-created" });
  expect(page.getByText("Stream 7: 900 sats")).toBeTruthy();
  expect(page.getByText("stream-created")).toBeTruthy();
  expect(page.getByText("0 sold")).toBeTruthy();
});
