/** Signing in with a Stacks wallet: a challenge, the wallet's signature over it, a token. */

/** What `stx_signMessage` of a wallet gives. */
export interface Signed {
  signature: string;
  publicKey: string;
}

export interface Session {
  address: string;
  token: string;
  expiresAt: string | number;
}

export interface SignInOptions {
  url?: string;
  address: string;
  /** Lets the wallet sign exactly this text; `signWithWallet` unless told. */
  sign?: (message: string) => Promise<Signed>;
}

/** Signs in; an Error says what was refused. Nothing but the signature leaves the wallet, and nothing is paid. */
export async function signIn({ url = "", address, sign = signWithWallet }: SignInOptions): Promise<Session> {
  const query = new URLSearchParams({ address, type: "connection" });
  const { challenge } = await answer<{ challenge: string }>(`${url}/api/auth/wallet/challenge?${query}`);
  const signed = await sign(challenge);
  return answer<Session>(`${url}/api/auth/wallet/verify`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ address, message: challenge, walletType: "stacks", ...signed }),
  });
}

/** Revokes a token; its connections are closed. */
export async function signOut(token: string, url = ""): Promise<void> {
  await answer(`${url}/api/auth/logout`, { method: "POST", headers: { authorization: `Bearer ${token}` } });
}

interface Account {
  address: string;
  symbol?: string;
}

interface Provider {
  request(method: "stx_signMessage", params: { message: string }): Promise<{ result?: Signed } & Partial<Signed>>;
  request(method: "stx_getAddresses"): Promise<{ result?: { addresses: Account[] }; addresses?: Account[] }>;
}

function wallet(): Provider {
  const wallets = globalThis as { LeatherProvider?: Provider; StacksProvider?: Provider };
  const provider = wallets.LeatherProvider ?? wallets.StacksProvider;
  if (!provider) throw new Error("no Stacks wallet in this browser");
  return provider;
}

/** Asks the wallet in this browser for its Stacks address. */
export async function walletAddress(): Promise<string> {
  const said = await wallet().request("stx_getAddresses");
  const { addresses = [] } = said.result ?? said;
  const found = addresses.find((it) => it.symbol === "STX") ?? addresses.find((it) => it.address.startsWith("S"));
  if (!found) throw new Error("the wallet named no Stacks address");
  return found.address;
}

/** Asks the wallet in this browser (Leather, Xverse and others with a SIP-030 provider) to sign. */
export async function signWithWallet(message: string): Promise<Signed> {
  const said = await wallet().request("stx_signMessage", { message });
  const { signature, publicKey } = said.result ?? said;
  if (!signature || !publicKey) throw new Error("the wallet gave no signature");
  return { signature, publicKey };
}

async function answer<T>(url: string, init: RequestInit = {}): Promise<T> {
  const response = await fetch(url, { credentials: "include", ...init });
  const body = (await response.json().catch(() => ({}))) as T & { error?: string | { message?: string } };
  if (response.ok) return body;
  const why = typeof body.error === "string" ? body.error : body.error?.message;
  throw new Error(why ?? `${url}: ${response.status}`);
}
