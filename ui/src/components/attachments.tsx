import { byteSize } from "../format";
import type { Upload, Uploads } from "../state/uploads";
import { isPicture } from "../state/uploads";
import type { Attachment } from "../wire";
import { Close, Paper } from "./icons";

/** The files of a message: pictures as they are, everything else by name, to be had by a click. */
export function Attachments({ files }: { files: readonly Attachment[] }) {
  if (files.length === 0) return null;
  return (
    <ul class="attachments" aria-label="Attached files" data-testid="attachments">
      {files.map((file, at) => (
        <li key={file.id ?? at}>
          {isPicture(file) ? (
            <a class="attached-picture" href={file.url ?? "#"} target="_blank" rel="noopener noreferrer" data-testid="attached-picture">
              <img src={file.url ?? ""} alt={file.name} loading="lazy" />
            </a>
          ) : (
            <a class="attached-file" href={file.url ?? "#"} download={file.name} data-testid="attached-file">
              <Paper />
              <span class="attached-name">{file.name}</span>
              <span class="attached-size">{byteSize(file.size)}</span>
            </a>
          )}
        </li>
      ))}
    </ul>
  );
}

function Chip({ item, onRemove }: { item: Upload; onRemove: () => void }) {
  const told = item.state === "sending" ? `${Math.round(item.progress * 100)} %` : byteSize(item.size);
  return (
    <li class="upload" data-state={item.state} data-testid="upload">
      <span class="upload-picture">{item.kept && isPicture(item.kept) ? <img src={item.kept.url ?? ""} alt="" /> : <Paper />}</span>
      <span class="upload-text">
        <span class="attached-name">{item.name}</span>
        <span class="attached-size" role={item.state === "failed" ? "alert" : undefined}>
          {item.state === "failed" ? item.reason : told}
        </span>
      </span>
      <button type="button" class="icon-button" aria-label={`Remove ${item.name}`} title="Remove" data-testid="upload-remove" onClick={onRemove}>
        <Close />
      </button>
      {item.state === "sending" && <progress class="upload-progress" value={item.progress} aria-label={`Sending ${item.name}`} />}
    </li>
  );
}

/** What will go along with the next message. */
export function UploadList({ uploads, onRemoved }: { uploads: Uploads; onRemoved: () => void }) {
  const items = uploads.items.value;
  if (items.length === 0) return null;
  const remove = (key: string): void => {
    uploads.remove(key);
    onRemoved();
  };
  return (
    <ul class="uploads" aria-label="Files to send">
      {items.map((item) => (
        <Chip key={item.key} item={item} onRemove={() => remove(item.key)} />
      ))}
    </ul>
  );
}
