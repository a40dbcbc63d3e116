/** Every hook and component, live beside its code. The code that is shown is the file that runs. */
import { RealtimeIndicator, RealtimeProvider } from "@bitpay/realtime/react";
import { StrictMode, useEffect, useState, useSyncExternalStore, type ReactNode } from "react";
import { createRoot } from "react-dom/client";
import "@bitpay/realtime/bitpay.css";
import "./page.css";
import "./examples.css";
import { realtime, SignIn } from "./account.js";
import Banner from "./examples/LiveStreamUpdates.js";
import bannerCode from "./examples/LiveStreamUpdates.js" with { type: "text" };
import Bell from "./examples/NotificationCentre.js";
import bellCode from "./examples/NotificationCentre.js" with { type: "text" };
import Indicator from "./examples/RealtimeIndicator.js";
import indicatorCode from "./examples/RealtimeIndicator.js" with { type: "text" };
import Corner from "./examples/Toasts.js";
import cornerCode from "./examples/Toasts.js" with { type: "text" };
import Market from "./examples/UseMarketplace.js";
import marketCode from "./examples/UseMarketplace.js" with { type: "text" };
import MarketEvents from "./examples/UseMarketplaceEvents.js";
import marketEventsCode from "./examples/UseMarketplaceEvents.js" with { type: "text" };
import Inbox from "./examples/UseNotifications.js";
import inboxCode from "./examples/UseNotifications.js" with { type: "text" };
import Connection from "./examples/UseRealtime.js";
import connectionCode from "./examples/UseRealtime.js" with { type: "text" };
import StreamCard from "./examples/UseStream.js";
import streamCode from "./examples/UseStream.js" with { type: "text" };
import StreamEvents from "./examples/UseStreamEvents.js";
import streamEventsCode from "./examples/UseStreamEvents.js" with { type: "text" };
import Treasury from "./examples/UseTreasury.js";
import treasuryCode from "./examples/UseTreasury.js" with { type: "text" };
import TreasuryEvents from "./examples/UseTreasuryEvents.js";
import treasuryEventsCode from "./examples/UseTreasuryEvents.js" with { type: "text" };
import MyEvents from "./examples/UseUserEvents.js";
import myEventsCode from "./examples/UseUserEvents.js" with { type: "text" };

interface Example {
  name: string;
  says: string;
  code: unknown;
  live: (id: string) => ReactNode;
  /** Shows nothing to who is not signed in. */
  isPersonal?: boolean;
  /** What it waits for, where it may show nothing. */
  waits?: string;
}

const GROUPS: { title: string; says: string; examples: Example[] }[] = [
  {
    title: "What is true now",
    says: "A snapshot and every change since, at one cursor. A reorganisation corrects it.",
    examples: [
      { name: "useStream", says: "One stream, its vesting at the chain's tip.", code: streamCode, live: (id) => <StreamCard id={id} /> },
      { name: "useMarketplace", says: "Every open listing, the newest sales, the totals.", code: marketCode, live: () => <Market /> },
      { name: "useTreasury", says: "Balance, admins, proposals and the newest fees.", code: treasuryCode, live: () => <Treasury /> },
      {
        name: "useNotifications",
        says: "What the signed-in wallet was told, and how much of it is unread.",
        code: inboxCode,
        live: () => <Inbox />,
        isPersonal: true,
      },
    ],
  },
  {
    title: "What happens",
    says: "Events as they come while a component is mounted, each once and in order.",
    examples: [
      { name: "useStreamEvents", says: "The last event of a stream, and the stream after it.", code: streamEventsCode, live: (id) => <StreamEvents id={id} /> },
      { name: "useMarketplaceEvents", says: "Listings and sales as they come.", code: marketEventsCode, live: () => <MarketEvents /> },
      { name: "useTreasuryEvents", says: "Fees, proposals and the balance as they change.", code: treasuryEventsCode, live: () => <TreasuryEvents /> },
      {
        name: "useUserEvents",
        says: "Everything that concerns the signed-in wallet; what the chain took back is struck.",
        code: myEventsCode,
        live: () => <MyEvents />,
        isPersonal: true,
      },
      { name: "useRealtime", says: "The connection itself, for names and rooms of your choice.", code: connectionCode, live: () => <Connection /> },
    ],
  },
  {
    title: "Components",
    says: "Ready to place. Their looks are variables of CSS.",
    examples: [
      { name: "RealtimeIndicator", says: "Whether what is shown is current, in words and shape.", code: indicatorCode, live: () => <Indicator /> },
      {
        name: "LiveStreamUpdates",
        says: "A banner for five seconds when something happens to a stream.",
        code: bannerCode,
        live: (id) => <Banner id={id} />,
        waits: "Shows up here when the stream changes.",
      },
      {
        name: "NotificationCentre",
        says: "A bell with the unread ones, their list, and where they are wanted.",
        code: bellCode,
        live: () => <Bell />,
        isPersonal: true,
      },
      {
        name: "Toasts",
        says: "New notifications in a corner, three at most, for five seconds each.",
        code: cornerCode,
        live: () => <Corner />,
        isPersonal: true,
        waits: "Show up in the corner of this page.",
      },
    ],
  },
];

