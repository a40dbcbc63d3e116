/** The live page: the client package, as any application uses it, and what the node tells of itself. */
import { formatSbtc } from "@bitpay/realtime";
import {
  NotificationCentre,
  RealtimeIndicator,
  RealtimeProvider,
  Toasts,
  useMarketplace,
  useRealtime,
  useStream,
  useTreasury,
} from "@bitpay/realtime/react";
import { memo, StrictMode, useEffect, useMemo, useRef, useState, useSyncExternalStore, type ReactNode } from "react";
import { createRoot } from "react-dom/client";
import "@bitpay/realtime/bitpay.css";
import "./page.css";
import { realtime, SignIn } from "./account.js";
import { Auditor } from "./audit.js";
import { Control } from "./control.js";
import { StatusBoard, type Trip } from "./status.js";
import { untilShown, Watch, type BlockSeen, type Row } from "./watch.js";
import { party, sbtc } from "./words.js";

const watched = new Watch(realtime);
const auditor = new Auditor(watched);
const board = new StatusBoard(watched);

function use<T>(store: { watch: (watcher: () => void) => () => void; get: () => T }): T {
  return useSyncExternalStore(store.watch, store.get);
}

function Page(): ReactNode {
  const { control } = use(board);
  return (
    <>
      <header className="top">
        <div>
          <h1>BitPay Realtime</h1>
          <p className="quiet">sBTC payment streams on Stacks, as their blocks arrive</p>
        </div>
        <div className="who">
          <RealtimeIndicator className="status" />
          <SignIn>
            <NotificationCentre navigate={() => {}} />
          </SignIn>
        </div>
      </header>
      <main>
        <Figures />
        <Blocks />
        {control && <Control url={control} />}
        <Feed />
        <Streams />
        <Market />
        <TreasuryBoard />
        <Latency />
        <Nodes />
      </main>
      <footer>
        <h2>How an event gets here</h2>
        <ol className="flow">
          <li>
            <b>Webhook</b> Chainhook posts each block
          </li>
          <li>
            <b>Postgres</b> one transaction records and numbers it
          </li>
          <li>
            <b>Redis Stream</b> carries it to every node
          </li>
          <li>
            <b>Socket.IO</b> speaks it into rooms
          </li>
          <li>
            <b>This page</b> shows it, each event once
          </li>
        </ol>
        <p className="quiet more">
          <a href="/examples">Hooks and components of the client package, live beside their code</a>
        </p>
      </footer>
      <Toasts navigate={() => {}} />
    </>
  );
}

function Figures(): ReactNode {
  const { heard, duplicated, retracted } = use(watched);
  const { checked, lost, at } = use(auditor);
  const tip = useCalm(use(realtime.tip));
  return (
    <dl className="figures" aria-label="What this page heard">
      <Figure name="Latest block" value={tip || "–"} id="tip" />
      <Figure name="Emissions heard" value={heard} id="heard" />
      <Figure name="Retracted" value={retracted} id="retracted" />
      <Figure name="Lost" value={at === null ? "–" : lost} id="lost" bad={lost > 0} />
      <Figure name="Duplicated" value={duplicated} id="duplicated" bad={duplicated > 0} />
      <div className="checked">
        <dt>Checked against the server</dt>
        <dd id="checked">{at === null ? "in a moment" : `${checked} emissions`}</dd>
      </div>
    </dl>
  );
}

function Figure({ name, value, id, bad }: { name: string; value: ReactNode; id: string; bad?: boolean }): ReactNode {
  return (
    <div data-bad={bad || undefined}>
      <dt>{name}</dt>
      <dd id={id}>{value}</dd>
    </div>
  );
}

/** A value as often as eyes can follow: whatever changes sixty times a second is laid out and painted as often. */
function useCalm<T>(value: T): T {
  const [shown, setShown] = useState(value);
  const latest = useRef(value);
  const shownAt = useRef(0);
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  useEffect(() => {
    latest.current = value;
    timer.current ??= setTimeout(() => {
      timer.current = undefined;
      shownAt.current = Date.now();
      setShown(latest.current);
    }, untilShown(shownAt.current));
  }, [value]);
  useEffect(
    () => () => {
      clearTimeout(timer.current);
      timer.current = undefined;
    },
    [],
  );
  return shown;
}

function Panel(props: { title: string; note?: ReactNode; className?: string; scroll?: boolean; children: ReactNode }): ReactNode {
  const { title, note, className = "", scroll = false, children } = props;
  return (
    <section className={`panel ${className}`} aria-label={title}>
      <div className="head">
        <h2>{title}</h2>
        <p className="quiet">{note}</p>
      </div>
      {scroll ? (
        <div className="scroll" tabIndex={0} role="group" aria-label={`${title}, list`}>
          {children}
        </div>
      ) : (
        <div className="sheet">{children}</div>
      )}
    </section>
  );
}

