/** Notifications in React: the hook, the toasts, and a list behind a bell. */
import { useEffect, useId, useMemo, useRef, useState, type ReactNode } from "react";
import { Alerts, isPath } from "./alerts.js";
import type { NotificationView, Preferences } from "./catalogue.js";
import type { Realtime } from "./connection.js";
import { useConnection, useStore } from "./context.js";
import { Notifications, type Category, type Channel, type NotificationsState } from "./notifications.js";
import { Toaster } from "./toaster.js";
import type { Toast } from "./toasts.js";

const NOTIFICATIONS = "notifications";
const alertsOf = new WeakMap<Realtime, Alerts>();

function alerts(realtime: Realtime): Alerts {
  const known = alertsOf.get(realtime) ?? new Alerts();
  alertsOf.set(realtime, known);
  return known;
}

export interface UseNotifications extends Omit<NotificationsState, "data"> {
  items: NotificationView[];
  unread: number;
  markRead: (id: string) => Promise<void>;
  markAllRead: () => Promise<void>;
  archive: (id: string) => Promise<void>;
  prefer: (category: Category, channel: Channel, wanted: boolean) => Promise<void>;
}

/** The signed-in wallet's notifications, newest first; none for nobody. */
export function useNotifications(): UseNotifications {
  const make = (realtime: Realtime): Notifications => new Notifications(realtime);
  const [state, store] = useStore<NotificationsState, Notifications>(NOTIFICATIONS, make);
  return useMemo(() => {
    const { data, ...rest } = state;
    return {
      ...rest,
      items: data?.items ?? [],
      unread: data?.unread ?? 0,
      markRead: (id) => store.markRead(id),
      markAllRead: () => store.markAllRead(),
      archive: (id) => store.archive(id),
      prefer: (category, channel, wanted) => store.prefer(category, channel, wanted),
    };
  }, [state, store]);
}

type Navigate = (path: string) => void;

/** At most three notifications for a moment each, in a corner. `navigate`: the router's, in place of a page load. */
export function Toasts({ navigate }: { navigate?: Navigate }): ReactNode {
  const realtime = useConnection();
  const [, notifications] = useStore<NotificationsState, Notifications>(
    NOTIFICATIONS,
    (it) => new Notifications(it),
  );
  const [toasts, toaster] = useStore<readonly Toast[], Toaster>(
    "toasts",
    (it) => new Toaster(it, notifications, alerts(it)),
  );
  useEffect(() => {
    if (navigate) alerts(realtime).navigate = navigate;
  }, [realtime, navigate]);
  return (
    <section
      className="bitpay-toasts"
      aria-label="New notifications"
      aria-live="polite"
      onPointerEnter={() => toaster.hold(true)}
      onPointerLeave={() => toaster.hold(false)}
      onFocus={() => toaster.hold(true)}
      onBlur={() => toaster.hold(false)}
    >
      {toasts.map((it) => (
        <div
          key={it.id}
          className="bitpay-toast"
          data-kind={it.kind}
          data-priority={it.priority}
          role={it.priority === "urgent" ? "alert" : undefined}
        >
          <p className="bitpay-toast-title">{it.kind === "retracted" ? <s>{it.title}</s> : it.title}</p>
          <p>{it.message}</p>
          <Action notification={it} navigate={navigate} then={() => toaster.close(it.id)} />
          <button type="button" className="bitpay-close" aria-label={`Close: ${it.title}`} onClick={() => toaster.close(it.id)}>
            ×
          </button>
        </div>
      ))}
    </section>
  );
}

function Action(props: {
  notification: { actionUrl: string | null; actionText: string | null };
  navigate: Navigate | undefined;
  then: () => void;
}): ReactNode {
  const { notification, navigate, then } = props;
  const { actionUrl: path, actionText: text } = notification;
  if (!isPath(path) || !text) return null;
  return (
    <a
      href={path}
      className="bitpay-action"
      onClick={(event) => {
        then();
        if (!navigate || event.metaKey || event.ctrlKey || event.shiftKey) return;
        event.preventDefault();
        navigate(path);
      }}
    >
      {text}
    </a>
  );
}

