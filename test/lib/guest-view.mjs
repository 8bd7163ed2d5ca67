/**
 * What Linux shows of volumes whose file system the host's kernel lacks: mounted read-only in the emulated guest of
 * `tcg-guest.mjs`, listed there by GNU find, and put into the shape of `kernelView`.
 */
import { runInGuest } from "./tcg-guest.mjs";

const TYPES = { f: "file", d: "dir", l: "symlink", c: "char", b: "block", p: "fifo", s: "socket" };
/** Of find's -printf, each ended by a NUL, in the order in which `entryOf` takes them. */
const FORMAT = ["%P", "%y", "%m", "%U", "%G", "%s", "%n", "%i", "%T@", "%A@", "%C@", "%l"];

/**
 * @param {readonly { image: string, type: string, options: string }[]} volumes whole disks, each with its mount's options
 * @param {readonly string[]} modules kernel modules
 * @returns {Promise<object[][]>} for each volume its entries, the root first; times of creation are not asked for, and
 *   files of 32 MiB and more, which would take minutes under emulation, have no hash
 */
export async function guestViews(volumes, modules) {
  const commands = volumes.map(({ type, options }, index) => {
    const device = `/dev/vd${String.fromCharCode(0x61 + index)}`;
    // By their paths: busybox's shell has programs of these names in itself, and prefers them.
    return `
      mount -t ${type} -o ro,${options} ${device} /mnt
      echo "@${index}@"
      (cd /mnt && /usr/sbin/find . -printf '${FORMAT.map((part) => `${part}\\0`).join("")}') | base64
      echo "@files@"
      (cd /mnt && /usr/sbin/find . -type f -size -32M -print0 | xargs -0 -r -n 500 /usr/sbin/sha256sum -z) | base64
      echo "@nodes@"
      (cd /mnt && /usr/sbin/find . '(' -type c -o -type b ')' -exec /usr/sbin/stat -c '%t %T %n' '{}' +)
      umount /mnt`;
  });
  const { stdout } = await runInGuest({
    disks: volumes.map(({ image }) => image),
    tools: ["find", "sha256sum", "stat"],
    modules,
    script: commands.join("\n"),
    timeout: 900,
  });
  const parts = stdout.split(/^@\d+@$/m).slice(1);
  if (parts.length !== volumes.length) throw new Error(`${parts.length} listings of ${volumes.length}:\n${stdout}`);
  return parts.map(entriesOf);
}

function entriesOf(listing) {
  const [found, rest] = listing.split(/^@files@$/m);
  const [sums, nodes] = rest.split(/^@nodes@$/m);
  const hashes = new Map(
    split(Buffer.from(sums, "base64")).map((line) => {
      const text = line.toString("latin1");
      return [text.slice(68), text.slice(0, 64)];
    }),
  );
  const numbers = new Map(
    [...nodes.matchAll(/^([0-9a-f]+) ([0-9a-f]+) \.\/(.*)$/gm)].map(([, major, minor, path]) => [
      path,
      { major: Number.parseInt(major, 16), minor: Number.parseInt(minor, 16) },
    ]),
  );
  const fields = split(Buffer.from(found, "base64"));
  const entries = [];
  for (let at = 0; at < fields.length; at += FORMAT.length) {
    entries.push(entryOf(fields.slice(at, at + FORMAT.length), hashes, numbers));
  }
  return entries;
}

/** The pieces of `data` before each NUL. */
function split(data) {
  const pieces = [];
  for (let at = 0; at < data.length; ) {
    const end = data.indexOf(0, at);
    pieces.push(data.subarray(at, end));
    at = end + 1;
  }
  return pieces;
}

function entryOf([below, ...fields], hashes, numbers) {
  const [type, mode, uid, gid, size, nlink, ino, mtime, atime, ctime, target] = fields.map((field) => field.toString());
  const path = Buffer.concat([Buffer.from("/"), below]);
  return {
    ...textPair("path", path),
    type: TYPES[type],
    mode: mode.padStart(4, "0"),
    uid: Number(uid),
    gid: Number(gid),
    size: Number(size),
    nlink: Number(nlink),
    ino,
    mtimeNs: nanoseconds(mtime),
    atimeNs: nanoseconds(atime),
    ctimeNs: nanoseconds(ctime),
    target: type === "l" ? target : null,
    rdev: numbers.get(below.toString()) ?? null,
    ...hashOf(type === "f", hashes.get(`./${below.toString("latin1")}`)),
  };
}

const hashOf = (isFile, sha256) => (isFile && sha256 === undefined ? {} : { sha256: isFile ? sha256 : null });

/** "1700000000.0000000000", the fraction with one digit too many, as nanoseconds. */
function nanoseconds(text) {
  const [whole, fraction = ""] = text.split(".");
  const digits = BigInt(fraction.slice(0, 9).padEnd(9, "0"));
  const seconds = BigInt(whole) * 1_000_000_000n;
  return `${whole.startsWith("-") ? seconds - digits : seconds + digits}`;
}

function textPair(key, data) {
  const text = data.toString("utf8");
  return Buffer.from(text).equals(data) ? { [key]: text } : { [key]: text, [`${key}Hex`]: data.toString("hex") };
}
