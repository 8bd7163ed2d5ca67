import { createHash } from "node:crypto";

/** Lower-case hexadecimal SHA-256 of what the pieces hold together. */
export async function sha256(pieces: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): Promise<string> {
  const hash = createHash("sha256");
  for await (const piece of pieces) hash.update(piece);
  return hash.digest("hex");
}
