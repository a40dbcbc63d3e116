/** Turns what the user room hears into toasts, sound and desktop notices. */
import { Alerts } from "./alerts.js";
import type { NotificationView } from "./catalogue.js";
import type { Heard, Realtime } from "./connection.js";
import type { Notifications } from "./notifications.js";
import { Store, type Stop } from "./store.js";
import { NO_TOASTS, nextEnd, toastsAfter, type Toast, type Toasts, type ToastStep } from "./toasts.js";

/** Silent about what was missed and told afterwards, and about what the chain said before: the list has both. */
export class Toaster extends Store<readonly Toast[]> {
  #toasts: Toasts = NO_TOASTS;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #held: number | null = null;

  constructor(
    readonly realtime: Realtime,
    readonly notifications: Notifications,
    readonly alerts: Alerts = new Alerts(),
  ) {
    super([]);
  }

  start(): Stop {
    const { notifications } = this;
    const ends = [
      this.alerts.start(() => Object.values(notifications.get().preferences ?? {}).some((it) => it.sound)),
      notifications.start(),
      this.realtime.subscribe("notification:new", ({ data, meta }, heard) => {
        if (!heard.replayed && !meta.reapplied && meta.op === "apply") this.#tell(data);
      }),
      this.realtime.subscribe("notification:retracted", ({ data }, heard) => this.#retract(data.id, heard)),
      this.realtime.address.watch(() => this.#become(NO_TOASTS)),
    ];
    return () => {
      ends.forEach((end) => end());
      clearTimeout(this.#timer);
      this.#become(NO_TOASTS);
    };
  }

  close(id: string): void {
    this.#step({ do: "close", id });
  }

  /** While somebody points at a toast or has the focus in it, none goes by itself. */
  hold(held: boolean): void {
    if (held) {
      this.#held ??= Date.now();
      clearTimeout(this.#timer);
    } else if (this.#held !== null) {
      const pause = Date.now() - this.#held;
      this.#held = null;
      const later = (it: Toast): Toast => (it.until === null ? it : { ...it, until: it.until + pause });
      this.#become({ ...this.#toasts, visible: this.#toasts.visible.map(later) });
    }
  }

  #tell(notification: NotificationView): void {
    const { notifications, alerts } = this;
    const { category } = notification;
    if (notifications.wants(category, "toast")) this.#step({ do: "arrive", notification });
    if (notifications.wants(category, "sound")) alerts.sound(notification);
    if (notifications.wants(category, "desktop")) void alerts.desktop(notification);
  }

  #retract(id: string, { replayed }: Heard): void {
    const known = this.notifications.get().data?.items.find((it) => it.id === id);
    this.#step({ do: "retract", id, title: replayed ? null : (known?.title ?? null) });
  }

  #step(step: ToastStep): void {
    // what is held does not age: its time stands still where the holding began
    this.#become(toastsAfter(this.#toasts, step, this.#held ?? Date.now()));
  }

  #become(toasts: Toasts): void {
    this.#toasts = toasts;
    clearTimeout(this.#timer);
    const end = nextEnd(toasts);
    if (end !== null && this.#held === null) {
      this.#timer = setTimeout(() => this.#step({ do: "pass" }), Math.max(0, end - Date.now()));
    }
    this.set(toasts.visible);
  }
}
