// The npm package phoenix without a WebSocket, and with one that never opens. Prints one JSON value per observation.
const [url] = process.argv.slice(2);
const { Socket, LongPoll } = require("phoenix");
const { outcome, play, say } = require("./observed");

// Stands for a proxy that swallows upgrades.
class NeverOpens {
  constructor() {
    this.readyState = 0;
  }
  send() {}
  close() {}
}

async function polls() {
  const socket = new Socket(url, { transport: LongPoll, params: { user_id: "ann" }, reconnectAfterMs: () => 50 });
  let joins = 0;
  let codes = [];
  let again;
  const back = new Promise((resolve) => (again = resolve));
  socket.onClose((event) => codes.push(event.code));
  socket.connect();
  const room = socket.channel("room:1", {});
  room.join().receive("ok", () => ++joins === 2 && again());
  say("echo", ...(await outcome(room.push("echo", { x: "é🎵" }))));
  say("unknown", ...(await outcome(room.push("unknown", {}))));
  const heard = new Promise((resolve) => room.on("message", resolve));
  room.push("broadcast", { n: 1 });
  say("broadcast", await heard);
  room.push("disconnect", { user_id: "ann" });
  await back;
  say("came back", joins, codes[0]);
}

async function falls() {
  const socket = new Socket(url, { transport: NeverOpens, longPollFallbackMs: 200 });
  socket.connect();
  const room = socket.channel("room:2", {});
  room.join();
  say("fell back", ...(await outcome(room.push("echo", { n: 1 }))), socket.transport === LongPoll);
}

async function refused() {
  const socket = new Socket(url, { transport: LongPoll, params: { refuse: "403" }, reconnectAfterMs: () => 50 });
  const code = await new Promise((resolve) => {
    socket.onClose((event) => resolve(event.code));
    socket.connect();
  });
  say("refused", code);
}

play(polls, falls, refused);
