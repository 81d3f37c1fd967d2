// What these programs have in common: they print one JSON value per observation, and end well or with the reason.
exports.say = (...values) => console.log(JSON.stringify(values));

// What became of a push or a join.
exports.outcome = (push) =>
  new Promise((resolve) => {
    push
      .receive("ok", (response) => resolve(["ok", response]))
      .receive("error", (response) => resolve(["error", response]))
      .receive("timeout", () => resolve(["timeout"]));
  });

// Plays one scene after the other.
exports.play = async (...scenes) => {
  try {
    for (const scene of scenes) await scene();
    process.exit(0);
  } catch (error) {
    console.error(error);
    process.exit(1);
  }
};
