import { useStreamEvents } from "@bitpay/realtime/react";

export default function StreamEvents({ id }: { id: string }) {
  const { lastEvent, streamData, isConnected } = useStreamEvents(id);
  if (!isConnected) return <p>Not connected.</p>;
  if (!lastEvent) return <p>Nothing happened to stream {id} while you look.</p>;
  return (
    <p>
      Stream {id}: <b>{lastEvent.type}</b>, now {streamData?.status}
      {lastEvent.replayed && " (told afterwards)"}
    </p>
  );
}
