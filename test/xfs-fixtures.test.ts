import { bufferDevice, cachedDevice, decodeText, FindingLog } from "@guestprobe/block";
import { open, walkAll } from "@guestprobe/vfs";
import { conformanceCases, type ExpectedVolume } from "@guestprobe/vfs/conformance";
import { xfs } from "@guestprobe/xfs";
import { describe, expect, it } from "vitest";
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
