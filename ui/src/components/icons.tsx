/** The page's icons: 24 units, one line width, the colour of the text around them. */

import type { ComponentChildren } from "preact";

function icon(children: ComponentChildren) {
  return function Icon() {
    return (
      <svg class="icon" viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="1.75" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true">
        {children}
      </svg>
    );
  };
}

export const Clip = icon(<path d="m20 11-8.4 8.4a5 5 0 0 1-7-7L13 4a3.4 3.4 0 0 1 4.8 4.8l-8.3 8.3a1.7 1.7 0 0 1-2.4-2.4L14.5 7" />);
export const Paper = icon(<path d="M7 3.5h7l4.5 4.5v12.5H5.5V3.5H7M14 3.5V8h4.5" />);
export const Plus = icon(<path d="M12 5v14M5 12h14" />);
export const Search = icon(<path d="m20 20-4.2-4.2M17.5 10.75a6.75 6.75 0 1 1-13.5 0 6.75 6.75 0 0 1 13.5 0Z" />);
export const Menu = icon(<path d="M4 7h16M4 12h16M4 17h10" />);
export const Close = icon(<path d="m6 6 12 12M18 6 6 18" />);
export const Pencil = icon(<path d="m4 20 .8-3.8L15.9 5.1a1.8 1.8 0 0 1 2.5 0l.5.5a1.8 1.8 0 0 1 0 2.5L7.8 19.2 4 20Z" />);
export const Trash = icon(<path d="M4.5 7h15M9.5 7V4.5h5V7M6.5 7l.8 12.5h9.4L17.5 7M10 11v5M14 11v5" />);
export const Send = icon(<path d="M12 19V5M5.5 11.5 12 5l6.5 6.5" />);
export const Down = icon(<path d="M12 5v14M18.5 12.5 12 19l-6.5-6.5" />);
export const Chevron = icon(<path d="m9 6 6 6-6 6" />);
export const Check = icon(<path d="m5 12.5 4.5 4.5L19 7.5" />);
export const Cross = icon(<path d="M12 7.5v5.5M12 16.4v.1M21 12a9 9 0 1 1-18 0 9 9 0 0 1 18 0Z" />);
export const Copy = icon(<path d="M9 9h10.5v10.5H9zM5 15H4.5V4.5H15V5" />);
export const ThumbUp = icon(<path d="M7.5 10.5v9h-3v-9zM7.5 11.5 11 4.2a2 2 0 0 1 2.6 2.4l-.9 3.4h5a1.9 1.9 0 0 1 1.9 2.3l-1.2 5.7a1.9 1.9 0 0 1-1.9 1.5H7.5" />);
export const ThumbDown = icon(<path d="M7.5 13.5v-9h-3v9zM7.5 12.5 11 19.8a2 2 0 0 0 2.6-2.4l-.9-3.4h5a1.9 1.9 0 0 0 1.9-2.3l-1.2-5.7a1.9 1.9 0 0 0-1.9-1.5H7.5" />);
export const Sun = icon(<path d="M12 4V2.8M12 21.2V20M4 12H2.8M21.2 12H20M6.3 6.3l-.8-.8M18.5 18.5l-.8-.8M6.3 17.7l-.8.8M18.5 5.5l-.8.8M16 12a4 4 0 1 1-8 0 4 4 0 0 1 8 0Z" />);
export const Moon = icon(<path d="M20 14.2A8.2 8.2 0 0 1 9.8 4a8.2 8.2 0 1 0 10.2 10.2Z" />);
export const Screen = icon(<path d="M3.5 5h17v11h-17zM9 20h6M12 16v4" />);

export function Stop() {
  return (
    <svg class="icon" viewBox="0 0 24 24" fill="currentColor" aria-hidden="true">
      <rect x="7" y="7" width="10" height="10" rx="2" />
    </svg>
  );
}

/** Call and response: two halves of one circle, the second a step behind. */
export function Mark() {
  return (
    <svg class="mark" viewBox="0 0 32 32" aria-hidden="true">
      <path class="mark-call" d="M14.75 3.5v19A9.5 9.5 0 0 1 14.75 3.5Z" />
      <path class="mark-response" d="M17.25 9.5v19A9.5 9.5 0 0 0 17.25 9.5Z" />
    </svg>
  );
}
