// Reads an AsyncAPI document with the official parser; says what it finds wrong, one line each, and ends with 1.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const [path, packages] = process.argv.slice(2);
const { Parser } = createRequire(pathToFileURL(packages))("@asyncapi/parser");
const { document, diagnostics } = await new Parser().parse(readFileSync(path, "utf8"));
const WARNING = 1; // what is less than that is advice
const wrong = diagnostics.filter((it) => it.severity <= WARNING);
for (const it of wrong) console.log(`${it.path.join("/")}: ${it.message} (${it.code})`);
if (!document || wrong.length > 0) process.exit(1);
const channels = document.channels().all();
console.log(JSON.stringify(Object.fromEntries(channels.map((it) => [it.id(), it.messages().all().length]))));
