import { existsSync, readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { gunzipSync } from "node:zlib";

/** Images that others collected, beside the repository or where GUESTPROBE_CORPORA says; they are not part of it. */
const root = process.env.GUESTPROBE_CORPORA ?? fileURLToPath(new URL("../../../shared/corpora", import.meta.url));

export interface CorpusImage {
  /** "ext/f_baddir.img.gz" */
  readonly name: string;
  bytes(): Uint8Array;
}

/** The images of one format, by name; none where the folder is not there. */
export function corpus(format: "ext" | "btrfs"): readonly CorpusImage[] {
  const folder = `${root}/${format}/`;
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter((name) => name.endsWith(".img.gz"))
    .sort()
    .map((name) => ({
      name: `${format}/${name}`,
      bytes: () => new Uint8Array(gunzipSync(readFileSync(folder + name))),
    }));
}
