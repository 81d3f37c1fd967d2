import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import type { IncrementalMarkdown } from "../markdown/incremental";
import { loadRenderer, renderer } from "../markdown/load";

/** Text as Markdown; text that grows costs only its last block. */
export function Markdown({ text }: { text: string }) {
  const root = useRef<HTMLDivElement>(null);
  const writer = useRef<IncrementalMarkdown | null>(null);
  const Renderer = renderer.value;
  useEffect(loadRenderer, []);
  useLayoutEffect(() => {
    if (!Renderer || !root.current) return;
    writer.current ??= new Renderer(root.current);
    writer.current.update(text);
  }, [text, Renderer]);
  if (!Renderer) return <div class="markdown plain">{text}</div>;
  return <div class="markdown" ref={root} key="rendered" />;
}
