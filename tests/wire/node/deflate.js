// The npm package ws with compression, against a server that says what it hears. Prints the extensions agreed on, then
// the SHA-256 of each message that came back.
const { createHash } = require("crypto");
const WebSocket = require("ws");
const [url, ...messages] = process.argv.slice(2);

const say = (value) => console.log(JSON.stringify(value));
const socket = new WebSocket(url, { perMessageDeflate: { threshold: 0 } });
let left = messages.length;

socket.on("upgrade", (response) => say(response.headers["sec-websocket-extensions"]));
socket.on("open", () => {
  for (const message of messages) socket.send(message);
});
socket.on("message", (data, isBinary) => {
  if (isBinary) throw new Error("a text came back as bytes");
  say(createHash("sha256").update(data).digest("hex"));
  left -= 1;
  if (left === 0) socket.close();
});
