/** The control panel of `make run`: what the simulated chain does next, and what breaks. */
import { useCallback, useEffect, useState, type ReactNode } from "react";

interface Told {
  simulated: boolean;
  paused: boolean;
  nodes: { name: string; url: string; alive: boolean; stopped: boolean }[];
}

const ACTIONS = [
  ["create", "Create a stream"],
  ["withdraw", "Withdraw"],
  ["list", "List"],
  ["buy", "Buy"],
  ["block", "Next block"],
] as const;

export function Control({ url }: { url: string }): ReactNode {
  const [told, setTold] = useState<Told | null>(null);
  const [said, setSaid] = useState("");
  const [busy, setBusy] = useState(false);
  const [depth, setDepth] = useState(2);
  const look = useCallback(async () => {
    const answer = await fetch(`${url}/`).catch(() => null);
    setTold(answer?.ok ? ((await answer.json()) as Told) : null);
  }, [url]);
  useEffect(() => {
    void look();
    const timer = setInterval(() => void look(), 3_000);
    return () => clearInterval(timer);
  }, [look]);
  const act = async (path: string, body: object, done: (answer: Record<string, unknown>) => string): Promise<void> => {
    setBusy(true);
    try {
      const options = { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) };
      const answer = (await (await fetch(url + path, options)).json()) as Record<string, unknown>;
      setSaid(answer.ok ? done(answer) : String(answer.error));
    } catch {
      setSaid("The control panel does not answer.");
    }
    setBusy(false);
    await look();
  };
  const mined = (it: Record<string, unknown>): string =>
    `Block ${it.height}` + (it.rolledBack ? `, ${it.rolledBack} taken back` : "") + (it.streamId ? `, stream ${it.streamId}` : "");
  if (!told) return null;
  return (
    <section className="panel wide control" aria-label="Control panel">
      <div className="head">
        <h2>Make it happen</h2>
        <p className="quiet" role="status">
          {said || "the chain is simulated; nothing here exists in production"}
        </p>
      </div>
      <div className="sheet buttons">
        {told.simulated && (
          <>
            {ACTIONS.map(([action, label]) => (
              <button key={action} type="button" disabled={busy} onClick={() => void act("/chain", { do: action }, mined)}>
                {label}
              </button>
            ))}
            <span className="pair">
              <button type="button" disabled={busy} onClick={() => void act("/chain", { do: "reorg", depth }, mined)}>
                Reorg of depth
              </button>
              <select aria-label="Depth of the reorg" value={depth} onChange={(event) => setDepth(Number(event.target.value))}>
                {[1, 2, 3, 4, 5].map((it) => (
                  <option key={it}>{it}</option>
                ))}
              </select>
            </span>
            <button
              type="button"
              aria-pressed={told.paused}
              disabled={busy}
              onClick={() => void act("/feed", { paused: !told.paused }, (it) => (it.paused ? "No blocks of their own" : "Blocks come again"))}
            >
              {told.paused ? "Resume the feed" : "Pause the feed"}
            </button>
          </>
        )}
        {told.nodes.map((it) => (
          <button
            key={it.name}
            type="button"
            disabled={busy}
            onClick={() => void act(`/nodes/${it.name}`, { do: it.stopped ? "start" : "kill" }, () => `${it.name}: ${it.stopped ? "started" : "killed"}`)}
          >
            {it.stopped ? "Start" : "Kill"} {it.name}
          </button>
        ))}
        <button type="button" disabled={busy} onClick={() => void act("/redis", { do: "empty" }, () => "Redis is empty")}>
          Empty Redis
        </button>
      </div>
    </section>
  );
}
