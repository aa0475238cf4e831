// Drives stock Socket.IO clients for the Go tests. Commands come as JSON lines
// on stdin, results and events leave as JSON lines on stdout.
//   {id, op: "connect", sock, url, token, from?}  -> {id, ok: true} | {id, error, data}
//   {id, op: "emit", sock, event, data?, ack: ms} -> {id, ack} | {id, noAck: true}; without ack: {id, ok: true}
//   {id, op: "token", sock, token}                -> the token for the next reconnect
//   {id, op: "close", sock}                       -> {id, ok: true}
// Events: {sock, event, args}; the client's own: "$disconnect", "$connect", "$connect_error".
const { io } = require("socket.io-client");
const readline = require("readline");

const socks = new Map();
const say = (o) => process.stdout.write(JSON.stringify(o) + "\n");

function connect({ id, sock, url, token, from, reconnect }) {
  const entry = { token };
  const s = io(url, {
    transports: ["websocket"],
    auth: (cb) => cb({ token: "Bearer " + entry.token }),
    reconnection: !!reconnect,
    reconnectionDelay: 200,
    reconnectionDelayMax: 1000,
    forceNew: true,
    localAddress: from,
  });
  entry.socket = s;
  socks.set(sock, entry);
  let answered = false;
  const answer = (o) => { if (!answered) { answered = true; say({ id, ...o }); } };
  s.on("connect", () => { answer({ ok: true }); say({ sock, event: "$connect", args: [s.recovered] }); });
  s.on("connect_error", (e) => { answer({ error: e.message, data: e.data }); say({ sock, event: "$connect_error", args: [e.message] }); });
  s.on("disconnect", (reason) => say({ sock, event: "$disconnect", args: [reason] }));
  s.onAny((event, ...args) => say({ sock, event, args }));
}

function emit({ id, sock, event, data, ack }) {
  const s = socks.get(sock).socket;
  const args = data === undefined ? [] : [data];
  if (!ack) {
    s.emit(event, ...args);
    say({ id, ok: true });
    return;
  }
  s.timeout(ack).emit(event, ...args, (err, value) => say(err ? { id, noAck: true } : { id, ack: value }));
}

readline.createInterface({ input: process.stdin }).on("line", (line) => {
  const c = JSON.parse(line);
  switch (c.op) {
    case "connect": connect(c); break;
    case "emit": emit(c); break;
    case "token": socks.get(c.sock).token = c.token; say({ id: c.id, ok: true }); break;
    case "close": socks.get(c.sock).socket.close(); say({ id: c.id, ok: true }); break;
    default: say({ id: c.id, error: "unknown op " + c.op });
  }
}).on("close", () => process.exit(0));
