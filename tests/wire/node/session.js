// The npm package phoenix, unchanged, against a real server. Prints one JSON value per observation.
const { Socket } = require("phoenix");
const url = process.argv[2];

const say = (...values) => console.log(JSON.stringify(values));
const outcome = (push) =>
  new Promise((resolve) => {
    push
      .receive("ok", (response) => resolve(["ok", response]))
      .receive("error", (response) => resolve(["error", response]))
      .receive("timeout", () => resolve(["timeout"]));
  });
const event = (channel, name) =>
  new Promise((resolve) => {
    const ref = channel.on(name, (payload) => {
      channel.off(name, ref);
      resolve(payload);
    });
  });
const open = (params) => {
  const socket = new Socket(url, { transport: require("ws"), params, timeout: 5000 });
  socket.connect();
  return socket;
};

async function talk() {
  const ann = open({ user_id: "ann" });
  const bob = open({ user_id: "bob" });
  const room = ann.channel("room:1", { echo: { x: "é🎵" } });
  const other = bob.channel("room:1", {});
  say("join", ...(await outcome(room.join())));
  say("join again", ...(await outcome(other.join())));
  say("refused", ...(await outcome(ann.channel("room:2", { deny: "full" }).join())));
  say("unmatched", ...(await outcome(ann.channel("nowhere", {}).join())));
  say("echo", ...(await outcome(room.push("echo", { n: [1, null, "x"] }))));
  say("error", ...(await outcome(room.push("error", { why: 1 }))));
  say("later", ...(await outcome(room.push("later", { ms: 20 }))));
  say("unhandled", ...(await outcome(room.push("unknown", {}))));

  const both = [event(room, "message"), event(other, "message")];
  room.push("broadcast", { n: 1 });
  say("broadcast", await Promise.all(both));
  const others = event(other, "message");
  const mine = [];
  room.on("message", (payload) => mine.push(payload));
  room.push("broadcast_from", { n: 2 });
  say("broadcast_from", await others);
  await outcome(room.push("echo", {}));
  say("not for me", mine);
  const pushed = event(room, "pushed");
  room.push("push", { n: 3 });
  say("push", await pushed);

  say("large", (await outcome(room.push("echo", { text: "ü".repeat(200000) })))[1].text.length);
  say("many", (await Promise.all(Array.from({ length: 500 }, (_, n) => outcome(room.push("echo", { n })))))
    .every(([status, { n }], index) => status === "ok" && n === index));

  const closed = new Promise((resolve) => other.onClose(() => resolve(other.state)));
  other.push("stop", {});
  say("stop", await closed);
  say("leave", ...(await outcome(room.leave())), room.state);
  ann.disconnect();
  bob.disconnect();
}

async function comeBack() {
  const eve = open({ user_id: "eve" });
  const room = eve.channel("room:3", {});
  room.rejoinTimer.timerCalc = () => 10;
  await outcome(room.join());

  // The same join push answers again after every re-join.
  const rejoined = () => new Promise((resolve) => room.joinPush.receive("ok", () => resolve(room.state)));
  let again = rejoined();
  const failure = new Promise((resolve) => room.onError((reason) => resolve(reason)));
  room.push("crash", {});
  say("crash", (await failure).reason);
  say("rejoined", await again);

  const code = new Promise((resolve) => eve.onClose((closing) => resolve(closing.code)));
  again = new Promise((resolve) => eve.onOpen(() => resolve()));
  room.push("disconnect", { user_id: "eve" });
  say("disconnect", await code);
  await again;
  say("works again", ...(await outcome(room.push("echo", { back: true }))));
  eve.disconnect();
}

const scenes = { talk, comeBack };
(async () => {
  for (const scene of Object.values(scenes)) await scene();
  process.exit(0);
})().catch((error) => {
  console.error(error);
  process.exit(1);
});
