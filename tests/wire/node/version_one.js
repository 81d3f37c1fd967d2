// The npm package phoenix-channels, which speaks version 1 and names none. Prints one JSON value per observation.
const { Socket } = require("phoenix-channels");
const { outcome, play, say } = require("./observed");

const event = (channel, name) => new Promise((resolve) => channel.on(name, resolve));
const socket = new Socket(process.argv[2], { params: { user_id: "ann" }, heartbeatIntervalMs: 20 });

play(async () => {
  socket.connect();
  const room = socket.channel("room:1", { echo: "é🎵" });
  say("join", ...(await outcome(room.join())));
  say("refused", ...(await outcome(socket.channel("room:2", { deny: "full" }).join())));
  say("echo", ...(await outcome(room.push("echo", { n: [1, null] }))));
  say("error", ...(await outcome(room.push("error", { why: 1 }))));
  const heard = event(room, "message");
  room.push("broadcast", { n: 1 });
  say("broadcast", await heard);
  const pushed = event(room, "pushed");
  room.push("push", { n: 2 });
  say("push", await pushed);
  const failed = new Promise((resolve) => room.onError((reason) => resolve(reason !== undefined)));
  room.push("crash", {});
  say("crash", await failed);
  room.rejoinTimer.timerCalc = () => 10;
  room.rejoinTimer.scheduleTimeout();
  await new Promise((resolve) => room.joinPush.receive("ok", resolve));
  say("rejoined", ...(await outcome(room.push("echo", { n: 3 }))));
  say("leave", ...(await outcome(room.leave())), room.state);
});
