import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gunzipSync } from "node:zlib";
import type { Entry } from "@guestprobe/vfs";
import { afterAll, describe, expect, test } from "vitest";
import { guestprobe } from "../../../../test/lib/cli.js";
import { fixtures } from "../../../../test/lib/fixtures.js";
import { checkDocument } from "./schema.js";

/** The built command is linked by a tool of its own: what a reader loads late has to be in it. */
const scratch = mkdtempSync(join(tmpdir(), "guestprobe-formats-"));
afterAll(() => rmSync(scratch, { recursive: true }));
const keyOf = ({ path, pathHex }: Partial<Entry>): string => pathHex ?? path ?? "";

const cases = ["ext", "xfs", "btrfs", "squashfs", "fat", "iso9660"].flatMap((format) =>
  fixtures(format).map((fixture) => [`${format}/${fixture.name}`, fixture] as const),
);

describe("the command lists and hashes as the fixtures' own tools did", () => {
  test.each(cases)("%s", { timeout: 60_000 }, async (name, { image, expected }) => {
    const file = join(scratch, `${name.replace("/", "-")}.img`);
    writeFileSync(file, image());
    const { code, out, err } = await guestprobe(["manifest", file, "(xen/xvda)/"]);
    const lines = out.trimEnd().split("\n");
    const listed = new Map(
      lines.map((line) => checkDocument(line) as unknown as Entry).map((entry) => [keyOf(entry), entry]),
    );
    expect([...listed.keys()].toSorted()).toEqual(expected.entries.map(keyOf).toSorted());
    for (const entry of expected.entries) expect(listed.get(keyOf(entry)), entry.path).toMatchObject(entry);
    expect(code, err).toBe(0);
    rmSync(file);
  });
});

test.each(["hfs", "hfsplus"])("%s: its UUID, whose hash is loaded when it is needed", async (name) => {
  const folder = fileURLToPath(new URL("../../../../test/fixtures/signature/", import.meta.url));
  const file = join(scratch, `${name}.img`);
  writeFileSync(file, gunzipSync(readFileSync(`${folder}${name}.img.gz`)));
  const { UUID } = JSON.parse(readFileSync(`${folder}${name}.json`, "utf8")) as { UUID: string };
  const { disks } = checkDocument((await guestprobe(["inspect", "--json", file])).out) as {
    disks: { fs: { uuid: string } }[];
  };
  expect(disks[0]?.fs.uuid).toBe(UUID);
});
