import type { Session } from "../session";
import { connection } from "../socket";
import { inWords, initial } from "../state/people";

const SHOWN = 3;

/** Who else is here; while the server is away nobody knows. */
export function People({ session }: { session: Session }) {
  const names = session.others.value.map((person) => person.name);
  if (names.length === 0 || connection.value === "lost") return null;
  return (
    <p class="people" title={names.join("\n")} data-testid="people">
      {names.slice(0, SHOWN).map((name, at) => (
        <span class="initial" aria-hidden="true" key={at}>
          {initial(name)}
        </span>
      ))}
      <span class="visually-hidden">Also here: {inWords(names)}</span>
      <bdi class="people-names" aria-hidden="true">
        {inWords(names)}
      </bdi>
    </p>
  );
}
