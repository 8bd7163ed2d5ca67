/**
 * The tests of `identify` that make their devices in memory, once more, with blkid beside them: what lies, and what no tool makes.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { BlkidCheck, type Difference } from "../lib/blkid.js";
import { onDevice, writeDevice } from "../lib/seen-devices.js";

/** By the name of the test and the number of the device in it. */
const LIES = "labels that lie elsewhere, and pointers that lie";
const EXPLAINED: readonly Difference[] = [
  // blkid is silent about what it could not mount; here it is named, with what is wrong, for those who want it back.
  {
    name: `${LIES} > NTFS: attributes of no length, past the record, and a table that is not there, 4`,
    theirs: {},
    ours: { TYPE: "ntfs", USAGE: "filesystem", UUID: "6DE56E764122077F" },
    why: "the boot sector is sound, and no master file table is where it points",
  },
  {
    name: `${LIES} > HFS+: a catalog past the end, nodes of no size, a name longer than its node, 3`,
    theirs: {},
    ours: { TYPE: "hfsplus", USAGE: "filesystem", UUID: "af23c93b-cf2d-3cba-9606-1ce1f8ad21b3" },
    why: "allocation blocks of no bytes",
  },
  {
    name: `${LIES} > HFS: an embedded HFS+ volume past the end, 1`,
    theirs: {},
    ours: { TYPE: "hfsplus", USAGE: "filesystem" },
    why: "the wrapper says that there is an HFS+ volume, past the end",
  },
  ...[1, 4].map((count) => ({
    name: `${LIES} > UDF: an anchor that points past the end, and one that counts 2^32 - 1 bytes, ${count}`,
    theirs: {},
    ours: { TYPE: "udf", USAGE: "filesystem" },
    why: "the recognition sequence is that of UDF, and the anchor leads nowhere",
  })),
  {
    name: "a superblock with a wrong checksum is named, with the problem > LVM2, 2",
    theirs: {},
    ours: {
      TYPE: "LVM2_member",
      USAGE: "raid",
      UUID: "abcdef-ghij-klmn-opzr-stuv-wxyz-ABCDEF",
      VERSION: "LVM2 001",
    },
    why: "the label's checksum does not match",
  },
];

const folder = mkdtempSync(join(tmpdir(), "guestprobe-damaged-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const check = new BlkidCheck(EXPLAINED);
const counts = new Map<string, number>();
onDevice(async (size, pieces) => {
  const { currentTestName = "" } = expect.getState();
  const count = (counts.get(currentTestName) ?? 0) + 1;
  counts.set(currentTestName, count);
  const file = join(folder, "device");
  writeDevice(file, size, pieces);
  const name = `${currentTestName}, ${count}`;
  const [whole] = await check.compare(name, file);
  if (EXPLAINED.some((row) => row.name === name)) expect(whole!.all[0]!.problem, name).toBeDefined();
});

await import("../corrupt/signature.test.js");
await import("../../packages/signature/test/identify.test.js");

test("each explained difference was met, among hundreds of devices", () => {
  expect(check.unmet).toEqual([]);
  expect(check.count).toBeGreaterThan(450);
});
