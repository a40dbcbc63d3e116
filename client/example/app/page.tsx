"use client";

/** Written for the earlier hooks; their calls and fields are the same here. */
import { useMarketplaceEvents, useUserEvents } from "@bitpay/realtime/react";
import type { ReactNode } from "react";

export default function Dashboard(): ReactNode {
  const { events, isConnected } = useUserEvents();
  const { listings, sales } = useMarketplaceEvents();
  return (
    <main>
      <p>{isConnected ? "Live" : "Not connected"}</p>
      <ul>
        {events.slice(0, 5).map((event) => (
          <li key={`${event.meta.id} ${event.name}`}>{event.type}</li>
        ))}
      </ul>
      <ul>
        {listings.map((listing) => (
          <li key={listing.streamId}>
            Stream {listing.streamId}: {listing.price} sats
          </li>
        ))}
      </ul>
      <p>{sales.length} sold</p>
    </main>
  );
}
