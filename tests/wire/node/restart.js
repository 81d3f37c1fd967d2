// Stays joined while the server restarts: sees the close, comes back by itself, is joined again.
const [url, version, longPoll] = process.argv.slice(2);
const { Socket, LongPoll } = require(version);
const { say } = require("./observed");

const socket = new Socket(url, { transport: longPoll ? LongPoll : require("ws") });
let closes = 0;
let joins = 0;
socket.onClose((event) => {
  if (++closes === 1) say("closed", event.code);
});
socket.connect();
socket
  .channel("room:1", {})
  .join()
  .receive("ok", () => {
    say("joined", ++joins);
    if (joins === 2) process.exit(0);
  });
