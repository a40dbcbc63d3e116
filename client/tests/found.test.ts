/** What the laws found, each as short as it was found. */
import { test } from "vitest";
import { isCollected, prepared } from "./laws.js";

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
