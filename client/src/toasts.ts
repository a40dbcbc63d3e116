/**
 * Which notifications are shown for a moment, as a pure machine: at most three at once, a burst as one, what is urgent
 * until it is closed, and what the chain took back replaced by words that say so.
 */
import type { NotificationView } from "./catalogue.js";

export type Priority = NotificationView["priority"];

export interface Toast {
  /** The notification's id, or `summary`. */
  readonly id: string;
  readonly kind: "notification" | "retracted" | "summary";
  readonly title: string;
  readonly message: string;
  readonly priority: Priority;
  readonly actionUrl: string | null;
  readonly actionText: string | null;
  /** How many notifications a summary stands for. */
  readonly count: number;
  /** When it goes by itself, in ms; null: it waits for its turn, or until it is closed. */
  readonly until: number | null;
}

export interface Toasts {
  readonly visible: readonly Toast[];
  readonly waiting: readonly Toast[];
  /** When the last ones came, for the burst; and ids that were shown, so that none is shown twice. */
  readonly arrivals: readonly number[];
  readonly shown: readonly string[];
}

export type ToastStep =
  | { do: "arrive"; notification: NotificationView }
  | { do: "retract"; id: string; title: string | null }
  | { do: "close"; id: string }
  | { do: "pass" };

export const NO_TOASTS: Toasts = { visible: [], waiting: [], arrivals: [], shown: [] };

const VISIBLE = 3;
const SHOWN_MS = 5_000;
const BURST = 5;
const BURST_MS = 2_000;
const REMEMBERED = 500;
const SUMMARY = "summary";

/** The toasts after a step at the time `now`, ms. */
export function toastsAfter(toasts: Toasts, step: ToastStep, now: number): Toasts {
  return filled(stepped(passed(toasts, now), step, now), now);
}

/** When the next one goes by itself; null for never. */
export function nextEnd(toasts: Toasts): number | null {
  const ends = toasts.visible.map((it) => it.until).filter((it) => it !== null);
  return ends.length ? Math.min(...ends) : null;
}

function passed(toasts: Toasts, now: number): Toasts {
  return {
    ...toasts,
    visible: toasts.visible.filter((it) => it.until === null || it.until > now),
    arrivals: toasts.arrivals.filter((it) => it > now - BURST_MS),
  };
}

function stepped(toasts: Toasts, step: ToastStep, now: number): Toasts {
  switch (step.do) {
    case "arrive":
      return arrived(toasts, step.notification, now);
    case "retract":
      return retracted(toasts, step.id, step.title, now);
    case "close":
      return {
        ...toasts,
        visible: toasts.visible.filter((it) => it.id !== step.id),
        waiting: toasts.waiting.filter((it) => it.id !== step.id),
      };
    case "pass":
      return toasts;
  }
}

function arrived(toasts: Toasts, notification: NotificationView, now: number): Toasts {
  const { id, title, message, priority, actionUrl, actionText } = notification;
  if (toasts.shown.includes(id)) return toasts;
  const next = {
    ...toasts,
    arrivals: [...toasts.arrivals, now],
    shown: [...toasts.shown, id].slice(-REMEMBERED),
  };
  const toast: Toast = { id, kind: "notification", title, message, priority, actionUrl, actionText, count: 1, until: null };
  if (priority === "urgent") return { ...next, waiting: [toast, ...next.waiting] };
  const all = [...next.visible, ...next.waiting];
  const summary = all.find((it) => it.id === SUMMARY);
  if (!summary && next.arrivals.length <= BURST) return { ...next, waiting: [...next.waiting, toast] };
  const joins = (it: Toast): boolean => it.kind !== "retracted" && it.priority !== "urgent";
  const count = 1 + all.filter(joins).reduce((sum, it) => sum + it.count, 0);
  const rest = next.visible.filter((it) => !joins(it));
  return {
    ...next,
    visible: rest.length < VISIBLE ? [...rest, summed(count, now)] : rest,
    waiting: [...(rest.length < VISIBLE ? [] : [summed(count, null)]), ...next.waiting.filter((it) => !joins(it))],
  };
}

function summed(count: number, now: number | null): Toast {
  return {
    id: SUMMARY,
    kind: "summary",
    title: `${count} new notifications`,
    message: "They are all in the list.",
    priority: "normal",
    actionUrl: null,
    actionText: null,
    count,
    until: now === null ? null : now + SHOWN_MS,
  };
}

function retracted(toasts: Toasts, id: string, title: string | null, now: number): Toasts {
  const known = [...toasts.visible, ...toasts.waiting].find((it) => it.id === id);
  if (known?.kind === "retracted") return toasts;
  const shown = toasts.visible.find((it) => it === known);
  if (known && !shown) return { ...toasts, waiting: toasts.waiting.filter((it) => it !== known) };
  const told = shown?.title ?? (toasts.shown.includes(id) ? title : null);
  if (told === null) return toasts;
  const toast: Toast = {
    id,
    kind: "retracted",
    title: told,
    message: "Reversed by a chain reorganisation: it did not happen after all.",
    priority: "normal",
    actionUrl: null,
    actionText: null,
    count: 1,
    until: shown ? now + SHOWN_MS : null,
  };
  if (!shown) return { ...toasts, waiting: [...toasts.waiting, toast] };
  return { ...toasts, visible: toasts.visible.map((it) => (it === shown ? toast : it)) };
}

/** Lets in whoever waits: what is urgent first, and in the place of what is not. */
function filled(toasts: Toasts, now: number): Toasts {
  const waiting = [...toasts.waiting];
  const visible = [...toasts.visible];
  while (waiting.length) {
    const urgent = waiting.findIndex((it) => it.priority === "urgent");
    if (visible.length >= VISIBLE) {
      const yields = visible.findIndex((it) => it.priority !== "urgent");
      if (urgent < 0 || yields < 0) break;
      waiting.push({ ...visible[yields]!, until: null }); // its time begins anew when it is back
      visible.splice(yields, 1);
    }
    const [next] = waiting.splice(Math.max(0, urgent), 1);
    visible.push({ ...next!, until: next!.priority === "urgent" ? null : now + SHOWN_MS });
  }
  return { ...toasts, visible, waiting };
}
