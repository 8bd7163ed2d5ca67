import { bufferDevice, cachedDevice, crc32c, decodeText, FindingLog, type ImageError } from "@guestprobe/block";
import { viewOf } from "@guestprobe/block/struct";
import { open, resolve, walkAll } from "@guestprobe/vfs";
import { conformanceCases, type ExpectedVolume } from "@guestprobe/vfs/conformance";
import { xfs } from "@guestprobe/xfs";
import { describe, expect, it, test } from "vitest";
import { fixtures } from "./lib/fixtures.js";
import { sha256 } from "./lib/sha256.js";

type Expected = ExpectedVolume & { readonly xattrs?: Readonly<Record<string, Readonly<Record<string, string>>>> };

/** Copied from under a mounted volume: its log holds changes. */
const DIRTY = "v5-dirty";

for (const fixture of fixtures("xfs")) {
  describe(`xfs fixture ${fixture.name}`, () => {
    const device = bufferDevice(fixture.image());
    const expected = fixture.expected as Expected;
    const findings = new FindingLog();
    const opened = xfs.open(cachedDevice(device), { report: findings.report });

    for (const { name, run } of conformanceCases(expected, { devices: [device], sha256 })) {
      it(name, async () => run(await opened));
    }

    it("the same under each checksum policy", async () => {
      for (const checksums of ["require", "ignore"] as const) {
        const fs = await xfs.open(device, { checksums });
        let files = 0;
        for await (const { inode, error } of walkAll(fs)) {
          expect(error).toBeUndefined();
          await inode?.xattrs();
          if (inode?.stat.type === "symlink") await inode.readLink();
          files += 1;
        }
        expect(files).toBe(expected.entries.length);
      }
    });

    it("by number: what is in use, and nothing else", async () => {
      const fs = await opened;
      const inodeSize = fixture.name === "v4-512" ? 256 : 512;
      const used = new Set<string>();
      for (let ino = 0; ino < fs.size / inodeSize; ino += 1) {
        const code = await fs.inode(ino).then(
          () => undefined,
          (error: ImageError) => error.code,
        );
        if (code === undefined) used.add(String(ino));
        else expect([ino, code]).toEqual([ino, "not-found"]);
      }
      const known = new Set(expected.entries.flatMap(({ ino }) => (ino == null ? [] : [ino])));
      for (const ino of known) expect(used.has(ino), ino).toBe(true);
      // And the two that hold the free space of the realtime section. Files of a copied folder have one name each; for
      // the dirty image, whose inodes GRUB does not number, the names are those of its files too.
      expect(used.size).toBe((known.size || expected.entries.length) + 2);
    });

    it("extended attributes", async () => {
      for (const [path, wanted] of Object.entries(expected.xattrs ?? {})) {
        const inode = await open(await opened, path);
        const got: Record<string, string> = {};
        for (const { name, value } of await inode.xattrs()) {
          const pieces = (async function* () {
            yield value;
          })();
          got[decodeText(name)] = await sha256(pieces);
        }
        expect(got, path).toEqual(wanted);
      }
    });

    it(fixture.name === DIRTY ? "the log is reported as dirty" : "nothing is found wrong", async () => {
      await opened;
      const codes = findings.findings.map(({ code }) => code);
      expect(codes).toEqual(fixture.name === DIRTY ? ["xfs-log-dirty"] : []);
      if (fixture.name === DIRTY) expect(findings.findings[0]?.message).toContain("Linux would first replay");
    });

    it("a dirty log is not passed off as replayed", async () => {
      const replayed = xfs.open(device, { journal: "replay" });
      if (fixture.name !== DIRTY) await replayed;
      else await expect(replayed).rejects.toMatchObject({ code: "unsupported" });
    });
  });
}

test("xfs: a metadata directory is named, and read by its number", async () => {
  const image = fixtures("xfs")
    .find(({ name }) => name === DIRTY)!
    .image();
  const view = viewOf(image);
  view.setUint32(216, view.getUint32(216) | 0x100);
  // Its root: here any directory will do.
  const grub = (await open(await xfs.open(bufferDevice(image), { checksums: "ignore" }), "/boot/grub")).stat.ino;
  view.setBigUint64(264, BigInt(grub));
  view.setUint32(224, 0);
  view.setUint32(224, crc32c(image.subarray(0, 512)), true);
  const fs = await xfs.open(bufferDevice(image), { checksums: "require" });
  expect(fs.features).toContain("METADIR");
  let files = 0;
  for await (const { error } of walkAll(fs)) {
    expect(error).toBeUndefined();
    files += 1;
  }
  expect(files).toBe(5);
  expect((await fs.inode(grub)).stat.type).toBe("dir");
});

test("an extent that lies outside is told where it is read, at once or not, and what other extents hold is read", async () => {
  const fixture = fixtures("xfs").find(({ name }) => name === "v5-4k")!;
  const path = "/files/shared";
  const sound = (await resolve(await xfs.open(bufferDevice(fixture.image())), path))!.inode;
  const image = Uint8Array.from(fixture.image());
  const at = sound.offset!;
  const inode = viewOf(image.subarray(at, at + 512));
  // The last of four records (xfs_bmbt_rec): its block number, of which the upper bits are here, passes the volume's end.
  const record = 176 + 3 * 16;
  inode.setUint32(record + 8, inode.getUint32(record + 8) | 0x7000_0000);
  inode.setUint32(100, 0);
  inode.setUint32(100, crc32c(image.subarray(at, at + 512)), true);
  const broken = (await resolve(await xfs.open(bufferDevice(image)), path))!.inode;
  const into = new Uint8Array(8192);
  expect(broken.readNow?.(0, 8192, into)).toEqual(await sound.read(0, 8192));
  const far = { code: "corrupt", structure: "xfs_bmbt_rec" };
  await expect(broken.read(65_536, 8192)).rejects.toMatchObject(far);
  expect(() => broken.readNow?.(65_536, 8192, into)).toThrow(expect.objectContaining(far));
});
