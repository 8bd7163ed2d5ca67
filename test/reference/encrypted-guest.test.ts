/** Guests whose root cryptsetup encrypted: what can be said is said, and the rest is "cannot tell", with the reason. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, describe, expect, test } from "vitest";
import { LINUX_NOTES, makeBzImage, makeElf } from "../../packages/boot/test/build.js";
import { blkid } from "../lib/blkid.js";
import { guestprobe } from "../lib/cli.js";
import { DiskMaker } from "../lib/guest-disk.js";
import { makeSample, SIGNATURE_SAMPLES } from "../lib/signature-samples.js";

const MIB = 1 << 20;
const folder = mkdtempSync(join(tmpdir(), "guestprobe-encrypted-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const make = new DiskMaker(folder);

/** An encrypted volume, and its UUID as blkid reads it. */
function encrypted(name: "luks1" | "luks2"): { readonly bytes: Uint8Array; readonly uuid: string } {
  const file = makeSample(SIGNATURE_SAMPLES.find((sample) => sample.name === name)!, folder);
  return { bytes: new Uint8Array(readFileSync(file)), uuid: blkid(file).UUID! };
}

describe.each(["luks1", "luks2"] as const)("%s", (name) => {
  const { bytes, uuid } = encrypted(name);
  const size = bytes.length;
  const reason = `LUKS encrypted volume (UUID ${uuid}`;

  test("all of it: boot and search cannot tell, 3; inspect names it, 0", async () => {
    const disk = make.disk(size + 2 * MIB, ["label: dos", `2048,${size / 512},L`], new Map([[MIB, bytes]]));
    const boot = await guestprobe(["boot", disk]);
    expect(boot.code).toBe(3);
    expect(boot.out).toMatch(/^unknown: /);
    expect(boot.out).toContain(`(xen/xvda,msdos1) could not be read: ${reason}`);
    const search = await guestprobe(["search", disk]);
    expect(search.code).toBe(3);
    expect(search.err).toContain(`(xen/xvda,msdos1): ${reason}`);
    const inspect = await guestprobe(["inspect", disk]);
    expect(inspect.code).toBe(0);
    expect(inspect.out).toMatch(new RegExp(`crypto_LUKS .*${uuid}`));
    const ls = await guestprobe(["ls", disk, "(xen/xvda,msdos1)/"]);
    expect(ls.code).toBe(3);
  });

  test.each(["/dev/mapper/root", "UUID=01010101-2222-4333-8444-555555555555"])(
    "with /boot beside it, and root=%s: the kernel is found and starts, and whether it comes up cannot be told, 3",
    async (root) => {
      const kernel = makeBzImage({ payload: new Uint8Array(gzipSync(makeElf({ notes: LINUX_NOTES }))) });
      const config = `set timeout=1\nmenuentry Linux {\n linux /vmlinuz root=${root} ro\n}\n`;
      const file = make.write(kernel, "kernel");
      const boot = make.ext({
        tree: { "grub/grub.cfg": config },
        debugfs: [`write ${file} vmlinuz`],
      });
      const disk = make.disk(
        size + 8 * MIB,
        ["label: dos", "2048,4096,L", `8192,${size / 512},L`],
        new Map([
          [MIB, boot],
          [4 * MIB, bytes],
        ]),
      );
      const { code, out } = await guestprobe(["boot", disk]);
      expect(code, out).toBe(3);
      expect(out).toContain(
        `unknown: (xen/xvda,msdos1)/vmlinuz is started; whether its root ${root} is there cannot be told`,
      );
    },
  );
});
