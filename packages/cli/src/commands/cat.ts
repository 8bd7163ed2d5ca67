import { ImageError } from "@guestprobe/block";
import { imagesThenPath } from "../arguments.js";
import { contentOf } from "../content.js";
import { EXIT, UsageError } from "../exit.js";
import { escapeGuestText } from "../output/escape.js";
import type { Run } from "../verbs.js";

export const cat: Run = async (context, words, options) => {
  const { images, path } = imagesThenPath(words);
  const { out } = context;
  if (out.options.json) {
    throw new UsageError("cat writes bytes, not JSON", [
      "guestprobe stat --json IMAGE PATH",
      "guestprobe manifest IMAGE PATH",
    ]);
  }
  const guest = await context.open(images, options);
  const { volume, inode } = await guest.place(path);
  const { type } = inode.stat;
  if (type === "dir") throw new ImageError("is-a-directory", `${path} is a directory`);
  if (type !== "file") {
    out.error(`${path} has no content: its type is ${type}`);
    return EXIT.no;
  }
  // On a terminal a guest's file could recolour, retitle or type: what is written there is made harmless.
  const harmless = out.isTerminal && options.raw !== true;
  for await (const piece of contentOf(context, volume, inode)) {
    out.bytes(harmless ? Buffer.from(escapeLines(piece)) : piece);
    // Not only once much is pending: the next piece may lie where this one does.
    await out.flush();
  }
  return EXIT.yes;
};

/** Newlines and tabs are what a text is made of; a backslash would only be in the way of a reader. */
function escapeLines(piece: Uint8Array): string {
  const lines: string[] = [];
  let start = 0;
  for (let at = 0; at <= piece.length; at += 1) {
    if (at < piece.length && piece[at] !== 0x0a) continue;
    lines.push(escapeGuestText(piece.subarray(start, at)).replaceAll("\\x09", "\t").replaceAll("\\\\", "\\"));
    start = at + 1;
  }
  return lines.join("\n");
}
