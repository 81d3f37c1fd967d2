// The presence helper of the npm package phoenix, against a real server. Prints one JSON value per observation.
const [url, version] = process.argv.slice(2);
const { Socket, Presence } = require(version);
const { outcome, play, say } = require("./observed");

// A diff may tell again what the state has told: what counts is that it was told.
const has = (told, kind, who) => told.some(([one, key]) => one === kind && key === who);
// Versions before 1.8.16 take this key for a property of theirs.
const anyKey = version === "phoenix" ? "constructor" : "cid";

// Somebody in the room, with their view of who else is there.
class Member {
  constructor(user, key, meta) {
    this.socket = new Socket(url, { transport: require("ws"), params: { user_id: user }, timeout: 5000 });
    this.socket.connect();
    this.channel = this.socket.channel("room:1", { presence: key, meta });
    this.presence = new Presence(this.channel);
    this.told = [];
    this.presence.onJoin((key) => this.told.push(["join", key]));
    this.presence.onLeave((key) => this.told.push(["leave", key]));
    this.channel.join();
  }

  view() {
    const keys = Object.getOwnPropertyNames(this.presence.state).sort();
    return keys.map((key) => [key, this.presence.state[key].metas.map(({ on }) => on).sort()]);
  }

  // The view, as soon as it is as it should be.
  async sees(...expected) {
    const aim = JSON.stringify(expected);
    while (JSON.stringify(this.view()) !== aim) await new Promise((resolve) => setTimeout(resolve, 2));
    const told = this.told;
    this.told = [];
    return told;
  }
}

play(async () => {
  const ann = new Member("ann", "ann", { on: 1 });
  say("alone", has(await ann.sees(["ann", [1]]), "join", "ann"));
  const bob = new Member("bob", "bob", { on: 2 });
  say("somebody comes", has(await ann.sees(["ann", [1]], ["bob", [2]]), "join", "bob"));
  await bob.sees(["ann", [1]], ["bob", [2]]);
  const phone = new Member("phone", "ann", { on: 3 });
  say("another device", has(await bob.sees(["ann", [1, 3]], ["bob", [2]]), "join", "ann"));
  await phone.sees(["ann", [1, 3]], ["bob", [2]]);
  await ann.sees(["ann", [1, 3]], ["bob", [2]]);
  say("update", ...(await outcome(bob.channel.push("update", { meta: { on: 4 } }))));
  const told = await phone.sees(["ann", [1, 3]], ["bob", [4]]);
  say("updated", has(told, "join", "bob"), has(told, "leave", "bob"));
  const [meta] = phone.presence.state.bob.metas;
  say("refs", typeof meta.phx_ref, typeof meta.phx_ref_prev, meta.phx_ref !== meta.phx_ref_prev);
  await ann.sees(["ann", [1, 3]], ["bob", [4]]);
  const [, who] = await outcome(ann.channel.push("who", {}));
  say("who", Object.keys(who).sort(), who.ann.metas.length);
  phone.socket.disconnect();
  say("a device goes", has(await ann.sees(["ann", [1]], ["bob", [4]]), "leave", "ann"));
  await outcome(bob.channel.push("untrack", {}));
  say("untracked", has(await ann.sees(["ann", [1]]), "leave", "bob"));
  await outcome(bob.channel.push("track", { key: anyKey, meta: { on: 5 } }));
  say("any key", has(await ann.sees(["ann", [1]], [anyKey, [5]]), "join", anyKey));
  const before = ann.presence.state.ann.metas[0].phx_ref;
  bob.channel.push("disconnect", { user_id: "ann" });
  while (!ann.presence.state.ann || ann.presence.state.ann.metas[0].phx_ref === before)
    await new Promise((resolve) => setTimeout(resolve, 2));
  const back = await ann.sees(["ann", [1]], [anyKey, [5]]);
  say("back", has(back, "leave", anyKey));
  bob.channel.push("crash", {});
  say("gone", has(await ann.sees(["ann", [1]]), "leave", anyKey));
});
