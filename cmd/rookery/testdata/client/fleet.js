// Many stock Socket.IO clients in one process, for the Go tests. Commands come as
// JSON lines on stdin, each is answered with one line on stdout.
//   {op: "start", count, urls, tokens}  -> {connected: n} when all are connected
//   {op: "cut", from?, to?}             -> {ok}: cuts the TCP connections of a slice
//   {op: "state"}                       -> {connected, recovered, fresh, heard: [least, most]}
//   {op: "report"}                      -> {clients: [{recovered, fresh, runs: [[channel, number, ...], ...]}]}
// A run is what one client heard of one channel between two moments at which the
// protocol told it that it begins afresh. Clients go round the urls.
const { io } = require("socket.io-client");
const readline = require("readline");

const fleet = [];
let urls = [];
const say = (o) => process.stdout.write(JSON.stringify(o) + "\n");

function client(i, token) {
  const c = { recovered: 0, fresh: -1, runs: [], open: new Map(), heard: 0, attempt: i };
  const s = io(urls[i % urls.length], {
    transports: ["websocket"], auth: (cb) => cb({ token: "Bearer " + token }), forceNew: true,
    reconnectionDelay: 300, reconnectionDelayMax: 3000,
  });
  s.io.on("reconnect_attempt", () => { s.io.uri = urls[++c.attempt % urls.length]; });
  s.on("connect", () => {
    if (s.recovered) c.recovered++;
    else { c.fresh++; c.open = new Map(); }
  });
  s.on("newMessage", ({ message }) => {
    const text = message.spans.map((x) => x.text || "").join("");
    if (!text.startsWith("#")) return;
    const n = Number(text.slice(1).split(" ")[0]);
    let run = c.open.get(message.channelId);
    if (!run) c.runs.push(run = [message.channelId]), c.open.set(message.channelId, run);
    run.push(n);
    c.heard++;
  });
  c.socket = s;
  return c;
}

const up = () => fleet.filter((c) => c.socket.connected).length;
async function settled(n) { while (up() < n) await new Promise((r) => setTimeout(r, 20)); }

readline.createInterface({ input: process.stdin }).on("line", async (line) => {
  const m = JSON.parse(line);
  switch (m.op) {
    case "start":
      urls = m.urls;
      for (let i = 0; i < m.count; i++) {
        fleet.push(client(i, m.tokens[i % m.tokens.length]));
        if (i % 25 === 24) await settled(i - 24);
      }
      await settled(m.count);
      say({ connected: up() });
      break;
    case "cut":
      for (const c of fleet.slice(m.from || 0, m.to || fleet.length)) {
        const ws = c.socket.io.engine && c.socket.io.engine.transport && c.socket.io.engine.transport.ws;
        if (ws && ws._socket) ws._socket.destroy();
      }
      say({ ok: true });
      break;
    case "state":
      say({
        connected: up(),
        recovered: fleet.reduce((n, c) => n + c.recovered, 0),
        fresh: fleet.reduce((n, c) => n + c.fresh, 0),
        heard: [Math.min(...fleet.map((c) => c.heard)), Math.max(...fleet.map((c) => c.heard))],
        last: fleet.map((c) => Object.fromEntries([...c.open].map(([ch, run]) => [ch, run[run.length - 1]]))),
      });
      break;
    case "report":
      say({ clients: fleet.map(({ recovered, fresh, runs }) => ({ recovered, fresh, runs })) });
      break;
  }
}).on("close", () => process.exit(0));
