import {
  encodeText,
  type Finding,
  type FindingKind,
  FindingLog,
  finding,
  findingFromError,
  ImageError,
} from "@guestprobe/block";
import { describe, expect, test } from "vitest";

const DIRTY: FindingKind = {
  code: "ext-journal-dirty",
  severity: "warning",
  title: "The journal was not replayed",
  explanation: "The guest was not shut down.",
  next: ["boot it once"],
};
const next = DIRTY.next;

describe("finding", () => {
  test("takes code, severity and advice from its kind, the place from the caller", () => {
    expect(finding(DIRTY, "12 blocks", { format: "ext", offset: 1024, device: "hd0,gpt2" })).toEqual({
      code: "ext-journal-dirty",
      severity: "warning",
      message: "12 blocks",
      format: "ext",
      offset: 1024,
      device: "hd0,gpt2",
      next,
    });
  });
  test("the caller may have better advice", () => {
    expect(finding(DIRTY, "12 blocks", { next: ["look at it"] }).next).toEqual(["look at it"]);
  });
});

test("an error as a finding keeps code and place", () => {
  const error = new ImageError("corrupt", "bad", {
    format: "xfs",
    structure: "xfs_sb",
    field: "sb_icount",
    offset: 128,
  });
  expect(findingFromError(error, { device: "hd0", path: encodeText("/a") })).toEqual({
    code: "corrupt",
    severity: "error",
    message: "xfs: bad (xfs_sb.sb_icount at byte 128)",
    format: "xfs",
    structure: "xfs_sb",
    field: "sb_icount",
    offset: 128,
    device: "hd0",
    path: encodeText("/a"),
    next: [],
  });
});

describe("FindingLog", () => {
  const base: Finding = { code: "a", severity: "note", message: "m", offset: 1, next: [] };

  test("the same thing twice is kept once", () => {
    const log = new FindingLog();
    log.report(base);
    log.report({ ...base });
    expect(log.findings).toEqual([base]);
    expect(log.suppressed.size).toBe(0);
  });
  test.each([
    ["code", { code: "b" }],
    ["message", { message: "n" }],
    ["device", { device: "hd1" }],
    ["format", { format: "xfs" }],
    ["structure", { structure: "s" }],
    ["field", { field: "f" }],
    ["offset", { offset: 2 }],
    ["path", { path: encodeText("/x") }],
    ["line", { line: 3 }],
  ])("one that differs by %s is another", (_, change) => {
    const log = new FindingLog();
    log.report(base);
    log.report({ ...base, ...change });
    expect(log.findings).toEqual([base, { ...base, ...change }]);
  });
  test("no more than the limit of one code; the rest is counted", () => {
    const log = new FindingLog(3);
    for (let offset = 0; offset < 10; offset += 1) log.report({ ...base, offset });
    log.report({ ...base, code: "b" });
    expect(log.findings.map(({ code, offset }) => [code, offset])).toEqual([
      ["a", 0],
      ["a", 1],
      ["a", 2],
      ["b", 1],
    ]);
    expect([...log.suppressed]).toEqual([["a", 7]]);
  });
  test("`report` may be handed on by itself", () => {
    const log = new FindingLog();
    const { report } = log;
    report(base);
    expect(log.findings).toHaveLength(1);
  });
});