const COLUMNS = 14;

function Blocks(): ReactNode {
  const { blocks } = use(watched);
  const columns = useMemo(() => {
    const byHeight = new Map<number, BlockSeen[]>();
    for (const it of blocks) byHeight.set(it.height, [...(byHeight.get(it.height) ?? []), it]);
    return [...byHeight].slice(-COLUMNS);
  }, [blocks]);
  const list = useRef<HTMLOListElement>(null);
  const highest = columns.at(-1)?.[0];
  useEffect(() => {
    if (list.current) list.current.scrollLeft = list.current.scrollWidth; // this lays out: only when there is another block
  }, [highest]);
  const note = "what the chain took back is struck through below what replaced it";
  return (
    <Panel title="Blocks" note={note} className="wide">
      {columns.length === 0 ? (
        <p className="empty">Waiting for the first block…</p>
      ) : (
        <ol className="blocks" ref={list} tabIndex={0} aria-label="Blocks by height">
          {columns.map(([height, its]) => (
            <li key={height}>
              <span className="height">{height}</span>
              {[...its]
                .sort((a, b) => Number(a.isOff) - Number(b.isOff))
                .map((it) => (
                  <span key={it.hash} className="block" data-new={it.isGreeted || undefined} data-off={it.isOff || undefined} title={it.hash}>
                    {it.isOff ? <s>{it.hash.slice(2, 8)}</s> : it.hash.slice(2, 8)}
                    <small>{it.isOff ? "retracted" : `${it.events} said`}</small>
                  </span>
                ))}
            </li>
          ))}
        </ol>
      )}
    </Panel>
  );
}

function Feed(): ReactNode {
  const { rows } = use(watched);
  const { status } = useRealtime();
  const [frozen, setFrozen] = useState<readonly Row[] | null>(null);
  const shown = frozen ?? rows;
  const newer = frozen ? rows.filter((it) => it.seq > (frozen[0]?.seq ?? 0)).length : 0;
  const empty = status === "live" ? "Waiting for the first block…" : "Not connected. What happens meanwhile is told afterwards.";
  return (
    <Panel
      title="Events"
      scroll
      note={
        <button type="button" id="pause" onClick={() => setFrozen(frozen ? null : rows)}>
          {frozen ? (newer ? `Resume, ${newer} new` : "Resume") : "Pause"}
        </button>
      }
    >
      {shown.length === 0 && <p className="empty">{empty}</p>}
      <ol id="events">
        {shown.slice(0, 60).map((it) => (
          <FeedRow key={it.seq} row={it} names={it.names.join(" ")} />
        ))}
      </ol>
    </Panel>
  );
}

const same = (a: { row: Row; names: string }, b: { row: Row; names: string }): boolean =>
  a.row.seq === b.row.seq && a.names === b.names && a.row.retracted === b.row.retracted && a.row.words === b.row.words;

const FeedRow = memo(function FeedRow({ row }: { row: Row; names: string }): ReactNode {
  const { words, corrected, names, op, retracted, reapplied, missed, seq, block } = row;
  return (
    <li data-new={row.isGreeted || undefined} data-seq={seq} data-op={op} data-names={names.join(" ")} data-retracted={retracted || undefined}>
      {words !== corrected && <p className="sentence">{retracted ? <s>{words}</s> : words}</p>}
      {corrected && <p className="corrected">{corrected}</p>}
      <p className="facts">
        {op === "rollback" && <span className="tag strong">Reorg</span>}
        {op === "broadcast" && <span className="tag">Announcement</span>}
        {retracted && <span className="tag">Retracted</span>}
        {reapplied && <span className="tag">Mined again</span>}
        {missed && <span className="tag">Told afterwards</span>}
        <span className="name">{[...new Set(names)].join(" · ")}</span>
        <span>seq {seq}</span>
        {block !== null && <span>block {block}</span>}
      </p>
    </li>
  );
}, same);

function Streams(): ReactNode {
  const ids = use(watched.streams);
  return (
    <Panel title="Streams" note={`the ${ids.length || ""} newest, ticking with the chain`} scroll>
      {ids.length === 0 && <p className="empty">No streams yet. The first one shows up here when its block arrives.</p>}
      <ul id="streams">
        {ids.map((id) => (
          <StreamRow key={id} id={id} />
        ))}
      </ul>
    </Panel>
  );
}

