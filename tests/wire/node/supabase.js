// A version of the npm package @supabase/realtime-js, unchanged, against a real server. Prints one JSON value per
// observation; stops after some until the server has done what the test wants of it.
const [url, version, vsn] = process.argv.slice(2);
const { RealtimeClient } = require(version);

const say = (...values) => console.log(JSON.stringify(values));
const open = (apikey, more) =>
  new RealtimeClient(url, {
    params: { apikey },
    transport: require("ws"),
    vsn,
    timeout: 5000,
    reconnectAfterMs: () => 10,
    ...more,
  });
const until = (subscribe) => new Promise(subscribe);
const subscribed = (channel) =>
  new Promise((resolve) => channel.subscribe((status, error) => resolve(error ? [status, error.message] : [status])));
const next = (channel, type, filter) => until((resolve) => channel.on(type, filter, resolve));
const hex = (data) => Buffer.from(data).toString("hex");

async function broadcast() {
  const [ann, bob] = [open("ann"), open("bob")];
  const speaker = ann.channel("room:1", { config: { broadcast: { self: true, ack: true } } });
  const listener = bob.channel("room:1");
  say("subscribed", await subscribed(speaker), await subscribed(listener));
  let both = [next(speaker, "broadcast", { event: "shout" }), next(listener, "broadcast", { event: "shout" })];
  say("sent", await speaker.send({ type: "broadcast", event: "shout", payload: { text: "é🎵", n: [1, null] } }));
  say("heard", ...(await Promise.all(both)));

  const mine = [];
  listener.on("broadcast", { event: "*" }, (message) => mine.push(message.event));
  const others = next(speaker, "broadcast", { event: "back" });
  say("without ack", await listener.send({ type: "broadcast", event: "back", payload: { n: 2 } }));
  say("not for itself", (await others).payload, mine);

  if (vsn === "2.0.0") {
    both = [next(speaker, "broadcast", { event: "bytes" }), next(listener, "broadcast", { event: "bytes" })];
    const payload = new Uint8Array([1, 2, 255]).buffer;
    say("bytes sent", await speaker.send({ type: "broadcast", event: "bytes", payload }));
    say("bytes heard", ...(await Promise.all(both)).map((message) => hex(message.payload)));
    const latin = ann.channel("café", { config: { broadcast: { self: true, ack: true } } });
    await subscribed(latin);
    const heard = next(latin, "broadcast", { event: "grüß" });
    say("a topic that is no ASCII", await latin.send({ type: "broadcast", event: "grüß", payload: { n: 3 } }));
    say("and what was said there", (await heard).payload);
  }
  say("unsubscribed", await listener.unsubscribe());
  await ann.disconnect();
  await bob.disconnect();
}

async function presence() {
  const [ann, bob] = [open("ann"), open("bob")];
  const state = (channel) =>
    Object.fromEntries(
      Object.entries(channel.presenceState()).map(([key, metas]) => [key, metas.map(({ presence_ref, ...meta }) => meta)]),
    );
  const watcher = bob.channel("lobby", { config: { presence: { key: "bob" } } });
  const seen = [];
  const waiting = [];
  const note = (what) => (seen.push(what), waiting.shift()?.(what));
  watcher.on("presence", { event: "join" }, ({ key }) => note(["join", key]));
  watcher.on("presence", { event: "leave" }, ({ key }) => note(["leave", key]));
  const after = (act) => until((resolve) => (waiting.push(resolve), act()));
  let synced;
  watcher.on("presence", { event: "sync" }, () => synced?.());
  const sync = () => until((resolve) => (synced = resolve));
  const first = sync();
  await subscribed(watcher);
  await first;
  say("empty", state(watcher));
  const visitor = ann.channel("lobby", { config: { presence: { key: "ann" } } });
  await subscribed(visitor);
  say("came", await after(async () => say("track", await visitor.track({ n: 1 }))), state(watcher));
  say("gone", await after(async () => say("untrack", await visitor.untrack())), state(watcher));
  await after(() => visitor.track({ n: 3 }));
  say("lost", await after(() => ann.disconnect()), state(watcher));
  const appeared = sync();
  await watcher.track({ n: 1 });
  await appeared;
  const changed = sync();
  say("track again", await watcher.track({ n: 2 }));
  await changed;
  say("changed", state(watcher));
  await bob.disconnect();
}

