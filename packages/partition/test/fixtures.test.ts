import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { gunzipSync } from "node:zlib";
import { bufferDevice } from "@guestprobe/block";
import { readPartitions } from "@guestprobe/partition";
import { expect, test } from "vitest";
import { inSfdiskWords, type SfdiskTable } from "../../../test/lib/sfdisk.js";

/** Pairs written by test/make/partition.mjs: the disk, and what sfdisk said about it. */
const folder = fileURLToPath(new URL("../../../test/fixtures/partition/", import.meta.url));
const names = readdirSync(folder)
  .filter((file) => file.endsWith(".json"))
  .map((file) => file.slice(0, -5));

/** What the script did to a disk after sfdisk had looked at it. */
const DAMAGE = new Map([
  ["gpt-backup-only", ["gpt-primary-bad"]],
  ["gpt-hybrid", ["gpt-hybrid"]],
]);

test.each(names)("%s reads as sfdisk reads it", async (name) => {
  const image = gunzipSync(readFileSync(`${folder}${name}.img.gz`));
  const expected = JSON.parse(readFileSync(`${folder}${name}.json`, "utf8")) as {
    table: SfdiskTable;
    nested?: SfdiskTable;
  };
  const codes: string[] = [];
  const { tables, partitions } = await readPartitions(bufferDevice(image), { report: ({ code }) => codes.push(code) });
  expect(inSfdiskWords(tables[0]!, partitions)).toEqual(expected.table);
  expect(codes).toEqual(DAMAGE.get(name) ?? []);
  if (expected.nested !== undefined) {
    const others = expected.nested.partitions.filter((partition) => partition.type !== "ee");
    expect(inSfdiskWords(tables[1]!, partitions).partitions).toEqual(others);
  }
});

test("there are fixtures", () => {
  expect(names.length).toBeGreaterThanOrEqual(7);
});