const StreamRow = memo(function StreamRow({ id }: { id: number }): ReactNode {
  const { data, tip, isLoading } = useCalm(useStream(id));
  const corrected = useChanged(data?.stream.status === undefined ? null : `${data.stream.withdrawn} ${data.stream.status}`);
  if (!data) return <li className="quiet" data-stream-id={id}>{isLoading ? `Stream ${id}…` : `Stream ${id} is not on the chain.`}</li>;
  const { stream, nfts, listing } = data;
  const { amount, vested, withdrawn, withdrawable, status, phase, startBlock, endBlock } = stream;
  const share = (part: bigint | null): number => (amount && part ? Number((part * 10_000n) / amount) / 100 : 0);
  const done = status === "cancelled" || status === "completed";
  return (
    <li data-stream-id={id} data-status={status} data-changed={corrected || undefined}>
      <div className="line">
        <h3>Stream {id}</h3>
        <span className="tag">{status === "active" && phase === "scheduled" ? "scheduled" : status}</span>
      </div>
      <div className="line">
        <span className="amount">
          <b>{formatSbtc(withdrawn)}</b> of {amount === null ? "?" : formatSbtc(amount)} sBTC withdrawn
        </span>
        <span className="quiet">{share(vested).toFixed(2)} % vested</span>
      </div>
      <div
        className="bar"
        role="progressbar"
        aria-label={`Vested of stream ${id}`}
        aria-valuemin={0}
        aria-valuemax={100}
        aria-valuenow={Math.round(share(vested))}
      >
        <i className="vested" style={{ transform: `scaleX(${share(vested) / 100})` }} />
        <i className="withdrawn" style={{ transform: `scaleX(${share(withdrawn) / 100})` }} />
      </div>
      <p className="quiet small">
        {party(stream.sender)} → {party(stream.recipient)}
        {!done && withdrawable !== null && <> · {formatSbtc(withdrawable)} to withdraw</>}
        {!done && endBlock !== null && startBlock !== null && (
          <> · {BigInt(tip) < startBlock ? `begins at ${startBlock}` : BigInt(tip) < endBlock ? `${endBlock - BigInt(tip)} blocks left` : "all vested"}</>
        )}
        {listing && listing.status === "active" && <> · for sale at {sbtc(listing.price)}</>}
        {nfts?.obligation && nfts.obligation.owner !== stream.sender && nfts.obligation.status !== "burned" && (
          <> · obligation held by {party(nfts.obligation.owner)}</>
        )}
      </p>
    </li>
  );
});

/** True for a moment after a value has become another one. */
function useChanged(value: string | null): boolean {
  const before = useRef(value);
  const [changed, setChanged] = useState(false);
  useEffect(() => {
    if (before.current === value) return;
    const isNews = before.current !== null;
    before.current = value;
    if (!isNews) return;
    setChanged(true);
    const timer = setTimeout(() => setChanged(false), 1_600);
    return () => clearTimeout(timer);
  }, [value]);
  return changed;
}

function Market(): ReactNode {
  const { data, isLoading } = useMarketplace();
  const { listings = [], sales = [] } = data ?? {};
  return (
    <Panel title="Marketplace" note={data ? `${listings.length} for sale, ${sales.length} sold lately` : ""} scroll>
      {!data && <p className="empty">{isLoading ? "Reading…" : "It could not be read."}</p>}
      <table id="market">
        <caption className="unseen">Open listings and latest sales</caption>
        <thead>
          <tr>
            <th scope="col">Stream</th>
            <th scope="col" className="number">
              Price, sBTC
            </th>
            <th scope="col">Who</th>
            <th scope="col">State</th>
          </tr>
        </thead>
        <tbody>
          {listings.map((it) => (
            <tr key={`l${it.streamId}`} data-listing={it.streamId}>
              <td>{it.streamId}</td>
              <td className="number">{it.price === null ? "?" : formatSbtc(it.price)}</td>
              <td>{party(it.seller)}</td>
              <td>{it.status === "pending" ? "reserved" : "for sale"}</td>
            </tr>
          ))}
          {sales.slice(0, 12).map((it) => (
            <tr key={`s${it.saleId}`} className="quiet" data-sale={it.saleId}>
              <td>{it.streamId}</td>
              <td className="number">{it.price === null ? "?" : formatSbtc(BigInt(it.price))}</td>
              <td>{party(it.buyer)}</td>
              <td>sold</td>
            </tr>
          ))}
        </tbody>
      </table>
      {data && listings.length + sales.length === 0 && <p className="empty">Nothing is for sale.</p>}
    </Panel>
  );
}

