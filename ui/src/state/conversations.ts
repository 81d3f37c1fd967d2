/** The list of conversations: newest first, grouped by day, filtered by title. */

import type { Conversation } from "../wire";

export interface Group {
  label: string;
  items: Conversation[];
}

function newestFirst(a: Conversation, b: Conversation): number {
  return b.updated_at.localeCompare(a.updated_at) || b.id.localeCompare(a.id);
}

export function listed(conversations: readonly Conversation[]): Conversation[] {
  return [...conversations].sort(newestFirst);
}

export function upserted(list: readonly Conversation[], conversation: Conversation): Conversation[] {
  return listed([...list.filter((known) => known.id !== conversation.id), conversation]);
}

export function removed(list: readonly Conversation[], id: string): Conversation[] {
  return list.filter((known) => known.id !== id);
}

export function matching(list: readonly Conversation[], query: string): Conversation[] {
  const words = query.toLocaleLowerCase().split(/\s+/).filter(Boolean);
  return list.filter((conversation) => {
    const title = conversation.title.toLocaleLowerCase();
    return words.every((word) => title.includes(word));
  });
}

const DAY = 86_400_000;

function startOfDay(date: Date): number {
  return new Date(date.getFullYear(), date.getMonth(), date.getDate()).getTime();
}

function labelOf(updatedAt: string, now: Date): string {
  const then = new Date(updatedAt);
  // Rounded, because a day on which the clocks change has 23 or 25 hours.
  const days = Math.round((startOfDay(now) - startOfDay(then)) / DAY);
  if (days <= 0) return "Today";
  if (days === 1) return "Yesterday";
  if (days < 7) return "Previous 7 days";
  if (days < 30) return "Previous 30 days";
  return then.toLocaleDateString(undefined, { month: "long", year: "numeric" });
}

/** Expects the list newest first, as `listed` and `upserted` return it. */
export function groupedByDay(list: readonly Conversation[], now: Date): Group[] {
  const groups: Group[] = [];
  for (const conversation of list) {
    const label = labelOf(conversation.updated_at, now);
    const last = groups.at(-1);
    if (last?.label === label) last.items.push(conversation);
    else groups.push({ label, items: [conversation] });
  }
  return groups;
}
