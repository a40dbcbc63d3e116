import { useUserEvents } from "@bitpay/realtime/react";

export default function MyEvents() {
  const { events } = useUserEvents();
  if (events.length === 0) return <p>Nothing for this wallet while you look.</p>;
  return (
    <ol>
      {events.slice(0, 5).map((it) => (
        <li key={`${it.meta.id} ${it.meta.op} ${it.name}`}>
          {it.reverted ? <s>{it.name}</s> : it.name}, as {it.role}
        </li>
      ))}
    </ol>
  );
}