function TreasuryBoard(): ReactNode {
  const { data, isLoading } = useTreasury();
  const changed = useChanged(data ? String(data.balance) : null);
  return (
    <Panel title="Treasury" note={data ? `${data.treasury.admins.length} admins` : ""} scroll>
      {!data && <p className="empty">{isLoading ? "Reading…" : "It could not be read."}</p>}
      {data && (
        <>
          <p className="balance" id="balance" data-changed={changed || undefined}>
            {formatSbtc(data.balance)} <small>sBTC</small>
          </p>
          <ul id="proposals">
            {data.proposals.slice(0, 12).map((it) => (
              <li key={it.proposalId} className={it.executed ? "quiet" : ""}>
                <div className="line">
                  <span>
                    Proposal {it.proposalId}: {it.kind === "withdrawal" ? `${sbtc(it.amount)} for ${party(it.recipient)}` : `${it.kind.replace("-", " ")} ${party(it.targetAdmin)}`}
                  </span>
                  <span className="tag">{it.executed ? "executed" : `${it.approvalCount} of ${it.required ?? "?"}`}</span>
                </div>
              </li>
            ))}
          </ul>
          {data.proposals.length === 0 && <p className="empty">No proposals.</p>}
        </>
      )}
    </Panel>
  );
}

const HOPS = ["webhook → feed", "feed → node", "node → this page"] as const;

function Latency(): ReactNode {
  const { trips } = use(board);
  const totals = useMemo(() => trips.map(total).sort((a, b) => a - b), [trips]);
  const at = (share: number): string => (totals.length ? ms(totals[Math.min(totals.length - 1, Math.floor(totals.length * share))]!) : "–");
  const last = trips.slice(-8).reverse();
  const longest = Math.max(1, ...last.map(total));
  const bins = useMemo(() => histogram(totals), [totals]);
  const highest = Math.max(1, ...bins.map((it) => it.count));
  return (
    <Panel title="From webhook to screen" note={`p50 ${at(0.5)}, p95 ${at(0.95)} of the last ${totals.length}`}>
      {totals.length === 0 && <p className="empty">Measured with the next event.</p>}
      {totals.length > 0 && (
        <div className="latency">
          <ol className="trips" aria-label="The last entries, by hop">
            {last.map((it) => (
              <li key={it.seq}>
                <span className="quiet">{it.seq}</span>
                <span className="hops" title={it.hops.map((hop, i) => `${HOPS[i]} ${ms(hop)}`).join(", ")}>
                  {it.hops.map((hop, i) => (
                    <i key={i} className={`hop${i}`} style={{ width: `${(100 * hop) / longest}%` }} />
                  ))}
                </span>
                <span className="number">{ms(total(it))}</span>
              </li>
            ))}
          </ol>
          <ul className="legend">
            {HOPS.map((it, i) => (
              <li key={it}>
                <i className={`hop${i}`} /> {it}
              </li>
            ))}
          </ul>
          <ol className="histogram" aria-label="Distribution of the last entries">
            {bins.map((it) => (
              <li key={it.label} title={`${it.label} ms: ${it.count}`}>
                <i style={{ height: `${(100 * it.count) / highest}%` }} />
                <span>{it.label}</span>
              </li>
            ))}
          </ol>
        </div>
      )}
    </Panel>
  );
}

const total = (trip: Trip): number => trip.hops[0] + trip.hops[1] + trip.hops[2];
const ms = (value: number): string => `${value < 10 ? value.toFixed(1) : Math.round(value)} ms`;
const EDGES = [2, 5, 10, 20, 50, 100, 200, Infinity];

function histogram(totals: readonly number[]): { label: string; count: number }[] {
  return EDGES.map((edge, i) => {
    const from = EDGES[i - 1] ?? 0;
    return {
      label: edge === Infinity ? `${from}+` : `≤${edge}`,
      count: totals.filter((it) => it > from && it <= edge).length,
    };
  });
}

function Nodes(): ReactNode {
  const { nodes, node } = use(board);
  return (
    <Panel title="Nodes" note={node ? `this page hears ${node}` : ""}>
      <table id="nodes">
        <caption className="unseen">Fanout nodes</caption>
        <thead>
          <tr>
            <th scope="col">Node</th>
            <th scope="col" className="number">
              Sockets
            </th>
            <th scope="col" className="number">
              At seq
            </th>
            <th scope="col" className="number">
              Lag
            </th>
          </tr>
        </thead>
        <tbody>
          {nodes.map((it) => (
            <tr key={it.node}>
              <td>{it.node}</td>
              <td className="number">{it.connections}</td>
              <td className="number">{it.seq}</td>
              <td className="number">{it.lag}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </Panel>
  );
}

watched.start();
auditor.start();
board.start();
createRoot(document.getElementById("root")!).render(
  <StrictMode>
    <RealtimeProvider realtime={realtime}>
      <Page />
    </RealtimeProvider>
  </StrictMode>,
);
