/** The laws, for random courses of events. What they found once is in `found.test.ts`. */
import fc from "fast-check";
import { test } from "vitest";
import { DEEDS } from "./chain.js";
import { isCollected, isPassed, isShown, NAMES, prepared, type Step } from "./laws.js";

/** More of them: `LAW_RUNS=20000`. */
const RUNS = Number((globalThis as { process?: { env: Record<string, string> } }).process?.env.LAW_RUNS ?? 300);
const TIMEOUT_MS = 1_800_000;
const ms = (most: number): fc.Arbitrary<number> => fc.integer({ min: 0, max: most });

const deed = fc.record({ do: fc.constantFrom(...DEEDS), id: fc.integer({ min: 1, max: 2 }), by: fc.integer({ min: 1, max: 9 }) });
const reorg = fc.oneof(
  fc.record({ do: fc.constant("revert" as const), by: fc.integer({ min: 1, max: 4 }) }),
  fc.record({ do: fc.constant("restore" as const) }),
);
const network = fc.oneof(
  fc.record({ do: fc.constantFrom("lose" as const, "connect" as const) }),
  fc.record({ do: fc.constant("wait" as const), by: fc.oneof(ms(20), ms(200), ms(1500)) }),
  fc.record({ do: fc.constantFrom("joins" as const, "stores" as const, "wire" as const), by: ms(400) }),
  fc.record({ do: fc.constant("rewinds" as const), by: ms(5) }),
  fc.record({ do: fc.constantFrom("forgetsSessions" as const, "isTwofold" as const), be: fc.boolean() }),
);
const mishap = fc.oneof(
  fc.record({ do: fc.constant("behind" as const), by: ms(4) }),
  fc.record({ do: fc.constant("latency" as const), by: ms(300) }),
  fc.record({ do: fc.constant("forgetsOutbox" as const), be: fc.boolean() }),
);

const weather = fc.tuple(ms(60), ms(60), ms(200), ms(300)).map(([joins, stores, wire, latency]) => [
  { do: "joins" as const, by: joins },
  { do: "stores" as const, by: stores },
  { do: "wire" as const, by: wire },
  { do: "latency" as const, by: latency },
]);

/** How a run begins, and what happens in it. */
function course<B, S>(begins: fc.Arbitrary<B[]>, step: fc.Arbitrary<S>): fc.Arbitrary<(Step | B | S)[]> {
  const steps = fc.array(step, { minLength: 5, maxLength: 50, size: "max" });
  return fc.tuple(fc.oneof(weather, fc.constant([])), begins, steps).map((it) => it.flat());
}

const visit = fc.oneof(
  fc.record({ do: fc.constantFrom("show" as const, "hide" as const), what: fc.constantFrom(...NAMES) }),
  // another part of the page, which wants a room and no snapshot
  fc.record({ do: fc.constantFrom("join" as const, "leave" as const), what: fc.constantFrom("stream:1", "marketplace", "treasury") }),
);

const ROOMS = ["stream:1", "stream:2", "marketplace", "treasury"];
const turn = fc.oneof(
  fc.record({ do: fc.constantFrom("join" as const, "leave" as const), what: fc.constantFrom(...ROOMS) }),
  fc.record({ do: fc.constant("reload" as const), crashes: fc.boolean() }),
);

prepared();

test("what is shown in the end is what the server has, and nothing shown goes back", async () => {
  const begins = fc.subarray(NAMES).map((names) => names.map((what) => ({ do: "show" as const, what })));
  const steps = course(begins, fc.oneof({ weight: 4, arbitrary: deed }, reorg, network, mishap, visit));
  await fc.assert(fc.asyncProperty(steps, isShown), { numRuns: RUNS });
}, TIMEOUT_MS);

test("what hooks collect of events is what the server has of them", async () => {
  const steps = course(fc.constant([]), fc.oneof({ weight: 4, arbitrary: deed }, reorg, network));
  await fc.assert(fc.asyncProperty(steps, isCollected), { numRuns: RUNS });
}, TIMEOUT_MS);

test("the cursor passes nothing that was not heard, over reloads and crashes", async () => {
  const begins = fc.subarray(ROOMS).map((rooms) => rooms.map((what) => ({ do: "join" as const, what })));
  const steps = course(begins, fc.oneof({ weight: 3, arbitrary: deed }, { weight: 2, arbitrary: network }, turn));
  await fc.assert(fc.asyncProperty(steps, isPassed), { numRuns: RUNS });
}, TIMEOUT_MS);
