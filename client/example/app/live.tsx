"use client";

import { configureRealtime, NotificationCentre, RealtimeIndicator, Toasts } from "@bitpay/realtime/react";
import type { ReactNode } from "react";

configureRealtime({
  url: "https://realtime.example.com",
  token: () => fetch("/api/realtime-token").then((it) => (it.ok ? it.text() : null)),
});

export function Live({ children }: { children: ReactNode }): ReactNode {
  return (
    <>
      <header>
        <RealtimeIndicator />
        <NotificationCentre />
      </header>
      {children}
      <Toasts />
    </>
  );
}
