/** What the laws found, each as short as it was found. */
import { test } from "vitest";
import { isCollected, isShown, prepared } from "./laws.js";

prepared();

test("a correction stands when the event that it corrected is taken back once more", () =>
  isCollected([
    { do: "create", id: 1, by: 1 },
    { do: "list", id: 1, by: 1 },
    { do: "buy", id: 1, by: 1 },
    { do: "cancel", id: 1, by: 1 },
    { do: "revert", by: 2 },
    { do: "restore" },
    { do: "revert", by: 3 },
  ]));

test("a snapshot from before the place that its room is heard from is read again", () =>
  isShown([
    { do: "behind", by: 1 },
    { do: "show", what: "treasury" },
    { do: "propose", id: 1, by: 1 },
    { do: "forgetsOutbox", be: true },
    { do: "wait", by: 12 },
  ]));

test("what was said between a snapshot and somebody else's join of its room is not missed", () =>
  isShown([
    { do: "latency", by: 200 },
    { do: "show", what: "treasury" },
    { do: "wait", by: 110 },
    { do: "fee", id: 1, by: 1 },
    { do: "join", what: "treasury" },
    { do: "wait", by: 500 },
  ]));

test("a stream that begins while the server's 404 is on its way is shown", () =>
  isShown([
    { do: "latency", by: 100 },
    { do: "show", what: "stream" },
    { do: "wait", by: 60 },
    { do: "create", id: 1, by: 1 },
    { do: "wait", by: 500 },
  ]));

test("of a value of several requests the oldest says as of when it is", () =>
  isShown([
    { do: "fee", id: 1, by: 1 },
    { do: "show", what: "treasury" },
    { do: "wait", by: 0 },
    { do: "behind", by: 1 },
    { do: "wait", by: 4 },
  ]));

test("a replay that is lost on its way does not come behind what is newer", () =>
  isCollected([
    { do: "forgetsSessions", be: true },
    { do: "lose" },
    { do: "fee", id: 1, by: 1 },
    { do: "wire", by: 100 },
    { do: "connect" },
    { do: "wait", by: 20 },
    { do: "lose" },
    { do: "forgetsSessions", be: false },
    { do: "fee", id: 1, by: 2 },
    { do: "connect" },
  ]));

test("a room is joined again from where it was heard, though the cursor waits for another room", () =>
  isShown([
    { do: "wire", by: 4 },
    { do: "show", what: "treasury" },
    { do: "wait", by: 7 },
    { do: "join", what: "stream:1" },
    { do: "forgetsSessions", be: true },
    { do: "wait", by: 5 },
    { do: "lose" },
    { do: "fee", id: 1, by: 1 },
  ]));

test("a stream that was heard of is not said to be missing by an answer from before", () =>
  isShown([
    { do: "show", what: "stream" },
    { do: "create", id: 1, by: 1 },
    { do: "latency", by: 8 },
    { do: "wait", by: 0 },
    { do: "revert", by: 1 },
    { do: "wait", by: 161 },
    { do: "create", id: 1, by: 1 },
    { do: "withdraw", id: 1, by: 1 },
    { do: "revert", by: 1 },
    { do: "create", id: 1, by: 1 },
  ]));
