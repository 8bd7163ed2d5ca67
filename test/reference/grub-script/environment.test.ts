import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { editEnvironment, parseEnvironment } from "@guestprobe/grub/env";
import { afterAll, expect, test } from "vitest";

const scratch = mkdtempSync(join(tmpdir(), "grubenv-"));
afterAll(() => rmSync(scratch, { recursive: true }));

/** The same edits by grub-editenv and by us, byte for byte, and what it lists against what we read. */
test("a row of edits, as grub-editenv makes them", () => {
  const file = join(scratch, "grubenv");
  execFileSync("grub-editenv", [file, "create"]);
  let ours: Uint8Array = new Uint8Array(readFileSync(file));
  const edits: [string, string | undefined][] = [
    ["saved_entry", "gnulinux-advanced>6.1"],
    ["kernelopts", "root=/dev/x ro quiet"],
    ["saved_entry", "0"],
    ["back", "a\\b\\\\c"],
    ["empty", ""],
    ["kernelopts", undefined],
    ["never", undefined],
    ["long", "x".repeat(300)],
    ["saved_entry", "ä ö"],
  ];
  for (const [name, value] of edits) {
    execFileSync("grub-editenv", value === undefined ? [file, "unset", name] : [file, "set", `${name}=${value}`]);
    ours = editEnvironment(ours, name, value)!;
    expect({ name, text: Buffer.from(ours).toString("latin1") }).toEqual({ name, text: readFileSync(file, "latin1") });
    const listed = execFileSync("grub-editenv", [file, "list"], { encoding: "utf8" });
    expect(
      parseEnvironment(ours)
        .variables.map((one) => `${one.name}=${one.value}\n`)
        .join(""),
    ).toBe(listed);
  }
});

test("what does not fit is refused by both", () => {
  const file = join(scratch, "full");
  execFileSync("grub-editenv", [file, "create"]);
  const before = new Uint8Array(readFileSync(file));
  const value = "x".repeat(1100);
  expect(() => execFileSync("grub-editenv", [file, "set", `a=${value}`], { stdio: "pipe" })).toThrow();
  expect(editEnvironment(before, "a", value)).toBeUndefined();
});

test("malformed blocks: what is listed", () => {
  const signature = "# GRUB Environment Block\n";
  for (const body of [
    "a=1\nb",
    "a=1",
    "#x=1\na=2\n##",
    "junk\na=1\n",
    "a=\\\nb\nc=3\n",
    "=v\na=1\n",
    "\n\na=1\n",
    "#",
  ]) {
    const file = join(scratch, "odd");
    writeFileSync(file, `${signature}${body}`);
    const listed = execFileSync("grub-editenv", [file, "list"], { encoding: "utf8" });
    const ours = parseEnvironment(new Uint8Array(readFileSync(file)));
    expect({ body, listed: ours.variables.map((one) => `${one.name}=${one.value}\n`).join("") }).toEqual({
      body,
      listed,
    });
  }
});
