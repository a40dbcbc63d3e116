/** Many real socket.io-clients in `global`, counting: gaps between connections, and whether `n` ever jumps. */
import { createRequire } from "node:module";

const { io } = createRequire(new URL("../client/package.json", import.meta.url))("socket.io-client");
const [url, count] = [process.argv[2], Number(process.argv[3])];
const found = { connects: 0, recovered: 0, lost: 0, twice: 0, heard: 0, gaps: [], at: [] };
let connected = 0;

for (let i = 0; i < count; i += 1) {
  let last, since;
  setTimeout(() => {
    const socket = io(url, { transports: ["websocket"], forceNew: true, reconnectionDelay: 100, reconnectionDelayMax: 1000 });
    socket.on("connect", () => {
      found.connects += 1;
      found.recovered += Boolean(socket.recovered);
      if (since !== undefined) {
        found.gaps.push(Date.now() - since);
        found.at.push(Date.now());
      } else if ((connected += 1) === count) console.log("ready");
    });
    socket.on("disconnect", () => { since = Date.now(); });
    socket.on("tick", ({ data: { n } }) => {
      found.heard += 1;
      if (last !== undefined && n <= last) found.twice += 1;
      else if (last !== undefined) found.lost += n - last - 1;
      last = n;
    });
  }, i * 2);
}
process.stdin.on("end", () => { console.log(JSON.stringify(found)); process.exit(0); }).resume();
