/** What is shown for a moment: never too much at once, nothing twice, what is urgent until it is closed. */
import fc from "fast-check";
import { expect, test } from "vitest";
import type { EmissionName, Emissions, NotificationView } from "../src/catalogue.js";
import { foldInbox, type Inbox } from "../src/notifications.js";
import { isPath } from "../src/alerts.js";
import { NO_TOASTS, nextEnd, toastsAfter, type Toasts, type ToastStep } from "../src/toasts.js";

function note(id: string, priority: NotificationView["priority"] = "normal"): NotificationView {
  return {
    id,
    address: "ST1",
    type: "stream_received",
    category: "streams",
    priority,
    status: "unread",
    title: `title ${id}`,
    message: "message",
    data: {},
    actionUrl: "/dashboard/streams/1",
    actionText: "View stream",
    eventId: "e",
    createdAt: "2026-02-02T02:40:00.000Z",
  };
}

const ids = fc.integer({ min: 0, max: 30 }).map(String);
const priorities = fc.constantFrom("low", "normal", "high", "urgent") as fc.Arbitrary<NotificationView["priority"]>;
const steps: fc.Arbitrary<{ step: ToastStep; after: number }[]> = fc.array(
  fc.record({
    after: fc.integer({ min: 0, max: 3_000 }),
    step: fc.oneof(
      { weight: 6, arbitrary: fc.tuple(ids, priorities).map(([id, priority]) => ({ do: "arrive" as const, notification: note(id, priority) })) },
      { weight: 1, arbitrary: ids.map((id) => ({ do: "retract" as const, id, title: `title ${id}` })) },
      { weight: 1, arbitrary: ids.map((id) => ({ do: "close" as const, id })) },
      { weight: 1, arbitrary: fc.constant({ do: "pass" as const }) },
    ),
  }),
  { maxLength: 60 },
);

test("three at most, none twice, urgent until closed, everything else gone in the end", () => {
  fc.assert(
    fc.property(steps, (taken) => {
      let now = 0;
      let toasts: Toasts = NO_TOASTS;
      const urgent = new Set<string>();
      const arrived = new Set<string>();
      for (const { step, after } of taken) {
        now += after;
        toasts = toastsAfter(toasts, step, now);
        if (step.do === "arrive") {
          const { id, priority } = step.notification;
          if (priority === "urgent" && !arrived.has(id)) urgent.add(id);
          arrived.add(id);
        } else if (step.do !== "pass") {
          urgent.delete(step.id);
        }
        const { visible, waiting } = toasts;
        expect(visible.length).toBeLessThanOrEqual(3);
        const all = [...visible, ...waiting].map((it) => it.id);
        expect(new Set(all).size).toBe(all.length);
        expect(waiting.length === 0 || visible.length === 3).toBe(true);
        for (const id of urgent) expect(all).toContain(id);
        for (const it of visible) expect(it.until === null).toBe(it.priority === "urgent");
      }
      for (let end = nextEnd(toasts); end !== null; end = nextEnd(toasts)) {
        toasts = toastsAfter(toasts, { do: "pass" }, end);
      }
      const left = [...toasts.visible, ...toasts.waiting];
      expect(left.filter((it) => it.priority === "urgent").map((it) => it.id).sort()).toEqual([...urgent].sort());
      if (toasts.visible.length < 3) expect(left.every((it) => it.priority === "urgent")).toBe(true);
    }),
    { numRuns: 500 },
  );
});

function after(...taken: [ToastStep, number][]): Toasts {
  return taken.reduce((toasts, [step, at]) => toastsAfter(toasts, step, at), NO_TOASTS);
}

const arrive = (id: string, priority?: NotificationView["priority"]): ToastStep => ({
  do: "arrive",
  notification: note(id, priority),
});

test("a toast goes after five seconds, an urgent one stays", () => {
  const both = after([arrive("1"), 0], [arrive("2", "urgent"), 0]);
  expect(toastsAfter(both, { do: "pass" }, 4_999).visible.map((it) => it.id)).toEqual(["1", "2"]);
  expect(toastsAfter(both, { do: "pass" }, 5_000).visible.map((it) => it.id)).toEqual(["2"]);
  expect(toastsAfter(both, { do: "close", id: "2" }, 9_000).visible).toEqual([]);
});

test("the sixth within two seconds makes them one, which counts on; five do not", () => {
  const five = [1, 2, 3, 4, 5].map((it) => [arrive(`${it}`), it] as [ToastStep, number]);
  expect(after(...five).visible.map((it) => it.kind)).toEqual(["notification", "notification", "notification"]);
  expect(after(...five, [arrive("6"), 1_999]).visible).toMatchObject([{ kind: "summary", count: 6 }]);
  expect(after(...five, [arrive("6"), 1_999], [arrive("7"), 3_000]).visible).toMatchObject([{ count: 7 }]);
  expect(after(...five, [arrive("6"), 2_004]).visible.map((it) => it.kind)).not.toContain("summary");
});

test("a retracted one says so in its place; one that was waiting, or never shown, just goes", () => {
  const four = after([arrive("1"), 0], [arrive("2"), 0], [arrive("3"), 0], [arrive("4"), 0]);
  const gone = toastsAfter(four, { do: "retract", id: "2", title: null }, 10);
  expect(gone.visible).toMatchObject([{ id: "1" }, { id: "2", kind: "retracted", title: "title 2" }, { id: "3" }]);
  expect(toastsAfter(four, { do: "retract", id: "4", title: "title 4" }, 10).waiting).toEqual([]);
  expect(after([{ do: "retract", id: "9", title: null }, 0]).visible).toEqual([]);
});

test("the list has each notification once, with the server's count", () => {
  const meta = {} as Emissions["notification:new"]["meta"];
  const facts = { txHash: "0x", blockHeight: 1, blockHash: "0x", timestamp: 1 };
  const told = (name: EmissionName, data: object): [EmissionName, Emissions[EmissionName]] => [
    name,
    { type: "stream_received", data, meta } as Emissions[EmissionName],
  ];
  let inbox: Inbox = { items: [note("1")], unread: 1 };
  inbox = foldInbox(inbox, ...told("notification:new", { ...note("2"), ...facts, unread: "2" }));
  expect(inbox).toEqual({ items: [note("2"), note("1")], unread: 2 });
  inbox = foldInbox(inbox, ...told("notification:retracted", { ...facts, id: "1", unread: "1" }));
  expect(inbox).toMatchObject({ items: [{ id: "2" }, { id: "1", status: "retracted" }], unread: 1 });
  inbox = foldInbox(inbox, ...told("notification:new", { ...note("1"), ...facts, unread: "2" }));
  expect(inbox).toEqual({ items: [note("2"), note("1")], unread: 2 });
});

test("a click follows paths of the site alone", () => {
  expect(["/a", "//evil.example", "/\\evil.example", "https://evil.example", "javascript:0", "", null].map(isPath)).toEqual([
    true, false, false, false, false, false, false,
  ]);
});
