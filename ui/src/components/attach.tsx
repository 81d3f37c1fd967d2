import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import type { Uploads } from "../state/uploads";
import { Clip } from "./icons";

function filesIn(data: DataTransfer | null): File[] {
  return data ? [...data.files] : [];
}

/** Takes what is dropped anywhere or pasted; true while something is dragged over the page. */
export function useDropped(uploads: Uploads) {
  const over = useSignal(false);
  useEffect(() => {
    const drag = (event: DragEvent): void => {
      if (!event.dataTransfer?.types.includes("Files")) return;
      event.preventDefault();
      over.value = true;
    };
    const leave = (event: DragEvent): void => {
      if (event.relatedTarget === null) over.value = false;
    };
    const drop = (event: DragEvent): void => {
      over.value = false;
      const files = filesIn(event.dataTransfer);
      if (files.length === 0) return;
      event.preventDefault();
      uploads.add(files);
    };
    document.addEventListener("dragover", drag);
    document.addEventListener("dragleave", leave);
    document.addEventListener("drop", drop);
    return () => {
      document.removeEventListener("dragover", drag);
      document.removeEventListener("dragleave", leave);
      document.removeEventListener("drop", drop);
    };
  }, [uploads, over]);
  const onPaste = (event: ClipboardEvent): void => {
    const files = filesIn(event.clipboardData);
    if (files.length === 0) return;
    event.preventDefault();
    uploads.add(files);
  };
  return { over: over.value, onPaste };
}

/** The button that asks for files. */
export function AttachButton({ uploads, onChosen }: { uploads: Uploads; onChosen: () => void }) {
  const input = useRef<HTMLInputElement>(null);
  const onChange = (event: Event & { currentTarget: HTMLInputElement }): void => {
    uploads.add(event.currentTarget.files ?? []);
    event.currentTarget.value = "";
    onChosen();
  };
  return (
    <>
      <input ref={input} type="file" multiple hidden data-testid="attach-input" onChange={onChange} />
      <button type="button" class="icon-button attach" aria-label="Attach files" title="Attach files" data-testid="attach" onClick={() => input.current?.click()}>
        <Clip />
      </button>
    </>
  );
}