/** A bell with the number of unread notifications, and behind it their list and where they are wanted. */
export function NotificationCentre({ navigate }: { navigate?: Navigate }): ReactNode {
  const { items, unread, markRead, markAllRead, archive, preferences, prefer, error } = useNotifications();
  const realtime = useConnection();
  const [open, setOpen] = useState(false);
  const bell = useRef<HTMLButtonElement>(null);
  const panel = useId();
  const shown = items.filter((it) => it.status !== "archived");
  const label = unread === 0 ? "Notifications" : `Notifications, ${unread} unread`;
  return (
    <div
      className="bitpay-notifications"
      onKeyDown={(event) => {
        if (event.key !== "Escape" || !open) return;
        setOpen(false);
        bell.current?.focus();
      }}
    >
      <button
        type="button"
        ref={bell}
        className="bitpay-bell"
        aria-expanded={open}
        aria-controls={panel}
        aria-label={label}
        onClick={() => setOpen(!open)}
      >
        <svg viewBox="0 0 24 24" width="20" height="20" aria-hidden="true">
          <path
            d="M12 3a6 6 0 0 0-6 6v4l-2 4h16l-2-4V9a6 6 0 0 0-6-6Zm-2.5 16a2.5 2.5 0 0 0 5 0"
            fill="none"
            stroke="currentColor"
            strokeWidth="1.6"
            strokeLinejoin="round"
          />
        </svg>
        {unread > 0 && <span className="bitpay-badge">{unread > 99 ? "99+" : unread}</span>}
      </button>
      <section id={panel} className="bitpay-panel" aria-label="Notifications" hidden={!open}>
        <header>
          <h2>Notifications</h2>
          <button type="button" disabled={unread === 0} onClick={() => void markAllRead().catch(() => {})}>
            Mark all as read
          </button>
        </header>
        {error && <p role="alert">The list could not be read. Trying again…</p>}
        {shown.length === 0 && !error && <p className="bitpay-none">Nothing yet.</p>}
        <ul>
          {shown.map((it) => (
            <li key={it.id} data-status={it.status} data-priority={it.priority}>
              <p className="bitpay-toast-title">{it.status === "retracted" ? <s>{it.title}</s> : it.title}</p>
              <p>{it.status === "retracted" ? "Reversed by a chain reorganisation." : it.message}</p>
              <p className="bitpay-actions">
                <time dateTime={it.createdAt}>{it.createdAt.slice(0, 16).replace("T", " ")}</time>
                {it.status !== "retracted" && (
                  <Action notification={it} navigate={navigate} then={() => void markRead(it.id).catch(() => {})} />
                )}
                {it.status === "unread" && (
                  <button type="button" onClick={() => void markRead(it.id).catch(() => {})}>
                    Mark as read
                  </button>
                )}
                {it.status !== "retracted" && (
                  <button type="button" onClick={() => void archive(it.id).catch(() => {})}>
                    Archive
                  </button>
                )}
              </p>
            </li>
          ))}
        </ul>
        {preferences && <Wanted preferences={preferences} prefer={prefer} alerts={alerts(realtime)} />}
      </section>
    </div>
  );
}

const CHANNELS: readonly Channel[] = ["toast", "sound", "desktop"];

function Wanted(props: {
  preferences: Preferences;
  prefer: UseNotifications["prefer"];
  alerts: Alerts;
}): ReactNode {
  const { preferences, prefer, alerts } = props;
  const [problem, setProblem] = useState<string | null>(null);
  const change = async (category: Category, channel: Channel, wanted: boolean): Promise<void> => {
    setProblem(null);
    try {
      if (wanted && channel === "sound") alerts.unlockSound();
      if (wanted && channel === "desktop" && !(await alerts.askDesktop())) {
        return setProblem("The browser does not allow desktop notices from this site.");
      }
      await prefer(category, channel, wanted);
    } catch {
      setProblem("This could not be saved. Try again.");
    }
  };
  return (
    <details>
      <summary>Where to tell you</summary>
      <table>
        <thead>
          <tr>
            <th scope="col">About</th>
            {CHANNELS.map((it) => (
              <th scope="col" key={it}>
                {it}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {(Object.keys(preferences) as Category[]).map((category) => (
            <tr key={category}>
              <th scope="row">{category}</th>
              {CHANNELS.map((channel) => (
                <td key={channel}>
                  <input
                    type="checkbox"
                    aria-label={`${channel} for ${category}`}
                    checked={preferences[category][channel]}
                    disabled={category === "security" && channel === "toast"}
                    onChange={(event) => void change(category, channel, event.target.checked)}
                  />
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
      {problem && <p role="alert">{problem}</p>}
    </details>
  );
}
