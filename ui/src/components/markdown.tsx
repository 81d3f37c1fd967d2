import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import type { IncrementalMarkdown } from "../markdown/incremental";
import { renderer } from "../markdown/load";

/** Text as Markdown; text that grows costs only its last block. */
export function Markdown({ text }: { text: string }) {
  const root = useRef<HTMLDivElement>(null);
  const writer = useRef<IncrementalMarkdown | null>(null);
  const Renderer = renderer.part.value;
  useEffect(renderer.fetch, []);
  useLayoutEffect(() => {
    if (!Renderer || !root.current) return;
    writer.current ??= new Renderer(root.current);
    writer.current.update(text);
  }, [text, Renderer]);
  if (!Renderer) return <div class="markdown plain" dir="auto">{text}</div>;
  return <div class="markdown" ref={root} key="rendered" />;
}