async function refusals() {
  const ann = open("ann");
  const changes = ann.channel("table");
  const system = next(changes, "system", {});
  changes.on("postgres_changes", { event: "INSERT", schema: "public", table: "people" }, () => {});
  say("changes", await subscribed(changes));
  say("no feed", await system);
  say("private", await subscribed(ann.channel("secret", { config: { private: true } })));
  say("guest of a private channel", await subscribed(ann.channel("ours", { config: { private: true } })));
  await subscribed(ann.channel("third"));
  say("one too many", await subscribed(ann.channel("fourth")));
  await ann.disconnect();
}

// What the test does meanwhile: it disconnects ann.
async function comeBack() {
  const ann = open("ann");
  const room = ann.channel("back", { config: { broadcast: { self: true } } });
  const states = [];
  await until((resolve) =>
    room.subscribe((status) => {
      if (states.push(status) === 1) say("disconnect me");
      else if (status === "SUBSCRIBED") resolve();
    }),
  );
  say("rejoined", states);
  const heard = next(room, "broadcast", { event: "again" });
  await room.send({ type: "broadcast", event: "again", payload: { n: 1 } });
  say("and hears", (await heard).payload);
  await ann.disconnect();
}

// What the test does meanwhile: it lets time pass.
async function tokens() {
  const ann = open("ann");
  const states = [];
  const told = [];
  let tell;
  await ann.setAuth("first");
  const room = ann.channel("tokens");
  room.on("system", {}, (message) => (told.push(message), tell?.()));
  const closed = until((closing) => room.subscribe((status) => (states.push(status), status === "CLOSED" && closing())));
  const word = (count) => until((resolve) => (tell = () => told.length >= count && resolve())).then(() => told);
  while (!states.length) await until((resolve) => setTimeout(resolve, 5));
  let heard = word(1);
  await ann.setAuth("second");
  say("nearly");
  say("warned", (await heard)[0]);
  heard = word(2);
  say("over");
  say("told", (await heard)[1]);
  await closed;
  say("states", states);
  await ann.setAuth("third");
  say("fresh token", await subscribed(ann.channel("tokens")));
  await ann.setAuth("stolen");
  await ann.disconnect();
}

// Without a connection: what is said goes over HTTP.
async function unjoined() {
  const [ann, bob] = [open("ann"), open("bob")];
  const listener = bob.channel("post/café:1");
  await subscribed(listener);
  const heard = [];
  const got = (count) => until((resolve) => {
    const look = () => (heard.length >= count ? resolve() : setTimeout(look, 5));
    look();
  });
  listener.on("broadcast", { event: "*" }, ({ event, payload }) =>
    heard.push([event, payload instanceof ArrayBuffer ? hex(payload) : payload]),
  );
  const speaker = ann.channel("post/café:1");
  console.warn = () => {};
  say("sent over HTTP", await speaker.send({ type: "broadcast", event: "shout", payload: { text: "é🎵" } }));
  await got(1);
  say("posted", await speaker.httpSend("grüß/1", { n: [1, null] }));
  await got(2);
  if (version !== "realtime-js-2-96" && vsn === "2.0.0") {
    say("bytes posted", await speaker.httpSend("bytes", new Uint8Array([1, 2, 255])));
    await got(3);
  }
  say("heard of what was posted", ...heard);
  const secret = ann.channel("secret", { config: { private: true } });
  say("posted in secret", await secret.httpSend("e", {}).then(() => "taken", (error) => error.message));
  const nobody = open("nobody").channel("post/café:1");
  say("posted by nobody", await nobody.send({ type: "broadcast", event: "shout", payload: {} }));
  await bob.disconnect();
}

const scenes = { unjoined, broadcast, presence, refusals, comeBack, tokens };
(async () => {
  for (const scene of Object.values(scenes)) await scene();
  process.exit(0);
})().catch((error) => {
  console.error(error);
  process.exit(1);
});
