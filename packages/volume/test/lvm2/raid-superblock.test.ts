import { viewOf } from "@guestprobe/block/struct";
import { describe, expect, test } from "vitest";
import { decodeRaidSuperblock, type RaidSuperblock, staleImages } from "../../src/lvm2/raid.js";

const sound: RaidSuperblock = {
  arrayPosition: 0,
  events: 10n,
  failedDevices: 0n,
  recovered: undefined,
  isReshaping: false,
};

test("magic, events, failed devices, recovery", () => {
  const data = new Uint8Array(512);
  expect(decodeRaidSuperblock(data)).toBeUndefined();
  const view = viewOf(data);
  data.set(new TextEncoder().encode("DmRd"));
  view.setUint32(4, 1, true);
  view.setUint32(12, 2, true);
  view.setBigUint64(16, 7n, true);
  view.setBigUint64(24, 5n, true);
  view.setBigUint64(32, 8n, true);
  view.setUint32(60, 1, true);
  expect(decodeRaidSuperblock(data)).toEqual({
    arrayPosition: 2,
    events: 7n,
    failedDevices: 5n,
    recovered: 4096,
    isReshaping: true,
  });
  view.setBigUint64(32, 0xffff_ffff_ffff_ffffn, true);
  expect(decodeRaidSuperblock(data)?.recovered).toBeUndefined();
});

describe("images with old data", () => {
  test.each([
    ["none", [sound, sound, sound], []],
    ["no metadata at all", [undefined, undefined], []],
    ["one event behind", [sound, { ...sound, events: 9n }], []],
    ["two events behind", [sound, { ...sound, events: 8n }], [1]],
    [
      "failed, says the newest",
      [
        { ...sound, failedDevices: 2n },
        { ...sound, events: 9n },
      ],
      [1],
    ],
    ["failed, says an older one", [sound, { ...sound, events: 9n, failedDevices: 1n }], []],
    ["half rebuilt", [sound, { ...sound, recovered: 100 }], [1]],
    ["rebuilt to its end", [sound, { ...sound, recovered: 4096 }], []],
  ])("%s", (_, superblocks, stale) => {
    expect(staleImages(superblocks, 4096)).toEqual(stale);
  });
});
