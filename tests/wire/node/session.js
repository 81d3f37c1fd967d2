// A version of the npm package phoenix, unchanged, against a real server. Prints one JSON value per observation.
const [url, version] = process.argv.slice(2);
const { Socket } = require(version);
const { outcome, play, say } = require("./observed");

const event = (channel, name) =>
  new Promise((resolve) => {
    const ref = channel.on(name, (payload) => {
      channel.off(name, ref);
      resolve(payload);
    });
  });
const open = (params, more) => {
  const socket = new Socket(url, { transport: require("ws"), params, timeout: 5000, ...more });
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

const hex = (buffer) => Buffer.from(buffer).toString("hex");

async function bytes() {
  const ann = open({});
  const bob = open({});
  // Versions before 1.8 write one byte for each character of a topic, whatever it takes.
  const topic = version === "phoenix" ? "room:é" : "room:e";
  const room = ann.channel(topic, {});
  const other = bob.channel(topic, {});
  await outcome(room.join());
  await outcome(other.join());
  const data = new Uint8Array([1, 2, 255]).buffer;
  const [status, echoed] = await outcome(room.push("echo", data));
  say("binary echo", status, hex(echoed));
  say("binary refusal", hex((await outcome(room.push("error", data)))[1]));
  say("empty", (await outcome(room.push("echo", new ArrayBuffer(0))))[1].byteLength);
  say("large bytes", (await outcome(room.push("echo", new ArrayBuffer(500000))))[1].byteLength);
  const pushed = event(room, "bytes");
  room.push("bytes", { n: 3 });
  say("binary push", hex(await pushed));
  const all = [event(room, "bytes"), event(other, "bytes")];
  room.push("broadcast_bytes", { n: 4 });
  say("binary broadcast", (await Promise.all(all)).map(hex));
  const mixed = event(other, "message");
  room.push("broadcast_from", data);
  say("bytes to the others", hex(await mixed));
  ann.disconnect();
  bob.disconnect();
}

// A second channel on a topic takes the place of the first; a topic that was left can be joined again.
async function again() {
  const ann = open({});
  const first = ann.channel("room:4", { echo: 1 });
  await outcome(first.join());
  const closed = new Promise((resolve) => first.onClose(() => resolve(first.state)));
  const second = ann.channel("room:4", { echo: 2 });
  say("second", ...(await outcome(second.join())), await closed);
  const heard = [];
  second.on("message", ({ n }) => heard.push(n));
  first.on("message", () => heard.push("first"));
  await outcome(second.push("broadcast_reply", { n: 1 }));
  say("heard once", heard);
  const left = outcome(second.leave());
  const third = ann.channel("room:4", { echo: 3 });
  const joined = outcome(third.join());
  say("left and joined at once", (await left)[0], ...(await joined));
  say("still there", ...(await outcome(third.push("echo", { n: 3 }))));
  say("never joined", ...(await outcome(ann.channel("room:5", {}).leave())));
  ann.disconnect();
}

async function heartbeats() {
  const ann = open({}, { heartbeatIntervalMs: 20 });
  let closes = 0;
  ann.onClose(() => closes++);
  await new Promise((resolve) => ann.onOpen(resolve));
  const beats = await new Promise((resolve) => {
    let answers = 0;
    ann.onMessage(({ topic, event }) => {
      if (topic === "phoenix" && event === "phx_reply" && ++answers === 5) resolve(answers);
    });
  });
  say("heartbeats", beats, closes);
  ann.disconnect();
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
  say("crash", (await failure) !== undefined);
  say("rejoined", await again);

  const code = new Promise((resolve) => eve.onClose((closing) => resolve(closing.code)));
  again = new Promise((resolve) => eve.onOpen(() => resolve()));
  room.push("disconnect", { user_id: "eve" });
  say("disconnect", await code);
  await again;
  say("works again", ...(await outcome(room.push("echo", { back: true }))));
  eve.disconnect();
}

play(talk, bytes, again, heartbeats, comeBack);
