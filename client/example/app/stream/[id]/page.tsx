"use client";

import { formatSbtc } from "@bitpay/realtime";
import { LiveStreamUpdates, useStream, useStreamEvents } from "@bitpay/realtime/react";
import { useEffect, type ReactNode } from "react";

export default function StreamPage({ params }: { params: { id: string } }): ReactNode {
  const { lastEvent, isConnected } = useStreamEvents(params.id);
  const { data, isLoading } = useStream(params.id);
  useEffect(() => {
    if (lastEvent?.type === "withdrawal") console.info("withdrawn", lastEvent.data);
  }, [lastEvent]);
  if (isLoading) return <p>Loading…</p>;
  if (!data) return <p>There is no such stream.</p>;
  const { vested, withdrawn } = data.stream;
  return (
    <main>
      <LiveStreamUpdates streamId={params.id} />
      <p>{isConnected ? "Live" : "Not connected"}</p>
      <p>{vested === null ? "?" : formatSbtc(vested)} sBTC vested</p>
      <p>{formatSbtc(withdrawn)} sBTC withdrawn</p>
    </main>
  );
}
