/** Files on their way to the server, before the message that names them is sent. */

import { signal } from "@preact/signals";
import { uploadFile } from "../api";
import type { Attachment } from "../wire";

/** What a browser shows in place; the server shows nothing else either. */
const PICTURES = new Set(["image/png", "image/jpeg", "image/gif", "image/webp"]);

export interface Upload {
  key: string;
  name: string;
  size: number;
  state: "sending" | "kept" | "failed";
  /** 0 to 1. */
  progress: number;
  kept?: Attachment;
  reason?: string;
}

export function isPicture(file: Attachment): boolean {
  return PICTURES.has(file.media_type) && file.id !== null;
}

/** The files of one composer: each is sent at once, and forgotten when it is removed. */
export class Uploads {
  readonly items = signal<readonly Upload[]>([]);
  private readonly under = new Map<string, () => void>();

  /** Whether everything has arrived, so that a message may name it. */
  get ready(): boolean {
    return this.items.value.every((item) => item.state === "kept");
  }

  add(files: Iterable<File>): void {
    for (const file of files) {
      const key = crypto.randomUUID();
      this.items.value = [...this.items.value, { key, name: file.name || "pasted", size: file.size, state: "sending", progress: 0 }];
      const { done, abort } = uploadFile(file, (progress) => this.change(key, { progress }));
      this.under.set(key, abort);
      done
        .then((kept) => this.change(key, { state: "kept", progress: 1, kept, name: kept.name }))
        .catch((error: Error) => this.change(key, { state: "failed", reason: error.message }))
        .finally(() => this.under.delete(key));
    }
  }

  remove(key: string): void {
    this.under.get(key)?.();
    this.items.value = this.items.value.filter((item) => item.key !== key);
  }

  /** Hands over what has arrived, and begins anew. */
  take(): Attachment[] {
    const kept = this.items.value.flatMap((item) => (item.kept ? [item.kept] : []));
    this.items.value = [];
    return kept;
  }

  private change(key: string, change: Partial<Upload>): void {
    this.items.value = this.items.value.map((item) => (item.key === key ? { ...item, ...change } : item));
  }
}
