// The npm package phoenix in the room of the document. Prints one JSON value per observation.
const { Socket } = require("phoenix");

const say = (...values) => console.log(JSON.stringify(values));
const socket = new Socket(process.argv[2], { transport: require("ws"), timeout: 5000 });
const room = socket.channel("room:lobby", {});

room.on("new_message", (message) => {
  say("new_message", message);
  room.leave().receive("ok", (response) => {
    say("left", response);
    socket.disconnect(() => process.exit(0)); // the push above waits for a reply that this room does not give
  });
});

socket.connect();
room
  .join()
  .receive("ok", (response) => {
    say("joined", response);
    room.push("say", { text: "from JavaScript" });
  })
  .receive("error", (response) => say("refused", response));
