import { useNotifications } from "@bitpay/realtime/react";

export default function Inbox() {
  const { items, unread, markAllRead, isLoading } = useNotifications();
  if (isLoading) return <p>Loading…</p>;
  return (
    <>
      <p>
        {unread} unread of {items.length}{" "}
        <button disabled={unread === 0} onClick={() => void markAllRead()}>
          Mark all as read
        </button>
      </p>
      <ul>
        {items.slice(0, 3).map((it) => (
          <li key={it.id}>{it.status === "retracted" ? <s>{it.title}</s> : it.title}</li>
        ))}
      </ul>
    </>
  );
}
