// The npm package phoenix sends its authToken as a sub-protocol; what the server read of it is printed.
const { Socket } = require("phoenix");

for (const authToken of ["plain", "~>>", undefined]) {
  const socket = new Socket(process.argv[2], { transport: require("ws"), authToken });
  socket.connect();
  const channel = socket.channel("room:1", { whose: true });
  channel.join().receive("ok", ({ token }) => {
    console.log(JSON.stringify([authToken ?? null, token, socket.conn.protocol]));
    socket.disconnect();
  });
}
