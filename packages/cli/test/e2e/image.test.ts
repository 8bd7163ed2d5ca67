import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { guestprobe } from "../../../../test/lib/cli.js";
import { buildQcow2 } from "../../../../test/lib/image-builder/qcow2.js";
import { GUEST, imageFixtures, unpackImage } from "../../../../test/lib/image-fixtures.js";
import { checkDocument } from "./schema.js";

const scratch = mkdtempSync(join(tmpdir(), "guestprobe-image-"));
const at = (name: string): string => join(scratch, name);
let manifest = "";
beforeAll(async () => {
  for (const { name, expected } of imageFixtures) {
    for (const file of [name, ...expected.files]) writeFileSync(at(file), unpackImage(file));
  }
  manifest = (await guestprobe(["manifest", at(GUEST)])).out;
  expect(manifest).toContain("grub.cfg");
});
afterAll(() => rmSync(scratch, { recursive: true }));

interface Document {
  readonly disks: readonly Record<string, unknown>[];
  readonly findings: readonly { readonly code: string; readonly next: readonly string[] }[];
}

const inspect = async (...args: string[]) => {
  const result = await guestprobe(["inspect", "--json", ...args]);
  return { ...result, document: checkDocument(result.out) as unknown as Document };
};

/** What the fixtures with writes of their own hold differs from the guest. */
const untouched = imageFixtures.filter(({ name }) => name !== "qcow2-snapshot" && name !== "chain-top");

describe("a guest in a container", () => {
  test.each(untouched)("$name: the same manifest as from the raw disk", async ({ name, expected }) => {
    const allow = expected.files.length > 0 ? ["--allow-backing", scratch] : [];
    const { out, err, code } = await guestprobe(["manifest", ...allow, at(name)]);
    expect([code, err]).toEqual([0, ""]);
    expect(out).toBe(manifest);
    const { document } = await inspect(...allow, at(name));
    const { format, clusterSize, virtualSize } = expected;
    expect(document.disks[0]).toMatchObject({ format, bytes: virtualSize });
    if (clusterSize !== null) expect(document.disks[0]).toMatchObject({ clusterSize });
  });

  test("a chain: without leave, with files given in order, with a folder", async () => {
    const alone = await inspect(at("chain-top"));
    expect(alone.code).toBe(4);
    const missing = alone.document.findings.find((finding) => finding.code === "image-file-missing");
    expect(missing?.next.join()).toContain("--backing FILE");
    const backing = [{ kind: "backing", names: ["chain-middle"], format: "qcow2" }];
    expect(alone.document.disks[0]).toMatchObject({ format: "qcow2", references: backing });

    const given = await inspect("--backing", at("chain-middle"), "--backing", at(GUEST), at("chain-top"));
    const allowed = await inspect("--allow-backing", scratch, at("chain-top"));
    for (const { code, document } of [given, allowed]) {
      expect(code).toBe(0);
      expect(document.findings).toEqual([]);
    }
    expect(given.out).toBe(allowed.out);
  });

  test("an internal snapshot is listed", async () => {
    const { document } = await inspect(at("qcow2-snapshot"));
    expect(document.disks[0]?.snapshots).toMatchObject([{ id: "1", name: "clean", bytes: 11534336 }]);
    const { out } = await guestprobe(["inspect", at("qcow2-snapshot")]);
    expect(out).toContain("Snapshots of (xen/xvda), which --snapshot chooses:\n  1 clean\n");
  });

  test.each(["1", "clean"])("--snapshot %s: the guest as it was then", async (snapshot) => {
    const { out, code } = await guestprobe(["manifest", "--snapshot", snapshot, at("qcow2-snapshot")]);
    expect(code).toBe(0);
    expect(out).toBe(manifest);
  });

  test("--snapshot: a name that the image does not have, and an image without any", async () => {
    for (const image of ["qcow2-snapshot", GUEST]) {
      const { code, err } = await guestprobe(["manifest", "--snapshot", "missing", at(image)]);
      expect(code, err).toBe(1);
      expect(err).toContain("snapshot");
    }
  });

  test("--input-format: raw stays raw, QEMU's word for VHD is understood, a wrong one is told", async () => {
    const raw = await inspect("--input-format", "raw", at("qcow2-v2"));
    expect(raw.document.disks[0]).toMatchObject({ format: "raw", partitions: [] });
    const fixed = await inspect("--input-format", "vpc", at("vhd-fixed"));
    expect(fixed.document.disks[0]).toMatchObject({ format: "vhd", bytes: 11534336 });
    const wrong = await guestprobe(["inspect", "--input-format", "vdi", at("qcow2-v2")]);
    expect(wrong.code).toBe(3);
    expect(wrong.err).toContain("0xbeda107f");
  });
});

describe("files that an image names", () => {
  const naming = (name: string): string => {
    const path = at("naming.qcow2");
    writeFileSync(path, buildQcow2({ size: 1 << 20, backing: name, backingFormat: "raw" }).file);
    return path;
  };

  test.each(["/etc/passwd", "../chain-middle", "inside/../../guest.img", "link", "/dev/zero", "."])(
    "%j is not reached through a folder that is allowed",
    async (name) => {
      const folder = at("allowed");
      mkdirSync(join(folder, "inside"), { recursive: true });
      rmSync(join(folder, "link"), { force: true });
      symlinkSync(at(GUEST), join(folder, "link"));
      const { document } = await inspect("--allow-backing", folder, naming(name));
      const codes = document.findings.map((finding) => finding.code);
      expect(codes).toContain("image-file-missing");
    },
  );

  test("what a name could do to a terminal is escaped", async () => {
    const { err } = await guestprobe(["inspect", naming("a\u001b[2Jb\u202ec")]);
    expect(err).toContain("u001b[2Jb");
    expect(err).not.toContain("\u001b");
    expect(err).not.toContain("\u202e");
  });

  test("--allow-backing of a folder that is not there is wrong usage", async () => {
    expect((await guestprobe(["inspect", "--allow-backing", at("nowhere"), at(GUEST)])).code).toBe(2);
  });

  test("--backing of a file that is not there is told with its path", async () => {
    const { err, document } = await inspect("--backing", at("nowhere.img"), at("chain-top"));
    expect(err + JSON.stringify(document.findings)).toContain("nowhere.img");
  });
});

test("a damaged container does not hide the sound image beside it", async () => {
  const damaged = at("damaged.qcow2");
  writeFileSync(damaged, unpackImage("qcow2-v2").fill(0xff, 40, 48));
  const { code, document } = await inspect(damaged, at(GUEST));
  expect(code).toBe(4);
  expect(document.disks).toMatchObject([{ format: null, bytes: 0 }, { format: "raw" }]);
  expect(document.disks[1]?.partitions).toHaveLength(4);
  expect((await guestprobe(["inspect", damaged])).code).toBe(4);
});

test("an encrypted container cannot be told", async () => {
  const { file } = buildQcow2({ size: 1 << 20 });
  file[35] = 2;
  writeFileSync(at("luks.qcow2"), file);
  const { code, err } = await guestprobe(["inspect", at("luks.qcow2")]);
  expect(code).toBe(3);
  expect(err).toContain("LUKS");
});
