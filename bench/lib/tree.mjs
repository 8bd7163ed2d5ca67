/** The files that every volume of the benchmark holds: the same bytes on each run and each machine. */
import { closeSync, mkdirSync, openSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";

export const LARGE_BYTES = 256 << 20;
export const SMALL_FILES = 20_000;
export const CROWD_FILES = 50_000;

/** A stream of bytes that no compressor shortens, the same for the same seed (xorshift32). */
function noise(seed) {
  let state = seed;
  return (target) => {
    const words = new Uint32Array(target.buffer, target.byteOffset, target.length / 4);
    for (let n = 0; n < words.length; n += 1) {
      state ^= state << 13;
      state ^= state >>> 17;
      state ^= state << 5;
      words[n] = state;
    }
  };
}

/**
 * Makes the tree below `folder`: `large` of 256 MiB, every other MiB of it text; `small`, 20,000 files of 40 bytes to
 * 8 KiB in 200 directories; `crowd`, one directory of 50,000 empty files; and what a boot probe looks for.
 */
export function makeTree(folder) {
  mkdirSync(join(folder, "boot/grub"), { recursive: true });
  writeFileSync(join(folder, "boot/grub/grub.cfg"), "set timeout=5\nmenuentry 'Linux' {\n  linux /boot/vmlinuz\n}\n");
  writeLarge(join(folder, "large"));
  const fill = noise(7);
  const block = Buffer.alloc(8192);
  for (let n = 0; n < SMALL_FILES; n += 1) {
    const parent = join(folder, `small/${String(n % 200).padStart(3, "0")}`);
    if (n < 200) mkdirSync(parent, { recursive: true });
    fill(block);
    writeFileSync(join(parent, `file-${n}.txt`), block.subarray(0, 40 + ((n * 37) % 8152)));
  }
  mkdirSync(join(folder, "crowd"));
  for (let n = 0; n < CROWD_FILES; n += 1) writeFileSync(join(folder, `crowd/entry-${n}`), "");
}

function writeLarge(path) {
  const fill = noise(1);
  const text = Buffer.alloc(1 << 20);
  for (let at = 0, line = 0; at < text.length; line += 1) at += text.write(`${line}: the quick brown fox\n`, at);
  const random = Buffer.alloc(1 << 20);
  const file = openSync(path, "w");
  for (let at = 0; at < LARGE_BYTES; at += 2 << 20) {
    fill(random);
    writeSync(file, random);
    text.write(String(at), 0);
    writeSync(file, text);
  }
  closeSync(file);
}
