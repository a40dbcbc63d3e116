/** The one connection of a page of ours, and signing in to it with a wallet. */
import { Realtime, signIn, signOut, walletAddress } from "@bitpay/realtime";
import { useRealtime } from "@bitpay/realtime/react";
import { useState, useSyncExternalStore, type ReactNode } from "react";
import { party } from "./words.js";

const TOKEN = "bitpay-token";
export const realtime = new Realtime({ token: () => sessionStorage.getItem(TOKEN) });

/** `children` are for who is signed in. */
export function SignIn({ children }: { children?: ReactNode }): ReactNode {
  const address = useSyncExternalStore(realtime.address.watch, realtime.address.get);
  const { status } = useRealtime();
  const [problem, setProblem] = useState<string | null>(null);
  const act = async (work: () => Promise<void>): Promise<void> => {
    setProblem(null);
    await work().catch((error: unknown) => setProblem(error instanceof Error ? error.message : String(error)));
  };
  const enter = async (): Promise<void> => {
    const { token } = await signIn({ address: await walletAddress() });
    sessionStorage.setItem(TOKEN, token);
    await realtime.setToken(token);
  };
  const leave = async (): Promise<void> => {
    const token = await realtime.token();
    sessionStorage.removeItem(TOKEN);
    await realtime.setToken(null);
    if (token) await signOut(token);
  };
  if (address === null || status === "auth-expired") {
    return (
      <span className="signin">
        <button type="button" onClick={() => void act(enter)}>
          Sign in with a wallet
        </button>
        {problem && <span role="alert">{problem}</span>}
      </span>
    );
  }
  return (
    <span className="signin">
      <span className="party" title={address}>
        {party(address)}
      </span>
      {children}
      <button type="button" onClick={() => void act(leave)}>
        Sign out
      </button>
      {problem && <span role="alert">{problem}</span>}
    </span>
  );
}
