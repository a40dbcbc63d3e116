/**
 * Signatures of real wallets' code, to be verified by ours: writes wallet.json beside itself.
 *
 *     npm install @stacks/encryption @stacks/transactions && node make.mjs
 */
import { createRequire } from "node:module";
import { writeFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { hashMessage, verifyMessageSignatureRsv } from "@stacks/encryption";
import {
  getAddressFromPrivateKey, makeRandomPrivKey, privateKeyToPublic, publicKeyToHex, signMessageHashRsv,
} from "@stacks/transactions";

const messages = [
  "hello", "", "ü € 😀 ".repeat(20), "x".repeat(252), "x".repeat(253), "x".repeat(300),
  "Sign in at app.example.com with the Stacks account\nST000000000000000000002AMW42H\n\nNonce: abc",
];
const vectors = [];
for (const network of ["mainnet", "testnet"]) {
  for (const message of messages) {
    const privateKey = makeRandomPrivKey();
    const publicKey = publicKeyToHex(privateKeyToPublic(privateKey));
    const messageHash = Buffer.from(hashMessage(message)).toString("hex");
    const rsv = signMessageHashRsv({ messageHash, privateKey });
    if (!verifyMessageSignatureRsv({ signature: rsv, message, publicKey })) throw new Error("not verified by its own");
    const vrs = rsv.slice(128) + rsv.slice(0, 128);
    const address = getAddressFromPrivateKey(privateKey, network);
    vectors.push({ network, message, address, publicKey, messageHash, rsv, vrs });
  }
}
const version = (name) => createRequire(pathToFileURL(`${process.cwd()}/`))(`${name}/package.json`).version;
const made = Object.fromEntries(["@stacks/encryption", "@stacks/transactions"].map((name) => [name, version(name)]));
const lines = vectors.map((it) => `    ${JSON.stringify(it)}`).join(",\n");
writeFileSync(new URL("wallet.json", import.meta.url), `{\n  "made_with": ${JSON.stringify(made)},\n  "vectors": [\n${lines}\n  ]\n}\n`);
