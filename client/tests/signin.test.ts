/** Signing in: what a wallet and the server are asked, in which order, and what is said when either refuses. */
import { afterEach, expect, test, vi } from "vitest";
import { signIn, signOut, signWithWallet, walletAddress } from "../src/signin.js";

const ADDRESS = "ST2F3J1PK46D6XVRBB9SQ66PY89P8G0EBDW5E05M7";
const SIGNED = { signature: "5e".repeat(65), publicKey: `02${"ab".repeat(32)}` };
const CHALLENGE = "bitpay.example wants you to sign in\nnonce: 1/2+3";
const SESSION = { success: true, verified: true, address: ADDRESS, token: "a.b.c", expiresAt: "2030-01-01T00:00:00Z" };

/** Notes what the wallet and the server are asked, and answers as told. */
class Asked {
  readonly order: string[] = [];
  readonly requests: { url: string; init: RequestInit }[] = [];

  constructor(answers: Record<string, { status?: number; body: unknown }> = {}) {
    const told: typeof answers = { challenge: { body: { success: true, challenge: CHALLENGE } }, verify: { body: SESSION }, ...answers };
    vi.stubGlobal("fetch", (url: string, init: RequestInit) => {
      const route = url.split("?")[0]!.split("/").at(-1)!;
      this.order.push(route);
      this.requests.push({ url, init });
      const { status = 200, body } = told[route]!;
      return Promise.resolve(new Response(typeof body === "string" ? body : JSON.stringify(body), { status }));
    });
  }

  wallet(answers: Record<string, unknown>, name = "StacksProvider"): this {
    vi.stubGlobal(name, {
      request: (method: string, params?: { message: string }) => {
        this.order.push(params ? `${method} ${params.message}` : method);
        const answer = answers[method];
        return answer instanceof Error ? Promise.reject(answer) : Promise.resolve(answer);
      },
    });
    return this;
  }
}

afterEach(() => void vi.unstubAllGlobals());

test("a challenge, the wallet's signature over exactly that, a token", async () => {
  const asked = new Asked().wallet({ stx_signMessage: SIGNED });
  expect(await signIn({ url: "https://live.example", address: ADDRESS })).toMatchObject({ address: ADDRESS, token: "a.b.c" });
  expect(asked.order).toEqual(["challenge", `stx_signMessage ${CHALLENGE}`, "verify"]);
  const [first, last] = asked.requests;
  expect(first!.url).toBe(`https://live.example/api/auth/wallet/challenge?address=${ADDRESS}&type=connection`);
  expect(last!.url).toBe("https://live.example/api/auth/wallet/verify");
  expect(last!.init).toMatchObject({ method: "POST", credentials: "include", headers: { "content-type": "application/json" } });
  expect(JSON.parse(last!.init.body as string)).toEqual({ address: ADDRESS, message: CHALLENGE, walletType: "stacks", ...SIGNED });
});

test("a refused challenge troubles no wallet, and the server's reason is said", async () => {
  const asked = new Asked({ challenge: { status: 429, body: { error: { code: "RATE_LIMITED", message: "too many challenges" } } } });
  asked.wallet({ stx_signMessage: SIGNED });
  await expect(signIn({ address: ADDRESS })).rejects.toThrow("too many challenges");
  expect(asked.order).toEqual(["challenge"]);
});

test("a signature that the server refuses is no session", async () => {
  const refusal = { success: false, verified: false, error: "the signature does not verify" };
  const asked = new Asked({ verify: { status: 401, body: refusal } }).wallet({ stx_signMessage: SIGNED });
  await expect(signIn({ address: ADDRESS })).rejects.toThrow("the signature does not verify");
  expect(asked.order.at(-1)).toBe("verify");
});

test("who declines in the wallet sends nothing to the server", async () => {
  const asked = new Asked().wallet({ stx_signMessage: new Error("User rejected the request") });
  await expect(signIn({ address: ADDRESS })).rejects.toThrow("User rejected");
  expect(asked.order.at(-1)).toBe(`stx_signMessage ${CHALLENGE}`);
  for (const answer of [{}, { result: { signature: SIGNED.signature } }]) {
    asked.wallet({ stx_signMessage: answer });
    await expect(signIn({ address: ADDRESS })).rejects.toThrow("the wallet gave no signature");
  }
  expect(asked.order).not.toContain("verify");
});

test("an answer that is no JSON is said by its status", async () => {
  new Asked({ challenge: { status: 502, body: "<html>Bad gateway" } });
  await expect(signIn({ address: ADDRESS })).rejects.toThrow("challenge?address=" + ADDRESS + "&type=connection: 502");
});

test("without a wallet that is said, and an application may bring its own", async () => {
  const asked = new Asked();
  await expect(walletAddress()).rejects.toThrow("no Stacks wallet in this browser");
  await expect(signWithWallet("x")).rejects.toThrow("no Stacks wallet in this browser");
  const sign = vi.fn(() => Promise.resolve(SIGNED));
  await signIn({ address: ADDRESS, sign });
  expect(sign.mock.calls).toEqual([[CHALLENGE]]);
  expect(asked.order).toEqual(["challenge", "verify"]);
});

// Leather answers as JSON-RPC does and marks its accounts by symbol; Xverse gives the result itself, and may mark nothing
const BITCOIN = { symbol: "BTC", address: "bc1qxy2kgdygjrsqtzq2n0yrf2493p83kkfjhx0wlh" };
test.each([
  ["Leather", "LeatherProvider", { jsonrpc: "2.0", id: "1", result: { addresses: [BITCOIN, { symbol: "STX", address: ADDRESS }] } }, { result: SIGNED }],
  ["Xverse", "StacksProvider", { addresses: [{ address: BITCOIN.address }, { address: ADDRESS }] }, SIGNED],
])("%s names its Stacks address and signs", async (_, name, addresses, signed) => {
  new Asked().wallet({ stx_getAddresses: addresses, stx_signMessage: signed }, name);
  expect(await walletAddress()).toBe(ADDRESS);
  expect(await signWithWallet("x")).toEqual(SIGNED);
});

test("of two wallets Leather is asked, and one without a Stacks address is not taken for one", async () => {
  const asked = new Asked();
  asked.wallet({ stx_getAddresses: { addresses: [{ address: "SP000000000000000000002Q6VF78" }] } });
  asked.wallet({ stx_getAddresses: { addresses: [BITCOIN] } }, "LeatherProvider");
  await expect(walletAddress()).rejects.toThrow("the wallet named no Stacks address");
});

test("signing out revokes exactly that token, and says when it could not", async () => {
  const asked = new Asked({ logout: { body: { success: true } } });
  await signOut("a.b.c", "https://live.example");
  const [{ url, init }] = asked.requests as [(typeof asked.requests)[number]];
  expect([url, init.method, init.headers]).toEqual(["https://live.example/api/auth/logout", "POST", { authorization: "Bearer a.b.c" }]);
  new Asked({ logout: { status: 503, body: {} } });
  await expect(signOut("a.b.c")).rejects.toThrow("/api/auth/logout: 503");
});
