/** ext: the committed volumes read as the Linux kernel showed them when they were made. */
import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { bufferDevice, cachedDevice, encodeText, FindingLog, sliceDevice, toHex } from "@guestprobe/block";
import { ext } from "@guestprobe/ext";
import { type OpenOptions, readFile, resolve, walkAll } from "@guestprobe/vfs";
import { conformanceCases, type ExpectedVolume } from "@guestprobe/vfs/conformance";
import { describe, expect, test } from "vitest";
import { probeBootPaths } from "./lib/boot-probe.js";
import { drain } from "./lib/drain.js";
import { fixtures } from "./lib/fixtures.js";
import { sha256 } from "./lib/sha256.js";

type WithXattrs = ExpectedVolume & { readonly xattrs?: Record<string, Record<string, string>> };

async function conforms(image: Uint8Array, expected: ExpectedVolume, options: OpenOptions, skip = ""): Promise<void> {
  const device = bufferDevice(image);
  const fs = await ext.open(device, options);
  for (const one of conformanceCases(expected, { devices: [device], sha256 })) {
    if (skip === "" || !one.name.startsWith(skip)) await one.run(fs);
  }
}

for (const { name, expected, image } of fixtures("ext")) {
  describe(name, () => {
    const isDirty = expected.entries.length > 0 && name.includes("dirty");
    const findings = isDirty ? ["ext-journal-dirty"] : [];

    test("conforms, every checksum right", async () => {
      const log = new FindingLog();
      await conforms(image(), expected, { report: log.report, checksums: "require" });
      expect(log.findings.map(({ code }) => code)).toEqual(findings);
    });

    test("extended attributes are those of getfattr", async () => {
      const fs = await ext.open(bufferDevice(image()));
      for (const [path, wanted] of Object.entries((expected as WithXattrs).xattrs ?? {})) {
        const list = await (await resolve(fs, path, { followLast: false }))!.inode.xattrs();
        const got = Object.fromEntries(list.map((one) => [new TextDecoder().decode(one.name), toHex(one.value)]));
        expect(got, path).toEqual(wanted);
      }
    });

    test("the probe for eight boot paths costs at most 16 reads and 1 MiB", async () => {
      // Without `peek`, as a file is.
      const { read, size } = bufferDevice(image());
      const { stats } = await probeBootPaths({ read, size });
      expect(stats.reads).toBeLessThanOrEqual(16);
      expect(stats.bytes).toBeLessThanOrEqual(1 << 20);
    });

    const replayed = fileURLToPath(new URL(`./fixtures/ext/${name}.replay.json`, import.meta.url));
    // Only the dirty ones differ once they are replayed.
    expect(existsSync(replayed)).toBe(isDirty);
    if (!isDirty) return;
    test("replayed, it conforms to what the kernel recovered", async () => {
      const recovered = JSON.parse(readFileSync(replayed, "utf8")) as ExpectedVolume;
      // Bytes of a replayed volume may lie in the journal, not where its extents say.
      await conforms(image(), recovered, { journal: "replay" }, "extents cover");
    });
  });
}

test("an image is never written to", async () => {
  for (const { image } of fixtures("ext")) {
    const data = image();
    for (const journal of ["ignore", "replay"] as const) await drain(await ext.open(bufferDevice(data), { journal }));
    expect(Buffer.from(data).equals(image())).toBe(true);
  }
});

test("encrypted names are shown as the kernel shows them without the key, content is refused", async () => {
  const [{ image, expected }] = fixtures("ext-encrypted") as [ReturnType<typeof fixtures>[number]];
  const fs = await ext.open(cachedDevice(bufferDevice(image())));
  const paths: string[] = [];
  for await (const { path, inode, error } of walkAll(fs)) {
    if (error !== undefined) throw error;
    paths.push(new TextDecoder().decode(path));
    expect((await resolve(fs, path))?.inode.stat.ino).toBe(inode!.stat.ino);
    if (inode!.stat.type !== "file") continue;
    expect(inode!.flags).toContain("encrypted");
    await expect(inode!.read(0, 1)).rejects.toMatchObject({ code: "encrypted", offset: expect.any(Number) });
  }
  expect(paths.sort()).toEqual(expected.entries.map((entry) => entry.path).sort());
});

test("casefold directories disregard case and form, by the index too", async () => {
  const [{ image }] = fixtures("ext-casefold") as [ReturnType<typeof fixtures>[number]];
  const fs = await ext.open(cachedDevice(bufferDevice(image())));
  // Full case folding and canonical decomposition, worked by hand from Unicode's CaseFolding.txt.
  const spellings = {
    README: ["readme", "ReadMe", "README"],
    "Stra\u00dfe": ["STRASSE", "strasse", "STRA\u1e9eE"],
    "\u00c9T\u00c9": ["\u00e9t\u00e9", "e\u0301te\u0301", "E\u0301T\u00c9"],
    "\u03a3\u03af\u03c3\u03c5\u03c6\u03bf\u03c2": ["\u03a3\u038a\u03a3\u03a5\u03a6\u039f\u03a3"],
    "\u0130stanbul": ["i\u0307STANBUL"],
  };
  for (const folder of ["small", "indexed"]) {
    const directory = (await resolve(fs, `/${folder}`))!.inode;
    expect(directory.flags).toContain("casefold");
    expect(directory.flags.includes("indexed-directory")).toBe(folder === "indexed");
    for (const [name, variants] of Object.entries(spellings)) {
      for (const variant of [name, ...variants]) {
        const found = await directory.lookup(encodeText(variant));
        expect(found, `${folder}/${variant}`).toBeDefined();
        expect(new TextDecoder().decode(await readFile(found!))).toBe(name);
      }
    }
    expect(await directory.lookup(encodeText("istanbul"))).toBeUndefined();
  }
  const log = new FindingLog();
  const checked = await ext.open(bufferDevice(image()), { report: log.report });
  const indexed = (await resolve(checked, "/indexed"))!.inode;
  for (let n = 0; n < 200; n += 1) {
    expect(await indexed.lookup(encodeText(`eNTRY nUMBER ${n}`)), `${n}`).toBeDefined();
  }
  expect(log.findings).toEqual([]);
});

test("a volume within a larger device", async () => {
  const { image, expected } = fixtures("ext")[0]!;
  const data = new Uint8Array(4096 + image().length);
  data.set(image(), 4096);
  const device = sliceDevice(bufferDevice(data), 4096, data.length - 4096);
  const fs = await ext.open(device);
  for (const one of conformanceCases(expected, { devices: [device], sha256 })) await one.run(fs);
});