function Page(): ReactNode {
  const [id, setId] = useState("1");
  useEffect(() => {
    const newest = realtime.fetch<{ data: { streamId: string }[] }>("/api/streams?limit=1");
    void newest.then((it) => it?.data[0] && setId(it.data[0].streamId)).catch(() => {}); // stream 1 will do
  }, []);
  return (
    <>
      <header className="top">
        <div>
          <h1>Hooks and components, live</h1>
          <p className="quiet">
            The code is the code that runs beside it. <a href="/">The live page</a>
          </p>
        </div>
        <div className="who">
          <RealtimeIndicator className="status" />
          <label className="pick">
            Stream <input type="number" min={1} value={id} onChange={(event) => setId(event.target.value || "1")} />
          </label>
          <SignIn />
        </div>
      </header>
      <nav aria-label="Hooks and components">
        {GROUPS.flatMap(({ examples }) => examples).map(({ name }) => (
          <a key={name} href={`#${name}`}>
            {name}
          </a>
        ))}
      </nav>
      <main className="examples">
        {GROUPS.map(({ title, says, examples }) => (
          <section key={title} aria-label={title}>
            <h2>{title}</h2>
            <p className="quiet">{says}</p>
            {examples.map((it) => (
              <Shown key={it.name} example={it} id={id} />
            ))}
          </section>
        ))}
      </main>
    </>
  );
}

function Shown({ example, id }: { example: Example; id: string }): ReactNode {
  const address = useSyncExternalStore(realtime.address.watch, realtime.address.get);
  const { name, says, code, live, isPersonal, waits } = example;
  return (
    <article className="example" id={name} aria-label={name}>
      <div className="told">
        <h3>{name}</h3>
        <p className="quiet">{says}</p>
        <div className="live">{live(id)}</div>
        {isPersonal && address === null ? (
          <p className="quiet small">Sign in with a wallet to see yours.</p>
        ) : (
          waits && <p className="quiet small">{waits}</p>
        )}
      </div>
      {/* imported as text: the compiler sees the module behind it */}
      <pre tabIndex={0} role="group" aria-label={`Code of ${name}`}>
        <code>{(code as string).trim()}</code>
      </pre>
    </article>
  );
}

const root = document.getElementById("root")!;
const ready = (): void => {
  if (realtime.status.get() === "live") root.dataset.ready = "";
};
realtime.status.watch(ready);
createRoot(root).render(
  <StrictMode>
    <RealtimeProvider realtime={realtime}>
      <Page />
    </RealtimeProvider>
  </StrictMode>,
);
